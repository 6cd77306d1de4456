"""One run of the host: judge, build, serve, take over changes, stop; every reason not to start is one clear line."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from connector_host import clock, journald
from connector_host.access.door import Door, networks
from connector_host.access.lockout import LockOut
from connector_host.app.addresses import url_of
from connector_host.app.building import Builder
from connector_host.app.reloading import Reloading
from connector_host.endpoint.application import make_application
from connector_host.endpoint.outcomes import Outcomes
from connector_host.errors import ConfigurationError, HostError, Level, failures
from connector_host.observability import events, logs
from connector_host.observability.audit import AuditDamaged, AuditInUse, AuditTrail
from connector_host.observability.metrics import Metrics
from connector_host.ownership import foreign_owner
from connector_host.service.certificates import CertificateWatch
from connector_host.service.hangup import on_hangup
from connector_host.service.lifecycle import EXIT_CONFIGURATION, EXIT_TEMPORARY, CannotListen, Listener, serve
from connector_host.service.metering import measuring, serve_metrics
from connector_host.service.processes import remember_process
from connector_host.setup.secrets import plain_passwords
from connector_host.tls.files import check_authority, check_identity
from connector_host.tls.live import LiveContext

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from connector_host.endpoint.served import Served
    from connector_host.settings import AuditSettings, Configuration, HostSettings


class CannotStart(HostError):
    """Something is not as the configuration says it should be; the text is the one line that a person reads."""


def run(configuration: Configuration, path: Path) -> int:
    """Serve until told to stop, and return the exit code; `path` is read again when the process is hung up on."""
    host = configuration.host
    logs.configure(host.log_format, host.log_level, values=host.log_values)
    if account := foreign_owner(host.state):
        # Its audit trail and records would be root's, and the service could not start on them.
        mend = f"Serve as that account: sudo -u {account} connector-host serve --config {path}"
        _say(f"state: {host.state} belongs to {account}, and this is root. {mend}")
        return EXIT_CONFIGURATION
    if not _certificate_is_good(configuration):
        return EXIT_CONFIGURATION
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_Run(configuration, path).live())
    except CannotStart as failure:
        _say(str(failure))
        return EXIT_CONFIGURATION
    except AuditInUse as failure:
        _say(f"audit: {failure} Stop the other program first.")
        return EXIT_TEMPORARY
    except CannotListen as failure:
        _say(str(failure))
        return EXIT_TEMPORARY
    structlog.get_logger().info(events.HOST_STOPPED)
    return 0


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes the event loop: uvloop's where the extra `fast` installed it, which is not for Windows."""
    try:
        from uvloop import new_event_loop  # noqa: PLC0415 - an extra
    except ImportError:
        return None
    return new_event_loop


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
        _say(f"{finding.subject}: {finding.fact} {finding.mend}")
    return not refused


def _say(text: str) -> None:
    sys.stderr.write(journald.spoken(sys.stderr, f"connector-host: {text}") + "\n")


