"""The shape of the index: every table of the database, once, for SQLite and PostgreSQL alike.

Why it looks like this:

* **Wide rows.** Each level has typed columns for what is searched (with a `*_norm` copy, free of case and
  accents) and one JSON column `main_tags` with all main DICOM tags, so that a search touches one table and
  an answer reads one row. Orthanc keeps a row per tag and joins them.
* **Counters live in the parents** and change in the transaction that adds or removes an instance, so
  statistics and `NumberOfStudyRelatedInstances` never count rows.
* **What ingest knows about an instance for good** (reception date, origin, transfer syntax, ...) is the JSON
  column `metadata` of its row, written once. The table `metadata` holds what can change, with revisions.
* **Times** that people see are Orthanc's text `YYYYMMDDTHHMMSS` in UTC; times that processes compare are
  seconds since 1970 as a float.
* **`level` and `resource`** together name a row of one of the four resource tables by its internal id, for
  everything that can hang on any level.
"""

from __future__ import annotations

import sqlalchemy as sa

naming = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
schema = sa.MetaData(naming_convention=naming)

# SQLite numbers rows only in a column declared INTEGER; PostgreSQL wants 64 bits.
Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False, server_default="")


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False, server_default="0")


def _common() -> list[sa.Column[object]]:
    """The columns that patients, studies and series share."""
    return [
        sa.Column("main_tags", sa.Text, nullable=False, server_default="{}"),
        # What was known when the first instance created the row, by metadata number; never changes.
        sa.Column("metadata", sa.Text, nullable=False, server_default="{}"),
        _text("last_update"),
        # When the last instance arrived; for patients also the order in which they are recycled.
        sa.Column("arrived_at", sa.Float, nullable=False, server_default="0"),
        # When to look whether the resource has become stable; NULL: it is. Later arrivals leave it alone,
        # so that they need not touch its index; whoever looks then puts it off.
        sa.Column("stable_at", sa.Float),
        _count("instance_count"),
        _count("disk_size"),
        _count("uncompressed_size"),
    ]


patients = sa.Table(
    "patients",
    schema,
    sa.Column("id", Key, primary_key=True),
    sa.Column("public_id", sa.Text, nullable=False, unique=True),
    _text("patient_id"),
    sa.Column("patient_id_norm", sa.Text, nullable=False, server_default="", index=True),
    sa.Column("patient_name_norm", sa.Text, nullable=False, server_default="", index=True),
    _text("birth_date"),
    _text("sex"),
    *_common(),
    _count("study_count"),
    _count("series_count"),
    sa.Column("protected", sa.Boolean, nullable=False, server_default=sa.false()),
)

studies = sa.Table(
    "studies",
    schema,
    sa.Column("id", Key, primary_key=True),
    sa.Column("public_id", sa.Text, nullable=False, unique=True),
    sa.Column("patient", Key, sa.ForeignKey("patients.id"), nullable=False, index=True),
    sa.Column("study_instance_uid", sa.Text, nullable=False, index=True),
    sa.Column("study_date", sa.Text, nullable=False, server_default="", index=True),
    _text("study_time"),
    sa.Column("accession_number_norm", sa.Text, nullable=False, server_default="", index=True),
    _text("study_id"),
    _text("description_norm"),
    _text("referring_physician_norm"),
    _text("institution_norm"),
    # Copies of the patient's, so that a study list is searched and sorted without a join.
    sa.Column("patient_id_norm", sa.Text, nullable=False, server_default="", index=True),
    sa.Column("patient_name_norm", sa.Text, nullable=False, server_default="", index=True),
    _text("birth_date"),
    _text("sex"),
    sa.Column("patient_main_tags", sa.Text, nullable=False, server_default="{}"),
    *_common(),
    _count("series_count"),
)

series = sa.Table(
    "series",
    schema,
    sa.Column("id", Key, primary_key=True),
    sa.Column("public_id", sa.Text, nullable=False, unique=True),
    sa.Column("study", Key, sa.ForeignKey("studies.id"), nullable=False, index=True),
    sa.Column("series_instance_uid", sa.Text, nullable=False, index=True),
    _text("modality"),
    _text("series_number"),
    _text("description_norm"),
    _text("body_part"),
    _text("series_date"),
    _text("station_norm"),
    sa.Column("expected_instances", sa.Integer),
    *_common(),
)

