"""The time limits of many requests, by one timer for all: one of its own would cost each request more than its limit.

A limit that has passed is noticed a little late, and never early.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from aiohttp import web

if TYPE_CHECKING:
    from types import TracebackType

_LOOK_S: Final = 0.1
"""How often the limits are looked at, while there are any."""


class Deadlines:
    """The blocks that must end in time, of one event loop."""

    def __init__(self) -> None:
        self._running: set[Deadline] = set()
        self._looks_again = False

    def within(self, seconds: float) -> Deadline:
        """Return what cancels a `with` block after so many seconds, which then raises TimeoutError."""
        return Deadline(self, seconds)

    def begin(self, deadline: Deadline) -> None:
        """Look after one more block."""
        self._running.add(deadline)
        if not self._looks_again:
            self._look_later()

    def end(self, deadline: Deadline) -> None:
        """Look after a block no longer."""
        self._running.discard(deadline)

    def _look_later(self) -> None:
        self._looks_again = True
        asyncio.get_running_loop().call_later(_LOOK_S, self._look)

    def _look(self) -> None:
        self._looks_again = False
        now_s = asyncio.get_running_loop().time()
        for deadline in [one for one in self._running if one.at_s <= now_s]:
            deadline.pass_by()
        if self._running:
            self._look_later()


class Deadline:
    """One block; as `asyncio.timeout`, whose cancellation is told apart from anybody else's in the same way."""

    __slots__ = ("_among", "_cancelling", "_is_over", "_seconds", "_task", "at_s")

    def __init__(self, among: Deadlines, seconds: float) -> None:
        self._among, self._seconds, self._is_over = among, seconds, False

    def __enter__(self) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("A deadline is for a block in a task.")
        self._task: asyncio.Task[object] = task
        self._cancelling = task.cancelling()
        self.at_s = asyncio.get_running_loop().time() + self._seconds
        self._among.begin(self)

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._among.end(self)
        if self._is_over and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from failure

    def pass_by(self) -> None:
        """Cancel the block, since its time is over."""
        self._among.end(self)
        self._is_over = True
        self._task.cancel()


DEADLINES: Final = web.AppKey("deadlines", Deadlines)
