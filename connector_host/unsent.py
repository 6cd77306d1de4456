"""What the system has still to send for a connection: whether a slow client takes anything at all.

A program hears of room in the system's buffer only when much of it is free, which may be a megabyte: a client that
takes ten kilobytes a second would pass for one that takes nothing.
"""

from __future__ import annotations

import struct
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import asyncio

_IS_LINUX: Final = sys.platform.startswith("linux")
_COUNT: Final = struct.Struct("i")


def unsent_bytes(transport: asyncio.BaseTransport) -> int | None:
    """Return how many bytes the other end has not acknowledged; None where the system does not tell, or it is over."""
    socket = transport.get_extra_info("socket")
    if not _IS_LINUX or socket is None or (number := socket.fileno()) < 0:
        return None
    # Windows has neither.
    fcntl, termios = import_module("fcntl"), import_module("termios")
    try:
        # SIOCOUTQ by its other name.
        counted = fcntl.ioctl(number, termios.TIOCOUTQ, bytes(_COUNT.size))
    except OSError:
        return None
    return int(_COUNT.unpack(counted)[0])
