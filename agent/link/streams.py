"""One stream of a live link, as the code above uses it: await the answer, read, write, give up.

Turns the session's events into wake-ups. Knows neither sockets nor what the bytes mean. At most one task reads a
stream and at most one writes it; or none does, and whoever listens is called.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Protocol

import msgspec

from agent.link.session import WINDOW_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from agent.errors import AgentError
    from agent.link.session import Session


class Outlet(Protocol):
    """Where frames leave: the live link."""

    @property
    def session(self) -> Session:
        """The state machine that all streams of the link share."""

    def flush(self) -> None:
        """Have everything that waits in the session sent soon."""

    @property
    def has_room(self) -> bool:
        """Return whether the socket keeps up."""

    async def room(self) -> None:
        """Return once the socket keeps up again."""

    def work(self, stream: Stream, work: Coroutine[object, object, None]) -> None:
        """Have this done by a task, with which the stream is over; the other end may cancel it."""

    def forget(self, stream: Stream) -> None:
        """Give the stream up and keep no memory of it."""


class Stream(msgspec.Struct, eq=False):
    """One stream of a live link."""

    _outlet: Outlet
    number: int
    _ended: bool = False
    _first: bytes = b""
    """What came of the body and was not read; most bodies come in one piece."""
    _others: deque[bytes] | None = None
    """What came after that."""
    head: bytes | None = None
    """The packed head of the answer, once it has come."""
    fault: AgentError | None = None
    """What broke the stream off: LinkLost, StreamFailed, StreamCancelled, or what this end made of it."""
    listener: Callable[[], None] | None = None
    """Called, in place of waking whoever reads, when something has come, or the stream was broken off; may not fail."""
    on_over: Callable[[], None] | None = None
    """Called once, when the link keeps no memory of the stream any more."""
    _reader: asyncio.Future[None] | None = None
    """What the task that reads waits for; it looks at the state itself, before and after. So with the one below."""
    _writer: asyncio.Future[None] | None = None
    _read_bytes: int = 0

    async def answer(self) -> bytes:
        """Return the packed head of the answer; raises LinkLost, StreamFailed or StreamCancelled."""
        while self.head is None:
            self._raise_fault()
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        return self.head

    @property
    def has_ended(self) -> bool:
        """Return whether nothing more is to be read."""
        return self._ended and not self._first

    @property
    def is_whole(self) -> bool:
        """Return whether all of the body that was not read is here, in one piece at the most."""
        return self._ended and not self._others

    def whole(self) -> bytes | None:
        """Return all of the body that was not read, or None where that is not here in one piece."""
        if not self._ended or self._others:
            return None
        whole, self._first = self._first, b""
        return whole

    @property
    def at_hand_bytes(self) -> int:
        """Return how much of the body is here and was not read."""
        return len(self._first) + sum(map(len, self._others or ()))

    @property
    def at_hand(self) -> bool:
        """Return whether `read` returns at once."""
        return bool(self._first) or self._ended

    async def read(self) -> bytes:
        """Return the next stretch of the body, empty at its end; raises LinkLost, StreamFailed or StreamCancelled."""
        while not self._first:
            if self._ended:
                return b""
            self._raise_fault()
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        data, self._first = self._first, self._others.popleft() if self._others else b""
        self._read_bytes += len(data)
        # A grant for every stretch would double the frames; half a window keeps the other end busy.
        if self._read_bytes >= WINDOW_BYTES // 2 and not self._ended:
            self._outlet.session.grant(self.number, self._read_bytes)
            self._read_bytes = 0
            self._outlet.flush()
        return data

    def takes(self, size_bytes: int) -> bool:
        """Return whether so much of the body would leave at once."""
        return self._outlet.has_room and self._outlet.session.credit(self.number) >= size_bytes

    async def write(self, data: bytes, *, end: bool = False) -> None:
        """Send a stretch of the body as fast as the other end takes it; raises as `read` does."""
        session, position = self._outlet.session, 0
        while True:
            self._raise_fault()
            if not self._outlet.has_room:
                await self._outlet.room()
            rest = len(data) - position
            credit = session.credit(self.number)
            if credit >= rest:
                session.send(self.number, data[position:] if position else data, end=end)
                self._outlet.flush()
                return
            if credit:
                session.send(self.number, data[position : position + credit])
                self._outlet.flush()
                position += credit
            self._raise_fault()
            self._writer = asyncio.get_running_loop().create_future()
            await self._writer

    def respond(self, head: bytes, body: bytes = b"", *, end: bool, encoded: bool = True) -> None:
        """Send the head of the answer, and the whole of its body where one is given, which the stream `takes`.

        A body that is not `encoded` already may be deflated on its way.
        """
        self._outlet.session.respond(self.number, head, body, end=end, encoded=encoded)
        self._outlet.flush()

    def fail(self, payload: bytes) -> None:
        """End the stream and say why."""
        self._outlet.session.fail(self.number, payload)
        self._outlet.flush()

    def close(self) -> None:
        """Give up whatever is still open; harmless on a stream that ended."""
        if self._outlet.session.cancel(self.number):
            self._outlet.flush()

    def work(self, work: Coroutine[object, object, None]) -> None:
        """Have this done by a task, with which the stream is over; nobody listens any more."""
        self.listener = None
        self._outlet.work(self, work)

    def release(self) -> None:
        """Give up whatever is still open, and have the link keep no memory of the stream."""
        self.listener = None
        self._outlet.forget(self)

    def receive(self, data: bytes, *, end: bool) -> None:
        """Take in a stretch of the body."""
        if data and not self._first:
            self._first = data
        elif data:
            self._others = self._others or deque()
            self._others.append(data)
        self._ended = end
        self._tell()

    def hear(self, head: bytes, body: bytes, *, end: bool) -> None:
        """Take in the head of the answer, and of its body what came with it."""
        self.head, self._ended, self._first = head, end, body
        self._tell()

    def go_on(self) -> None:
        """Take in that more may be sent."""
        _wake(self._writer)

    def break_off(self, fault: AgentError) -> None:
        """Let everyone who waits on this stream hear that it is over."""
        self.fault = fault
        _wake(self._writer)
        self._tell()

    def _tell(self) -> None:
        if self.listener is not None:
            self.listener()
        else:
            _wake(self._reader)

    def _raise_fault(self) -> None:
        if self.fault is not None:
            raise self.fault


def _wake(waiting: asyncio.Future[None] | None) -> None:
    if waiting is not None and not waiting.done():
        waiting.set_result(None)
