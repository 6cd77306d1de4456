"""One run of the host: judge, build, serve, take over changes, stop; every reason not to start is one clear line."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import structlog

from connector_host import clock
from connector_host.access.lockout import LockOut
from connector_host.app.addresses import url_of
from connector_host.app.hosting import Kept, host, live_context
from connector_host.app.keeping import loop_factory, open_outcomes, open_trail
from connector_host.app.refusing import CannotStart, CannotStartYet, say
from connector_host.app.supervising import supervise
from connector_host.errors import Level, failures
from connector_host.observability import events, logs
from connector_host.observability.audit import AuditInUse
from connector_host.ownership import foreign_owner
from connector_host.service.hangup import on_hangup
from connector_host.service.leaving import leave, threads_ended
from connector_host.service.lifecycle import EXIT_CONFIGURATION, EXIT_TEMPORARY, CannotListen, Listener, serve
from connector_host.service.metering import serve_metrics
from connector_host.service.processes import remember_process
from connector_host.setup.secrets import plain_passwords
from connector_host.tls.files import check_authority, check_identity
from connector_host.workers.errors import WorkerEnded, WorkerNotStarted

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path

    from connector_host.settings import Configuration


def run(configuration: Configuration, path: Path) -> int:
    """Serve until told to stop, and return the exit code; `path` is read again when the process is hung up on."""
    host = configuration.host
    logs.configure(host.log_format, host.log_level, values=host.log_values)
    if account := foreign_owner(host.state):
        # Its audit trail and records would be root's, and the service could not start on them.
        mend = f"Serve as that account: sudo -u {account} connector-host serve --config {path}"
        say(f"state: {host.state} belongs to {account}, and this is root. {mend}")
        return EXIT_CONFIGURATION
    if not _certificate_is_good(configuration):
        return EXIT_CONFIGURATION
    return _lived(configuration, path)


def _lived(configuration: Configuration, path: Path) -> int:
    """Live from start to stop, and return the exit code."""
    for name, found in plain_passwords(path).items():
        structlog.get_logger().warning(events.PASSWORD_PLAIN, connector=name, fact=found.fact, mend=found.mend)
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(_life(configuration, path))
            if not runner.run(threads_ended()):
                structlog.get_logger().info(events.HOST_STOPPED)
                leave(0)
    except CannotStart as failure:
        say(str(failure))
        return EXIT_CONFIGURATION
    except AuditInUse as failure:
        say(f"audit: {failure} Stop the other program first.")
        return EXIT_TEMPORARY
    except (CannotStartYet, CannotListen, WorkerNotStarted) as failure:
        say(str(failure))
        return EXIT_TEMPORARY
    except WorkerEnded as failure:  # which said why
        return EXIT_CONFIGURATION if failure.status == EXIT_CONFIGURATION else 1
    structlog.get_logger().info(events.HOST_STOPPED)
    return 0


def _certificate_is_good(configuration: Configuration) -> bool:
    """Say what keeps the host from starting on stderr, and what does not in the log."""
    host = configuration.host
    findings = [
        *check_identity(host.certificate, host.key, host.name, clock.now()),
        *check_authority(host.client_authority, "client_authority", clock.now()),
    ]
    for finding in findings:
        if finding.level is Level.WARNING:
            log = structlog.get_logger()
            log.warning(events.CERTIFICATE_JUDGED, subject=finding.subject, fact=finding.fact, mend=finding.mend)
    for finding in (refused := failures(findings)):
        say(f"{finding.subject}: {finding.fact} {finding.mend}")
    return not refused


def _life(configuration: Configuration, path: Path) -> Coroutine[Any, Any, None]:
    """Return the life of one process, or of several."""
    return (_live if configuration.host.workers == 1 else supervise)(configuration, path)


async def _live(configuration: Configuration, path: Path) -> None:
    """Build everything and serve it in this process; raises CannotStart, CannotStartYet or CannotListen."""
    settings = configuration.host
    live = live_context(settings)
    async with AsyncExitStack() as stack:
        outcomes = open_outcomes(stack, settings.state / "outcomes.sqlite3")
        trail = open_trail(stack, configuration.audit)
        kept = Kept(trail, outcomes, LockOut(settings.lock_out_failures, settings.lock_out_s))
        hosting = host(stack, configuration, path, kept, live)

        def ready(port: int) -> None:
            urls = [url_of(settings, name, port) for name in hosting.served]
            structlog.get_logger().info(events.HOST_STARTED, urls=urls, listen=settings.listen)
            remember_process(settings.state)

        async def hear() -> None:
            await on_hangup(hosting.reloading.reload, settings.state)

        async def text() -> bytes:
            return hosting.metrics.text()

        async def meter() -> None:
            if settings.metrics_port is not None:
                await serve_metrics(text, settings.metrics_port)

        listener = Listener(
            hosting.application,
            settings.listen,
            settings.port,
            hosting.tls,
            settings.stop_s,
            settings.header_bytes,
            companions=(*hosting.companions, hear, meter),
        )
        await serve(listener, ready=ready)
