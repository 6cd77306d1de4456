"""Bytes of a TLS connection read into one buffer that all connections of an owner share, and handed to their protocols.

An event loop that reads for a plain protocol makes room for 256 KiB each time, which the C library asks the system for
and gives back at once: 12 µs for a request of 1 KiB, more than it takes to decrypt it. Knows nothing of what is read.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

BUFFER_BYTES: Final = 65_536
"""What one turn of the loop reads from a connection at the most: four records of TLS."""

Inner = TypeVar("Inner", bound=asyncio.Protocol)


class Reading:
    """The buffer of one owner, whose connections all belong to one event loop."""

    def __init__(self) -> None:
        self.buffer = memoryview(bytearray(BUFFER_BYTES))

    def into(self, make: Callable[[], Inner]) -> Buffered[Inner]:
        """Return what the loop speaks to in place of a new protocol."""
        return Buffered(make(), self.buffer)


class Buffered(asyncio.BufferedProtocol, Generic[Inner]):
    """One connection: what arrives is copied out of the buffer before the loop reads for another one."""

    __slots__ = ("_buffer", "inner")

    def __init__(self, inner: Inner, buffer: memoryview) -> None:
        self.inner = inner
        self._buffer = buffer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Pass it on."""
        self.inner.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass it on."""
        self.inner.connection_lost(exc)

    def pause_writing(self) -> None:
        """Pass it on."""
        self.inner.pause_writing()

    def resume_writing(self) -> None:
        """Pass it on."""
        self.inner.resume_writing()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - the loop comes again for what is left over
        """Return where to read into."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Hand over what was read."""
        self.inner.data_received(bytes(self._buffer[:nbytes]))

    def eof_received(self) -> bool | None:
        """Pass it on."""
        return self.inner.eof_received()
