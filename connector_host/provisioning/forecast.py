"""How many users a cycle is about to read, as far as anybody can know before; for showing progress."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from connector_host.errors import HostError
from connector_host.provisioning.reports import Ending, Kind
from connector_host.provisioning.sources.opening import open_source
from connector_host.provisioning.standing import fingerprint_of, kind_of

if TYPE_CHECKING:
    from connector_host.provisioning.settings import JobSettings
    from connector_host.provisioning.state.records import JobState


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is known of the length of a cycle."""

    users: int | None
    """About how many users will be read; None where nobody knows."""
    remark: str = ""
    """Why nobody knows, or whence the number is."""


async def forecast(where: JobState, job: JobSettings) -> Forecast:
    """Return what is known of the next cycle; whoever reads the source says what is wrong with it."""
    try:
        source = open_source(job.source)
        try:
            if kind_of(where, source, fingerprint_of(job)) is Kind.INCREMENTAL:
                return Forecast(None, "how many have changed is not known before")
            count = await source.count()
        finally:
            await source.close()
    except HostError:
        return Forecast(None)
    if count is not None:
        return Forecast(count)
    last = json.loads(where.last_report) if where.last_report else {}
    if last.get("ending") == Ending.FINISHED and last.get("kind") != Kind.INCREMENTAL and last["counts"].get("read"):
        return Forecast(last["counts"]["read"], "as many as the last time")
    return Forecast(None, "this source does not count its users")
