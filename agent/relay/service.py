"""The relay as a service: built from its settings, it serves until it is told to stop, and drains before it goes."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from agent import __version__, events, logs, metrics
from agent.errors import ConfigurationError
from agent.link.links import Heartbeat
from agent.relay.admission import Admission
from agent.relay.authority import open_authority
from agent.relay.certificate import LiveCertificate
from agent.relay.enrolment import Enrolment
from agent.relay.gateway import Gateway
from agent.relay.listening import Doors, Port
from agent.relay.matching import Agents
from agent.relay.passthrough import Passthrough
from agent.relay.protocol import Server
from agent.relay.reporting import Reporter
from agent.relay.store import Store
from agent.relay.tenants import Tenants
from connector_host.clock import now

if TYPE_CHECKING:
    from pathlib import Path

    from agent.settings import RelayConfiguration, RelaySettings


CUT_S: Final = 0.1
"""What is still under way when the time to stop is over gets this long to notice."""

LOOK_S: Final = 1.0
"""Between two looks at the store: a revocation acts within this time."""


async def run(configuration: RelayConfiguration, stop: asyncio.Event) -> None:
    """Serve until `stop` is set; raises ConfigurationError where the settings cannot be used."""
    settings = configuration.relay
    folder = state_of(settings)
    records, authority = Store(folder), open_authority(folder, now())
    certificate = LiveCertificate(settings, authority.certificate)
    tenants, agents = Tenants(configuration.tenants, records), Agents()
    enrolment = Enrolment(authority, records, timedelta(days=settings.agent_days))
    heartbeat = Heartbeat(settings.heartbeat_s, settings.dead_s)
    admission = Admission(tenants, agents, enrolment, heartbeat, settings.name)
    gateway = Gateway(tenants, agents, admission, settings.limits, settings.retry_after_s)
    server = Server(gateway.serve, settings.limits)
    passthrough = Passthrough(agents, settings.limits)
    names = {name: tenant for tenant, given in configuration.tenants.items() for name in given.passthrough}
    port = Port(Doors(server, certificate.context, names, passthrough.carry))
    try:
        number = port.open(settings.listen, settings.port)
        gateway.authorities = authorities_of(settings, number)
        url = f"https://{settings.name}:{number}"
        logs.event(events.RELAY_READY, url=url, listen=settings.listen, port=number, version=__version__)
        reporter = Reporter(gateway, admission, settings.certificate, url)
        looking = asyncio.create_task(_look_at_store(records, tenants, admission))
        reporting = asyncio.create_task(reporter.keep(folder))
        watching = asyncio.create_task(certificate.keep())
        try:
            async with metrics.served(settings.metrics_port, reporter.figures, "relay.metrics_port"):
                await stop.wait()
        finally:
            looking.cancel()
            reporting.cancel()
            watching.cancel()
        await port.stop_accepting()
        await _drain(gateway, agents, admission, settings.stop_s)
    finally:
        await port.close()
        await server.shutdown(CUT_S)
    logs.event(events.RELAY_STOPPED)


def authorities_of(settings: RelaySettings, port: int) -> frozenset[str]:
    """Return what clients may write in the Host header, in lower case."""
    name = settings.name.lower()
    return frozenset({name, f"{name}:{port}", *settings.public})


def state_of(settings: RelaySettings) -> Path:
    """Return the folder of the relay's store; raises ConfigurationError where none is named."""
    if settings.state is None:
        raise ConfigurationError("relay.state: name a folder for tenants and agents.")
    return settings.state


async def _look_at_store(records: Store, tenants: Tenants, admission: Admission) -> None:
    """Take over what commands write: new tenants, and revocations, which end live links."""
    while True:
        await asyncio.sleep(LOOK_S)
        try:
            tenants.refresh()
            admission.cut_revoked(records.revoked())
        except sqlite3.Error as failure:
            logs.event(events.STORE_UNAVAILABLE, level=logging.ERROR, reason=str(failure))


async def _drain(gateway: Gateway, agents: Agents, admission: Admission, stop_s: float) -> None:
    """Let every request in hand end, while agents are sent to other nodes."""
    logs.event(events.RELAY_STOPPING, in_flight=gateway.under_way)
    admission.draining = True
    for _, link in agents.all():
        link.drain("the relay is about to stop")
    await gateway.idle(stop_s)
