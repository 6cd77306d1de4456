"""Exports that outlive their request: a client that hangs up, or a time limit, never stops one half-way.

The export goes on as a task of the application, its outcome is logged, and the application waits for it when it stops,
for as long as an export may take (DESIGN §2.5). What is to be done once it has ended is waited for, too.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Final

import structlog
from aiohttp import web

from connector_host.connectors.errors import InDoubt
from connector_host.connectors.patience import answering_within
from connector_host.observability import events

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from connector_host.connectors.contract import Connector, Export, Exported
    from connector_host.deadlines import Deadlines

_LOG = structlog.stdlib.get_logger()
_RECORD_S: Final = 1.0
"""Seconds in which an export that is given up gets into the audit trail, or the answer of a late one is recorded."""


class Exports:
    """The exports in hand of one application."""

    def __init__(self, deadlines: Deadlines) -> None:
        self._tasks: dict[asyncio.Task[Exported], asyncio.Future[None]] = {}
        """The exports in hand, and what those who wait for one look at."""
        self._deadlines = deadlines
        self._afterwards: set[asyncio.Task[None]] = set()

    async def carry_out(self, connector: Connector, export: Export, limit_s: float) -> Exported:
        """Carry out one export, and wait for it no longer than the limit.

        Raises InDoubt where the limit passes first; the export itself goes on, and its outcome is logged.
        """
        return await self.wait_for(self.begin(connector, export, limit_s), limit_s)

    def begin(self, connector: Connector, export: Export, limit_s: float) -> asyncio.Task[Exported]:
        """Begin with one export, for which somebody waits so long."""
        with answering_within(limit_s):
            task = asyncio.create_task(connector.export(export))
        ended = self._tasks[task] = asyncio.get_running_loop().create_future()

        def end(task: asyncio.Task[Exported]) -> None:
            self._tasks.pop(task, None)
            if not ended.done():
                ended.set_result(None)

        task.add_done_callback(end)
        return task

    async def wait_for(self, task: asyncio.Task[Exported], limit_s: float) -> Exported:
        """Return what came of an export that was just begun; raises InDoubt as `carry_out` does."""
        ended = self._tasks[task]
        loop = asyncio.get_running_loop()
        until_s = loop.time() + limit_s
        try:
            with self._deadlines.within(limit_s):
                await ended  # and not the task: what ends the waiting must not end the export
        except (TimeoutError, asyncio.CancelledError) as ending:
            # Where the loop was held up, a deadline around this one may have passed in the same moment: whoever set it
            # hears that an export was begun, and not only that it is late.
            is_late = isinstance(ending, TimeoutError) or loop.time() >= until_s
            if not (is_late and task.done()):
                task.add_done_callback(_log_late)
                if not is_late:
                    raise
                raise InDoubt("The export was not committed within the time limit of the request.") from ending
        return task.result()

    def afterwards(self, work: Coroutine[object, object, None]) -> None:
        """Have this done, for which a stop waits a moment once the exports in hand have ended."""
        task = asyncio.create_task(work)
        self._afterwards.add(task)
        task.add_done_callback(self._afterwards.discard)

    async def finish(self, limit_s: float | None = None) -> None:
        """Wait for every export in hand, then give up those that a database keeps: nobody knows what comes of them.

        Exports may still begin meanwhile, of requests that are under way.
        """
        loop = asyncio.get_running_loop()
        until_s = math.inf if limit_s is None else loop.time() + limit_s
        while self._tasks and (left_s := until_s - loop.time()) > 0:
            await asyncio.wait(set(self._tasks), timeout=None if left_s == math.inf else left_s)
        if kept := dict(self._tasks):
            _LOG.error(events.EXPORTS_GIVEN_UP, exports=len(kept), after_s=limit_s)
            for task, ended in kept.items():
                if not ended.done():
                    ended.set_exception(InDoubt("The service stopped before the export was committed."))
                    ended.exception()  # it may be that nobody looks at it any more
                task.cancel()
            await asyncio.wait(kept, timeout=_RECORD_S)
        if after := set(self._afterwards):
            for late in (await asyncio.wait(after, timeout=_RECORD_S))[1]:
                late.cancel()


class Followed:
    """Stands where `Exports` stands, for one request, and knows afterwards what that has begun.

    Once it is replayed nothing is begun any more, and the first export comes to what the one before came to.
    """

    def __init__(self, exports: Exports) -> None:
        self._exports = exports
        self.begun: list[asyncio.Task[Exported]] = []
        self._is_over = False

    def replay(self) -> None:
        """Begin nothing any more."""
        self._is_over = True

    async def carry_out(self, connector: Connector, export: Export, limit_s: float) -> Exported:
        """Carry out one export as `Exports` does, or return or raise what came of it before."""
        if not self._is_over:
            self.begun.append(task := self._exports.begin(connector, export, limit_s))
            return await self._exports.wait_for(task, limit_s)
        if not self.begun:
            raise InDoubt("This export was not begun.")
        return self.begun.pop().result()


EXPORTS: Final = web.AppKey("exports", Exports)
FOLLOWED: Final = web.RequestKey("followed", Followed)


def _log_late(task: asyncio.Task[Exported]) -> None:
    """Say what became of an export that nobody waits for any more."""
    failure = None if task.cancelled() else task.exception()
    outcome = "cancelled" if task.cancelled() else type(failure).__name__ if failure is not None else "committed"
    _LOG.warning(events.EXPORT_FINISHED_LATE, outcome=outcome)
