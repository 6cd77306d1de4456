"""A job made ready to run: its mappings compiled, its scope checked, its source and target opened, and closed again."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from connector_host.provisioning.mappings import Flow, compile_mappings
from connector_host.provisioning.scoping import check_scope, check_switches
from connector_host.provisioning.sources.opening import open_source
from connector_host.provisioning.targets import Target

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from connector_host.provisioning.lanes import Lane
    from connector_host.provisioning.settings import JobSettings
    from connector_host.provisioning.sources.contract import Source


@dataclass(frozen=True, slots=True)
class Opened:
    """A job with everything that a cycle needs."""

    name: str
    settings: JobSettings
    flows: tuple[Flow, ...]
    source: Source
    target: Target


@asynccontextmanager
async def opened(name: str, settings: JobSettings, lane: Lane | None = None) -> AsyncIterator[Opened]:
    """Open a job for the time of the block.

    Raises ConfigurationError where scope or mappings don't fit the source, SourceFailed where that cannot be asked.
    """
    source = open_source(settings.source)
    try:
        attributes = await source.attributes()
        check_scope(settings.scope, attributes, await source.kinds() if settings.scope else {})
        check_switches(settings, attributes)
        flows = compile_mappings(settings, attributes)
        # A target may quote a value in its error, so where any value is to stay out of the log its words stay out, too.
        quiet = settings.redact_log or any(flow.redacted for flow in flows)
        async with Target(settings.target, quiet=quiet, lane=lane) as target:
            yield Opened(name, settings, flows, source, target)
    finally:
        await source.close()
