"""Deadlines of many tasks, kept by one timer: a timer of its own would cost each request more than its parsing."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from types import TracebackType


class Expiring(Protocol):
    """What has a deadline."""

    def expire(self) -> None:
        """Hear that the time is up."""


class Deadlines:
    """The deadlines of one event loop's tasks."""

    def __init__(self) -> None:
        self._moments: dict[Expiring, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_s = math.inf

    def within(self, seconds: float) -> Deadline:
        """Return what ends the task that enters it with a TimeoutError where it has not left it by then."""
        return Deadline(self, seconds)

    def put(self, one: Expiring, moment_s: float) -> None:
        """Have this one expire at this moment of the loop's clock; any moment that it had before is forgotten."""
        self._moments[one] = moment_s
        if moment_s < self._timer_s:
            self._set_timer(moment_s)

    def drop(self, one: Expiring) -> None:
        """Have it expire no more; the timer stays, and finds nothing to do."""
        self._moments.pop(one, None)

    def _set_timer(self, moment_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_s = moment_s
        self._timer = None if moment_s == math.inf else asyncio.get_running_loop().call_at(moment_s, self._expire)

    def _expire(self) -> None:
        # At this moment by the timer: a loop's clock may be a little behind what it was told to wait for.
        over_s = max(self._timer_s, asyncio.get_running_loop().time())
        try:
            for over in [one for one, moment_s in self._moments.items() if moment_s <= over_s]:
                # One that expires may have had another one dropped.
                if self._moments.pop(over, None) is not None:
                    over.expire()
        finally:
            self._set_timer(min(self._moments.values(), default=math.inf))


class Deadline:
    """One deadline, for the task that enters it; as asyncio.timeout, but without a timer of its own."""

    __slots__ = ("_cancelling", "_deadlines", "_expired", "_seconds", "_task")

    def __init__(self, deadlines: Deadlines, seconds: float) -> None:
        self._deadlines = deadlines
        self._seconds = seconds
        self._task: asyncio.Task[object] | None = None
        self._cancelling = 0
        self._expired = False

    def __enter__(self) -> Self:
        self._task = asyncio.current_task()
        if self._task is None:
            raise RuntimeError("a deadline is for a task")
        self._cancelling = self._task.cancelling()
        self._deadlines.put(self, asyncio.get_running_loop().time() + self._seconds)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Raise TimeoutError where it was this deadline, and nobody else, that cancelled the task."""
        self._deadlines.drop(self)
        task, self._task = self._task, None
        if not self._expired or task is None:
            return
        alone = task.uncancel() <= self._cancelling
        if alone and kind is not None and issubclass(kind, asyncio.CancelledError):
            raise TimeoutError from failure

    def move(self, seconds: float) -> None:
        """Let the task have so many seconds from now on."""
        if not self._expired:
            self._deadlines.put(self, asyncio.get_running_loop().time() + seconds)

    def expire(self) -> None:
        """End the wait of the task."""
        self._expired = True
        if self._task is not None:
            self._task.cancel()
