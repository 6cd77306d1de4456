"""Everything that an administrator can get wrong, looked at before it matters."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding

from connector_host import clock
from connector_host.access.tokens import TokenGate
from connector_host.app.building import demand_of
from connector_host.app.redacting import redaction_findings
from connector_host.connectors import registry
from connector_host.connectors.registry import accept_types, open_connector
from connector_host.endpoint.served import Served
from connector_host.errors import ConfigurationError, Finding, HostError, Level
from connector_host.scim.oversights import find_oversights
from connector_host.service.lifecycle import explain_bind
from connector_host.service.metering import LOOPBACK
from connector_host.setup.secrets import opened, plain_passwords
from connector_host.tls.files import UnusableFile, check_authority, check_identity, load_chain
from connector_host.tls.renewal import check_own_authority

if TYPE_CHECKING:
    from pathlib import Path

    from connector_host.connectors.contract import Connector
    from connector_host.settings import Configuration, HostSettings, SqlSettings


async def check(
    configuration: Configuration, file: Path, *, accept: bool = False, probe: bool = False
) -> dict[str, list[Finding]]:
    """Look at everything that an administrator can get wrong: by section of `file`, what was found there.

    With `accept` the types of the columns are from now on what they are now (DESIGN §2.8). With `probe` values are
    written to each column, read back, and rolled back.
    """
    host = configuration.host
    sections = {
        "host": [
            *check_identity(host.certificate, host.key, host.name, clock.now()),
            *check_own_authority(host.certificate, clock.now()),
            *check_authority(host.client_authority, "client_authority", clock.now()),
            *check_ports(host),
            *_folder_findings("state", host.state),
        ]
    }
    if configuration.audit.enabled and configuration.audit.folder is not None:
        sections["audit"] = [
            *_folder_findings("audit", configuration.audit.folder),
            *await redaction_findings(configuration),
        ]
    plain = plain_passwords(file)
    for name, settings in configuration.connectors.items():
        if accept:
            accept_types(name, host.state)
        sections[f"connectors.{name}"] = [
            *_token_findings(settings),
            *([plain[name]] if name in plain else []),
            *_signing_findings(name, settings),
            *await check_connector(name, settings, host.state),
        ]
        if probe:
            sections[f"connectors.{name}.probe"] = await _probe_findings(name, settings, host.state)
    return sections


async def check_connector(name: str, settings: SqlSettings, state: Path | None = None) -> list[Finding]:
    """Return what one connector finds about its database, its table and its login."""
    try:
        connector = open_connector(name, opened(name, settings), state)
    except ConfigurationError as failure:
        return [Finding(Level.FAILURE, "settings", str(failure))]
    try:
        return [*await connector.check(), *await _mapping_findings(connector, settings)]
    except HostError as failure:
        return [Finding(Level.FAILURE, "database", str(failure))]
    finally:
        await connector.close()


async def _probe_findings(name: str, settings: SqlSettings, state: Path) -> list[Finding]:
    """Return what became of the values that were tried on each column."""
    try:
        return await asyncio.to_thread(registry.probe, name, opened(name, settings), state)
    except HostError as failure:
        return [Finding(Level.FAILURE, "probe", str(failure))]


async def _mapping_findings(connector: Connector, settings: SqlSettings) -> list[Finding]:
    """Return what keeps the mapping from being served; where the table cannot be read, the connector has said so."""
    try:
        flows = await Served(connector, settings, TokenGate()).flows()
    except ConfigurationError as failure:
        mend = "See docs/configuration.md, or run `connector-host discover` for the columns there are."
        return [Finding(Level.FAILURE, "mapping", str(failure), mend)]
    except HostError:
        return []
    return find_oversights(flows)


def check_ports(host: HostSettings) -> list[Finding]:
    """Return whether the ports can be listened on, or already are by this very host."""
    failure = _cannot_bind(host.listen, host.port)
    if failure is not None and _serves_our_certificate(host):
        return [Finding(Level.OK, "port", f"The host is running and serves port {host.port}.")]
    findings = [_port_finding("port", host.listen, host.port, failure)]
    if host.metrics_port is not None:
        failure = _cannot_bind(LOOPBACK, host.metrics_port)
        findings.append(_port_finding("metrics_port", LOOPBACK, host.metrics_port, failure))
    return findings


def _port_finding(key: str, address: str, port: int, failure: OSError | None) -> Finding:
    if failure is None:
        return Finding(Level.OK, key, f"Port {port} on {address} is free.")
    fact, _, mend = explain_bind(failure, address, port).replace("`port`", f"`{key}`").partition(". ")
    return Finding(Level.FAILURE, key, f"{fact.rstrip('.')}.", mend)


def _cannot_bind(address: str, port: int) -> OSError | None:
    """Return why the port cannot be listened on now, None where it can."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address, port))
    except OSError as failure:
        return failure
    return None


def _folder_findings(subject: str, folder: Path) -> list[Finding]:
    """Return what keeps this account from writing to a folder, which the host makes where it is missing."""
    # os.access says no, where Path.exists raises, of what stands in a folder that this account may not look into.
    there = next((one for one in (folder, *folder.parents) if os.access(one, os.F_OK)), folder)
    hidden = any(os.access(one, os.F_OK) and not os.access(one, os.X_OK) for one in folder.parents)
    if not hidden and there.is_dir() and os.access(there, os.W_OK | os.X_OK):
        return [Finding(Level.OK, subject, f"{folder} can be written.")]
    mend = "Let the account that runs the host write there, or name another folder."
    return [Finding(Level.FAILURE, subject, f"{folder} cannot be written by this account.", mend)]


def _serves_our_certificate(host: HostSettings) -> bool:
    with contextlib.suppress(OSError, ValueError, UnusableFile):
        # Nothing is believed here: the certificate that is shown is compared with ours, byte by byte.
        shown = ssl.get_server_certificate((host.listen, host.port), timeout=3)
        ours = load_chain(host.certificate)[0]
        return ssl.PEM_cert_to_DER_cert(shown) == ours.public_bytes(Encoding.DER)
    return False


def _signing_findings(name: str, settings: SqlSettings) -> list[Finding]:
    """Return who may sign, and whether what must be signed can be judged."""
    try:
        demand = demand_of(name, settings.signing)
    except ConfigurationError as failure:
        return [Finding(Level.FAILURE, "signing", str(failure), "Make keys with `connector-host signing new`.")]
    if demand is None:
        return []
    what = "Every request" if demand.reads else "Every write"
    return [Finding(Level.OK, "signing", f"{what} must be signed; {len(demand.keys)} may sign.")]


def _token_findings(settings: SqlSettings) -> list[Finding]:
    mend = "Run `connector-host token new`."
    try:
        count = TokenGate(settings.token_hashes, settings.token_hash_file).count()
    except ConfigurationError as failure:
        return [Finding(Level.FAILURE, "token", str(failure), mend)]
    if not count:
        return [Finding(Level.FAILURE, "token", "No token is valid, so nobody can call.", mend)]
    return [Finding(Level.OK, "token", f"{count} token{'s are' if count > 1 else ' is'} valid.")]
