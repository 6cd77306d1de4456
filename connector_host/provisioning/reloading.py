"""Taking over a changed file while jobs run: judged first, as far as no source or target need be asked.

A file that cannot be used changes nothing, and the log says why in one line.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import structlog

from connector_host.errors import ConfigurationError
from connector_host.observability import events
from connector_host.provisioning.errors import StateUnavailable
from connector_host.provisioning.mappings import compile_mappings
from connector_host.provisioning.scoping import check_scope
from connector_host.provisioning.settings import load
from connector_host.provisioning.state import reloads

if TYPE_CHECKING:
    from pathlib import Path

    from connector_host.provisioning.engine import Engine
    from connector_host.provisioning.settings import Provisioning


LOOK_S: Final = 1.0
"""Seconds between looks at whether somebody asks."""


async def reload_when_asked(engine: Engine, path: Path, hung_up: asyncio.Event) -> None:
    """Read the file again for each signal, and for each request in the state; those that come meanwhile are one more.

    A request that was there before the engine is none: the engine has read the file since.
    """
    done = await _newest(engine, 0)
    while True:
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_S):
                await hung_up.wait()
        number = await _newest(engine, done)
        if not hung_up.is_set() and number == done:
            continue
        hung_up.clear()
        refused = await reload(engine, path)
        if number != done:
            with suppress(StateUnavailable):
                await asyncio.to_thread(reloads.answer, engine.state, number, refused)
            done = number


async def _newest(engine: Engine, before: int) -> int:
    """Return the number of the last request; while the state is away nobody can ask."""
    try:
        return await asyncio.to_thread(reloads.newest, engine.state)
    except StateUnavailable:
        return before


async def reload(engine: Engine, path: Path) -> str | None:
    """Read the file again and have the engine use it; returns why it does not. The log says what came of it, too."""
    log = structlog.stdlib.get_logger()
    try:
        wanted = await asyncio.to_thread(judged, path)
    except ConfigurationError as failure:
        log.error(events.CONFIGURATION_REFUSED, reason=str(failure))  # noqa: TRY400 - no trace helps
        return str(failure)
    except Exception as failure:
        log.exception(events.RELOAD_FAILED)
        return f"an error that nobody foresaw ({type(failure).__name__})"
    started = engine.settings.provisioning.state
    if wanted.provisioning.state != started:
        log.warning(events.RESTART_NEEDED, attributes=["provisioning.state"])
    in_force = wanted.provisioning.model_copy(update={"state": started})
    engine.take_over(wanted.model_copy(update={"provisioning": in_force}))
    log.info(events.CONFIGURATION_APPLIED, jobs=len(wanted.jobs))
    return None


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
