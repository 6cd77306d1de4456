"""Jobs of a writer: exports on their way, each with the promise to whoever waits in the event loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import structlog

from connector_host import clock
from connector_host.connectors.contract import Exported
from connector_host.connectors.errors import Busy
from connector_host.observability import events

if TYPE_CHECKING:
    import asyncio

    from connector_host.connectors.contract import Export
    from connector_host.connectors.sql.shapes import Shape

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

    def deliver(self, outcome: Outcome) -> None:
        """Tell whoever waits what became of the export; runs in the event loop."""
        if self.promise.done():  # given up meanwhile
            return
        if isinstance(outcome, BaseException):
            self.promise.set_exception(outcome)
        else:
            self.promise.set_result(outcome)


Outcomes: TypeAlias = dict[Job, Outcome]


def starts(job: Job, outcomes: Outcomes) -> bool:
    """Return whether the export is to be run now; one that was given up or came too late is not."""
    if job.promise.cancelled():
        return False
    if clock.monotonic_s() > job.deadline_s:
        outcomes[job] = Busy("The database was too busy to begin with this in time; nothing was done.")
        return False
    return True


def deliver(outcomes: Outcomes) -> None:
    """Tell everybody at once: waking the event loop costs more than what it then does."""
    by_loop: dict[asyncio.AbstractEventLoop, Outcomes] = {}
    for job, outcome in outcomes.items():
        by_loop.setdefault(job.promise.get_loop(), {})[job] = outcome
    for loop, share in by_loop.items():
        try:
            loop.call_soon_threadsafe(_tell, share)
        except RuntimeError:  # the loop ended while its exports ran: nobody is there to be told
            log.warning(events.DATABASE_ERROR, reason="nobody waits")


def _tell(outcomes: Outcomes) -> None:
    for job, outcome in outcomes.items():
        job.deliver(outcome)
