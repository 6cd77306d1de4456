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
    if job.cron is not None:
        return float(croniter(job.cron, now.astimezone(UTC)).get_next(datetime).timestamp())
    return begun.timestamp() + job.interval_min * 60
