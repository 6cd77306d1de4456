"""What people must be told about a cycle: what is new, once. Pure; `notices` sends it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from connector_host.provisioning import faults
from connector_host.provisioning.notices import Notice
from connector_host.provisioning.reports import Ending, Kind

if TYPE_CHECKING:
    from connector_host.provisioning.reports import Report
    from connector_host.provisioning.state.records import JobState


ABSENT_S: Final = faults.DAY_S
"""Seconds that source or target may be away before people are told: many come back by themselves."""


def absence_after(where: JobState, report: Report, now: float) -> dict[str, Any]:
    """Return since when source or target has been away after a cycle, and whether people have been told."""
    match report.ending:
        case Ending.UNAVAILABLE:
            since = where.unavailable_since or now
            return {"unavailable_since": since, "unavailable_told": where.unavailable_told or now - since >= ABSENT_S}
        case Ending.STOPPED:  # nothing was learned
            return {}
        case _:
            return {"unavailable_since": None, "unavailable_told": False}


def notices_of(before: JobState, after: JobState, report: Report, *, over: bool) -> list[Notice]:
    """Return what people must be told about a cycle; nothing where nothing is new."""
    if over:
        return [Notice("disabled", "The job was in quarantine for so long that it is switched off.")]
    news = [
        _of_quarantine(before, after) or _of_absence(before, after, report),
        _of_suspension(before, after),
    ]
    if news == [None, None] and report.kind is Kind.INITIAL and report.ending is Ending.FINISHED:
        news = [Notice("initial cycle finished", "The first cycle over all users is finished.")]
    return [notice for notice in news if notice is not None]


def _of_quarantine(before: JobState, after: JobState) -> Notice | None:
    held_back = after.quarantine_code == faults.TOO_MANY_DELETES
    news = after.quarantine_code != before.quarantine_code or (
        held_back and after.quarantine_reason != before.quarantine_reason
    )
    if after.quarantined_at is not None and news:
        if held_back:
            return Notice("deletes staged", f"Deletes are held back until they are allowed: {after.quarantine_reason}.")
        return Notice("quarantined", f"The job is in quarantine: {after.quarantine_reason}.")
    if before.quarantined_at is not None and after.quarantined_at is None:
        return Notice("recovered", "The job is out of quarantine.")
    return None


def _of_absence(before: JobState, after: JobState, report: Report) -> Notice | None:
    if after.unavailable_told and not before.unavailable_told:
        return Notice("unavailable", f"For a day the job could do nothing: {report.detail.removesuffix('.')}.")
    if before.unavailable_told and not after.unavailable_told:
        return Notice("recovered", "The job can read its source and reach its target again.")
    return None


def _of_suspension(before: JobState, after: JobState) -> Notice | None:
    if after.deletes_suspended and not before.deletes_suspended:
        fact = "The source has records without a readable key, so nobody is taken for gone, and nobody deleted."
        return Notice("deletes suspended", f"{fact} Mend them, or leave them out by the query or filter.")
    if before.deletes_suspended and not after.deletes_suspended:
        return Notice("recovered", "Every record of the source has a readable key: who is gone is deleted again.")
    return None
