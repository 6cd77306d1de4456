"""When a job runs: by its interval or cron expression, sooner or later where something went wrong.

Pure: from a job, where it stands and its last report to a time.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from croniter import croniter

from connector_host import clock
from connector_host.provisioning import faults
from connector_host.provisioning.reports import Ending

if TYPE_CHECKING:
    from connector_host.provisioning.reports import Report
    from connector_host.provisioning.settings import JobSettings
    from connector_host.provisioning.state.records import JobState

UNAVAILABLE_S: Final = 60.0
"""Seconds after which a job is tried again whose source or target was down."""


def next_run(job: JobSettings, where: JobState, report: Report, begun: datetime) -> float:
    """Return when the next cycle is due."""
    now = clock.now()
    match report.ending:
        case Ending.QUARANTINED:
            return faults.next_probe(where, now.timestamp())
        case Ending.UNAVAILABLE if where.quarantined_at is not None:
            return faults.next_probe(where, now.timestamp())
        case Ending.STOPPED:
            return now.timestamp()
        case Ending.UNAVAILABLE:
            return now.timestamp() + min(UNAVAILABLE_S, job.interval_min * 60)
    return _regular(job, now if job.cron else begun)


def due_at(job: JobSettings, where: JobState) -> float:
    """Return when a job is to run: as was planned, or sooner where its schedule has changed and says so."""
    if where.next_run is None:
        return 0.0
    if where.quarantined_at is not None or where.begun_at is None or where.schedule == schedule_of(job):
        return where.next_run
    return min(where.next_run, _regular(job, datetime.fromtimestamp(where.begun_at, UTC)))


def schedule_of(job: JobSettings) -> str:
    """Return the schedule as text, to notice another one by."""
    return f"cron {job.cron}" if job.cron else f"every {job.interval_min:g} min"


def _regular(job: JobSettings, since: datetime) -> float:
    if job.cron is not None:
        return float(croniter(job.cron, since.astimezone(UTC)).get_next(datetime).timestamp())
    return since.timestamp() + job.interval_min * 60