instances = sa.Table(
    "instances",
    schema,
    sa.Column("id", Key, primary_key=True),
    sa.Column("public_id", sa.Text, nullable=False, unique=True),
    sa.Column("series", Key, sa.ForeignKey("series.id"), nullable=False, index=True),
    sa.Column("sop_instance_uid", sa.Text, nullable=False, index=True),
    _text("sop_class_uid"),
    _text("transfer_syntax_uid"),
    sa.Column("instance_number", sa.BigInteger),
    sa.Column("index_in_series", sa.BigInteger),
    sa.Column("frames", sa.Integer, nullable=False, server_default="0"),
    sa.Column("pixel_data_offset", sa.BigInteger),
    # Where each frame lies in the file (dicom/frames.py); NULL when arithmetic or a later look tells.
    sa.Column("frame_index", sa.LargeBinary),
    # The DICOM file. It is not a row of `attachments`, since every instance has exactly one and ingest
    # would pay for the second row. The stored size and sum differ from the plain ones if it is compressed.
    sa.Column("file_uuid", sa.Text, nullable=False),
    sa.Column("file_compression", sa.SmallInteger, nullable=False),
    sa.Column("file_stored_size", sa.BigInteger, nullable=False),
    sa.Column("file_stored_md5", sa.Text, nullable=False),
    sa.Column("file_size", sa.BigInteger, nullable=False),
    sa.Column("file_md5", sa.Text, nullable=False),
    sa.Column("main_tags", sa.Text, nullable=False, server_default="{}"),
    sa.Column("metadata", sa.Text, nullable=False, server_default="{}"),
)

# Small instances whose file is written but perhaps not on the disk yet: see archive/intake.py.
intake = sa.Table(
    "intake",
    schema,
    sa.Column("instance", Key, primary_key=True, autoincrement=False),
    sa.Column("uuid", sa.Text, nullable=False),
    sa.Column("content", sa.LargeBinary, nullable=False),
)

# All other files of resources.
attachments = sa.Table(
    "attachments",
    schema,
    sa.Column("level", sa.SmallInteger, primary_key=True),
    sa.Column("resource", Key, primary_key=True),
    sa.Column("content_type", sa.Integer, primary_key=True),
    sa.Column("uuid", sa.Text, nullable=False),
    sa.Column("compression", sa.SmallInteger, nullable=False),
    _count("compressed_size"),
    _text("compressed_md5"),
    _count("uncompressed_size"),
    _text("uncompressed_md5"),
    _count("revision"),
    sqlite_with_rowid=False,  # one B-tree instead of two
)

