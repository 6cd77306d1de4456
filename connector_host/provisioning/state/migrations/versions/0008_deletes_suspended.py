"""Whether nobody is taken for gone, since the source has records without a readable key."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the column; the next cycle says how it is."""
    op.add_column("jobs", sa.Column("deletes_suspended", sa.Boolean, nullable=False, server_default=sa.false()))
