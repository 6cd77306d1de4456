"""SIGHUP: the administrator asks for the configuration to be read again (`systemctl reload`)."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import TYPE_CHECKING

from connector_host.service import systemd

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


async def on_hangup(reload: Callable[[], Awaitable[bool]]) -> None:
    """Reload once for each SIGHUP, until cancelled; those that come meanwhile are one more time together.

    Where there is no such signal (Windows), this only waits.
    """
    asked = asyncio.Event()
    number = getattr(signal, "SIGHUP", None)
    loop = asyncio.get_running_loop()
    if number is not None:
        loop.add_signal_handler(number, asked.set)
    try:
        while True:
            await asked.wait()
            asked.clear()
            systemd.notify(systemd.RELOADING, f"MONOTONIC_USEC={time.monotonic_ns() // 1_000}")
            await reload()
            systemd.notify(systemd.READY)
    finally:
        if number is not None:
            loop.remove_signal_handler(number)
