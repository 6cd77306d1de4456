"""The end of a TLS connection on which nothing is under way: TLS's first, and that of TCP right behind it.

An event loop that closes a connection says that TLS ends, and keeps TCP for half a minute, in which the other end may
say so, too, while what it sends is read and dropped. In TLS 1.3 the word ends one direction alone (RFC 8446 §6.1), so
Java's HttpClient takes such a connection for a good one, and waits all that time for an answer to what it asks next.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from connector_host.unsent import unsent_bytes

if TYPE_CHECKING:
    import asyncio

_PAUSE_S: Final = 0.05
"""In which the loop hands its last bytes to the system; each next pause is twice as long."""
_LAST_S: Final = 30.0
"""What the loop gives the other end to say that TLS is over, too."""


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
        if unsent_bytes(self._transport) or self._transport.get_write_buffer_size():
            self._handle = self._loop.call_later(2 * pause_s, self._cut, 2 * pause_s)
            return
        # Below its TLS the loop may hold more, which only it knows, after a stall of its own; `abort` would lose that.
        self._handle = self._loop.call_later(_LAST_S, self._transport.abort)
        _hear_no_more(self._transport)


def _hear_no_more(transport: asyncio.Transport) -> None:
    """Have the loop read the end of the connection, which it then closes behind the last bytes that it holds."""
    end = transport.get_extra_info("socket")
    if end is None:  # it is lost in this very turn, of which its protocol hears in the next one
        return
    with suppress(OSError), socket.socket(fileno=os.dup(end.fileno())) as same:
        same.shutdown(socket.SHUT_RD)
