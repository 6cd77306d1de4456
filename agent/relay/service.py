"""The relay as a service: built from its settings, it serves until it is told to stop, and drains before it goes."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from agent import __version__, events, logs, metrics
from agent.errors import ConfigurationError
from agent.link.links import Heartbeat
from agent.relay.admission import Admission
from agent.relay.archive import LOOK_S, Archive, Outages
from agent.relay.authority import load_authority, open_authority
from agent.relay.certificate import LiveCertificate
from agent.relay.connections import Connections, within_files
from agent.relay.databases import needed
from agent.relay.enrolment import Enrolment
from agent.relay.gateway import Gateway
from agent.relay.listening import Doors, Port
from agent.relay.matching import Agents
from agent.relay.passthrough import Passthrough
from agent.relay.protocol import Server
from agent.relay.reporting import STATUS_FILE, Place, Reporter
from agent.relay.store import open_store
from agent.relay.tenants import Tenants, passthrough_names
from agent.relay.unknown import UnknownOutcomes
from agent.relay.waiting import WaitingRoom
from agent.status import keep
from connector_host.clock import epoch_s, now

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from pathlib import Path

    from agent.relay.authority import Authority
    from agent.relay.nodes.neighbours import Neighbours
    from agent.relay.store import Store
    from agent.settings import RelayConfiguration, RelaySettings


CUT_S: Final = 0.1
"""What is still under way when the time to stop is over gets this long to notice."""
LAST_S: Final = 0.25
"""How long a relay that ends keeps connections on which requests came lately: whose client asks again just then hears
that nothing was done, and on one that is ended just then would hear nothing."""
_LATELY_S: Final = 10.0
TIDY_S: Final = 3_600.0
"""Between two times that the store is tidied, and before the first: a clock that was wrong at first is right then."""


async def run(
    configuration: RelayConfiguration, stop: asyncio.Event, ready: Callable[[], object] = lambda: None
) -> None:
    """Serve until `stop` is set, and call `ready` once that begins.

    Raises ConfigurationError where the settings cannot be used.
    """
    settings, names = configuration.relay, passthrough_names(configuration)
    folder = state_of(settings)
    authority = authority_of(settings)
    certificate = LiveCertificate(settings, authority.certificate)
    agents = Agents(UnknownOutcomes(authority.secret))
    with needed():
        records = open_store(settings)
        _agree(records, authority)
        tenants, archive = Tenants(configuration.tenants, records), Archive(agents, records)
    enrolment = Enrolment(authority, records, timedelta(days=settings.agent_days))
    heartbeat = Heartbeat(settings.heartbeat_s, settings.dead_s)
    waiting = WaitingRoom(settings.limits)
    admission = Admission(tenants, agents, enrolment, heartbeat, waiting, settings.name, settings.compression)
    gateway = Gateway(tenants, agents, admission, settings.limits, settings.retry_after_s)
    server = Server(gateway.serve, settings.limits, gateway.serve_whole)
    passthrough = Passthrough(agents, settings.limits)
    most = settings.limits.connections_per_address
    connections = Connections(most, within_files(most), settings.trusted_proxies)
    port = Port(Doors(server, connections, certificate.context, names, passthrough.carry, admission.turn_away))
    try:
        number = port.open(settings.listen, settings.port)
        gateway.authorities = authorities_of(settings, number)
        gateway.proxies = settings.trusted_proxies
        url = f"https://{settings.name}:{number}"
        neighbours = neighbours_of(settings, url, authority, admission)
        place, outages = Place(settings.node, url, neighbours), Outages()
        reporter = Reporter(gateway, admission, passthrough, certificate, authority, place, outages)
        certificate.warn(now())
        logs.event(events.RELAY_READY, url=url, listen=settings.listen, port=number, version=__version__)
        async with _kept(neighbours.keep() if neighbours else stop.wait()) as sharing:
            async with (
                _kept(_look_at_store(records, tenants, admission, archive, outages)),
                _kept(archive.replica.run()),
                _kept(keep(folder / STATUS_FILE, reporter.status)),
                _kept(certificate.keep()),
                metrics.served(settings.metrics_port, reporter.figures, "relay.metrics_port"),
                _kept(stop.wait()) as stopping,
            ):
                ready()
                await asyncio.wait({stopping, sharing}, return_when=asyncio.FIRST_COMPLETED)
            if sharing.done():
                sharing.result()
            await port.stop_accepting()
            await _drain(gateway, admission, passthrough, neighbours, settings.stop_s)
            if server.has_clients_of(_LATELY_S):
                await asyncio.sleep(LAST_S)
    finally:
        await port.close()
        await server.shutdown(CUT_S)
        # What was cut off just now is unknown, too.
        await archive.replica.flush()
        records.close()
    logs.event(events.RELAY_STOPPED)


@asynccontextmanager
async def _kept(work: Coroutine[object, object, object]) -> AsyncIterator[asyncio.Task[object]]:
    """Have this done as long as the block runs."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def neighbours_of(settings: RelaySettings, url: str, authority: Authority, admission: Admission) -> Neighbours | None:
    """Return the other nodes where there may be any; raises ConfigurationError where NATS' settings cannot be used."""
    if settings.nats is None:
        return None
    # A node that stands alone does without, and needs less memory.
    from agent.relay.nodes.fabric import Fabric  # noqa: PLC0415
    from agent.relay.nodes.neighbours import Identity, Neighbours, Wire  # noqa: PLC0415
    from agent.relay.nodes.seals import Seals  # noqa: PLC0415

    identity = Identity(settings.node, url)
    heartbeat = Heartbeat(settings.nats.beat_s, settings.nats.dead_s)
    wire = Wire(Fabric(settings.nats, identity.id), Seals(authority.key), heartbeat)
    return Neighbours(identity, wire, admission.agents, admission)


