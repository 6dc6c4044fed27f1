"""Patients, studies, series and instances, and what hangs on them; `tables` says why they look like this."""

from __future__ import annotations

import sqlalchemy as sa

from ithil.archive.index.columns import Key, count, schema, text


def _common() -> list[sa.Column[object]]:
    """The columns that patients, studies and series share."""
    return [
        sa.Column("main_tags", sa.Text, nullable=False, server_default="{}"),
        # What was known when the first instance created the row, by metadata number; never changes.
        sa.Column("metadata", sa.Text, nullable=False, server_default="{}"),
        text("last_update"),
        # When the last instance arrived; for patients also the order in which they are recycled.
        sa.Column("arrived_at", sa.Float, nullable=False, server_default="0"),
        # When to look whether the resource has become stable; NULL: it is. Later arrivals leave it alone,
        # so that they need not touch its index; whoever looks then puts it off.
        sa.Column("stable_at", sa.Float),
        count("instance_count"),
        count("disk_size"),
        count("uncompressed_size"),
    ]


patients = sa.Table(
    "patients",
    schema,
    sa.Column("id", Key, primary_key=True),
    sa.Column("public_id", sa.Text, nullable=False, unique=True),
    text("patient_id"),
    sa.Column("patient_id_norm", sa.Text, nullable=False, server_default="", index=True),
    sa.Column("patient_name_norm", sa.Text, nullable=False, server_default="", index=True),
    text("birth_date"),
    text("sex"),
    *_common(),
    count("study_count"),
    count("series_count"),
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
    text("study_time"),
    sa.Column("accession_number_norm", sa.Text, nullable=False, server_default="", index=True),
    text("study_id"),
    text("description_norm"),
    text("referring_physician_norm"),
    text("institution_norm"),
    # Copies of the patient's, so that a study list is searched and sorted without a join.
    sa.Column("patient_id_norm", sa.Text, nullable=False, server_default="", index=True),
    sa.Column("patient_name_norm", sa.Text, nullable=False, server_default="", index=True),
    text("birth_date"),
    text("sex"),
    sa.Column("patient_main_tags", sa.Text, nullable=False, server_default="{}"),
    *_common(),
    count("series_count"),
)

series = sa.Table(
    "series",
    schema,
    sa.Column("id", Key, primary_key=True),
    sa.Column("public_id", sa.Text, nullable=False, unique=True),
    sa.Column("study", Key, sa.ForeignKey("studies.id"), nullable=False, index=True),
    sa.Column("series_instance_uid", sa.Text, nullable=False, index=True),
    text("modality"),
    text("series_number"),
    text("description_norm"),
    text("body_part"),
    text("series_date"),
    text("station_norm"),
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
    text("sop_class_uid"),
    text("transfer_syntax_uid"),
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

# What the version before this one had accepted when it ended: see archive/recovery.py. To be dropped by the next.
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
    count("compressed_size"),
    text("compressed_md5"),
    count("uncompressed_size"),
    text("uncompressed_md5"),
    count("revision"),
    sqlite_with_rowid=False,  # one B-tree instead of two
)

metadata = sa.Table(
    "metadata",
    schema,
    sa.Column("level", sa.SmallInteger, primary_key=True),
    sa.Column("resource", Key, primary_key=True),
    sa.Column("type", sa.Integer, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
    count("revision"),
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
    text("remote_modality"),
    text("patient_id"),
    text("study_instance_uid"),
    text("series_instance_uid"),
    text("sop_instance_uid"),
    sa.Column("date", sa.Text, nullable=False),
    sqlite_autoincrement=True,
)

# Tags that the operator has made searchable: see archive/query_tags.py.
query_tags = sa.Table(
    "query_tags",
    schema,
    sa.Column("key", Key, primary_key=True),
    sa.Column("path", sa.Text, nullable=False, unique=True),  # GGGGEEEE, or several of them with dots
    text("private_creator"),
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