metadata = sa.Table(
    "metadata",
    schema,
    sa.Column("level", sa.SmallInteger, primary_key=True),
    sa.Column("resource", Key, primary_key=True),
    sa.Column("type", sa.Integer, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
    _count("revision"),
    sqlite_with_rowid=False,  # one B-tree instead of two
)

labels = sa.Table(
    "labels",
    schema,
    sa.Column("level", sa.SmallInteger, primary_key=True),
    sa.Column("resource", Key, primary_key=True),
    sa.Column("label", sa.Text, primary_key=True),
    sa.Index("ix_labels_label", "label", "level"),
    sqlite_with_rowid=False,  # one B-tree instead of two
)

changes = sa.Table(
    "changes",
    schema,
    sa.Column("seq", Key, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("level", sa.SmallInteger, nullable=False),
    # The internal id while the resource lives (its entries go with it), NULL for Deleted.
    sa.Column("resource", Key),
    sa.Column("public_id", sa.Text, nullable=False),
    sa.Column("date", sa.Text, nullable=False),
    # Of an instance that is gone: its three UIDs as a JSON array, for the change feed.
    sa.Column("uids", sa.Text),
    # Of a new instance: it took the place of one with the same identifiers.
    sa.Column("replaces", sa.Boolean),
    # Of what is gone: the date when it went, from which the entry is kept for some time.
    sa.Column("gone", sa.Text),
    sa.Index("ix_changes_resource", "level", "resource"),
    sqlite_autoincrement=True,  # a sequence number is never given twice, even after deletes
)

exports = sa.Table(
    "exports",
    schema,
    sa.Column("seq", Key, primary_key=True),
    sa.Column("level", sa.SmallInteger, nullable=False),
    sa.Column("public_id", sa.Text, nullable=False),
    _text("remote_modality"),
    _text("patient_id"),
    _text("study_instance_uid"),
    _text("series_instance_uid"),
    _text("sop_instance_uid"),
    sa.Column("date", sa.Text, nullable=False),
    sqlite_autoincrement=True,
)

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
    _text("error_details"),
    sa.Column("error_payload", sa.Text),  # JSON for clients' programs, NULL if there is nothing to add
    sa.Column("user_data", sa.Text),  # JSON of the client's, NULL if it gave none
    _text("wish"),  # what a client wants of a job that another process runs: pause or cancel
    sa.Column("owner", sa.Text),
    sa.Column("lease_until", sa.Float),
    sa.Index("ix_jobs_queue", "state", "priority", "created_at"),
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
    _text("transfer_syntax"),  # of the answers
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
    _text("performer"),
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

# Tags that the operator has made searchable: see archive/query_tags.py.
query_tags = sa.Table(
    "query_tags",
    schema,
    sa.Column("key", Key, primary_key=True),
    sa.Column("path", sa.Text, nullable=False, unique=True),  # GGGGEEEE, or several of them with dots
    _text("private_creator"),
    sa.Column("vr", sa.Text, nullable=False),
    sa.Column("level", sa.SmallInteger, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("operation", sa.Text, nullable=False),  # the job that looks at what was stored before
    sa.Column("created_at", sa.Float, nullable=False),
    sqlite_autoincrement=True,  # values of a tag that was removed are never taken for those of another
)

# What resources have in those tags: number 0 is the whole value, and of several values each follows.
query_tag_values = sa.Table(
    "query_tag_values",
    schema,
    sa.Column("level", sa.SmallInteger, primary_key=True),
    sa.Column("resource", Key, primary_key=True),
    sa.Column("tag", Key, primary_key=True),
    sa.Column("position", sa.SmallInteger, primary_key=True),
    sa.Column("norm", sa.Text, nullable=False),  # without case and accents
    sa.Column("value", sa.Text, nullable=False),
    sa.Column("number", sa.Float),  # of VRs that are numbers
    sa.Column("instance", Key),  # of studies and series: whose value it is
    sa.Index("ix_query_tag_values_norm", "tag", "norm"),
    sqlite_with_rowid=False,  # one B-tree instead of two
)

# Studies and series whose value went with the instance it was of, until one of another instance is found.
query_tag_losses = sa.Table(
    "query_tag_losses",
    schema,
    sa.Column("level", sa.SmallInteger, primary_key=True),
    sa.Column("resource", Key, primary_key=True),
    sa.Column("tag", Key, primary_key=True),
    sa.Column("after", Key, nullable=False),  # instances up to this one have been looked at
    sa.Column("writers", sa.BigInteger, nullable=False),  # see index/query_tag_losses.py
    sa.Column("times", sa.Integer, nullable=False),  # that it was lost
    sqlite_with_rowid=False,
)

# Instances whose value of such a tag could not be kept.
query_tag_errors = sa.Table(
    "query_tag_errors",
    schema,
    sa.Column("tag", Key, primary_key=True),
    sa.Column("instance", Key, primary_key=True, index=True),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
    sqlite_with_rowid=False,
)

sa.Index(
    "ix_query_tag_values_number",
    query_tag_values.c.tag,
    query_tag_values.c.number,
    sqlite_where=query_tag_values.c.number.is_not(None),
    postgresql_where=query_tag_values.c.number.is_not(None),
)
sa.Index(
    "ix_query_tag_values_instance",
    query_tag_values.c.instance,
    sqlite_where=query_tag_values.c.instance.is_not(None),
    postgresql_where=query_tag_values.c.instance.is_not(None),
)
sa.Index(
    "ix_changes_gone",
    changes.c.gone,
    changes.c.seq,
    sqlite_where=changes.c.gone.is_not(None),
    postgresql_where=changes.c.gone.is_not(None),
)

# Unified procedure steps (PS3.4 CC): see archive/workitems.py.
workitems = sa.Table(
    "workitems",
    schema,
    sa.Column("uid", sa.Text, primary_key=True),
    sa.Column("state", sa.Text, nullable=False),
    _text("readiness"),
    _text("transaction_uid"),  # who claimed it knows this; it is never in `content`
    _text("start"),  # ScheduledProcedureStepStartDateTime
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

# The DICOM JSON of all instances of a series, compressed piece by piece: see archive/series_documents.py.
series_documents = sa.Table(
    "series_documents",
    schema,
    sa.Column("series", Key, sa.ForeignKey("series.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("piece", sa.Integer, primary_key=True),
    sa.Column("version", sa.Text, nullable=False),  # of what the series held
    sa.Column("root", sa.Text, nullable=False),  # with which the links in it begin
    sa.Column("built_at", sa.Float, nullable=False, index=True),
    sa.Column("checksum", sa.BigInteger, nullable=False),  # CRC-32 of the plain text
    sa.Column("size", sa.BigInteger, nullable=False),  # bytes of the plain text
    sa.Column("content", sa.LargeBinary, nullable=False),
)

for _table in (patients, studies, series):
    sa.Index(
        f"ix_{_table.name}_unstable",
        _table.c.stable_at,
        sqlite_where=_table.c.stable_at.is_not(None),
        postgresql_where=_table.c.stable_at.is_not(None),
    )

BY_LEVEL = (patients, studies, series, instances)
"""The resource tables, indexed by `Level`."""

PARENT_COLUMN = ("", "patient", "study", "series")
"""The column of each resource table that points to its parent, indexed by `Level`."""
