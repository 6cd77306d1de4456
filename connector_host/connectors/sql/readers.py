"""Readers: threads with a connection each that answer reads, and answer those that wait for one entry together.

Those come before long lists, which wait in a lane for each origin, so that nobody's lists hold up anybody else.
Each statement is a transaction of its own, so a read costs one round trip. A connection that was lost is replaced
once, since a read may always be repeated.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections import deque
from collections.abc import Callable, Hashable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

import structlog
from sqlalchemy.exc import SQLAlchemyError

from connector_host.connectors.errors import Busy, Unavailable
from connector_host.connectors.origins import current_origin
from connector_host.connectors.sql.engines import discard
from connector_host.connectors.sql.lanes import Full, Lanes
from connector_host.connectors.sql.sqlstate import to_error
from connector_host.databases.codes import Happened
from connector_host.databases.failures import Failure, understand
from connector_host.observability import events
from connector_host.turns import EachTurn

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy import Connection, Engine

log = structlog.get_logger()
Result = TypeVar("Result")

TOGETHER_MAX = 64
"""Entries that one query reads for those who wait for one each."""
TOGETHER_AT_ONCE = 2
"""Such queries under way at once: whoever comes meanwhile waits for the next one, which then reads for many."""
QUEUE_MAX = 2_000
"""Reads of each kind that may wait; more are turned away as Busy."""

ASK, POINTS = "ask", "points"
"""What a thread is told: take the next read, or what waits together."""

Key = TypeVar("Key", bound=Hashable)
Answer: TypeAlias = tuple[asyncio.Future[Any], Any]
ReadMany: TypeAlias = Callable[["Connection", "list[Any]"], "Mapping[Any, Any]"]


@dataclass(eq=False, slots=True)
class _Ask:
    """One read on its way."""

    work: Callable[[Connection], object]
    promise: asyncio.Future[Any]


@dataclass(eq=False, slots=True)
class _Point:
    """One entry, or what one value is looked up for, that somebody waits for."""

    key: Hashable
    read_many: ReadMany
    promise: asyncio.Future[Any]


class Readers:
    """A few threads before one engine, all of which are told by one queue what there is to do."""

    def __init__(
        self, engine: Engine, database: str, count: int, *, name: str, notice: Callable[[Failure], None]
    ) -> None:
        self._engine = engine
        self._database = database
        self._notice = notice
        self._queue: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._asks: Lanes[_Ask] = Lanes()
        self._points = _Points(self._queue)
        self._is_closed = False
        self._threads = [
            threading.Thread(target=self._serve, name=f"{name}-{number}", daemon=True) for number in range(count)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """How many reads wait."""
        return len(self._asks) + len(self._points)

    async def run(self, work: Callable[[Connection], Result]) -> Result:
        """Run blocking work on a connection; raises a ConnectorError in place of a driver's error."""
        self._demand_open()
        promise: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        try:
            self._asks.put(_Ask(work, promise), current_origin(), QUEUE_MAX)
        except Full:
            raise _too_many() from None
        self._queue.put(ASK)
        return await promise

    async def point(
        self, key: Key, read_many: Callable[[Connection, list[Key]], Mapping[Key, Result | None]]
    ) -> Result | None:
        """Return what `read_many` finds for one key; keys that wait together for an equal `read_many` are one call."""
        self._demand_open()
        if len(self._points) >= QUEUE_MAX:
            raise _too_many()
        promise: asyncio.Future[Result | None] = asyncio.get_running_loop().create_future()
        self._points.add(_Point(key, read_many, promise))
        return await promise

    def close(self) -> None:
        """Answer what is queued, then let go of the connections. Blocks."""
        self._is_closed = True
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()

    def _demand_open(self) -> None:
        if self._is_closed:
            raise Unavailable("The service is stopping.")

    # ── the threads ───────────────────────────────────────────────────────────────────────────────────────────────

    def _serve(self) -> None:
        session = _Session(self._engine, self._database, self._notice)
        while (what := self._queue.get()) is not None:
            # However many wait with long lists: what is soon read does not wait for all of them.
            if what != ASK or self._points.may_be_read:
                self._answer_points(session)
            if what == ASK:
                for ask in self._asks.take(1):
                    if not ask.promise.cancelled():  # somebody still waits
                        _deliver([(ask.promise, session.outcome(ask.work))])
        while self._points:
            self._answer_points(session)
        session.close()

    def _answer_points(self, session: _Session) -> None:
        with self._points.taken() as points:
            _deliver(self._answer(session, points))

    def _answer(self, session: _Session, points: list[_Point]) -> list[Answer]:
        """Read the entries of each kind of read together; mostly there is one kind."""
        answers: list[Answer] = []
        kinds: dict[ReadMany, list[_Point]] = {}
        for point in points:
            kinds.setdefault(point.read_many, []).append(point)
        for read_many, alike in kinds.items():
            found = _read(session, read_many, list(dict.fromkeys(point.key for point in alike)))
            answers += [(point.promise, found.get(point.key)) for point in alike]
        return answers


def _too_many() -> Busy:
    return Busy("Too many reads are waiting for the database.", retry_after_s=2)


def _read(session: _Session, read_many: ReadMany, keys: list[Any]) -> Mapping[Any, Any]:
    """Return what is found for each key, or its error; a key that the database refuses fails alone."""
    found = session.outcome(lambda connection: read_many(connection, keys))
    if not isinstance(found, BaseException):
        return cast("Mapping[Any, Any]", found)
    if len(keys) == 1 or isinstance(found, Unavailable):
        return dict.fromkeys(keys, found)
    return {key: one for apart in keys for key, one in _read(session, read_many, [apart]).items()}


class _Points:
    """The entries that are waited for, and when a thread is told to read them.

    Told once in each turn of the event loop, so that whoever asks in one turn is answered by one query, and not while
    enough of such queries are under way: then when one of them ends.
    """

    def __init__(self, threads: queue.SimpleQueue[str | None]) -> None:
        self._threads = threads
        self._waiting: deque[_Point] = deque()
        self._telling = EachTurn(self._tell_threads)
        self._lock = threading.Lock()
        self._is_told = False
        self._under_way = 0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def may_be_read(self) -> bool:
        """Whether somebody waits, and not enough queries are under way already."""
        return bool(self._waiting) and self._under_way < TOGETHER_AT_ONCE

    def add(self, point: _Point) -> None:
        """Wait with the others; called in an event loop."""
        self._waiting.append(point)
        self._telling.want(point.promise.get_loop())

    @contextmanager
    def taken(self) -> Iterator[list[_Point]]:
        """Give a thread what one query can read, for as long as it works on that."""
        self._is_told = False
        with self._lock:
            self._under_way += 1
            points = self._next()
        try:
            yield points
        finally:
            with self._lock:
                self._under_way -= 1
            self._tell_threads()

    def _next(self) -> list[_Point]:
        """Take what one query can read, and drop those for which nobody waits any more."""
        points: list[_Point] = []
        while self._waiting and len(points) < TOGETHER_MAX:
            point = self._waiting.popleft()
            if not point.promise.cancelled():
                points.append(point)
        return points

    def _tell_threads(self) -> None:
        """Tell a thread where one is needed; two may be told for one, which then finds nothing.

        Without the lock, for which the event loop would wait while its holder waits for the interpreter: whoever adds
        looks here afterwards, and so does every thread after it took its share.
        """
        if self.may_be_read and not self._is_told:
            self._is_told = True
            self._threads.put(POINTS)


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
