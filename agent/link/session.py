"""The state machine of one link: which frames may come when, what they mean, and what is still to be sent.

Does no I/O and knows no clock: whole messages go in by `receive` and come out by `take`, so that every path can be
tested without a socket. The same class serves both ends; only the relay's end opens streams.

    stream      REQUEST ──▶ open ── END from both ends ──▶ closed
                              └──── FAIL or CANCEL from either ──▶ closed
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agent.errors import ProtocolViolation
from agent.link.frames import CREDIT, DEFLATED, END, EXTENSION, PAYLOAD_BYTES, Frame, Kind, unpack
from agent.link.messages import Hello
from agent.link.notices import (
    PING_BYTES,
    Answered,
    Cancelled,
    Credited,
    Draining,
    Failed,
    Greeted,
    Opened,
    Received,
    aside,
)
from agent.link.outbox import Outbox
from agent.link.packing import decode, encode
from agent.link.standing import Standing
from agent.link.stretches import DEFLATE, WORTH_BYTES, deflated, inflated

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.link.messages import Health
    from agent.link.notices import Notice

WINDOW_BYTES: Final = 262_144
"""Credit of a fresh stream: what one slow reader may hold back at this end, at the most."""

_REASON_BYTES: Final = 200
"""Of a good-bye in place of a hello, which comes from nobody who is known."""

CREDIT_LIMIT: Final = 2**31 - 1
LAST_STREAM: Final = 2**32 - 1
STREAM_LIMIT: Final = 10_000
"""Open streams that an agent's end accepts; far above what its own limit on requests in hand lets through."""


_TOO_MUCH: Final = "more data than the window allows"

_REQUEST: Final = int(Kind.REQUEST)
_RESPONSE: Final = int(Kind.RESPONSE)
_DATA: Final = int(Kind.DATA)
"""Plain numbers, as in `frames`."""


# ── the machine ───────────────────────────────────────────────────────────────────────────────────────────────────


