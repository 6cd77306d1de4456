"""What is about to be written to the target, for whoever goes on after a kill."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "intents",
        sa.Column("job", sa.String(64), primary_key=True),
        sa.Column("source_key", sa.String(512), primary_key=True),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("target_id", sa.String(512)),
        sa.Column("modified", sa.Text, nullable=False),
        sa.Column("cycle", sa.Integer, nullable=False),
        sa.Column("initiated_by", sa.String(16), nullable=False),
        sa.Column("at", sa.Float, nullable=False),
    )
