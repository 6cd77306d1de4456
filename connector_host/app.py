"""Builds every room from the configuration and joins them: the only module that knows them all."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sqlite3
import ssl
import sys
from typing import TYPE_CHECKING

import structlog
from cryptography.hazmat.primitives.serialization import Encoding

from connector_host import clock
from connector_host.access.tokens import TokenGate
from connector_host.connectors.registry import open_connector
from connector_host.endpoint.application import make_application
from connector_host.endpoint.outcomes import Outcomes
from connector_host.endpoint.served import Served
from connector_host.errors import ConfigurationError, Finding, HostError, Level, failures
from connector_host.observability import events, logs
from connector_host.service.certificates import CertificateWatch
from connector_host.service.lifecycle import (
    EXIT_CONFIGURATION,
    EXIT_TEMPORARY,
    CannotListen,
    Listener,
    explain_bind,
    serve,
)
from connector_host.tls.files import UnusableFile, check_identity, load_chain
from connector_host.tls.live import LiveContext

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from connector_host.connectors.contract import Connector
    from connector_host.settings import Configuration, HostSettings, SqlSettings


def url_of(host: HostSettings, connector: str, port: int | None = None) -> str:
    """Return the URL that an administrator pastes into the directory (DESIGN §5)."""
    name = f"[{host.name}]" if ":" in host.name else host.name
    return f"https://{name}:{host.port if port is None else port}/ecma2host_{connector}/scim"


# ── serving ───────────────────────────────────────────────────────────────────────────────────────────────────────


def run(configuration: Configuration) -> int:
    """Serve until told to stop, and return the exit code; a reason not to start is one clear line each on stderr."""
    host = configuration.host
    logs.configure(host.log_format, host.log_level, values=host.log_values)
    findings = check_identity(host.certificate, host.key, host.name, clock.now())
    if refused := failures(findings):
        for finding in refused:
            _say(f"{finding.subject}: {finding.fact} {finding.mend}")
        return EXIT_CONFIGURATION
    for finding in findings:
        if finding.level is Level.WARNING:
            log = structlog.get_logger()
            log.warning(events.CERTIFICATE_JUDGED, subject=finding.subject, fact=finding.fact, mend=finding.mend)
    connectors = _open_all(configuration)
    if not connectors:
        _say("no connector can be served as it is configured; run `connector-host check`.")
        return EXIT_CONFIGURATION
    try:
        asyncio.run(_serve(configuration, connectors))
    except CannotListen as failure:
        _say(str(failure))
        return EXIT_TEMPORARY
    return 0


def _say(text: str) -> None:
    sys.stderr.write(f"connector-host: {text}\n")


def _open_all(configuration: Configuration) -> dict[str, Connector]:
    """Open every connector that can be; one that is misconfigured does not stop the rest."""
    connectors: dict[str, Connector] = {}
    for name, settings in configuration.connectors.items():
        try:
            connectors[name] = open_connector(name, settings)
        except ConfigurationError as failure:
            structlog.get_logger().error(events.CONNECTOR_MISCONFIGURED, connector=name, reason=str(failure))
            _say(f"connector {name} is not served: {failure}")
    return connectors


async def _serve(configuration: Configuration, connectors: Mapping[str, Connector]) -> None:
    host = configuration.host
    served = {name: _served(connector, configuration.connectors[name]) for name, connector in connectors.items()}
    outcomes = _open_outcomes(host.state / "outcomes.sqlite3")
    application = make_application(served, trusted_proxies=host.trusted_proxies, outcomes=outcomes)
    live = LiveContext(host.certificate, host.key)
    watch = CertificateWatch(host.certificate, host.key, host.name, live)
    log = structlog.get_logger()

    def ready(port: int) -> None:
        log.info(events.HOST_STARTED, urls=[url_of(host, name, port) for name in served], listen=host.listen)
        warming.extend(asyncio.create_task(_warm(connector)) for connector in connectors.values())

    async def close() -> None:
        for task in warming:
            task.cancel()
        await asyncio.gather(*warming, return_exceptions=True)
        await asyncio.gather(*(connector.close() for connector in connectors.values()))
        if outcomes is not None:
            await outcomes.close()

    warming: list[asyncio.Task[None]] = []
    listener = Listener(application, host.listen, host.port, live.context, host.stop_s, companions=(watch.keep,))
    await serve(listener, ready=ready, close=close)
    log.info(events.HOST_STOPPED)


def _open_outcomes(file: Path) -> Outcomes | None:
    """Return the record of outcomes; without one the host serves, but promises nothing for idempotency keys."""
    try:
        return Outcomes(file)
    except (OSError, sqlite3.Error) as failure:
        structlog.get_logger().warning(events.OUTCOMES_UNAVAILABLE, file=str(file), reason=str(failure))
        return None


def _served(connector: Connector, settings: SqlSettings) -> Served:
    return Served(connector, settings, TokenGate(settings.token_hashes, settings.token_hash_file))


async def _warm(connector: Connector) -> None:
    """Discover the table before the first request does, so that what is wrong with it is logged at the start."""
    try:
        await connector.describe()
    except ConfigurationError as failure:
        log = structlog.get_logger()
        log.error(events.CONNECTOR_MISCONFIGURED, connector=connector.name, reason=str(failure))  # noqa: TRY400 - no trace helps
    except HostError as failure:
        log = structlog.get_logger()
        log.warning(events.CONNECTOR_UNAVAILABLE, connector=connector.name, reason=str(failure))


# ── checking ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def check(configuration: Configuration) -> dict[str, list[Finding]]:
    """Look at everything that an administrator can get wrong: by section of the file, what was found there."""
    host = configuration.host
    sections = {"host": [*check_identity(host.certificate, host.key, host.name, clock.now()), check_port(host)]}
    for name, settings in configuration.connectors.items():
        sections[f"connectors.{name}"] = [*_token_findings(settings), *await check_connector(name, settings)]
    return sections


async def check_connector(name: str, settings: SqlSettings) -> list[Finding]:
    """Return what one connector finds about its database, its table and its login."""
    try:
        connector = open_connector(name, settings)
    except ConfigurationError as failure:
        return [Finding(Level.FAILURE, "settings", str(failure))]
    try:
        return await connector.check()
    except HostError as failure:
        return [Finding(Level.FAILURE, "database", str(failure))]
    finally:
        await connector.close()


def check_port(host: HostSettings) -> Finding:
    """Return whether the port can be listened on, or already is by this very host."""
    family = socket.AF_INET6 if ":" in host.listen else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host.listen, host.port))
    except OSError as failure:
        if _serves_our_certificate(host):
            return Finding(Level.OK, "port", f"The host is running and serves port {host.port}.")
        fact, _, mend = explain_bind(failure, host.listen, host.port).partition(". ")
        return Finding(Level.FAILURE, "port", f"{fact.rstrip('.')}.", mend)
    return Finding(Level.OK, "port", f"Port {host.port} on {host.listen} is free.")


def _serves_our_certificate(host: HostSettings) -> bool:
    with contextlib.suppress(OSError, ValueError, UnusableFile):
        # Nothing is believed here: the certificate that is shown is compared with ours, byte by byte.
        shown = ssl.get_server_certificate((host.listen, host.port), timeout=3)
        ours = load_chain(host.certificate)[0]
        return ssl.PEM_cert_to_DER_cert(shown) == ours.public_bytes(Encoding.DER)
    return False


def _token_findings(settings: SqlSettings) -> list[Finding]:
    mend = "Run `connector-host token new`."
    try:
        count = TokenGate(settings.token_hashes, settings.token_hash_file).count()
    except ConfigurationError as failure:
        return [Finding(Level.FAILURE, "token", str(failure), mend)]
    if not count:
        return [Finding(Level.FAILURE, "token", "No token is valid, so nobody can call.", mend)]
    return [Finding(Level.OK, "token", f"{count} token{'s are' if count > 1 else ' is'} valid.")]
