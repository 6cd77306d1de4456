"""How often a user of the target was written, and by what it is enabled and disabled."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the columns; what is not known of links that are there already stays so."""
    op.add_column("links", sa.Column("writes", sa.Integer, nullable=False, server_default="0"))
    op.add_column("links", sa.Column("switch", sa.Text, nullable=False, server_default=""))
