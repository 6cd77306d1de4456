"""Whether a job was switched off after too long a quarantine, which `stopped` had said before, too."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the column; a job that was switched off before is one that an administrator has stopped."""
    op.add_column("jobs", sa.Column("switched_off", sa.Boolean, nullable=False, server_default=sa.false()))
