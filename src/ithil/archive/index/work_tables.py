"""What is to be done, was asked for and is scheduled: work that any process may go on with; and what they share."""

from __future__ import annotations

import sqlalchemy as sa

from ithil.archive.index.columns import Key, schema, text

# What is to be done in the background, by whichever process takes it: see jobs/engine.py.
jobs = sa.Table(
    "jobs",
    schema,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("priority", sa.Integer, nullable=False, server_default="0"),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("changed_at", sa.Float, nullable=False),
    sa.Column("completed_at", sa.Float),
    sa.Column("runtime", sa.Float, nullable=False, server_default="0"),  # seconds spent running
    sa.Column("progress", sa.Float, nullable=False, server_default="0"),  # 0 to 1
    sa.Column("arguments", sa.Text, nullable=False, server_default="{}"),  # JSON, as submitted
    sa.Column("checkpoint", sa.Text, nullable=False, server_default="{}"),  # JSON, what is done already
    sa.Column("content", sa.Text, nullable=False, server_default="{}"),  # JSON, what clients see
    sa.Column("error_code", sa.Integer, nullable=False, server_default="0"),
    text("error_details"),
    sa.Column("error_payload", sa.Text),  # JSON for clients' programs, NULL if there is nothing to add
    sa.Column("user_data", sa.Text),  # JSON of the client's, NULL if it gave none
    text("wish"),  # what a client wants of a job that another process runs: pause or cancel
    sa.Column("owner", sa.Text),
    sa.Column("lease_until", sa.Float),  # of a job in the state Retry: when it is due
    sa.Index("ix_jobs_queue", "state", "priority", "created_at"),
    sa.Index("ix_jobs_due", "state", "lease_until"),
)

# How far the transactions have got that move what processes have accepted into the index: see archive/intake.py.
# All records of that segment with a number below `done` are where they belong, but for those in `pending`.
journals = sa.Table(
    "journals",
    schema,
    sa.Column("segment", sa.Text, primary_key=True),
    sa.Column("generation", sa.BigInteger, nullable=False),
    sa.Column("done", sa.BigInteger, nullable=False),
    sa.Column("pending", sa.Text, nullable=False),  # JSON
)