class Session:
    """One end of a link."""

    def __init__(self, hello: Hello, *, opens: bool, reply: Callable[[Hello], Hello] | None = None) -> None:
        """Begin with this end's hello; `opens` is true at the relay, which alone opens streams.

        With `reply` this end waits for the other's hello, and says then what `reply` makes of it.
        """
        self.peer: Hello | None = None
        self.version = 0
        """Of the protocol, the newest that both ends speak; 0 until both have said hello."""
        self.deflates = False
        """Whether this end, an agent's, is to deflate answers; it does where both ends have the feature."""
        self._agreed: frozenset[str] = frozenset()
        self.is_usable = False
        """Whether streams may be opened: both ends have said hello, and neither GOAWAY."""
        self._said_goaway = False
        self._heard_goaway = False
        self._hello = hello
        self._opens = opens
        self._streams: dict[int, Standing] = {}
        self._last = 0
        self._outbox = Outbox()
        self._put = self._outbox.put
        self._received: dict[int, Callable[[Frame], Notice | None]] = {
            Kind.REQUEST: self._on_request,
            Kind.RESPONSE: self._on_response,
            Kind.DATA: self._on_data,
            Kind.WINDOW: self._on_window,
            Kind.FAIL: self._on_fail,
            Kind.CANCEL: self._on_cancel,
            Kind.GOAWAY: self._on_goaway,
            Kind.PING: self._on_ping,
            **dict.fromkeys((Kind.PONG, Kind.NOTE), aside),
            # What the other end has no business to say is passed over, as is what a newer one may.
            **dict.fromkeys((Kind.HEALTH, Kind.RENEW) if opens else (Kind.RENEWED,), aside),
        }
        self._reply = reply
        self._health: Health | None = None
        """What is to be said with this end's hello."""
        if reply is None:
            self._put(Kind.HELLO, 0, encode(hello))

    # ── state ─────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def open_streams(self) -> int:
        """Return how many streams are open."""
        return len(self._streams)

    @property
    def draining(self) -> bool:
        """Return whether either end has said GOAWAY: no new streams."""
        return self._said_goaway or self._heard_goaway

    @property
    def drained(self) -> bool:
        """Return whether the link may be closed and nothing is lost.

        Both ends have said GOAWAY, so no request can be on its way, and nothing is open or waits to be sent.
        """
        return self._said_goaway and self._heard_goaway and not self._streams and not self._outbox

    @property
    def waiting_bytes(self) -> int:
        """Return how many bytes wait for `take`."""
        return self._outbox.waiting_bytes

    def credit(self, stream: int) -> int:
        """Return how many bytes of DATA may be sent on the stream now; 0 where it is closed."""
        state = self._streams.get(stream)
        return state.credit if state is not None and state.sending else 0

    def is_unsent(self, stream: int) -> bool:
        """Return whether the stream's REQUEST never left this end: nobody else can have seen it."""
        return self._outbox.is_unsent(stream)

    # ── sending ───────────────────────────────────────────────────────────────────────────────────────────────────

    def take(self) -> bytes:
        """Return frames that wait, as one message of a bounded size; empty where none waits."""
        return self._outbox.take()

    def open(self, head: bytes, body: bytes = b"", *, end: bool) -> int:
        """Open a stream with the head of a request, and the whole of its body where it has one; return its number.

        Only at the relay, after the other end's hello, and not while draining: ValueError otherwise.
        """
        peer = self.peer
        if not self._opens or peer is None or not self.is_usable or self._last == LAST_STREAM:
            raise ValueError("this end may not open a stream now")
        self._last = stream = self._last + 1
        state = self._streams[stream] = Standing(peer.window, self._hello.window, sending=not end or bool(body))
        if body:
            self._send_whole(_REQUEST, stream, state, head, body)
        else:
            self._put(_REQUEST, stream, head, end=end)
        return stream

    def respond(self, stream: int, head: bytes, body: bytes = b"", *, end: bool, encoded: bool = True) -> None:
        """Send the head of the answer, and the whole of its body where one is given.

        Nothing happens where the stream is closed. A body that is not `encoded` already may be deflated on its way.
        """
        state = self._streams.get(stream)
        if state is None:
            return
        if self._opens or state.answered:
            raise ValueError("one answer for each stream, and only from the agent")
        state.answered = True
        state.deflates = not encoded and self.deflates and DEFLATE in self._agreed
        if body:
            self._send_whole(_RESPONSE, stream, state, head, body)
            return
        self._put(_RESPONSE, stream, head, end=end)
        if end:
            self._end_sending(stream, state)

    def send(self, stream: int, data: bytes, *, end: bool = False) -> None:
        """Send a stretch of the body, within the credit; nothing happens where the stream is closed."""
        state = self._streams.get(stream)
        if state is None:
            return
        if not state.sending or len(data) > state.credit:
            raise ValueError("more data than the other end takes")
        state.credit -= len(data)
        position = 0
        while len(data) - position > PAYLOAD_BYTES:
            self._put_data(stream, state, data[position : position + PAYLOAD_BYTES])
            position += PAYLOAD_BYTES
        self._put_data(stream, state, data[position:] if position else data, end=end)
        if end:
            self._end_sending(stream, state)

    def grant(self, stream: int, size_bytes: int) -> None:
        """Let the other end send this much more; nothing happens where it has nothing more to send."""
        state = self._streams.get(stream)
        if state is not None and state.receiving and size_bytes:
            state.allowance += size_bytes
            self._put(Kind.WINDOW, stream, CREDIT.pack(size_bytes))

    def fail(self, stream: int, payload: bytes) -> None:
        """End the stream and say why; nothing happens where it is closed."""
        if self._streams.pop(stream, None) is not None:
            self._put(Kind.FAIL, stream, payload)

    def cancel(self, stream: int) -> bool:
        """End the stream because nobody wants it any more; returns False where it is closed already.

        A request that did not leave yet never does: who gives it up counts on nobody having seen it.
        """
        if self._streams.pop(stream, None) is None:
            return False
        if not self._outbox.withdraw(stream):
            self._put(Kind.CANCEL, stream)
        return True

    def ping(self, token: bytes) -> None:
        """Ask for a sign of life; the token has PING_BYTES."""
        self._put(Kind.PING, 0, token)

    def tell(self, health: Health) -> None:
        """Say how this agent's host is: with the hello where that is still to be said."""
        if self._reply is not None and self.peer is None:
            self._health = health
        else:
            self._put(Kind.HEALTH, 0, encode(health))

    def ask_renewal(self, request: bytes) -> None:
        """Ask for the agent's next certificate."""
        self._put(Kind.RENEW, 0, request)

    def send_renewed(self, certificate: bytes) -> None:
        """Send the agent's next certificate."""
        self._put(Kind.RENEWED, 0, certificate)

    def note(self, payload: bytes) -> None:
        """Say something that the programs above understand; at most PAYLOAD_BYTES."""
        self._put(Kind.NOTE, 0, payload)

    def drain(self, reason: str) -> None:
        """Say that this end wants no new streams; those that are open end in peace."""
        self.is_usable = False
        if not self._said_goaway:
            self._said_goaway = True
            self._put(Kind.GOAWAY, 0, reason.encode()[:PAYLOAD_BYTES])

    def _send_whole(self, kind: int, stream: int, state: Standing, head: bytes, body: bytes) -> None:
        """Send a head and all of its body, as one piece where that is one frame which is not deflated."""
        size_bytes = len(body)
        if state.deflates or size_bytes > PAYLOAD_BYTES or size_bytes > state.credit:
            self._put(kind, stream, head)
            self.send(stream, body, end=True)
            return
        state.credit -= size_bytes
        self._outbox.put_whole(kind, stream, head, body)
        state.sending = False
        if not state.receiving:
            del self._streams[stream]

    def _put_data(self, stream: int, state: Standing, stretch: bytes, *, end: bool = False) -> None:
        if state.deflates and len(stretch) >= WORTH_BYTES:
            if (payload := deflated(stretch)) is not None:
                self._put(_DATA, stream, payload, end=end, deflated=True)
                return
            # What does not shrink once is a picture, or was compressed by somebody who did not say so.
            state.deflates = False
        self._put(_DATA, stream, stretch, end=end)

    def _end_sending(self, stream: int, state: Standing) -> None:
        state.sending = False
        if not state.receiving:
            del self._streams[stream]

    def _end_receiving(self, stream: int, state: Standing) -> None:
        state.receiving = False
        if not state.sending:
            del self._streams[stream]

    # ── receiving ─────────────────────────────────────────────────────────────────────────────────────────────────

    def receive(self, message: bytes) -> list[Notice]:
        """Return what the frames of one message mean.

        Raises ProtocolViolation where the other end breaks the rules; the link must then be closed.
        """
        events: list[Notice] = []
        for frame in unpack(message):
            if self.peer is None:
                events.append(self._on_hello(frame))
                continue
            reaction = self._received.get(frame.kind)
            if reaction is None:
                if frame.kind >= EXTENSION:
                    continue
                raise ProtocolViolation(f"a frame of kind {frame.kind} that has no place here")
            event = reaction(frame)
            if event is not None:
                events.append(event)
        if self._outbox.overrun:
            raise ProtocolViolation("it asks, and does not take what is answered")
        return events

    def _on_hello(self, frame: Frame) -> Notice:
        if frame.kind == Kind.GOAWAY:
            raise ProtocolViolation(f"no hello, but: {frame.payload[:_REASON_BYTES].decode(errors='replace')}")
        if frame.kind != Kind.HELLO:
            raise ProtocolViolation("a frame before the hello")
        hello = decode(Hello, frame.payload)
        theirs, ours = hello.versions, self._hello.versions
        self.version = min(theirs[1], ours[1])
        if self.version < max(theirs[0], ours[0]):
            self.drain(f"it speaks {_range(ours)} of the protocol, and was offered {_range(theirs)}")
            raise ProtocolViolation(f"{_range(theirs)} of the protocol, and this end speaks {_range(ours)}")
        if not 0 < hello.window <= CREDIT_LIMIT:
            raise ProtocolViolation(f"a window of {hello.window} bytes")
        self.peer = hello
        self.is_usable = not self.draining
        self._agreed = hello.features & self._hello.features
        if self._reply is not None:
            self._hello = self._reply(hello)
            self._put(Kind.HELLO, 0, encode(self._hello))
            if self._health is not None:
                self.tell(self._health)
        return Greeted(hello)

    def _on_request(self, frame: Frame) -> Notice | None:
        if self._opens or frame.stream <= self._last:
            raise ProtocolViolation("a stream that may not be opened")
        if len(self._streams) >= STREAM_LIMIT:
            raise ProtocolViolation(f"more than {STREAM_LIMIT} open streams")
        self._last = frame.stream
        window, ours, body = self.peer.window if self.peer else 0, self._hello.window, frame.body
        if body is not None:
            if len(body) > ours:
                raise ProtocolViolation(_TOO_MUCH)
            self._streams[frame.stream] = Standing(window, ours, receiving=False)
            return Opened(frame.stream, frame.payload, True, body)  # noqa: FBT003 - by position, with each request
        end = bool(frame.flags & END)
        self._streams[frame.stream] = Standing(window, ours, receiving=not end)
        return Opened(frame.stream, frame.payload, end)

    def _on_response(self, frame: Frame) -> Notice | None:
        if not self._opens:
            raise ProtocolViolation("an answer from the end that asks")
        state = self._known(frame)
        if state is None:
            return None
        if state.answered:
            raise ProtocolViolation("a second answer on one stream")
        state.answered = True
        if frame.body is not None:
            if len(frame.body) > state.allowance:
                raise ProtocolViolation(_TOO_MUCH)
            self._end_receiving(frame.stream, state)
            return Answered(frame.stream, frame.payload, True, frame.body)  # noqa: FBT003 - as above
        end = bool(frame.flags & END)
        if end:
            self._end_receiving(frame.stream, state)
        return Answered(frame.stream, frame.payload, end)

    def _on_data(self, frame: Frame) -> Notice | None:
        if frame.flags & DEFLATED and not (self._opens and DEFLATE in self._agreed):
            raise ProtocolViolation("a deflated stretch, which nobody agreed on")
        state = self._known(frame)
        if state is None:
            return None
        if not state.receiving or (self._opens and not state.answered):
            raise ProtocolViolation("data where none may come")
        data = inflated(frame.payload) if frame.flags & DEFLATED else frame.payload
        state.allowance -= len(data)
        if state.allowance < 0:
            raise ProtocolViolation(_TOO_MUCH)
        end = bool(frame.flags & END)
        if end:
            self._end_receiving(frame.stream, state)
        return Received(frame.stream, data, end)

    def _on_window(self, frame: Frame) -> Notice | None:
        state = self._known(frame)
        if len(frame.payload) != CREDIT.size:
            raise ProtocolViolation("a window of the wrong length")
        if state is None:
            return None
        state.credit += int(CREDIT.unpack(frame.payload)[0])
        if state.credit > CREDIT_LIMIT:
            raise ProtocolViolation("a window without bounds")
        return Credited(frame.stream)

    def _on_fail(self, frame: Frame) -> Notice | None:
        if not self._opens:
            raise ProtocolViolation("a failure from the end that asks")
        if self._known(frame) is None:
            return None
        del self._streams[frame.stream]
        return Failed(frame.stream, frame.payload)

    def _on_cancel(self, frame: Frame) -> Notice | None:
        if self._known(frame) is None:
            return None
        del self._streams[frame.stream]
        return Cancelled(frame.stream)

    def _on_goaway(self, frame: Frame) -> Notice | None:
        self._heard_goaway = True
        self.drain("as you wish")
        return Draining(frame.payload[:_REASON_BYTES].decode(errors="replace"))

    def _on_ping(self, frame: Frame) -> Notice | None:
        if len(frame.payload) != PING_BYTES:
            raise ProtocolViolation("a ping of the wrong length")
        self._put(Kind.PONG, 0, frame.payload)
        return None

    def _known(self, frame: Frame) -> Standing | None:
        """Return the open stream of the frame, None where it was closed before; one that never was is a violation."""
        if not 0 < frame.stream <= self._last:
            raise ProtocolViolation("a frame on a stream that was never opened")
        return self._streams.get(frame.stream)


def _range(versions: tuple[int, int]) -> str:
    oldest, newest = versions
    return f"version {oldest}" if oldest == newest else f"versions {oldest} to {newest}"
