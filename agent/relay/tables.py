"""The tables of the relay's store: made where they are not there, and tried, so that what is not allowed shows at once.

A role that may not make tables is enough where another one has made them. A version that finds tables whose layout is
newer than what it knows leaves them alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agent.relay.databases import StoreUnusable

if TYPE_CHECKING:
    from agent.relay.databases import Database

LAYOUT: Final = 1
"""To be raised with a change of the tables that older versions could not live with."""

_COLUMNS: Final = {
    "layout": "number INTEGER PRIMARY KEY",
    "tenant": "name TEXT PRIMARY KEY",
    "enrolment": """
      token TEXT PRIMARY KEY,
      tenant TEXT NOT NULL REFERENCES tenant (name),
      ends_s BIGINT NOT NULL""",
    "agent": """
      id TEXT PRIMARY KEY,
      tenant TEXT NOT NULL,
      name TEXT NOT NULL,
      enrolled_s BIGINT NOT NULL,
      ends_s BIGINT NOT NULL,
      revoked_s BIGINT""",
    # The fingerprint of the authority that all nodes must have; one row, and none where the store is not shared.
    "authority": "fingerprint TEXT PRIMARY KEY, single INTEGER NOT NULL UNIQUE",
    # Numbered in the order in which they are committed, so that a node that knows one number knows all before it.
    "unknown_outcome": """
      number COUNTER,
      tenant TEXT NOT NULL,
      key TEXT NOT NULL UNIQUE,
      record TEXT NOT NULL,
      ends_s BIGINT NOT NULL""",
}
_MAKE: Final = "CREATE TABLE IF NOT EXISTS {table} ({columns})"
_TRIALS: Final = (
    "INSERT INTO {table} ({column}) SELECT {column} FROM {table} WHERE 1 = 0",
    "UPDATE {table} SET {column} = {column} WHERE 1 = 0",
    "DELETE FROM {table} WHERE 1 = 0",
)
"""What changes nothing, and shows whether changes are allowed."""
_TRIED: Final = {"tenant": "name", "enrolment": "token", "agent": "id", "authority": "single", "unknown_outcome": "key"}

_LOCK: Final = "SELECT pg_advisory_xact_lock(7263549)"
"""Two nodes that start at once would otherwise trip over each other: IF NOT EXISTS is not atomic in PostgreSQL."""


def prepare(database: Database) -> None:
    """Make what is missing, and try what the store does; raises StoreUnavailable."""
    with database.transaction() as connection:
        if database.shared:
            connection.execute(_LOCK)
        there = {row[0] for row in connection.execute(database.tables).fetchall()}
        for table in [table for table in _COLUMNS if table not in there]:
            columns = _COLUMNS[table].replace("COUNTER", database.counter)
            connection.execute(_MAKE.format(table=table, columns=columns))
        layout = connection.execute("SELECT max(number) FROM layout").fetchall()[0][0]
        if layout is None:
            connection.execute("INSERT INTO layout (number) VALUES (?) ON CONFLICT DO NOTHING", (LAYOUT,))
        elif layout > LAYOUT:
            raise StoreUnusable(f"{database.key}: a newer version has changed its tables: install that version again")
        for table, column in _TRIED.items():
            for trial in _TRIALS:
                connection.execute(trial.format(table=table, column=column))
