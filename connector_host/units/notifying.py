"""What systemd is told over its notification socket (sd_notify(3)); nothing at all where it does not ask.

The protocol is one datagram of lines, so the standard library does.
"""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

READY = "READY=1"
RELOADING = "RELOADING=1"
STOPPING = "STOPPING=1"
WATCHDOG = "WATCHDOG=1"

SEND_S = 0.5
"""Seconds that a manager which does not read may keep the event loop waiting."""


def notify(*lines: str) -> bool:
    """Tell the service manager; return whether there is one that listens.

    A manager that went away, or does not read, is no reason to fail, so nothing is raised.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")) or not hasattr(socket, "AF_UNIX"):
        return False
    # A name that starts with @ is in the abstract namespace, which the kernel writes as a null byte.
    path = address.replace("@", "\0", 1) if address.startswith("@") else address
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.settimeout(SEND_S)
        sender.connect(path)
        sender.sendall("\n".join(lines).encode())
        return True
    return False


def watchdog_s() -> float | None:
    """Return how often systemd wants to hear that this process lives, or None where it does not watch it."""
    text, process = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    if not text.isdecimal() or int(text) == 0 or process not in {"", str(os.getpid())}:
        return None
    return int(text) / 1_000_000


@asynccontextmanager
async def watched() -> AsyncIterator[None]:
    """Say twice in each period that the event loop runs; a loop that hangs says nothing, and is restarted."""
    period_s = watchdog_s()
    if period_s is None:
        yield
        return
    beat = asyncio.create_task(_beat(period_s / 2))
    try:
        yield
    finally:
        beat.cancel()
        with suppress(asyncio.CancelledError):
            await beat


async def _beat(every_s: float) -> None:
    while True:
        notify(WATCHDOG)
        await asyncio.sleep(every_s)
