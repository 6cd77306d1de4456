"""Reading and writing the state. Blocking: the engine calls it from a thread of its own."""

from __future__ import annotations

import json
import secrets
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from connector_host.errors import ConfigurationError
from connector_host.ownership import make_file
from connector_host.provisioning.errors import StateUnavailable
from connector_host.provisioning.state.records import (
    ALLOWED,
    Action,
    Changes,
    Failure,
    JobState,
    Link,
    Staged,
)
from connector_host.provisioning.state.tables import FAILURES, INTENTS, JOBS, KEY_CHARS, LINKS, LOG, STAGED, log_row
from connector_host.provisioning.state.troubles import said

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy.engine import RowMapping
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import ConnectionPoolEntry

CHUNK: Final = 400
"""Rows that one statement names: SQLite takes 999 parameters at the least."""

UNLINKED: Final = "Unlinked"
"""The code of a user whom an administrator has unlinked: the next cycle matches it again."""

MIGRATIONS: Final = Path(__file__).parent / "migrations"


class State:
    """The state of all jobs in one database."""

    def __init__(self, url: str) -> None:
        try:
            self.engine = sa.create_engine(url, pool_pre_ping=True)
        except (SQLAlchemyError, ImportError) as failure:
            raise ConfigurationError(f"provisioning.state: cannot be used ({failure}).") from failure
        self._upserts: dict[str, Any] = {}  # building a statement costs as much as executing it
        if self.engine.dialect.name not in ("sqlite", "postgresql"):
            raise ConfigurationError("provisioning.state: the state is kept in SQLite or PostgreSQL.")
        if self.engine.dialect.name == "sqlite":
            _make_private(self.engine.url.database)
            sa.event.listen(self.engine, "connect", _settle_sqlite)

    def migrate(self) -> None:
        """Bring the tables up to date; raises ConfigurationError where the database cannot be reached or written."""
        from alembic import command  # noqa: PLC0415 - heavy, and needed once
        from alembic.config import Config  # noqa: PLC0415 - as above
        from alembic.util import CommandError  # noqa: PLC0415 - as above

        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.set_main_option("path_separator", "os")
        try:
            with self.engine.begin() as connection:
                if self.engine.dialect.name == "postgresql":
                    # Two engines that start together must not both make the tables.
                    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(MIGRATION_LOCK)))
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
        except SQLAlchemyError as failure:
            raise ConfigurationError(f"provisioning.state: {self._said(failure)}.") from failure
        except CommandError as failure:
            raise ConfigurationError(
                "provisioning.state: a newer version has changed its tables: install that version again."
            ) from failure

    def close(self) -> None:
        """Close the connections."""
        self.engine.dispose()

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Open a transaction for the time of the block; raises StateUnavailable where the database fails."""
        try:
            with self.engine.begin() as connection:
                yield connection
        except SQLAlchemyError as failure:
            raise StateUnavailable(f"the state cannot be written: {self._said(failure)}.") from failure

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Open a connection for the time of the block; raises StateUnavailable where the database fails."""
        try:
            with self.engine.connect() as connection:
                yield connection
        except SQLAlchemyError as failure:
            raise StateUnavailable(f"the state cannot be read: {self._said(failure)}.") from failure

    def _said(self, failure: SQLAlchemyError) -> str:
        return said(failure, self.engine.dialect.name)

    # ── jobs ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def job(self, name: str) -> JobState:
        """Return where a job stands; a job that was never seen stands at its beginning."""
        with self.writing() as connection:
            row = connection.execute(sa.select(JOBS).where(JOBS.c.name == name)).mappings().first()
            if row is None:
                fresh = self._insert(JOBS).values(name=name, salt=secrets.token_bytes(16)).on_conflict_do_nothing()
                connection.execute(fresh)
                row = connection.execute(sa.select(JOBS).where(JOBS.c.name == name)).mappings().one()
        return JobState(**row)

    def set_job(self, name: str, **fields: Any) -> None:  # noqa: ANN401 - columns of one row
        """Change columns of a job."""
        with self.writing() as connection:
            connection.execute(sa.update(JOBS).where(JOBS.c.name == name).values(**fields))

    def is_stopped(self, name: str) -> bool:
        """Return whether an administrator has stopped the job."""
        with self.reading() as connection:
            return bool(connection.scalar(sa.select(JOBS.c.stopped).where(JOBS.c.name == name)))

    # ── users ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def can_keep(self, key: str) -> bool:
        """Return whether this database has room for a key of the source: SQLite minds neither length nor NUL."""
        return self.engine.dialect.name == "sqlite" or (len(key) <= KEY_CHARS and "\0" not in key)

    def links(self, job: str, keys: Sequence[str]) -> dict[str, Link]:
        """Return the links of these users of the source."""
        found: dict[str, Link] = {}
        with self.reading() as connection:
            for chunk in chunks(keys):
                query = sa.select(LINKS).where(LINKS.c.job == job, LINKS.c.source_key.in_(chunk))
                found |= {row["source_key"]: _link(row) for row in connection.execute(query).mappings()}
        return found

    def link_of_target(self, job: str, target_id: str) -> Link | None:
        """Return the link that an object of the target has already."""
        query = sa.select(LINKS).where(LINKS.c.job == job, LINKS.c.target_id == target_id)
        with self.reading() as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else _link(row)

    def all_links(self, job: str) -> Iterator[Link]:
        """Yield every link of a job."""
        with self.reading() as connection:
            query = sa.select(LINKS).where(LINKS.c.job == job).order_by(LINKS.c.source_key)
            for row in connection.execution_options(stream_results=True, yield_per=CHUNK).execute(query).mappings():
                yield _link(row)

    def unseen(self, job: str, cycle: int, after: str) -> list[Link]:
        """Return the next links, by key, of users that this cycle has not seen."""
        query = (
            sa.select(LINKS)
            .where(LINKS.c.job == job, LINKS.c.seen < cycle, LINKS.c.source_key > after)
            .order_by(LINKS.c.source_key)
            .limit(CHUNK)
        )
        with self.reading() as connection:
            return [_link(row) for row in connection.execute(query).mappings()]

    def failures(self, job: str, keys: Sequence[str]) -> dict[str, Failure]:
        """Return what is known of these users' failures."""
        found: dict[str, Failure] = {}
        with self.reading() as connection:
            for chunk in chunks(keys):
                query = sa.select(FAILURES).where(FAILURES.c.job == job, FAILURES.c.source_key.in_(chunk))
                found |= {row["source_key"]: _failure(row) for row in connection.execute(query).mappings()}
        return found

    def due(self, job: str, now: float, after: str) -> list[Failure]:
        """Return the next failures, by key, whose time has come."""
        query = (
            sa.select(FAILURES)
            .where(FAILURES.c.job == job, FAILURES.c.next_try <= now, FAILURES.c.source_key > after)
            .order_by(FAILURES.c.source_key)
            .limit(CHUNK)
        )
        with self.reading() as connection:
            return [_failure(row) for row in connection.execute(query).mappings()]

    def staged(self, job: str, after: str = "") -> list[Staged]:
        """Return the next staged actions, by key."""
        query = (
            sa.select(STAGED)
            .where(STAGED.c.job == job, STAGED.c.source_key > after)
            .order_by(STAGED.c.source_key)
            .limit(CHUNK)
        )
        with self.reading() as connection:
            return [
                Staged(row["source_key"], Action(row["action"]), row["reason"], row["cycle"])
                for row in connection.execute(query).mappings()
            ]

    def allow_staged(self, job: str) -> int:
        """Allow what is staged at this moment, and nothing that will be; returns how much that is."""
        with self.writing() as connection:
            return connection.execute(sa.update(STAGED).where(STAGED.c.job == job).values(cycle=ALLOWED)).rowcount

    def actions(self, job: str) -> dict[str, Action]:
        """Return the staged actions by key."""
        query = sa.select(STAGED.c.source_key, STAGED.c.action).where(STAGED.c.job == job)
        with self.reading() as connection:
            return {row.source_key: Action(row.action) for row in connection.execute(query)}

    def allowed(self, job: str) -> dict[str, Action]:
        """Return the staged actions that were allowed, by key."""
        query = sa.select(STAGED.c.source_key, STAGED.c.action).where(STAGED.c.job == job, STAGED.c.cycle == ALLOWED)
        with self.reading() as connection:
            return {row.source_key: Action(row.action) for row in connection.execute(query)}

    def counts(self, job: str) -> dict[str, int]:
        """Return how many links, failures and staged actions there are."""
        with self.reading() as connection:
            return {
                table.name: connection.scalar(sa.select(sa.func.count()).where(table.c.job == job, condition)) or 0
                for table, condition in ((LINKS, sa.true()), (FAILURES, FAILURES.c.attempts > 0), (STAGED, sa.true()))
            }

    def write(self, job: str, changes: Changes) -> None:
        """Write what a batch leaves behind, in one transaction."""
        with self.writing() as connection:
            for chunk in chunks(changes.unlinked):
                connection.execute(sa.delete(LINKS).where(LINKS.c.job == job, LINKS.c.source_key.in_(chunk)))
            self.upsert(connection, LINKS, [_link_row(job, link) for link in changes.links])
            for chunk in chunks(changes.healed):
                connection.execute(sa.delete(FAILURES).where(FAILURES.c.job == job, FAILURES.c.source_key.in_(chunk)))
            self.upsert(connection, FAILURES, [{"job": job, **asdict(failure)} for failure in changes.failures])
            for chunk in chunks(changes.unstaged):
                connection.execute(sa.delete(STAGED).where(STAGED.c.job == job, STAGED.c.source_key.in_(chunk)))
            self.upsert(connection, STAGED, [{"job": job, **asdict(one)} for one in changes.still_staged])
            if changes.log:
                connection.execute(sa.insert(LOG), [log_row(entry) for entry in changes.log])
            for chunk in chunks(changes.answered):
                connection.execute(sa.delete(INTENTS).where(INTENTS.c.job == job, INTENTS.c.source_key.in_(chunk)))

    def mark_seen(self, job: str, cycle: int, keys: Sequence[str]) -> None:
        """Remember that this cycle has seen these users."""
        with self.writing() as connection:
            for chunk in chunks(keys):
                query = sa.update(LINKS).where(LINKS.c.job == job, LINKS.c.source_key.in_(chunk), LINKS.c.seen < cycle)
                connection.execute(query.values(seen=cycle))

    def unsee(self, job: str, cycle: int) -> None:
        """Forget whom this cycle has seen: its reading begins again."""
        with self.writing() as connection:
            query = sa.update(LINKS).where(LINKS.c.job == job, LINKS.c.seen >= cycle)
            connection.execute(query.values(seen=cycle - 1))

    def retry_all(self, job: str) -> None:
        """Have everybody who failed tried by the next cycle, as if for the first time."""
        with self.writing() as connection:
            connection.execute(sa.update(FAILURES).where(FAILURES.c.job == job).values(attempts=0, next_try=0.0))

    def unlink(self, job: str, keys: Sequence[str]) -> int:
        """Drop the links of these users and have the next cycle look at them; returns how many links there were."""
        again = [{"job": job, **asdict(Failure(key, 0, 0.0, UNLINKED, "the link was dropped"))} for key in keys]
        dropped = 0
        with self.writing() as connection:
            for chunk in chunks(keys):
                query = sa.delete(LINKS).where(LINKS.c.job == job, LINKS.c.source_key.in_(chunk))
                dropped += connection.execute(query).rowcount
            self.upsert(connection, FAILURES, again)
        return dropped

    def forget(self, job: str, *tables: sa.Table) -> None:
        """Delete all that these tables hold about a job."""
        with self.writing() as connection:
            for table in tables:
                connection.execute(sa.delete(table).where(table.c.job == job))

    def _insert(self, table: sa.Table) -> Any:  # noqa: ANN401 - one of two dialects' inserts, which have the same methods
        return postgresql.insert(table) if self.engine.dialect.name == "postgresql" else sqlite.insert(table)

    def upsert(self, connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
        """Insert rows, or put them in the place of those with the same key."""
        if not rows:
            return
        if table.name not in self._upserts:
            keys = [column.name for column in table.primary_key]
            statement = self._insert(table)
            others = {column.name: statement.excluded[column.name] for column in table.c if column.name not in keys}
            self._upserts[table.name] = statement.on_conflict_do_update(index_elements=keys, set_=others)
        connection.execute(self._upserts[table.name], rows)


MIGRATION_LOCK: Final = 0x5C1A0001
"""The number of the advisory lock that engines take while they make tables."""


def _make_private(database: str | None) -> None:
    """Make the file before SQLite does, for its owner alone: the log in it names people."""
    if database is None or Path(database).exists():
        return
    try:
        make_file(Path(database))
    except OSError as failure:
        raise ConfigurationError(f"provisioning.state: {database} cannot be made ({failure.strerror}).") from failure


def _settle_sqlite(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute(
        "PRAGMA synchronous=NORMAL"
    )  # survives a killed process; a power cut loses what matching finds again
    cursor.execute("PRAGMA busy_timeout=30000")
    cursor.close()


def chunks(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield so many keys at a time as one statement may name."""
    for start in range(0, len(keys), CHUNK):
        yield keys[start : start + CHUNK]


def _link(row: RowMapping) -> Link:
    return Link(
        row["source_key"],
        row["target_id"],
        json.loads(row["digests"]),
        bool(row["enabled"]),
        row["seen"],
        row["compared"],
        row["writes"],
        row["switch"],
    )


def _link_row(job: str, link: Link) -> dict[str, Any]:
    return {
        "job": job,
        "source_key": link.source_key,
        "target_id": link.target_id,
        "digests": json.dumps(dict(link.digests)),
        "enabled": link.enabled,
        "seen": link.seen,
        "compared": link.compared,
        "writes": link.writes,
        "switch": link.switch,
    }


def _failure(row: RowMapping) -> Failure:
    return Failure(row["source_key"], row["attempts"], row["next_try"], row["code"], row["reason"], row["status"])
