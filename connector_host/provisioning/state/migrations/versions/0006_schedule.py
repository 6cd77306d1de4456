"""When the last cycle of a job began, and by which schedule the next one was planned."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the columns."""
    op.add_column("jobs", sa.Column("begun_at", sa.Float))
    op.add_column("jobs", sa.Column("schedule", sa.Text, nullable=False, server_default=""))
