"""The rules for what goes wrong: growing gaps for one user, quarantine for a job (Microsoft: quarantine status).

Pure: from numbers to times and verdicts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from connector_host.provisioning.state.records import Failure

if TYPE_CHECKING:
    from connector_host.provisioning.errors import TargetError
    from connector_host.provisioning.settings import QuarantineSettings
    from connector_host.provisioning.state.records import JobState

HOUR_S: Final = 3_600.0
DAY_S: Final = 24 * HOUR_S
GAP_S_MAX: Final = DAY_S
"""The longest time between two tries of one user."""

QUARANTINE_GAPS_S: Final = (6 * HOUR_S, 12 * HOUR_S, DAY_S)
"""The waits between probes of a job in quarantine; the last one goes on."""

TOO_MANY_DELETES: Final = "QuarantineTooManyDeletes"
TOO_MANY_FAILURES: Final = "EncounteredEscrowProportionThreshold"
REFUSED_AT_ONCE: Final = "EncounteredQuarantineException"


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a user could not be provisioned, as the provisioning log says it."""

    code: str
    reason: str
    status: int | None = None


def failed_again(key: str, before: Failure | None, cause: Cause, *, now: float, interval_s: float) -> Failure:
    """Return the failure with the time of the next try: an interval, then two, four, … up to a day."""
    attempts = 1 if before is None else before.attempts + 1
    gap_s = min(interval_s * 2 ** min(attempts - 1, 20), GAP_S_MAX)
    # The first retry is the next cycle, whose start may be a moment earlier than a whole interval from now.
    return Failure(
        key, attempts, now + (gap_s * 0.9 if attempts == 1 else gap_s), cause.code, cause.reason, cause.status
    )


def too_many(failures: int, looked_at: int, settings: QuarantineSettings) -> str | None:
    """Return why so many failures quarantine the job, None if they don't."""
    if failures > settings.failures:
        return f"{failures} users failed, more than {settings.failures}"
    if failures >= settings.evaluated_from and failures * 100 > settings.percent * looked_at:
        return f"{failures} of {looked_at} users failed, more than {settings.percent:g} %"
    return None


def next_probe(job: JobState, now: float) -> float:
    """Return when a job in quarantine, whose attempts count what put it there, is tried again."""
    return now + QUARANTINE_GAPS_S[min(max(job.quarantine_attempts, 1), len(QUARANTINE_GAPS_S)) - 1]


def is_over(job: JobState, settings: QuarantineSettings, now: float) -> bool:
    """Return whether a job has been in quarantine for so long that it is switched off."""
    return job.quarantined_at is not None and now - job.quarantined_at > settings.disabled_after_days * DAY_S


def backoff_s(attempt: int, failure: TargetError, longest_s: float = 30.0) -> float:
    """Return how long to wait before a request is tried again: what the target says, else 0.5, 1, 2, … seconds."""
    return min(failure.retry_after_s if failure.retry_after_s is not None else 0.5 * 2 ** (attempt - 1), longest_s)
