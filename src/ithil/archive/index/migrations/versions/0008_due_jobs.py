"""An index by which a look finds the jobs that are to be tried again, without reading those that wait."""

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_index("ix_jobs_due", "jobs", ["state", "lease_until"], unique=False)
