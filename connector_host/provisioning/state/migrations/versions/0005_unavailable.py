"""Since when source or target of a job has been away, and whether people have been told."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the columns."""
    op.add_column("jobs", sa.Column("unavailable_since", sa.Float))
    op.add_column("jobs", sa.Column("unavailable_told", sa.Boolean, nullable=False, server_default=sa.false()))
