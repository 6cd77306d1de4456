"""One engine leads a job at a time: a lock in the database that dies with the process that holds it.

PostgreSQL   a session's advisory lock
SQLite       an open exclusive transaction on a small database of its own, beside the state
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from connector_host.provisioning.errors import JobHeld, StateUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from connector_host.provisioning.state.store import State

CLIENT: Final = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}
"""How this side notices within half a minute that the way to PostgreSQL is gone (libpq: parameter key words)."""

SERVER: Final = {"tcp_keepalives_idle": "10", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "3"}
"""How PostgreSQL notices the same, and gives the lock of a machine that lost its power to another engine; its own
default are two hours."""


class Lead:
    """A lock that is held; a leader asks now and then, from any thread, whether it still is."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        # A thread may still be asking when the job is let go: a connection that is closed under it crashes SQLite.
        self._turn = threading.Lock()

    def is_held(self) -> bool:
        """Return whether the connection that holds the lock is alive."""
        with self._turn:
            if self._connection.closed:
                return False
            try:
                self._connection.execute(sa.select(1)).all()
            except SQLAlchemyError:
                return False
            return True

    def let_go(self) -> None:
        """Give the lock up, after whoever is just asking."""
        with self._turn:
            self._connection.close()


@contextmanager
def lead(state: State, job: str) -> Iterator[Lead]:
    """Lead the job inside the block; raises JobHeld where another engine does."""
    on_postgresql = state.engine.dialect.name == "postgresql"
    if on_postgresql:
        engine = sa.create_engine(state.engine.url, poolclass=NullPool, connect_args=CLIENT)
    else:
        engine = sa.create_engine(_beside(state, job), poolclass=NullPool)
    try:
        connection = engine.connect()
    except SQLAlchemyError as failure:
        engine.dispose()
        raise StateUnavailable(f"the state cannot be locked ({type(failure).__name__}).") from failure
    held = Lead(connection)
    try:
        if on_postgresql:
            _lock(connection, job)
        else:
            _begin_exclusive(connection, job)
        yield held
    finally:
        held.let_go()
        engine.dispose()


@asynccontextmanager
async def leading(state: State, job: str) -> AsyncIterator[Lead]:
    """Do the same without holding up the event loop, which a database that does not answer would."""
    block = ExitStack()
    taking = asyncio.ensure_future(asyncio.to_thread(block.enter_context, lead(state, job)))
    try:
        yield await asyncio.shield(taking)
    finally:
        # Whoever is called off, and be it twice, leaves a thread behind: what that still takes is given back.
        await asyncio.shield(asyncio.ensure_future(_give_back(taking, block)))


async def _give_back(taking: asyncio.Future[Lead], block: ExitStack) -> None:
    await asyncio.gather(taking, return_exceptions=True)
    await asyncio.to_thread(block.close)


def _lock(connection: sa.Connection, job: str) -> None:
    connection.execution_options(isolation_level="AUTOCOMMIT")
    try:
        for name, value in SERVER.items():
            connection.execute(sa.select(sa.func.set_config(name, value, False)))  # noqa: FBT003 - SQL has no names
        taken = connection.scalar(sa.select(sa.func.pg_try_advisory_lock(_number(job))))
    except SQLAlchemyError as failure:
        raise StateUnavailable(f"the state cannot be locked ({type(failure).__name__}).") from failure
    if not taken:
        raise JobHeld(job)


def _beside(state: State, job: str) -> str:
    return f"sqlite:///{state.engine.url.database}.{job}.lock"


def _begin_exclusive(connection: sa.Connection, job: str) -> None:
    try:
        connection.exec_driver_sql("PRAGMA busy_timeout=200")
        connection.exec_driver_sql("BEGIN EXCLUSIVE")
    except SQLAlchemyError as failure:
        raise JobHeld(job) from failure


def _number(job: str) -> int:
    """Return a number for the job that all engines agree on, within PostgreSQL's bigint."""
    return int.from_bytes(hashlib.blake2b(f"provisioning:{job}".encode(), digest_size=8).digest(), "big", signed=True)
