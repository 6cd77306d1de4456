"""Intents: what the engine is about to write to the target, kept until the answer is kept, for a process may be killed.

One for each user, in the table of that name; a line of the provisioning log takes its place.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from connector_host.provisioning.state.records import Action, Intent, LogEntry, Modified
from connector_host.provisioning.state.store import chunks
from connector_host.provisioning.state.tables import INTENTS, LOG, log_row

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy.engine import RowMapping

    from connector_host.provisioning.state.store import State


def keep(state: State, job: str, intents: Sequence[Intent], lines: Sequence[LogEntry] = ()) -> None:
    """Keep intents, and in the same transaction the lines of those that they take the place of."""
    with state.writing() as connection:
        if state.engine.dialect.name == "postgresql":
            # It is this process that may be killed: no need to wait for PostgreSQL's disk, as with SQLite's (NORMAL).
            connection.execute(sa.select(sa.func.set_config("synchronous_commit", "off", True)))  # noqa: FBT003 - SQL
        if lines:
            connection.execute(sa.insert(LOG), [log_row(line) for line in lines])
        state.upsert(connection, INTENTS, [_row(job, intent) for intent in intents])


def of_users(state: State, job: str, keys: Sequence[str]) -> dict[str, Intent]:
    """Return the intents of these users, which are few."""
    found: dict[str, Intent] = {}
    if keys:
        with state.reading() as connection:
            for chunk in chunks(keys):
                query = sa.select(INTENTS).where(INTENTS.c.job == job, INTENTS.c.source_key.in_(chunk))
                found |= {row["source_key"]: _intent(row) for row in connection.execute(query).mappings()}
    return found


def keys(state: State, job: str) -> set[str]:
    """Return of whom there are intents."""
    with state.reading() as connection:
        return set(connection.scalars(sa.select(INTENTS.c.source_key).where(INTENTS.c.job == job)))


def give_up(state: State, job: str, line: Callable[[Intent], LogEntry]) -> None:
    """Put a line into the log in place of each intent: nobody will find out any more."""
    with state.writing() as connection:
        rows = connection.execute(sa.select(INTENTS).where(INTENTS.c.job == job)).mappings().all()
        if rows:
            connection.execute(sa.insert(LOG), [log_row(line(_intent(row))) for row in rows])
            connection.execute(sa.delete(INTENTS).where(INTENTS.c.job == job))


def _row(job: str, intent: Intent) -> dict[str, Any]:
    modified = [{"path": one.path, "old": one.old, "new": one.new} for one in intent.modified]
    return {
        "job": job,
        "source_key": intent.source_key,
        "action": intent.action.value,
        "target_id": intent.target_id,
        "modified": json.dumps(modified, default=str),
        "cycle": intent.cycle,
        "initiated_by": intent.initiated_by,
        "at": intent.at,
    }


def _intent(row: RowMapping) -> Intent:
    return Intent(
        row["source_key"],
        Action(row["action"]),
        row["target_id"],
        tuple(Modified(**one) for one in json.loads(row["modified"])),
        row["cycle"],
        row["initiated_by"],
        row["at"],
    )