@dataclass(slots=True)
class _Run:
    """What lives from start to stop, closed in the opposite order."""

    configuration: Configuration
    path: Path

    async def live(self) -> None:
        """Build everything and serve it; raises CannotStart or CannotListen."""
        host = self.configuration.host
        live = _live_context(host)
        for name, found in plain_passwords(self.path).items():
            log = structlog.get_logger()
            log.warning(events.PASSWORD_PLAIN, connector=name, fact=found.fact, mend=found.mend)
        async with AsyncExitStack() as stack:
            metrics = Metrics()
            outcomes = _open_outcomes(host.state / "outcomes.sqlite3")
            if outcomes is not None:
                stack.push_async_callback(outcomes.close)
            trail = _open_trail(self.configuration.audit)
            if trail is not None:
                stack.push_async_callback(trail.close)
            builder = Builder(metrics, trail, self.configuration.audit, self.configuration.host.state)
            served = _build_all(self.configuration, builder)
            reloading = Reloading(self.path, self.configuration, builder, served)
            stack.push_async_callback(reloading.close)
            await self._serve(live, served, metrics, outcomes, reloading)

    async def _serve(
        self,
        live: LiveContext,
        served: dict[str, Served],
        metrics: Metrics,
        outcomes: Outcomes | None,
        reloading: Reloading,
    ) -> None:
        host = self.configuration.host
        door = Door(networks(host.allow), LockOut(host.lock_out_failures, host.lock_out_s))
        watch = CertificateWatch(host.certificate, host.key, host.name, live)
        application = make_application(
            served,
            trusted_proxies=host.trusted_proxies,
            outcomes=outcomes,
            door=door,
            wanted=lambda: reloading.configuration.connectors,
            certificate=lambda: watch.state,
        )
        application.middlewares.insert(0, measuring(metrics, served))
        metrics.watch_certificate(lambda: watch.days_left)

        def ready(port: int) -> None:
            urls = [url_of(host, name, port) for name in served]
            structlog.get_logger().info(events.HOST_STARTED, urls=urls, listen=host.listen)
            remember_process(host.state)

        async def warm() -> None:
            await asyncio.gather(*(_warm(one) for one in tuple(served.values())))
            # What is there now lives as long as the host: a collection that walks over all of it stops every request.
            gc.freeze()

        async def hear() -> None:
            await on_hangup(reloading.reload, host.state)

        async def meter() -> None:
            if host.metrics_port is not None:
                await serve_metrics(metrics, host.metrics_port)

        listener = Listener(
            application,
            host.listen,
            host.port,
            live.context,
            host.stop_s,
            host.header_bytes,
            companions=(watch.keep, warm, hear, meter),
        )
        await serve(listener, ready=ready)


def _live_context(host: HostSettings) -> LiveContext:
    """Return the context with the very files that were judged a moment ago; raises CannotStart."""
    try:
        return LiveContext(host.certificate, host.key, client_authority=host.client_authority)
    except OSError as failure:  # ssl.SSLError, too: a file that was exchanged since it was judged
        raise CannotStart(f"tls: certificate, key or client_authority cannot be used ({failure.strerror}).") from None


def _build_all(configuration: Configuration, builder: Builder) -> dict[str, Served]:
    """Build every connector that can be; one that is misconfigured does not stop the rest."""
    served: dict[str, Served] = {}
    for name, settings in configuration.connectors.items():
        try:
            served[name] = builder.build(name, settings)
        except ConfigurationError as failure:
            structlog.get_logger().error(events.CONNECTOR_MISCONFIGURED, connector=name, reason=str(failure))
            builder.metrics.connector_is_down(name)
            _say(f"connector {name} is not served: {failure}")
    if not served:
        raise CannotStart("no connector can be served as it is configured; run `connector-host check`.")
    return served


def _open_outcomes(file: Path) -> Outcomes | None:
    """Return the record of outcomes; without one the host serves, but promises nothing for idempotency keys."""
    try:
        return Outcomes(file)
    except (OSError, sqlite3.Error) as failure:
        structlog.get_logger().warning(events.OUTCOMES_UNAVAILABLE, file=str(file), reason=str(failure))
        return None


def _open_trail(settings: AuditSettings) -> AuditTrail | None:
    """Return the audit trail; one that is wanted and cannot be written keeps the host from starting."""
    if not settings.enabled or settings.folder is None:
        return None
    try:
        return AuditTrail(settings.folder, rotate_bytes=settings.rotate_bytes, keep_files=settings.keep_files)
    except OSError as failure:
        raise CannotStart(
            f"audit: {settings.folder} cannot be written ({failure.strerror}). "
            "Let this account write there, set `folder` in [audit], or set `enabled = false`."
        ) from failure
    except AuditDamaged as failure:
        raise CannotStart(f"audit: {failure}") from failure


async def _warm(one: Served) -> None:
    """Discover the table before the first request does, so that what is wrong with it is logged at the start."""
    log = structlog.get_logger()
    try:
        await one.renderer()
    except ConfigurationError as failure:
        log.error(events.CONNECTOR_MISCONFIGURED, connector=one.name, reason=str(failure))  # noqa: TRY400 - no trace helps
    except HostError as failure:
        log.warning(events.CONNECTOR_UNAVAILABLE, connector=one.name, reason=str(failure))
