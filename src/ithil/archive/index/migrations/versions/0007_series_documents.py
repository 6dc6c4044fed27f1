"""The metadata of series as documents that are served as they lie."""

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    pass
