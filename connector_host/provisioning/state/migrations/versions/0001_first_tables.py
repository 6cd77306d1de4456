"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "jobs",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("salt", sa.LargeBinary(16), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False, server_default=""),
        sa.Column("mark", sa.Text),
        sa.Column("cycle", sa.Integer, nullable=False, server_default="0"),
        sa.Column("since_full", sa.Integer, nullable=False, server_default="0"),
        sa.Column("open_kind", sa.String(16)),
        sa.Column("initial_due", sa.Boolean, nullable=False, server_default=sa.true()),
        sa.Column("stopped", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("deletes_allowed", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("quarantined_at", sa.Float),
        sa.Column("quarantine_code", sa.String(64)),
        sa.Column("quarantine_reason", sa.Text),
        sa.Column("quarantine_attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("next_run", sa.Float),
        sa.Column("last_report", sa.Text),
    )
    op.create_table(
        "links",
        sa.Column("job", sa.String(64), primary_key=True),
        sa.Column("source_key", sa.String(512), primary_key=True),
        sa.Column("target_id", sa.String(512), nullable=False),
        sa.Column("digests", sa.Text, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("seen", sa.Integer, nullable=False),
        sa.Column("compared", sa.Integer, nullable=False),
    )
    op.create_index("links_by_target", "links", ["job", "target_id"])
    op.create_index("links_by_seen", "links", ["job", "seen"])
    op.create_table(
        "failures",
        sa.Column("job", sa.String(64), primary_key=True),
        sa.Column("source_key", sa.String(512), primary_key=True),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_try", sa.Float, nullable=False),
        sa.Column("code", sa.String(64), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("status", sa.Integer),
    )
    op.create_index("failures_by_next_try", "failures", ["job", "next_try"])
    op.create_table(
        "staged",
        sa.Column("job", sa.String(64), primary_key=True),
        sa.Column("source_key", sa.String(512), primary_key=True),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("cycle", sa.Integer, nullable=False),
    )
    op.create_table(
        "provisioning_log",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("job", sa.String(64), nullable=False),
        sa.Column("cycle", sa.Integer, nullable=False),
        sa.Column("change_id", sa.String(36), nullable=False),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("source_key", sa.String(512), nullable=False),
        sa.Column("target_id", sa.String(512)),
        sa.Column("initiated_by", sa.String(16), nullable=False),
        sa.Column("duration_ms", sa.Float, nullable=False),
        sa.Column("code", sa.String(64)),
        sa.Column("reason", sa.Text),
        sa.Column("modified", sa.Text, nullable=False),
        sa.Column("steps", sa.Text, nullable=False),
    )
    op.create_index("log_by_time", "provisioning_log", ["job", "at"])
    op.create_index("log_by_user", "provisioning_log", ["job", "source_key"])
