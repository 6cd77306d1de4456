"""Taking over a changed file while jobs run: judged first, as far as no source or target need be asked.

A file that cannot be used changes nothing, and the log says why in one line.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from connector_host.errors import ConfigurationError
from connector_host.observability import events
from connector_host.provisioning.mappings import compile_mappings
from connector_host.provisioning.scoping import check_scope
from connector_host.provisioning.settings import load

if TYPE_CHECKING:
    from pathlib import Path

    from connector_host.provisioning.engine import Engine
    from connector_host.provisioning.settings import Provisioning


async def reload(engine: Engine, path: Path) -> bool:
    """Read the file again and have the engine use it; returns whether it does. The log says what came of it."""
    log = structlog.stdlib.get_logger()
    try:
        wanted = await asyncio.to_thread(judged, path)
    except ConfigurationError as failure:
        log.error(events.CONFIGURATION_REFUSED, reason=str(failure))  # noqa: TRY400 - no trace helps
        return False
    except Exception:
        log.exception(events.RELOAD_FAILED)
        return False
    started = engine.settings.provisioning.state
    if wanted.provisioning.state != started:
        log.warning(events.RESTART_NEEDED, attributes=["provisioning.state"])
    in_force = wanted.provisioning.model_copy(update={"state": started})
    engine.take_over(wanted.model_copy(update={"provisioning": in_force}))
    log.info(events.CONFIGURATION_APPLIED, jobs=len(wanted.jobs))
    return True


def judged(path: Path) -> Provisioning:
    """Return the settings of a file; raises ConfigurationError that names every job that could not run, and why."""
    settings = load(path)
    mistakes = []
    for name, job in settings.jobs.items():
        try:
            compile_mappings(job)
            check_scope(job.scope, None)
        except ConfigurationError as failure:
            mistakes += [f"jobs.{name}: {line}" for line in str(failure).splitlines()]
    if mistakes:
        raise ConfigurationError("; ".join(mistakes))
    return settings
