"""Unified procedure steps, and who is told of them."""

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    pass
