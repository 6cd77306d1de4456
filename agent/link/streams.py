"""One stream of a live link, as the code above uses it: await the answer, read, write, give up.

Turns the session's events into wake-ups. Knows neither sockets nor what the bytes mean. At most one task reads a
stream and at most one writes it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Protocol

from agent.errors import AgentError, StreamCancelled, StreamFailed
from agent.link.notices import Answered, Cancelled, Credited, Failed, Received
from agent.link.session import WINDOW_BYTES

if TYPE_CHECKING:
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


class _Signal:
    """Wakes the one task that waits for a change; whoever waits looks at the state itself, before and after."""

    __slots__ = ("_future",)

    def __init__(self) -> None:
        self._future: asyncio.Future[None] | None = None

    def set(self) -> None:
        if self._future is not None and not self._future.done():
            self._future.set_result(None)

    async def wait(self) -> None:
        self._future = asyncio.get_running_loop().create_future()
        try:
            await self._future
        finally:
            self._future = None


class Stream:
    """One stream of a live link."""

    __slots__ = ("_answer", "_chunks", "_ended", "_fault", "_incoming", "_outgoing", "_outlet", "_read_bytes", "number")

    def __init__(self, outlet: Outlet, number: int, *, ended: bool = False) -> None:
        self.number = number
        self._outlet = outlet
        self._answer: bytes | None = None
        self._chunks: deque[bytes] = deque()
        self._ended = ended
        self._fault: AgentError | None = None
        self._incoming = _Signal()
        self._outgoing = _Signal()
        self._read_bytes = 0

    async def answer(self) -> bytes:
        """Return the packed head of the answer; raises LinkLost, StreamFailed or StreamCancelled."""
        while self._answer is None:
            self._raise_fault()
            await self._incoming.wait()
        return self._answer

    @property
    def has_ended(self) -> bool:
        """Return whether nothing more is to be read."""
        return self._ended and not self._chunks

    @property
    def at_hand(self) -> bool:
        """Return whether `read` returns at once."""
        return bool(self._chunks) or self._ended

    async def read(self) -> bytes:
        """Return the next stretch of the body, empty at its end; raises LinkLost, StreamFailed or StreamCancelled."""
        while not self._chunks:
            if self._ended:
                return b""
            self._raise_fault()
            await self._incoming.wait()
        data = self._chunks.popleft()
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
            await self._outgoing.wait()

    def respond(self, head: bytes, *, end: bool, encoded: bool = True) -> None:
        """Send the head of the answer; a body that is not `encoded` already may be deflated on its way."""
        self._outlet.session.respond(self.number, head, end=end, encoded=encoded)
        self._outlet.flush()

    def fail(self, payload: bytes) -> None:
        """End the stream and say why."""
        self._outlet.session.fail(self.number, payload)
        self._outlet.flush()

    def close(self) -> None:
        """Give up whatever is still open; harmless on a stream that ended."""
        if self._outlet.session.cancel(self.number):
            self._outlet.flush()

    def notice(self, event: Answered | Received | Credited | Failed | Cancelled) -> None:
        """Take in what the session said about this stream."""
        match event:
            case Received(_, data, end):
                if data:
                    self._chunks.append(data)
                self._ended = end
                self._incoming.set()
            case Answered(_, head, end):
                self._answer, self._ended = head, end
                self._incoming.set()
            case Credited():
                self._outgoing.set()
            case Failed(_, payload):
                self.break_off(StreamFailed(payload))
            case Cancelled():
                self.break_off(StreamCancelled("the other end gave this stream up"))

    def break_off(self, fault: AgentError) -> None:
        """Let everyone who waits on this stream hear that it is over."""
        self._fault = fault
        self._incoming.set()
        self._outgoing.set()

    def _raise_fault(self) -> None:
        if self._fault is not None:
            raise self._fault
