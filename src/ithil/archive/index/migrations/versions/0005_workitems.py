"""Unified procedure steps, and who is told of them."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _text(name: str) -> "sa.Column[str]":
    return sa.Column(name, sa.Text(), server_default="", nullable=False)


def upgrade() -> None:
    op.create_table(
        "workitems",
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        _text("readiness"),
        _text("transaction_uid"),
        _text("start"),
        _text("patient_id_norm"),
        _text("study_instance_uid"),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("changed_at", sa.Float(), nullable=False),
        sa.Column("ended_at", sa.Float(), nullable=True),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("uid", name=op.f("pk_workitems")),
    )
    op.create_index("ix_workitems_patient_id_norm", "workitems", ["patient_id_norm"])
    op.create_index("ix_workitems_study_instance_uid", "workitems", ["study_instance_uid"])
    op.create_index("ix_workitems_ended_at", "workitems", ["ended_at"])
    op.create_index("ix_workitems_start", "workitems", ["start", "uid"])
    op.create_table(
        "workitem_subscriptions",
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("aetitle", sa.Text(), nullable=False),
        sa.Column("locked", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.PrimaryKeyConstraint("uid", "aetitle", name=op.f("pk_workitem_subscriptions")),
    )
    op.create_index("ix_workitem_subscriptions_aetitle", "workitem_subscriptions", ["aetitle"])
    op.create_table(
        "worklist_subscriptions",
        sa.Column("aetitle", sa.Text(), nullable=False),
        sa.Column("filtered", sa.Boolean(), nullable=False),
        sa.Column("locked", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("filter", sa.Text(), server_default="[]", nullable=False),
        sa.PrimaryKeyConstraint("aetitle", "filtered", name=op.f("pk_worklist_subscriptions")),
    )
    op.create_table(
        "workitem_events",
        sa.Column("seq", _KEY, nullable=False),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_workitem_events")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_workitem_events_created_at", "workitem_events", ["created_at"])
    op.create_table(
        "workitem_recipients",
        sa.Column("aetitle", sa.Text(), nullable=False),
        sa.Column("seq", _KEY, nullable=False),
        sa.ForeignKeyConstraint(
            ["seq"],
            ["workitem_events.seq"],
            name=op.f("fk_workitem_recipients_seq"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("aetitle", "seq", name=op.f("pk_workitem_recipients")),
    )
    op.create_index("ix_workitem_recipients_seq", "workitem_recipients", ["seq"])
    op.create_table(
        "workitem_readers",
        sa.Column("aetitle", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("aetitle", name=op.f("pk_workitem_readers")),
    )
