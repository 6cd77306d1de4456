"""The channel between the parent and one worker: questions that are answered, and news that need no answer.

    length (4 bytes, big endian) · [number, verb, body] in MessagePack      an answer has its question's number

What is said in one turn of the event loop goes out as one write. Knows nothing of what is said.
"""

from __future__ import annotations

import asyncio
import itertools
import struct
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

import msgspec
import structlog

from connector_host import clock
from connector_host.errors import HostError
from connector_host.observability import events

if TYPE_CHECKING:
    import socket

Handler: TypeAlias = Callable[[str, Any], Awaitable[object]]
"""Answers a verb with its body; a HostError's text is what the other end hears of a failure."""

_LENGTH: Final = struct.Struct(">I")
_NEWS: Final = 0
_ANSWER: Final = "answer"
_FAILURE: Final = "failure"


class ChannelLost(HostError):
    """The other end is gone."""


class Refused(HostError):
    """The other end could not do it; the text says why."""


class _Frame(msgspec.Struct, frozen=True, array_like=True):
    number: int
    verb: str
    body: Any = None


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(_Frame)


class Channel(asyncio.Protocol):
    """One end; `open_channel` makes it."""

    def __init__(self, handler: Handler) -> None:
        self.heard_s = clock.monotonic_s()
        """When something came last, by the monotonic clock."""
        self.lost = asyncio.Event()
        self._handler = handler
        self._numbers = itertools.count(1)
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._answering: set[asyncio.Task[None]] = set()
        self._received = bytearray()
        self._saying: list[bytes] = []
        self._transport: asyncio.Transport | None = None

    async def ask(self, verb: str, body: object = None) -> Any:  # noqa: ANN401 - whatever the other end answers
        """Return the answer; raises Refused, or ChannelLost."""
        number = next(self._numbers)
        asked = self._asked[number] = asyncio.get_running_loop().create_future()
        try:
            self._say(_Frame(number, verb, body))
            return await asked
        finally:
            del self._asked[number]

    def tell(self, verb: str, body: object = None) -> None:
        """Say something that needs no answer; nobody may be there to hear it."""
        if not self.lost.is_set():
            self._say(_Frame(_NEWS, verb, body))

    def close(self) -> None:
        """Say what is still to be said, and hang up."""
        self._flush()
        if self._transport is not None:
            self._transport.close()

    # ── asyncio's side ────────────────────────────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Take every whole frame of what came."""
        self.heard_s = clock.monotonic_s()
        self._received += data
        start = 0
        while len(self._received) - start >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._received, start)
            end = start + _LENGTH.size + length
            if len(self._received) < end:
                break
            self._take(_DECODER.decode(self._received[start + _LENGTH.size : end]))
            start = end
        del self._received[:start]

    def connection_lost(self, _failure: Exception | None) -> None:
        """Tell everybody who waits."""
        self.lost.set()
        for asked in self._asked.values():
            if not asked.done():
                asked.set_exception(ChannelLost("The other process is gone."))

    def _take(self, frame: _Frame) -> None:
        if frame.verb not in {_ANSWER, _FAILURE}:
            task = asyncio.create_task(self._answer(frame))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)
            return
        asked = self._asked.get(frame.number)
        if asked is None or asked.done():  # given up meanwhile
            return
        if frame.verb == _ANSWER:
            asked.set_result(frame.body)
        else:
            asked.set_exception(Refused(frame.body))

    async def _answer(self, frame: _Frame) -> None:
        try:
            answer = _Frame(frame.number, _ANSWER, await self._handler(frame.verb, frame.body))
        except HostError as failure:
            answer = _Frame(frame.number, _FAILURE, str(failure))
        except Exception as failure:  # noqa: BLE001 - whoever asks must hear something, and the channel goes on
            structlog.get_logger().exception(events.COMPANION_FAILED)
            answer = _Frame(frame.number, _FAILURE, type(failure).__name__)
        if frame.number != _NEWS and not self.lost.is_set():
            self._say(answer)

    def _say(self, frame: _Frame) -> None:
        if self.lost.is_set():
            raise ChannelLost("The other process is gone.")
        if not self._saying:
            asyncio.get_running_loop().call_soon(self._flush)
        encoded = _ENCODER.encode(frame)
        self._saying += (_LENGTH.pack(len(encoded)), encoded)

    def _flush(self) -> None:
        said, self._saying = b"".join(self._saying), []
        if said and self._transport is not None and not self._transport.is_closing():
            self._transport.write(said)


async def open_channel(end: socket.socket, handler: Handler) -> Channel:
    """Return the channel over one end of a socket pair, which is closed with it."""
    end.setblocking(False)  # noqa: FBT003 - the library's own order
    loop = asyncio.get_running_loop()
    _, channel = await loop.create_connection(lambda: Channel(handler), sock=end)
    return channel
