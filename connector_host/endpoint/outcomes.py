"""What became of the writes that came with an idempotency key: a small SQLite file that outlives the process.

    begin   ──▶ on disk before the connector is asked         nothing else may have this key from now on
    finish  ──▶ the answer, once the connector has committed  a repeated request gets this answer
    forget  ──▶ nothing was done                              a repeated request is carried out
    leave   ──▶ whoever waits with the same name is next

A signed request has a nonce besides. That is never released: whoever repeats the very same signed request gets the very
same answer, a refusal, too; and whoever signs it anew, under the same key, is another attempt.

A key that has begun and not finished, because the process died between the two, stays so: nobody can know the outcome,
and the write is not carried out again. Holds answers, and so values of users: the file is readable by its owner only,
and what is in it expires. Knows nothing of HTTP and SCIM.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
import uuid
from collections import deque
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

import msgspec

from connector_host import clock
from connector_host.errors import HostError
from connector_host.own_threads import in_own_thread
from connector_host.turns import EachTurn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

KEPT_S: Final = 86_400
"""A day: far longer than any relay or provisioning cycle repeats one request."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS outcome (
  key BLOB PRIMARY KEY,
  request BLOB NOT NULL,
  begun_s INTEGER NOT NULL,
  answer BLOB
);
CREATE INDEX IF NOT EXISTS outcome_begun ON outcome (begun_s);
CREATE TABLE IF NOT EXISTS record (one INTEGER PRIMARY KEY CHECK (one = 1), identity TEXT NOT NULL);
"""


class Unrecordable(HostError):
    """The record cannot be read or written, so that nothing can be promised."""


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """The answer that was given."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


@dataclass(frozen=True, slots=True)
class Recorded:
    """What is known of a key that was used before."""

    request: bytes
    """The digest of the request that it came with."""
    answer: Answer | None
    """None where the outcome is unknown, or still to come."""


@dataclass(frozen=True, slots=True)
class Names:
    """What a write is known by: its idempotency key, the nonce of its signature, or both; as digests."""

    key: bytes | None = None
    nonce: bytes | None = None

    @property
    def all(self) -> tuple[bytes, ...]:
        """Return those that there are, the nonce first: it is the stricter one."""
        return tuple(name for name in (self.nonce, self.key) if name is not None)

    @property
    def turn(self) -> bytes:
        """Return the one by which the same write, arriving again while the first is at work, waits for that."""
        return self.key or self.all[0]


class Record(Protocol):
    """What is kept of writes, wherever the file is: here, or at the process that started this one."""

    identity: str

    async def begin(self, names: Names, request: bytes) -> Recorded | None:
        """Wait for the turn of these names and take them; see Outcomes."""

    async def finish(self, names: Names, answer: Answer) -> None:
        """Keep the answer."""

    async def forget(self, names: Names, answer: Answer) -> None:
        """Let the key be used anew."""

    def leave(self, names: Names) -> None:
        """End the turn that `begin` began."""


_Row: TypeAlias = tuple[bytes, bytes | None]
"""The digest of a request, and the answer as it is kept."""
_Result: TypeAlias = "_Row | sqlite3.Error | None"
_Work: TypeAlias = "Callable[[sqlite3.Connection], _Row | None]"


@dataclass(frozen=True, slots=True)
class _Order:
    work: _Work
    durable: bool
    """Whether it must be on disk before it counts as done."""
    done: asyncio.Future[_Row | None]


