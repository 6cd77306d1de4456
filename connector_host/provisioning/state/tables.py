"""The tables of the state. Times are seconds since 1970 (UTC); structured columns are JSON text.

Changed only together with a migration: tests/provisioning/test_state.py compares the two.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

if TYPE_CHECKING:
    from connector_host.provisioning.state.records import LogEntry

metadata = sa.MetaData()

KEY_CHARS: Final = 512

JOBS: Final = sa.Table(
    "jobs",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("salt", sa.LargeBinary(16), nullable=False),
    # What the last complete read was made for: scope, mappings and assignment; another one means reading all again.
    sa.Column("fingerprint", sa.String(64), nullable=False, server_default=""),
    sa.Column("mark", sa.Text),
    sa.Column("cycle", sa.Integer, nullable=False, server_default="0"),
    sa.Column("since_full", sa.Integer, nullable=False, server_default="0"),
    # The kind of the cycle that is under way: a killed one goes on under its own number.
    sa.Column("open_kind", sa.String(16)),
    sa.Column("initial_due", sa.Boolean, nullable=False, server_default=sa.true()),
    # By an administrator, and by the engine after too long a quarantine: a restart ends the second, not the first.
    sa.Column("stopped", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("switched_off", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("deletes_suspended", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("quarantined_at", sa.Float),
    sa.Column("quarantine_code", sa.String(64)),
    sa.Column("quarantine_reason", sa.Text),
    sa.Column("quarantine_attempts", sa.Integer, nullable=False, server_default="0"),
    # Since when source or target has been away, and whether people have been told.
    sa.Column("unavailable_since", sa.Float),
    sa.Column("unavailable_told", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("next_run", sa.Float),
    # When the last cycle began, and by which schedule the next one was planned: another schedule plans anew.
    sa.Column("begun_at", sa.Float),
    sa.Column("schedule", sa.Text, nullable=False, server_default=""),
    sa.Column("last_report", sa.Text),
)

LINKS: Final = sa.Table(
    "links",
    metadata,
    sa.Column("job", sa.String(64), primary_key=True),
    sa.Column("source_key", sa.String(KEY_CHARS), primary_key=True),
    sa.Column("target_id", sa.String(KEY_CHARS), nullable=False),
    sa.Column("digests", sa.Text, nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    # The cycle that last saw the user in the source, and the one that last compared it with the target.
    sa.Column("seen", sa.Integer, nullable=False),
    sa.Column("compared", sa.Integer, nullable=False),
    # How often the target was written for this user: two writes of one content are not one write that came twice.
    sa.Column("writes", sa.Integer, nullable=False, server_default="0"),
    # By which attributes and values the user is enabled or disabled; empty where that is not known.
    sa.Column("switch", sa.Text, nullable=False, server_default=""),
    sa.Index("links_by_target", "job", "target_id"),
    sa.Index("links_by_seen", "job", "seen"),
)

FAILURES: Final = sa.Table(
    "failures",
    metadata,
    sa.Column("job", sa.String(64), primary_key=True),
    sa.Column("source_key", sa.String(KEY_CHARS), primary_key=True),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("next_try", sa.Float, nullable=False),
    sa.Column("code", sa.String(64), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("status", sa.Integer),
    sa.Index("failures_by_next_try", "job", "next_try"),
)

STAGED: Final = sa.Table(
    "staged",
    metadata,
    sa.Column("job", sa.String(64), primary_key=True),
    sa.Column("source_key", sa.String(KEY_CHARS), primary_key=True),
    sa.Column("action", sa.String(16), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("cycle", sa.Integer, nullable=False),
)

INTENTS: Final = sa.Table(
    "intents",
    metadata,
    sa.Column("job", sa.String(64), primary_key=True),
    sa.Column("source_key", sa.String(KEY_CHARS), primary_key=True),
    sa.Column("action", sa.String(16), nullable=False),
    sa.Column("target_id", sa.String(KEY_CHARS)),
    sa.Column("modified", sa.Text, nullable=False),
    sa.Column("cycle", sa.Integer, nullable=False),
    sa.Column("initiated_by", sa.String(16), nullable=False),
    sa.Column("at", sa.Float, nullable=False),
)

RELOADS: Final = sa.Table(
    "reloads",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("applied", sa.Integer, nullable=False, server_default="0"),
    sa.Column("refused", sa.Text),
)

LOG: Final = sa.Table(
    "provisioning_log",
    metadata,
    # SQLite counts by itself only in a column of exactly this type.
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("job", sa.String(64), nullable=False),
    sa.Column("cycle", sa.Integer, nullable=False),
    sa.Column("change_id", sa.String(36), nullable=False),
    sa.Column("action", sa.String(16), nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("source_key", sa.String(KEY_CHARS), nullable=False),
    sa.Column("target_id", sa.String(KEY_CHARS)),
    sa.Column("initiated_by", sa.String(16), nullable=False),
    sa.Column("duration_ms", sa.Float, nullable=False),
    sa.Column("code", sa.String(64)),
    sa.Column("reason", sa.Text),
    sa.Column("modified", sa.Text, nullable=False),
    sa.Column("steps", sa.Text, nullable=False),
    sa.Index("log_by_time", "job", "at"),
    sa.Index("log_by_user", "job", "source_key"),
)


def log_row(entry: LogEntry) -> dict[str, Any]:
    """Return a line of the provisioning log as LOG has it."""
    row = asdict(entry)
    row["modified"] = json.dumps(row["modified"], ensure_ascii=False, default=str)
    row["steps"] = json.dumps(row["steps"], ensure_ascii=False)
    return row
