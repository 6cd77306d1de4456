"""SIGHUP: the administrator asks for the configuration to be read again (`systemctl reload`).

Windows has no such signal: there a file in the folder for state asks (processes.py), which only those may write who
may write the configuration, too.
"""

from __future__ import annotations

import asyncio
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import structlog

from connector_host.observability import events
from connector_host.service.processes import take_request
from connector_host.service.reloads import Reloaded, leave_report
from connector_host.units import notifying

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

_LOOK_S: Final = 1.0


async def on_hangup(reload: Callable[[], Awaitable[Reloaded]], state: Path) -> None:
    """Reload once for each request, until cancelled, and leave a report; those that come meanwhile are one more."""
    asked = asyncio.Event()
    number = getattr(signal, "SIGHUP", None)
    loop = asyncio.get_running_loop()
    looking: asyncio.Task[None] | None = None
    if number is None:
        looking = asyncio.create_task(_look(state, asked))
    else:
        with suppress(RuntimeError, ValueError):  # not the main thread, which alone hears signals
            loop.add_signal_handler(number, asked.set)
    try:
        while True:
            await asked.wait()
            asked.clear()
            notifying.notify(notifying.RELOADING, f"MONOTONIC_USEC={time.monotonic_ns() // 1_000}")
            leave_report(state, await _reloaded(reload))
            notifying.notify(notifying.READY)
    finally:
        if looking is not None:
            looking.cancel()
        if number is not None:
            with suppress(RuntimeError, ValueError):
                loop.remove_signal_handler(number)


async def _reloaded(reload: Callable[[], Awaitable[Reloaded]]) -> Reloaded:
    try:
        return await reload()
    except Exception:  # noqa: BLE001 - the next one may succeed, so somebody must go on to listen
        structlog.get_logger().exception(events.RELOAD_FAILED)
        return Reloaded(0, failure=f"It failed unforeseen; the log says where ({events.RELOAD_FAILED}).")


async def _look(state: Path, asked: asyncio.Event) -> None:
    """Look for a request once a second."""
    take_request(state)  # one that was meant for an earlier process
    while True:
        await asyncio.sleep(_LOOK_S)
        if take_request(state):
            asked.set()