# Files that jobs made for their clients, such as an archive; they lie in the storage area.
job_outputs = sa.Table(
    "job_outputs",
    schema,
    sa.Column("job", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("uuid", sa.Text, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("media_type", sa.Text, nullable=False),
    sa.Column("filename", sa.Text, nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
)

# Modalities and peers, if the configuration says that they are kept here: see archive/remotes.py.
remotes = sa.Table(
    "remotes",
    schema,
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),  # JSON, as in the configuration
)

# What was asked of other servers, and what they answered: see archive/queries.py.
queries = sa.Table(
    "queries",
    schema,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("modality", sa.Text, nullable=False),
    sa.Column("level", sa.SmallInteger, nullable=False),
    sa.Column("query", sa.Text, nullable=False),  # JSON: texts by tag
    sa.Column("local_aet", sa.Text, nullable=False),
    sa.Column("timeout", sa.Integer),  # seconds, NULL for that of the modality
    text("transfer_syntax"),  # of the answers
    sa.Column("answers", sa.Integer),  # their number, NULL while they still come
    sa.Column("used_at", sa.Float, nullable=False, index=True),
)

query_answers = sa.Table(
    "query_answers",
    schema,
    sa.Column("query", sa.Text, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("content", sa.LargeBinary, nullable=False),  # the data set as it came
)

# The key-value stores and queues of plugins.
key_values = sa.Table(
    "key_values",
    schema,
    sa.Column("store", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("value", sa.LargeBinary, nullable=False),
)

queues = sa.Table(
    "queues",
    schema,
    sa.Column("seq", Key, primary_key=True),
    sa.Column("queue", sa.Text, nullable=False),
    sa.Column("value", sa.LargeBinary, nullable=False),
    sa.Column("reserved_until", sa.Float),  # until then only whoever reserved it may acknowledge it
    sa.Index("ix_queues_queue", "queue", "seq"),
    sqlite_autoincrement=True,
)

# Scheduled procedure steps, if the configuration says that they are kept here: see archive/worklist.py.
worklists = sa.Table(
    "worklists",
    schema,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("created_at", sa.Float, nullable=False),
    # The public id that its study has or will have, "" if the item does not tell.
    sa.Column("study", sa.Text, nullable=False, server_default="", index=True),
    sa.Column("content", sa.LargeBinary, nullable=False),  # a DICOM file in explicit little endian
)

# Modality performed procedure steps, and which scheduled ones they carry out: see archive/performed.py.
performed_steps = sa.Table(
    "performed_steps",
    schema,
    sa.Column("uid", sa.Text, primary_key=True),
    sa.Column("state", sa.Text, nullable=False),
    text("performer"),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("changed_at", sa.Float, nullable=False),
    sa.Column("content", sa.LargeBinary, nullable=False),  # a DICOM file in explicit little endian
)

performed_step_references = sa.Table(
    "performed_step_references",
    schema,
    sa.Column("uid", sa.Text, primary_key=True),
    sa.Column("study_instance_uid", sa.Text, primary_key=True, index=True),
    sa.Column("scheduled_step_id", sa.Text, primary_key=True, server_default=""),
    sa.Column("state", sa.Text, nullable=False),  # what the scheduled step is by it
)

# What other servers were asked to keep for good, and what they answered: see archive/commitment.py.
commitment_reports = sa.Table(
    "commitment_reports",
    schema,
    sa.Column("uid", sa.Text, primary_key=True),
    sa.Column("remote_aet", sa.Text, nullable=False),
    sa.Column("instances", sa.Text, nullable=False),  # JSON: pairs of SOP class and instance
    sa.Column("outcome", sa.Text),  # JSON: reasons of failures by SOP instance; NULL while it is pending
    sa.Column("used_at", sa.Float, nullable=False, index=True),
)

outbox = sa.Table(
    "outbox",
    schema,
    sa.Column("seq", Key, primary_key=True),
    sa.Column("topic", sa.Text, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("payload", sa.Text, nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
    sqlite_autoincrement=True,
)

# Files whose rows are gone: the second step of a delete, done by a sweep that any process may run.
deleted_files = sa.Table(
    "deleted_files",
    schema,
    sa.Column("uuid", sa.Text, primary_key=True),
    sa.Column("content_type", sa.Integer, nullable=False),
    sa.Column("deleted_at", sa.Float, nullable=False),
    sqlite_with_rowid=False,
)

# Single values that all processes share: the schema's identity, counters, cursors of readers of changes.
properties = sa.Table(
    "properties",
    schema,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

# Who may run a sweep right now. A dead owner's lease ends by itself.
leases = sa.Table(
    "leases",
    schema,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("until", sa.Float, nullable=False),
)

# Unified procedure steps (PS3.4 CC): see archive/workitems.py.
workitems = sa.Table(
    "workitems",
    schema,
    sa.Column("uid", sa.Text, primary_key=True),
    sa.Column("state", sa.Text, nullable=False),
    text("readiness"),
    text("transaction_uid"),  # who claimed it knows this; it is never in `content`
    text("start"),  # ScheduledProcedureStepStartDateTime
    sa.Column("patient_id_norm", sa.Text, nullable=False, server_default="", index=True),
    sa.Column("study_instance_uid", sa.Text, nullable=False, server_default="", index=True),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("changed_at", sa.Float, nullable=False),
    sa.Column("ended_at", sa.Float, index=True),  # NULL while it is not COMPLETED or CANCELED
    sa.Column("content", sa.LargeBinary, nullable=False),  # DICOM JSON
    sa.Index("ix_workitems_start", "start", "uid"),
)

# Who is told of what happens to a workitem.
workitem_subscriptions = sa.Table(
    "workitem_subscriptions",
    schema,
    sa.Column("uid", sa.Text, primary_key=True),
    sa.Column("aetitle", sa.Text, primary_key=True, index=True),
    sa.Column("locked", sa.Boolean, nullable=False, server_default=sa.false()),
)

# Who is subscribed to each new workitem, or to those that a filter takes.
worklist_subscriptions = sa.Table(
    "worklist_subscriptions",
    schema,
    sa.Column("aetitle", sa.Text, primary_key=True),
    sa.Column("filtered", sa.Boolean, primary_key=True),
    sa.Column("locked", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("filter", sa.Text, nullable=False, server_default="[]"),  # JSON: pairs of key and value
)

# What happened to workitems, until it is too old; for whom it is; and how far each has read.
workitem_events = sa.Table(
    "workitem_events",
    schema,
    sa.Column("seq", Key, primary_key=True),
    sa.Column("uid", sa.Text, nullable=False),
    sa.Column("kind", sa.SmallInteger, nullable=False),
    sa.Column("content", sa.Text, nullable=False),  # DICOM JSON
    sa.Column("created_at", sa.Float, nullable=False, index=True),
    sqlite_autoincrement=True,
)

workitem_recipients = sa.Table(
    "workitem_recipients",
    schema,
    sa.Column("aetitle", sa.Text, primary_key=True),
    sa.Column(
        "seq", Key, sa.ForeignKey("workitem_events.seq", ondelete="CASCADE"), primary_key=True, index=True
    ),
)

workitem_readers = sa.Table(
    "workitem_readers",
    schema,
    sa.Column("aetitle", sa.Text, primary_key=True),
    sa.Column("seq", sa.BigInteger, nullable=False),
)
