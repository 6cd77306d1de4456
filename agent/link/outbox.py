"""Frames that wait to be sent: in their order, counted, and handed out as messages.

Knows what bounds a frame of each kind, and nothing of streams.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from agent.link.frames import END, HEADER, Kind, pack

if TYPE_CHECKING:
    from collections.abc import Iterator

BATCH_BYTES: Final = 131_072
"""How much leaves in one WebSocket message, unless one piece alone is longer: a head and a body may be, by a little.
On a thin line, a longer message looks like silence until it is whole."""

REPLY_BYTES: Final = 4_194_304
"""Replies that may wait; far above what an end that reads leaves waiting. No credit bounds them, so whoever asks for
them and takes none would fill this end's memory: PING for PONG, REQUEST for FAIL."""

_REQUEST: Final = int(Kind.REQUEST)
_DATA: Final = int(Kind.DATA)
_BOUNDED: Final = frozenset({_REQUEST, _DATA})
"""What is no reply: this end asks of itself, and within bounds; bodies have their credit."""


class Outbox:
    """What one end of a link has still to send."""

    def __init__(self) -> None:
        self.waiting_bytes = 0
        self._reply_bytes = 0
        self._frames: deque[bytes] = deque()
        self._unsent: set[int] = set()

    def __bool__(self) -> bool:
        """Return whether a frame waits."""
        return bool(self._frames)

    @property
    def overrun(self) -> bool:
        """Return whether more replies wait than may."""
        return self._reply_bytes > REPLY_BYTES

    def is_unsent(self, stream: int) -> bool:
        """Return whether the stream's REQUEST still waits here, or was taken back just now."""
        return stream in self._unsent

    def withdraw(self, stream: int) -> bool:
        """Take back the stream's REQUEST, and all that follows it, where that still waits; return whether it did."""
        if stream not in self._unsent:
            return False
        self._frames = deque(frame for frame in self._frames if HEADER.unpack_from(frame)[2] != stream)
        self.waiting_bytes = sum(map(len, self._frames))
        return True

    def put(
        self, kind: int, stream: int = 0, payload: bytes = b"", *, end: bool = False, deflated: bool = False
    ) -> None:
        """Add a frame at the end; the payload has at most PAYLOAD_BYTES."""
        frame = pack(kind, stream, payload, end=end, deflated=deflated)
        self._frames.append(frame)
        self.waiting_bytes += len(frame)
        if kind not in _BOUNDED:
            self._reply_bytes += len(frame)
        elif kind == _REQUEST:
            self._unsent.add(stream)

    def put_whole(self, kind: int, stream: int, head: bytes, body: bytes) -> None:
        """Add the frame of a head, and one of DATA with all of its body, which has at most PAYLOAD_BYTES, too."""
        length = len(head)
        parts = HEADER.pack(kind, 0, stream, length), head, HEADER.pack(_DATA, END, stream, len(body)), body
        frames = b"".join(parts)
        self._frames.append(frames)
        self.waiting_bytes += len(frames)
        if kind == _REQUEST:
            self._unsent.add(stream)
        else:
            self._reply_bytes += HEADER.size + length

    def take(self) -> bytes:
        """Return frames that wait, as one message of BATCH_BYTES or of one piece at the most; empty where none is."""
        if self.waiting_bytes <= BATCH_BYTES:
            message = b"".join(self._frames)
            self._frames.clear()
            self._unsent.clear()
            self._reply_bytes = 0
        else:
            message = b"".join(self._batch())
        self.waiting_bytes -= len(message)
        return message

    def _batch(self) -> Iterator[bytes]:
        size_bytes = 0
        while self._frames and (not size_bytes or size_bytes + len(self._frames[0]) <= BATCH_BYTES):
            frame = self._frames.popleft()
            size_bytes += len(frame)
            kind, _, stream, length = HEADER.unpack_from(frame)
            if kind not in _BOUNDED:
                self._reply_bytes -= HEADER.size + length
            elif kind == _REQUEST:
                self._unsent.discard(stream)
            yield frame
