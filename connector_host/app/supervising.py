"""One run of a host of several processes: this one owns what there is one of, and its workers answer requests."""

from __future__ import annotations

import asyncio
import os
import pickle
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
import structlog

from connector_host.access.lockout import LockOut
from connector_host.app.addresses import url_of
from connector_host.app.keeping import open_outcomes, open_trail
from connector_host.app.reloading import AT_ONCE, read_again
from connector_host.errors import ConfigurationError
from connector_host.observability import events, logs
from connector_host.observability.metrics import Family, families_of_process
from connector_host.service.hangup import on_hangup
from connector_host.service.lifecycle import running, stopping_signals
from connector_host.service.metering import serve_metrics
from connector_host.service.processes import remember_process
from connector_host.service.reloads import Reloaded
from connector_host.units import notifying
from connector_host.workers.channel import Refused
from connector_host.workers.figures import Figures
from connector_host.workers.listening import bind, hand_out
from connector_host.workers.sharing import Shared
from connector_host.workers.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Container, Coroutine, Sequence
    from pathlib import Path

    from connector_host.settings import Configuration

_METRICS_S: Final = 2.0
"""How long a worker is given to tell its metrics: what it told before counts after that."""
_APPLY_S: Final = 25.0
"""How long workers are given to take a configuration over, twice: less than the minute that `reload` waits."""
_T = TypeVar("_T")
COMMAND = (sys.executable, "-P", "-m", "connector_host.app.worker")
"""`-P`: a module in the working folder must not stand for one of ours."""


async def supervise(configuration: Configuration, path: Path) -> None:
    """Serve with several processes until told to stop.

    Raises CannotStart, CannotStartYet, CannotListen, WorkerEnded or WorkerNotStarted.
    """
    settings, stop = configuration.host, asyncio.Event()
    async with AsyncExitStack() as stack:
        stack.enter_context(stopping_signals(stop))
        outcomes = open_outcomes(stack, settings.state / "outcomes.sqlite3")
        trail = open_trail(stack, configuration.audit)
        lock_out = LockOut(settings.lock_out_failures, settings.lock_out_s)
        crew = Crew(configuration, path)
        shared = Shared(trail, outcomes, lock_out)
        crew.supervisor = Supervisor(settings.workers, COMMAND, crew.order, shared, crew.figures_end)
        shared.tell_all = crew.supervisor.tell_all
        listening = bind(settings.listen, settings.port)
        stack.push_async_callback(crew.stop)
        for listener in listening:
            stack.callback(listener.close)
        await stack.enter_async_context(notifying.watched())
        if (names := await _unless(stop, crew.supervisor.start())) is None:
            return
        companions = [partial(hand_out, listener, crew.supervisor.give) for listener in listening]
        await stack.enter_async_context(running([*companions, crew.hear, crew.meter]))
        await asyncio.sleep(0)  # so that signals are listened to before anybody hears that the host is ready
        urls = [url_of(settings, name, listening[0].getsockname()[1]) for name in names]
        structlog.get_logger().info(events.HOST_STARTED, urls=urls, listen=settings.listen, workers=settings.workers)
        remember_process(settings.state)
        notifying.notify(notifying.READY)
        await stop.wait()
        notifying.notify(notifying.STOPPING)
        structlog.get_logger().info(events.HOST_STOPPING, stop_s=settings.stop_s)


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, _T]) -> _T | None:
    """Return what comes of the work, None where it is to stop first."""
    working, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        return await working if working.done() else None
    finally:
        for task in (working, stopping):
            task.cancel()
        await asyncio.gather(working, stopping, return_exceptions=True)


