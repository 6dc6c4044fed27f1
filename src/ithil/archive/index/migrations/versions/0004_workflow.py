"""What is scheduled, what of it was performed, and what other servers have committed to keep."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "worklists",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("study", sa.Text(), server_default="", nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_worklists")),
    )
    op.create_index("ix_worklists_study", "worklists", ["study"], unique=False)
    op.create_table(
        "performed_steps",
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("performer", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("changed_at", sa.Float(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("uid", name=op.f("pk_performed_steps")),
    )
    op.create_table(
        "performed_step_references",
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("study_instance_uid", sa.Text(), nullable=False),
        sa.Column("scheduled_step_id", sa.Text(), server_default="", nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint(
            "uid", "study_instance_uid", "scheduled_step_id", name=op.f("pk_performed_step_references")
        ),
    )
    op.create_index(
        "ix_performed_step_references_study_instance_uid",
        "performed_step_references",
        ["study_instance_uid"],
        unique=False,
    )
    op.create_table(
        "commitment_reports",
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("remote_aet", sa.Text(), nullable=False),
        sa.Column("instances", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("used_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("uid", name=op.f("pk_commitment_reports")),
    )
    op.create_index("ix_commitment_reports_used_at", "commitment_reports", ["used_at"], unique=False)
