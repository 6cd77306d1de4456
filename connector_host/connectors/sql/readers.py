"""Readers: threads with a connection each that answer reads, and answer those that wait for one entry together.

Each statement is a transaction of its own, so a read costs one round trip. A connection that was lost is replaced
once, since a read may always be repeated.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import structlog
from sqlalchemy.exc import SQLAlchemyError

from connector_host.connectors.errors import Busy, Unavailable
from connector_host.connectors.sql.codes import Happened
from connector_host.connectors.sql.engines import discard
from connector_host.connectors.sql.sqlstate import Failure, to_error, understand
from connector_host.observability import events

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

log = structlog.get_logger()
Result = TypeVar("Result")

TOGETHER_MAX = 64
"""Entries that one query reads for those who wait for one each."""
QUEUE_MAX = 2_000
"""Reads that may wait; more are turned away as Busy."""

Answer: TypeAlias = tuple[asyncio.Future[Any], Any]
ReadMany: TypeAlias = Callable[["Connection", "list[str]"], "dict[str, Any]"]


@dataclass(eq=False, slots=True)
class _Ask:
    """One read on its way."""

    work: Callable[[Connection], object]
    promise: asyncio.Future[Any]


@dataclass(eq=False, slots=True)
class _Point:
    """One entry that somebody waits for."""

    key: str
    read_many: ReadMany
    promise: asyncio.Future[Any]


class Readers:
    """A few threads before one engine, all of which take from one queue."""

    def __init__(
        self, engine: Engine, database: str, count: int, *, name: str, notice: Callable[[Failure], None]
    ) -> None:
        self._engine = engine
        self._database = database
        self._notice = notice
        self._queue: queue.SimpleQueue[_Ask | str | None] = queue.SimpleQueue()
        self._points: deque[_Point] = deque()
        self._is_closed = False
        self._threads = [
            threading.Thread(target=self._serve, name=f"{name}-{number}", daemon=True) for number in range(count)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """How many reads wait."""
        return self._queue.qsize()

    async def run(self, work: Callable[[Connection], Result]) -> Result:
        """Run blocking work on a connection; raises a ConnectorError in place of a driver's error."""
        promise: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._put(_Ask(work, promise))
        return await promise

    async def point(self, key: str, read_many: Callable[[Connection, list[str]], dict[str, Result]]) -> Result | None:
        """Return what `read_many` finds for one key; keys that wait together are read together."""
        promise: asyncio.Future[Result | None] = asyncio.get_running_loop().create_future()
        self._points.append(_Point(key, read_many, promise))
        self._put("points")
        return await promise

    def close(self) -> None:
        """Answer what is queued, then let go of the connections. Blocks."""
        self._is_closed = True
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()

    def _put(self, what: _Ask | str) -> None:
        if self._is_closed:
            raise Unavailable("The service is stopping.")
        if self._queue.qsize() >= QUEUE_MAX:
            raise Busy("Too many reads are waiting for the database.", retry_after_s=2)
        self._queue.put(what)

    # ── the threads ───────────────────────────────────────────────────────────────────────────────────────────────

    def _serve(self) -> None:
        session = _Session(self._engine, self._database, self._notice)
        while (what := self._queue.get()) is not None:
            if isinstance(what, _Ask):
                if what.promise.cancelled():  # nobody waits any more
                    continue
                _deliver([(what.promise, session.outcome(what.work))])
            elif points := self._take():
                _deliver(self._answer(session, points))
        session.close()

    def _take(self) -> list[_Point]:
        """Take the entries that are waited for, and that one query can read."""
        taken: list[_Point] = []
        while len(taken) < TOGETHER_MAX:
            try:
                taken.append(self._points.popleft())
            except IndexError:
                break
        if self._points:
            self._queue.put("points")
        return taken

    def _answer(self, session: _Session, points: list[_Point]) -> list[Answer]:
        """Read the entries of each kind of read together; mostly there is one kind."""
        answers: list[Answer] = []
        kinds: dict[ReadMany, list[_Point]] = {}
        for point in points:
            kinds.setdefault(point.read_many, []).append(point)
        for read_many, alike in kinds.items():
            keys = list(dict.fromkeys(point.key for point in alike))
            found = session.outcome(lambda connection: read_many(connection, keys))  # noqa: B023 - called at once
            answers += [(point.promise, found.get(point.key) if isinstance(found, dict) else found) for point in alike]
        return answers


class _Session:
    """One thread's connection, made when it is needed and replaced when it was lost."""

    def __init__(self, engine: Engine, database: str, notice: Callable[[Failure], None]) -> None:
        self._engine = engine
        self._database = database
        self._notice = notice
        self._connection: Connection | None = None

    def outcome(self, work: Callable[[Connection], object]) -> Any:  # noqa: ANN401 - of any type, or an error
        """Return the result or the error; a connection that was not new is replaced once."""
        is_fresh = self._connection is None
        found, lost = self._try(work)
        if lost and not is_fresh:
            found, _ = self._try(work)
        return found

    def _try(self, work: Callable[[Connection], object]) -> tuple[object, bool]:
        try:
            if self._connection is None:
                self._connection = self._engine.connect()
            result = work(self._connection)
            # Nothing is open in the database: this only ends SQLAlchemy's own notion of a transaction.
            self._connection.rollback()
        except SQLAlchemyError as error:
            failure = understand(error, self._database)
            log.warning(events.DATABASE_ERROR, outcome=failure.happened.value, sqlstate=failure.code)
            self._notice(failure)
            self.close()
            return to_error(failure), failure.happened is Happened.CONNECTION
        except Exception as error:  # noqa: BLE001 - our own errors reach the caller as they are
            if self._connection is not None:
                self._connection.rollback()
            return error, False
        return result, False

    def close(self) -> None:
        """Let go of the connection; after an error nothing is known of its state."""
        connection, self._connection = self._connection, None
        if connection is not None:
            discard(connection)


def _deliver(answers: list[Answer]) -> None:
    """Tell everybody at once: waking the event loop costs more than what it then does."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Answer]] = {}
    for answer in answers:
        by_loop.setdefault(answer[0].get_loop(), []).append(answer)
    for loop, share in by_loop.items():
        try:
            loop.call_soon_threadsafe(_tell, share)
        except RuntimeError:  # the loop ended meanwhile: nobody is there to be told
            log.warning(events.DATABASE_ERROR, reason="nobody waits")


def _tell(answers: list[Answer]) -> None:
    for promise, found in answers:
        if promise.done():  # given up meanwhile
            continue
        if isinstance(found, BaseException):
            promise.set_exception(found)
        else:
            promise.set_result(found)
