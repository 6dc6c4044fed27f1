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

from ithil.archive.index.columns import Key, schema
from ithil.archive.index.resource_tables import (
    BY_LEVEL,
    PARENT_COLUMN,
    attachments,
    changes,
    exports,
    instances,
    intake,
    labels,
    metadata,
    patients,
    query_tag_errors,
    query_tag_losses,
    query_tag_values,
    query_tags,
    series,
    series_documents,
    studies,
)
from ithil.archive.index.work_tables import (
    commitment_reports,
    deleted_files,
    job_outputs,
    jobs,
    journals,
    key_values,
    leases,
    outbox,
    performed_step_references,
    performed_steps,
    properties,
    queries,
    query_answers,
    queues,
    remotes,
    workitem_events,
    workitem_readers,
    workitem_recipients,
    workitem_subscriptions,
    workitems,
    worklist_subscriptions,
    worklists,
)

__all__ = [
    "BY_LEVEL",
    "PARENT_COLUMN",
    "Key",
    "attachments",
    "changes",
    "commitment_reports",
    "deleted_files",
    "exports",
    "instances",
    "intake",
    "job_outputs",
    "jobs",
    "journals",
    "key_values",
    "labels",
    "leases",
    "metadata",
    "outbox",
    "patients",
    "performed_step_references",
    "performed_steps",
    "properties",
    "queries",
    "query_answers",
    "query_tag_errors",
    "query_tag_losses",
    "query_tag_values",
    "query_tags",
    "queues",
    "remotes",
    "schema",
    "series",
    "series_documents",
    "studies",
    "workitem_events",
    "workitem_readers",
    "workitem_recipients",
    "workitem_subscriptions",
    "workitems",
    "worklist_subscriptions",
    "worklists",
]
