"""What an administrator allows is kept with each staged action alone, and not with the job as well."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Drop the column; by a copy of the table in SQLite, which drops none before 3.35."""
    with op.batch_alter_table("jobs") as jobs:
        jobs.drop_column("deletes_allowed")
