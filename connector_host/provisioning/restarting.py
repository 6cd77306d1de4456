"""Restart scopes: what a job is to forget (Microsoft Graph: synchronizationJobRestartCriteria)."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from connector_host.provisioning.errors import NothingStaged
from connector_host.provisioning.standing import BEGINNING, WELL
from connector_host.provisioning.state.tables import LINKS, STAGED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from connector_host.provisioning.state.store import State


class RestartScope(StrEnum):
    """What to forget."""

    NONE = "None"
    """Nothing: run the next cycle now."""
    CONNECTOR_DATA_STORE = "ConnectorDataStore"
    """Which user of the target belongs to whom, and what it was last given."""
    ESCROWS = "Escrows"
    """How often users failed: all are tried again, as if for the first time."""
    WATERMARK = "Watermark"
    """The mark: everybody is read, and compared with the target."""
    QUARANTINE_STATE = "QuarantineState"
    """The quarantine."""
    FULL = "Full"
    """All of these: users are matched again."""
    FORCE_DELETES = "ForceDeletes"
    """Nothing; what is staged at this moment is allowed."""


USUAL = (RestartScope.QUARANTINE_STATE, RestartScope.WATERMARK, RestartScope.ESCROWS)
"""What the portal's Restart does: links are kept."""


def restart(state: State, job: str, scopes: Iterable[RestartScope]) -> None:
    """Forget what the scopes say and run the next cycle now; raises NothingStaged where nothing can be allowed.

    A job that was switched off runs again; one that an administrator has stopped stays so.
    """
    wanted = set(scopes)
    if RestartScope.FULL in wanted:
        wanted |= {RestartScope.CONNECTOR_DATA_STORE, *USUAL}
    state.job(job)
    fields: dict[str, object] = {"next_run": None}
    if wanted != {RestartScope.FORCE_DELETES}:
        fields["switched_off"] = False
    if RestartScope.CONNECTOR_DATA_STORE in wanted:
        state.forget(job, LINKS, STAGED)
        wanted.add(RestartScope.WATERMARK)
    if RestartScope.ESCROWS in wanted:
        state.retry_all(job)
    if RestartScope.WATERMARK in wanted:
        fields |= BEGINNING
    if RestartScope.QUARANTINE_STATE in wanted:
        fields |= WELL
    # The quarantine is left to the cycle that succeeds, so that whoever was told of it hears of its end.
    if RestartScope.FORCE_DELETES in wanted and not state.allow_staged(job) and wanted == {RestartScope.FORCE_DELETES}:
        raise NothingStaged(f"the job {job} has no staged disables or deletes: there is nothing to allow.")
    state.set_job(job, **fields)
