"""The tables of the first version."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "attachments",
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.Column("resource", Key, nullable=False),
        sa.Column("content_type", sa.Integer(), nullable=False),
        sa.Column("uuid", sa.Text(), nullable=False),
        sa.Column("compression", sa.SmallInteger(), nullable=False),
        sa.Column("compressed_size", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("compressed_md5", sa.Text(), server_default="", nullable=False),
        sa.Column("uncompressed_size", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("uncompressed_md5", sa.Text(), server_default="", nullable=False),
        sa.Column("revision", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("level", "resource", "content_type", name=op.f("pk_attachments")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "changes",
        sa.Column("seq", Key, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.Column("resource", Key, nullable=True),
        sa.Column("public_id", sa.Text(), nullable=False),
        sa.Column("date", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_changes")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_changes_resource", "changes", ["level", "resource"], unique=False)
    op.create_table(
        "deleted_files",
        sa.Column("uuid", sa.Text(), nullable=False),
        sa.Column("content_type", sa.Integer(), nullable=False),
        sa.Column("deleted_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("uuid", name=op.f("pk_deleted_files")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "exports",
        sa.Column("seq", Key, nullable=False),
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.Column("public_id", sa.Text(), nullable=False),
        sa.Column("remote_modality", sa.Text(), server_default="", nullable=False),
        sa.Column("patient_id", sa.Text(), server_default="", nullable=False),
        sa.Column("study_instance_uid", sa.Text(), server_default="", nullable=False),
        sa.Column("series_instance_uid", sa.Text(), server_default="", nullable=False),
        sa.Column("sop_instance_uid", sa.Text(), server_default="", nullable=False),
        sa.Column("date", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_exports")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "intake",
        sa.Column("instance", Key, autoincrement=False, nullable=False),
        sa.Column("uuid", sa.Text(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("instance", name=op.f("pk_intake")),
    )
    op.create_table(
        "jobs",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("priority", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("changed_at", sa.Float(), nullable=False),
        sa.Column("completed_at", sa.Float(), nullable=True),
        sa.Column("progress", sa.Float(), server_default="0", nullable=False),
        sa.Column("content", sa.Text(), server_default="{}", nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("lease_until", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
    )
    op.create_index("ix_jobs_queue", "jobs", ["state", "priority", "created_at"], unique=False)
    op.create_table(
        "labels",
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.Column("resource", Key, nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("level", "resource", "label", name=op.f("pk_labels")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_labels_label", "labels", ["label", "level"], unique=False)
    op.create_table(
        "leases",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("until", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leases")),
    )
    op.create_table(
        "metadata",
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.Column("resource", Key, nullable=False),
        sa.Column("type", sa.Integer(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("level", "resource", "type", name=op.f("pk_metadata")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "outbox",
        sa.Column("seq", Key, nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_outbox")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "patients",
        sa.Column("id", Key, nullable=False),
        sa.Column("public_id", sa.Text(), nullable=False),
        sa.Column("patient_id", sa.Text(), server_default="", nullable=False),
        sa.Column("patient_id_norm", sa.Text(), server_default="", nullable=False),
        sa.Column("patient_name_norm", sa.Text(), server_default="", nullable=False),
        sa.Column("birth_date", sa.Text(), server_default="", nullable=False),
        sa.Column("sex", sa.Text(), server_default="", nullable=False),
        sa.Column("main_tags", sa.Text(), server_default="{}", nullable=False),
        sa.Column("metadata", sa.Text(), server_default="{}", nullable=False),
        sa.Column("last_update", sa.Text(), server_default="", nullable=False),
        sa.Column("arrived_at", sa.Float(), server_default="0", nullable=False),
        sa.Column("stable_at", sa.Float(), nullable=True),
        sa.Column("instance_count", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("disk_size", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("uncompressed_size", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("study_count", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("series_count", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("protected", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_patients")),
        sa.UniqueConstraint("public_id", name=op.f("uq_patients_public_id")),
    )
    op.create_index(op.f("ix_patients_patient_id_norm"), "patients", ["patient_id_norm"], unique=False)
    op.create_index(op.f("ix_patients_patient_name_norm"), "patients", ["patient_name_norm"], unique=False)
    op.create_index(
        "ix_patients_unstable",
        "patients",
        ["stable_at"],
        unique=False,
        sqlite_where=sa.text("stable_at IS NOT NULL"),
        postgresql_where=sa.text("stable_at IS NOT NULL"),
    )
    op.create_table(
        "properties",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_properties")),
    )
    op.create_table(
        "studies",
        sa.Column("id", Key, nullable=False),
        sa.Column("public_id", sa.Text(), nullable=False),
        sa.Column("patient", Key, nullable=False),
        sa.Column("study_instance_uid", sa.Text(), nullable=False),
        sa.Column("study_date", sa.Text(), server_default="", nullable=False),
        sa.Column("study_time", sa.Text(), server_default="", nullable=False),
        sa.Column("accession_number_norm", sa.Text(), server_default="", nullable=False),
        sa.Column("study_id", sa.Text(), server_default="", nullable=False),
        sa.Column("description_norm", sa.Text(), server_default="", nullable=False),
        sa.Column("referring_physician_norm", sa.Text(), server_default="", nullable=False),
        sa.Column("institution_norm", sa.Text(), server_default="", nullable=False),
        sa.Column("patient_id_norm", sa.Text(), server_default="", nullable=False),
        sa.Column("patient_name_norm", sa.Text(), server_default="", nullable=False),
        sa.Column("birth_date", sa.Text(), server_default="", nullable=False),
        sa.Column("sex", sa.Text(), server_default="", nullable=False),
        sa.Column("patient_main_tags", sa.Text(), server_default="{}", nullable=False),
        sa.Column("main_tags", sa.Text(), server_default="{}", nullable=False),
        sa.Column("metadata", sa.Text(), server_default="{}", nullable=False),
        sa.Column("last_update", sa.Text(), server_default="", nullable=False),
        sa.Column("arrived_at", sa.Float(), server_default="0", nullable=False),
        sa.Column("stable_at", sa.Float(), nullable=True),
        sa.Column("instance_count", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("disk_size", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("uncompressed_size", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("series_count", sa.BigInteger(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["patient"], ["patients.id"], name=op.f("fk_studies_patient")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_studies")),
        sa.UniqueConstraint("public_id", name=op.f("uq_studies_public_id")),
    )
    op.create_index(
        op.f("ix_studies_accession_number_norm"), "studies", ["accession_number_norm"], unique=False
    )
    op.create_index(op.f("ix_studies_patient"), "studies", ["patient"], unique=False)
    op.create_index(op.f("ix_studies_patient_id_norm"), "studies", ["patient_id_norm"], unique=False)
    op.create_index(op.f("ix_studies_patient_name_norm"), "studies", ["patient_name_norm"], unique=False)
    op.create_index(op.f("ix_studies_study_date"), "studies", ["study_date"], unique=False)
    op.create_index(op.f("ix_studies_study_instance_uid"), "studies", ["study_instance_uid"], unique=False)
    op.create_index(
        "ix_studies_unstable",
        "studies",
        ["stable_at"],
        unique=False,
        sqlite_where=sa.text("stable_at IS NOT NULL"),
        postgresql_where=sa.text("stable_at IS NOT NULL"),
    )
    op.create_table(
        "series",
        sa.Column("id", Key, nullable=False),
        sa.Column("public_id", sa.Text(), nullable=False),
        sa.Column("study", Key, nullable=False),
        sa.Column("series_instance_uid", sa.Text(), nullable=False),
        sa.Column("modality", sa.Text(), server_default="", nullable=False),
        sa.Column("series_number", sa.Text(), server_default="", nullable=False),
        sa.Column("description_norm", sa.Text(), server_default="", nullable=False),
        sa.Column("body_part", sa.Text(), server_default="", nullable=False),
        sa.Column("series_date", sa.Text(), server_default="", nullable=False),
        sa.Column("station_norm", sa.Text(), server_default="", nullable=False),
        sa.Column("expected_instances", sa.Integer(), nullable=True),
        sa.Column("main_tags", sa.Text(), server_default="{}", nullable=False),
        sa.Column("metadata", sa.Text(), server_default="{}", nullable=False),
        sa.Column("last_update", sa.Text(), server_default="", nullable=False),
        sa.Column("arrived_at", sa.Float(), server_default="0", nullable=False),
        sa.Column("stable_at", sa.Float(), nullable=True),
        sa.Column("instance_count", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("disk_size", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("uncompressed_size", sa.BigInteger(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["study"], ["studies.id"], name=op.f("fk_series_study")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_series")),
        sa.UniqueConstraint("public_id", name=op.f("uq_series_public_id")),
    )
    op.create_index(op.f("ix_series_series_instance_uid"), "series", ["series_instance_uid"], unique=False)
    op.create_index(op.f("ix_series_study"), "series", ["study"], unique=False)
    op.create_index(
        "ix_series_unstable",
        "series",
        ["stable_at"],
        unique=False,
        sqlite_where=sa.text("stable_at IS NOT NULL"),
        postgresql_where=sa.text("stable_at IS NOT NULL"),
    )
    op.create_table(
        "instances",
        sa.Column("id", Key, nullable=False),
        sa.Column("public_id", sa.Text(), nullable=False),
        sa.Column("series", Key, nullable=False),
        sa.Column("sop_instance_uid", sa.Text(), nullable=False),
        sa.Column("sop_class_uid", sa.Text(), server_default="", nullable=False),
        sa.Column("transfer_syntax_uid", sa.Text(), server_default="", nullable=False),
        sa.Column("instance_number", sa.BigInteger(), nullable=True),
        sa.Column("index_in_series", sa.BigInteger(), nullable=True),
        sa.Column("frames", sa.Integer(), server_default="0", nullable=False),
        sa.Column("pixel_data_offset", sa.BigInteger(), nullable=True),
        sa.Column("frame_index", sa.LargeBinary(), nullable=True),
        sa.Column("file_uuid", sa.Text(), nullable=False),
        sa.Column("file_compression", sa.SmallInteger(), nullable=False),
        sa.Column("file_stored_size", sa.BigInteger(), nullable=False),
        sa.Column("file_stored_md5", sa.Text(), nullable=False),
        sa.Column("file_size", sa.BigInteger(), nullable=False),
        sa.Column("file_md5", sa.Text(), nullable=False),
        sa.Column("main_tags", sa.Text(), server_default="{}", nullable=False),
        sa.Column("metadata", sa.Text(), server_default="{}", nullable=False),
        sa.ForeignKeyConstraint(["series"], ["series.id"], name=op.f("fk_instances_series")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_instances")),
        sa.UniqueConstraint("public_id", name=op.f("uq_instances_public_id")),
    )
    op.create_index(op.f("ix_instances_series"), "instances", ["series"], unique=False)
    op.create_index(op.f("ix_instances_sop_instance_uid"), "instances", ["sop_instance_uid"], unique=False)
