"""The end of a TLS connection on which nothing is under way: TLS's first, and that of TCP right behind it.

An event loop that closes a connection says that TLS ends, and keeps TCP for half a minute, in which the other end may
say so, too, while what it sends is read and dropped. In TLS 1.3 the word ends one direction alone (RFC 8446 §6.1), so
Java's HttpClient takes such a connection for a good one, and waits all that time for an answer to what it asks next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from connector_host.unsent import unsent_bytes

if TYPE_CHECKING:
    import asyncio

_PAUSE_S: Final = 0.05
"""In which the loop hands its last bytes to the system; each next pause is twice as long."""


class Ending:
    """One connection that is being closed."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        """End TCP, too, once the other end has all that was written, where the system tells."""
        self._transport = transport
        self._loop = loop
        self._handle = loop.call_later(_PAUSE_S, self._cut, _PAUSE_S)

    def over(self) -> None:
        """Do nothing more: the connection is lost."""
        self._handle.cancel()

    def _cut(self, pause_s: float) -> None:
        if unsent_bytes(self._transport):
            self._handle = self._loop.call_later(2 * pause_s, self._cut, 2 * pause_s)
        else:
            self._transport.abort()
