"""Tasks that do one short piece of work after another.

A task of its own, made, entered into asyncio's books and crossed out again, costs a request as much as its parsing.
Knows nothing of what is done.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

IDLE: Final = 64
"""Workers that are kept with nothing to do: what a burst brought beyond them ends with it."""


class Workers:
    """The workers of one owner, all of one event loop."""

    def __init__(self) -> None:
        self._idle: list[Worker] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, work: Coroutine[object, object, None], done: Callable[[], None]) -> Worker:
        """Have this done by a worker, and `done` called once it is, however it ended, even where it never began.

        Until then the worker may be cancelled; afterwards it is somebody else's. Where `done` itself fails, the loop's
        exception handler hears of it, and nobody else.
        """
        while self._idle:
            worker = self._idle.pop()
            if not worker.task.done():
                worker.take(work, done)
                return worker
        worker = Worker(work, done, self._idle)
        worker.task = task = asyncio.create_task(worker.run())
        self._tasks.add(task)
        # Not in the task itself, which never begins where it is cancelled at once.
        task.add_done_callback(worker.end)
        task.add_done_callback(self._tasks.discard)
        return worker

    async def stop(self) -> None:
        """Cancel all of them, and return once each has ended."""
        self._idle.clear()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)


class Worker:
    """One task."""

    __slots__ = ("_done", "_idle", "_news", "_work", "task")

    task: asyncio.Task[None]

    def __init__(self, work: Coroutine[object, object, None], done: Callable[[], None], idle: list[Worker]) -> None:
        self._work: Coroutine[object, object, None] | None = work
        self._done: Callable[[], None] | None = done
        self._idle = idle
        self._news: asyncio.Future[None] | None = None
        """What it waits for while it has nothing to do."""

    def take(self, work: Coroutine[object, object, None], done: Callable[[], None]) -> None:
        """Do this; only while idle."""
        self._work, self._done = work, done
        if self._news is not None:
            self._news.set_result(None)

    def cancel(self) -> None:
        """End the work in hand, and the worker with it."""
        self.task.cancel()

    async def run(self) -> None:
        """Do what there is to do until there are enough who wait for more."""
        while self._work is not None:
            await self._work
            self._work = None
            if len(self._idle) >= IDLE or self.task.cancelling():
                # Whoever was told to end and went on is not to meet another's work.
                self._tell()
                return
            self._news = asyncio.get_running_loop().create_future()
            self._idle.append(self)
            self._tell()
            await self._news

    def end(self, _: asyncio.Task[None]) -> None:
        """Put what was not finished away."""
        if self._work is not None:
            self._work.close()
            self._work = None
            self._tell()

    def _tell(self) -> None:
        """Say that the work is over, and keep nothing that belongs to it."""
        done, self._done = self._done, None
        try:
            if done is not None:
                done()
        except Exception as failure:  # noqa: BLE001 - what comes next is others' work, which is not to wait for ever
            self.task.get_loop().call_exception_handler(
                {"message": "What follows on a piece of work failed.", "exception": failure, "task": self.task}
            )


async def failing(failure: Exception) -> NoReturn:
    """Fail so: for what failed before there was a task that others look at."""
    raise failure