def authorities_of(settings: RelaySettings, port: int) -> frozenset[str]:
    """Return what clients may write in the Host header, in lower case."""
    name = settings.name.lower()
    return frozenset({name, f"{name}:{port}", *settings.public})


def state_of(settings: RelaySettings) -> Path:
    """Return the folder of the relay's store; raises ConfigurationError where none is named."""
    if settings.state is None:
        raise ConfigurationError("relay.state: name a folder for tenants and agents.")
    return settings.state


def authority_of(settings: RelaySettings) -> Authority:
    """Return the authority for agents; raises ConfigurationError where it cannot be used."""
    certificate, key = settings.agent_authority, settings.agent_authority_key
    if (certificate is None) != (key is None):
        raise ConfigurationError("relay.agent_authority and relay.agent_authority_key: give both, or neither.")
    if certificate is None or key is None:
        return open_authority(state_of(settings), now())
    return load_authority(certificate, key)


def _agree(records: Store, authority: Authority) -> None:
    """Raise ConfigurationError where the nodes that share this store have another authority."""
    if records.hold_authority(authority.fingerprint) != authority.fingerprint:
        records.close()
        mend = "give this node the files of another one, as relay.agent_authority and relay.agent_authority_key"
        raise ConfigurationError(f"relay.store: its nodes have another authority for agents: {mend}.")


async def _look_at_store(
    records: Store, tenants: Tenants, admission: Admission, archive: Archive, outages: Outages
) -> None:
    """Take over what commands write: new tenants, and revocations, which end live links as certificates' ends do.

    And what other nodes that use the store have noted. What is over is forgotten now and then.
    """
    time_s = asyncio.get_running_loop().time
    tidy_s = time_s() + TIDY_S
    while True:
        await asyncio.sleep(LOOK_S)
        admission.end_expired()
        try:
            await asyncio.to_thread(tenants.refresh)
            admission.cut_revoked(await asyncio.to_thread(records.revoked))
            await archive.look()
            if time_s() >= tidy_s:
                tidy_s = time_s() + TIDY_S
                await _tidy(records)
            await asyncio.to_thread(records.demand_writes)
            outages.over()
        except Exception as failure:  # noqa: BLE001 - without more threads, say: revocations would act no more, unseen
            outages.tell(failure)


async def _tidy(records: Store) -> None:
    for agent in await asyncio.to_thread(records.forget_over, epoch_s()):
        logs.event(events.AGENT_FORGOTTEN, tenant=agent.tenant, agent=agent.name, id=agent.id)


async def _drain(
    gateway: Gateway, admission: Admission, passthrough: Passthrough, neighbours: Neighbours | None, stop_s: float
) -> None:
    """Let every request in hand end, those of other nodes, too, while agents are sent to other nodes."""
    logs.event(events.RELAY_STOPPING, in_flight=gateway.under_way)
    begin_s = asyncio.get_running_loop().time()
    admission.draining = True
    gateway.agents.leave()
    if neighbours is not None:
        await neighbours.leave()
    await asyncio.gather(gateway.idle(stop_s), passthrough.idle(stop_s))
    if neighbours is not None:
        await neighbours.idle(max(CUT_S, stop_s - (asyncio.get_running_loop().time() - begin_s)))
