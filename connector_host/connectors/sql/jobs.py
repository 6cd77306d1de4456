"""Jobs of a writer: exports on their way, each with the promise to whoever waits in the event loop."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import structlog

from connector_host import clock
from connector_host.connectors.contract import Exported
from connector_host.connectors.errors import Busy
from connector_host.observability import events

if TYPE_CHECKING:
    from collections.abc import Callable

    from connector_host.connectors.contract import Export
    from connector_host.connectors.sql.shapes import Shape
    from connector_host.deadlines import Deadlines

log = structlog.get_logger()

Outcome: TypeAlias = Exported | BaseException


@dataclass(eq=False, slots=True)
class Job:
    """One export on its way, and the promise to whoever waits for it."""

    export: Export
    shape: Shape
    promise: asyncio.Future[Exported]
    deadline_s: float
    """On the monotonic clock; an export that still waits then is withdrawn."""
    origin: str = ""
    """For whom it is: each origin waits in a lane of its own."""
    keys: tuple[str, ...] = ()
    """What it may not share with an export in another writer's hand: its anchor, whatever its case."""
    is_apart: bool = False
    """Whether it goes with no other export: it may commit by itself, or was one of a group that met a lock."""
    _claim: threading.Lock = field(default_factory=threading.Lock, init=False)
    """Taken by the writer that begins with the export, or for good by whoever withdraws it before that."""
    is_begun: bool = field(default=False, init=False)
    """Whether a writer has it in hand; known to that writer alone."""

    async def done(self, deadlines: Deadlines) -> Exported:
        """Wait for what becomes of the export; raises Busy at its deadline where no writer began with it by then.

        A writer may be held up for longer, by a lock or by a server that does not answer, and whoever waits behind it
        need not be left in doubt.
        """
        deadlines.put(self, asyncio.get_running_loop().time() + self.deadline_s - clock.monotonic_s())
        try:
            return await self.promise
        finally:
            deadlines.drop(self)

    @property
    def is_late(self) -> bool:
        """Whether it is too late to begin with it."""
        return clock.monotonic_s() > self.deadline_s

    def claim(self) -> bool:
        """Return whether a writer may begin with it, which nobody can withdraw then."""
        return self._claim.acquire(blocking=False)

    def begin(self) -> bool:
        """Return whether the writer has it in hand from now on, or had it already; not where it was withdrawn."""
        self.is_begun = self.is_begun or self.claim()
        return self.is_begun

    def put_back(self) -> None:
        """Let it be withdrawn again: what the writer did with it was undone, and its turn comes only later."""
        if not self.is_begun:
            return
        self.is_begun = False
        self._claim.release()
        if self.is_late:
            _within(self.promise.get_loop(), self.expire)

    @property
    def is_claimed(self) -> bool:
        """Whether it was begun or withdrawn."""
        return self._claim.locked()

    def expire(self) -> None:
        """Withdraw it where no writer has begun with it."""
        if self.claim():
            self.deliver(late())

    def deliver(self, outcome: Outcome) -> None:
        """Tell whoever waits what became of the export; runs in the event loop."""
        if self.promise.done():  # given up meanwhile
            return
        if isinstance(outcome, BaseException):
            self.promise.set_exception(outcome)
        else:
            self.promise.set_result(outcome)


Outcomes: TypeAlias = dict[Job, Outcome]


def waits(job: Job, outcomes: Outcomes) -> bool:
    """Return whether somebody still waits for the export; one that was given up or comes too late is not run."""
    if job.promise.cancelled() or job.is_claimed:
        return False
    if job.is_late:
        if job.claim():
            outcomes[job] = late()
        return False
    return True


def starts(job: Job, outcomes: Outcomes) -> bool:
    """Return whether the export is to be run now, which nobody can withdraw any more."""
    return waits(job, outcomes) and job.begin()


def late() -> Busy:
    """Return what whoever waited too long is told."""
    return Busy("The database was too busy to begin with this in time; nothing was done.")


def deliver(outcomes: Outcomes) -> None:
    """Tell everybody at once: waking the event loop costs more than what it then does."""
    by_loop: dict[asyncio.AbstractEventLoop, Outcomes] = {}
    for job, outcome in outcomes.items():
        by_loop.setdefault(job.promise.get_loop(), {})[job] = outcome
    for loop, share in by_loop.items():
        _within(loop, partial(_tell, share))


def _within(loop: asyncio.AbstractEventLoop, tell: Callable[[], None]) -> None:
    try:
        loop.call_soon_threadsafe(tell)
    except RuntimeError:  # the loop ended while its exports ran: nobody is there to be told
        log.warning(events.DATABASE_ERROR, reason="nobody waits")


def _tell(outcomes: Outcomes) -> None:
    for job, outcome in outcomes.items():
        job.deliver(outcome)
