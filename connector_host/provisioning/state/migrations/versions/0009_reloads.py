"""Requests to read the configuration again, and what became of them."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "reloads",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("applied", sa.Integer, nullable=False, server_default="0"),
        sa.Column("refused", sa.Text),
    )