class Outcomes:
    """The record; one thread writes it, and whatever waits is committed together."""

    def __init__(self, file: Path) -> None:
        """Open the file, and make it where it is not there; raises OSError or sqlite3.Error where that fails."""
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
        self._connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.executescript(_SCHEMA)
        self._connection.execute("INSERT OR IGNORE INTO record VALUES (1, ?)", (uuid.uuid4().hex,))
        self.identity = str(self._connection.execute("SELECT identity FROM record").fetchone()[0])
        """Tells this record from any other: only a host that shows the same one may be sent the same write again."""
        self._under_way: dict[bytes, asyncio.Event] = {}
        self._orders: deque[_Order] = deque()
        self._news = threading.Semaphore(0)
        self._telling = EachTurn(self._news.release)
        """What many order in one turn of the loop goes to the disk together."""
        self._over = False
        self._thread = threading.Thread(target=self._work, name="outcomes", daemon=True)
        self._thread.start()

    async def begin(self, names: Names, request: bytes) -> Recorded | None:
        """Take these names for this request and return None, or what is known where one was taken before.

        The same names may come again while the first is still at work: then that one's outcome is waited for, until
        `leave` is called, which must be where this has returned. Raises Unrecordable. Where it is cancelled the key
        is given back, and a nonce may stay begun.
        """
        while (first := self._under_way.get(names.turn)) is not None:
            await first.wait()
        self._under_way[names.turn] = asyncio.Event()
        try:
            return await self._begin(names, request)
        except BaseException:
            self.leave(names)
            raise

    def leave(self, names: Names) -> None:
        """End the turn that `begin` began."""
        self._under_way.pop(names.turn).set()

    async def _begin(self, names: Names, request: bytes) -> Recorded | None:
        now_s, is_taken = clock.epoch_s(), False

        def work(connection: sqlite3.Connection) -> _Row | None:
            nonlocal is_taken
            connection.execute("DELETE FROM outcome WHERE begun_s < ?", (now_s - KEPT_S,))
            for name in names.all:
                row: _Row | None = connection.execute(_LOOK, (name,)).fetchone()
                if row is not None:
                    return row
            for name in names.all:
                _run(connection, _BEGIN, (name, request, now_s))
            is_taken = True
            return None

        def give_back(connection: sqlite3.Connection) -> None:
            if is_taken and names.key is not None:
                _run(connection, _FORGET, (names.key,))

        try:
            row = await self._order(work, durable=True)
        except asyncio.CancelledError:
            # Behind the other, which may be under way; `close` waits for it.
            self._put(give_back, durable=False).cancel()
            raise
        return None if row is None else Recorded(row[0], _read(row[1]))

    async def finish(self, names: Names, answer: Answer) -> None:
        """Keep the answer for whoever repeats the request.

        Not waited for by the disk: were it lost with the machine, the outcome would be unknown, and never wrong.
        """
        packed = msgspec.msgpack.encode(answer)

        def work(connection: sqlite3.Connection) -> None:
            for name in names.all:
                _run(connection, _FINISH, (packed, name))

        await self._order(work, durable=False)

    async def forget(self, names: Names, answer: Answer) -> None:
        """Let the key be used anew, because nothing was done; a nonce keeps the answer that says so."""
        packed = msgspec.msgpack.encode(answer)

        def work(connection: sqlite3.Connection) -> None:
            if names.key is not None:
                _run(connection, _FORGET, (names.key,))
            if names.nonce is not None:
                _run(connection, _FINISH, (packed, names.nonce))

        await self._order(work, durable=False)

    async def close(self) -> None:
        """Finish what waits, and close the file."""
        self._over = True
        self._news.release()
        await in_own_thread(self._thread.join)
        self._connection.close()

    async def _order(self, work: _Work, *, durable: bool) -> _Row | None:
        if self._over:
            raise Unrecordable("the record is closed")
        return await self._put(work, durable=durable)

    def _put(self, work: _Work, *, durable: bool) -> asyncio.Future[_Row | None]:
        loop = asyncio.get_running_loop()
        order = _Order(work, durable, loop.create_future())
        self._orders.append(order)
        self._telling.want(loop)
        return order.done

    def _work(self) -> None:
        """Carry out orders, all that wait in one transaction, until the end."""
        while not self._over or self._orders:
            self._news.acquire()
            if orders := [self._orders.popleft() for _ in range(len(self._orders))]:
                self._carry_out(orders)

    def _carry_out(self, orders: list[_Order]) -> None:
        connection = self._connection
        try:
            # FULL flushes to the disk at each commit; NORMAL leaves that to the operating system.
            level = "FULL" if any(order.durable for order in orders) else "NORMAL"
            connection.execute(f"PRAGMA synchronous = {level}")
            connection.execute("BEGIN IMMEDIATE")
            results = [order.work(connection) for order in orders]
            connection.execute("COMMIT")
        except sqlite3.Error as failure:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            _settle(orders, [failure] * len(orders))
        else:
            _settle(orders, results)


_LOOK: Final = "SELECT request, answer FROM outcome WHERE key = ?"
_BEGIN: Final = "INSERT INTO outcome (key, request, begun_s) VALUES (?, ?, ?)"
_FINISH: Final = "UPDATE outcome SET answer = ? WHERE key = ?"
_FORGET: Final = "DELETE FROM outcome WHERE key = ?"


def _run(connection: sqlite3.Connection, statement: str, values: tuple[bytes | int, ...]) -> None:
    connection.execute(statement, values)


def _read(packed: bytes | None) -> Answer | None:
    """Return an answer as it was kept; None, so that the outcome is unknown, where it cannot be read any more."""
    try:
        return None if packed is None else msgspec.msgpack.decode(packed, type=Answer)
    except msgspec.MsgspecError:
        return None


def _settle(orders: list[_Order], results: Sequence[_Result]) -> None:
    """Tell each loop at once what its orders came to."""
    for loop, settled in groupby(zip(orders, results, strict=True), key=lambda pair: pair[0].done.get_loop()):
        loop.call_soon_threadsafe(_tell_results, list(settled))


def _tell_results(settled: list[tuple[_Order, _Result]]) -> None:
    for order, result in settled:
        if order.done.done():
            continue
        if isinstance(result, sqlite3.Error):
            order.done.set_exception(Unrecordable(str(result)))
        else:
            order.done.set_result(result)
