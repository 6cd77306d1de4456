"""One run of a host of several processes: this one owns what there is one of, and its workers answer requests."""

from __future__ import annotations

import asyncio
import os
import pickle
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import msgspec
import structlog

from connector_host.access.lockout import LockOut
from connector_host.app.addresses import url_of
from connector_host.app.keeping import open_outcomes, open_trail
from connector_host.app.reloading import AT_ONCE, needs_restart
from connector_host.errors import ConfigurationError
from connector_host.observability import events, logs
from connector_host.observability.metrics import Family, families_of_process
from connector_host.service.hangup import on_hangup
from connector_host.service.lifecycle import running, stopping_signals
from connector_host.service.metering import serve_metrics
from connector_host.service.processes import remember_process
from connector_host.service.reloads import Reloaded
from connector_host.settings import load
from connector_host.units import notifying
from connector_host.workers.figures import Figures
from connector_host.workers.listening import bind, hand_out
from connector_host.workers.sharing import Shared
from connector_host.workers.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from connector_host.settings import Configuration

COMMAND = (sys.executable, "-P", "-m", "connector_host.app.worker")
"""`-P`: a module in the working folder must not stand for one of ours."""


async def supervise(configuration: Configuration, path: Path) -> None:
    """Serve with several processes until told to stop; raises CannotStart, CannotListen or WorkerEnded."""
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
        stack.push_async_callback(crew.supervisor.stop, settings.stop_s)
        for listener in listening:
            stack.callback(listener.close)
        await stack.enter_async_context(notifying.watched())
        names = await crew.supervisor.start()
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

    async def hear(self) -> None:
        """Reload whenever the administrator asks."""
        await on_hangup(self._reload, self.configuration.host.state)

    async def meter(self) -> None:
        """Serve the metrics of all processes as one."""
        if (port := self.configuration.host.metrics_port) is not None:
            await serve_metrics(self._metrics, port)

    async def _metrics(self) -> bytes:
        answers, alive = await self.supervisor.ask_all("metrics"), self.supervisor.processes
        for process in answers.keys() & alive:
            self.figures.take(process, msgspec.convert(answers[process], list[Family]))
        self.figures.take(os.getpid(), families_of_process())
        return self.figures.text(len(alive))

    async def _reload(self) -> Reloaded:
        """Read the file again and have every worker apply it; a worker that is replaced begins with it, too."""
        log = structlog.get_logger()
        try:
            wanted = await asyncio.to_thread(load, self.path)
        except ConfigurationError as failure:
            log.error(events.CONFIGURATION_REFUSED, reason=str(failure))  # noqa: TRY400 - no trace helps
            return Reloaded(len(self.configuration.connectors), failure=str(failure))
        if later := needs_restart(self.started, wanted):
            log.warning(events.RESTART_NEEDED, attributes=later)
        host = wanted.host
        logs.configure(host.log_format, host.log_level, values=host.log_values)
        # What waits for a restart is the same in every worker, whenever it begins.
        at_once = {key: getattr(host, key) for key in AT_ONCE}
        now = {"host": self.configuration.host.model_copy(update=at_once), "audit": self.configuration.audit}
        self.configuration = wanted.model_copy(update=now)
        # One that starts at this moment may have been told the configuration before this one.
        answers = await self.supervisor.ask_all("apply", pickle.dumps(self.configuration), starting=True)
        return _joined([Reloaded(*answer) for answer in answers.values()], tuple(later))


def _joined(reloads: Sequence[Reloaded], restart: tuple[str, ...]) -> Reloaded:
    """Return what came of a reload in all workers: what one of them refused is not in force."""
    refused = {name: reason for one in reloads for name, reason in one.refused.items()}
    return Reloaded(min((one.connectors for one in reloads), default=0), refused, restart)