@dataclass(slots=True)
class Crew:
    """What the parent knows, and tells each worker."""

    configuration: Configuration
    path: Path
    started: Configuration = field(init=False)
    """What the host was started with: some of it stays in force until it is started again."""
    figures: Figures = field(default_factory=Figures)
    supervisor: Supervisor = field(init=False)

    def __post_init__(self) -> None:
        self.started = self.configuration

    def order(self, number: int) -> dict[str, object]:
        """Return what the worker of a number must know to begin."""
        # Over a socket pair that nobody else has: the configuration may hold a password.
        packed = pickle.dumps(self.configuration)
        path = str(self.path)
        return {"number": number, "configuration": packed, "path": path, **self.supervisor.shared.state()}

    def figures_end(self, process: int) -> None:
        """Keep what a process that is gone had counted."""
        self.figures.forget(process)
        self.figures.restarts += 1

    async def stop(self) -> None:
        """Have every worker finish what it has in hand, for as long as statements and requests may take."""
        await self.supervisor.stop(self.configuration.stop_max_s)

    async def hear(self) -> None:
        """Reload whenever the administrator asks."""
        await on_hangup(self._reload, self.configuration.host.state)

    async def meter(self) -> None:
        """Serve the metrics of all processes as one."""
        if (port := self.configuration.host.metrics_port) is not None:
            await serve_metrics(self.metrics, port)

    async def metrics(self) -> bytes:
        """Return the metrics of all processes as one page."""
        answers, alive = await self.supervisor.ask_all("metrics", patience_s=_METRICS_S), self.supervisor.processes
        for process, answer in answers.items():
            if process in alive and not isinstance(answer, Refused):
                self.figures.take(process, msgspec.convert(answer, list[Family]))
        self.figures.take(os.getpid(), families_of_process())
        return self.figures.text(len(alive))

    async def _reload(self) -> Reloaded:
        """Read the file again and have every worker apply it; one that begins later is told what is in force."""
        try:
            wanted, later = await read_again(self.path, self.started)
        except ConfigurationError as failure:
            return Reloaded(len(self.configuration.connectors), failure=str(failure))
        host = wanted.host
        logs.configure(host.log_format, host.log_level, values=host.log_values)
        # What waits for a restart is the same in every worker, whenever it begins.
        at_once = {key: getattr(host, key) for key in AT_ONCE}
        now = {"host": self.configuration.host.model_copy(update=at_once), "audit": self.configuration.audit}
        return replace(await self._apply(wanted.model_copy(update=now)), restart=later)

    async def _apply(self, wanted: Configuration) -> Reloaded:
        # One that starts at this moment was told the configuration before this one.
        answers = await self.supervisor.ask_all("apply", pickle.dumps(wanted), patience_s=_APPLY_S, starting=True)
        reloads = [Reloaded(*answer) for answer in answers.values() if not isinstance(answer, Refused)]
        failed = [str(answer) for answer in answers.values() if isinstance(answer, Refused)]
        refused = {name: reason for one in reloads for name, reason in one.refused.items()}
        if reloads or not failed:
            self.configuration = _in_force(wanted, self.configuration, refused)
            # So was one that was started meanwhile.
            packed = pickle.dumps(self.configuration)
            await self.supervisor.ask_all("apply", packed, patience_s=_APPLY_S, starting=True, besides=answers)
        connectors = min((one.connectors for one in reloads), default=len(self.configuration.connectors))
        return Reloaded(connectors, refused, failure=_told(failed, len(answers)))


def _in_force(wanted: Configuration, before: Configuration, refused: Container[str]) -> Configuration:
    """Return what a worker that begins may be told: what one of them refused stays as it was, or away."""
    goes_on = {name: one for name, one in before.connectors.items() if name in refused}
    taken = {name: one for name, one in wanted.connectors.items() if name not in refused}
    return wanted.model_copy(update={"connectors": taken | goes_on})


def _told(failed: Sequence[str], asked: int) -> str:
    """Return what became of a reload where workers failed, or none runs; empty where all is well."""
    if not asked:
        return "no worker runs; those that are started next begin with it."
    reasons = ", ".join(sorted(set(failed)))
    return f"{len(failed)} of {asked} workers failed ({reasons}); the log says where." if failed else ""
