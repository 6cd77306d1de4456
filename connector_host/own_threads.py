"""Blocking work in a thread of its own, for what may hang: nothing else waits for that thread, nor for its place.

The threads of an event loop's default executor are few, and the end of the loop waits for all of them.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Result = TypeVar("Result")


class _Own(threading.Thread):
    """Told from the threads of others."""


async def in_own_thread(work: Callable[[], Result]) -> Result:
    """Return what blocking work returns; it goes on where whoever waits for it is cancelled."""
    promise: Future[Result] = Future()
    promise.set_running_or_notify_cancel()
    context = contextvars.copy_context()

    def run() -> None:
        try:
            promise.set_result(context.run(work))
        except BaseException as failure:  # noqa: BLE001 - whoever waits hears of it
            promise.set_exception(failure)

    _Own(target=run, name="own", daemon=True).start()
    return await asyncio.wrap_future(promise)


def any_running() -> bool:
    """Return whether such a thread still runs: the interpreter must not be torn down around it."""
    return any(isinstance(thread, _Own) for thread in threading.enumerate())
