"""The agent as a service: built from its settings, it runs until it is told to stop, and leaves no request behind."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from agent import __version__, events, logs, metrics
from agent.addresses import host_url
from agent.outbound.credentials import Expired, load
from agent.outbound.dialling import Dialler, read_token
from agent.outbound.forwarding import Forwarder
from agent.outbound.host import Host, HostPool
from agent.outbound.host_tls import HostTls
from agent.outbound.probe import Probe
from agent.outbound.reporting import STATUS_FILE, Reporter
from agent.outbound.tokens import HostToken
from agent.rates import Rates
from agent.status import keep

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.settings import AgentSettings


async def run(settings: AgentSettings, stop: asyncio.Event, ready: Callable[[], object] = lambda: None) -> None:
    """Carry requests until `stop` is set, and call `ready` once the relay is dialled.

    Raises ConfigurationError where the settings cannot be used.
    """
    tls = HostTls(settings.host_trust, settings.host_client_certificate, settings.host_client_key)
    pool = HostPool(Host(host_url(settings.host), tls, settings.host_connect_s))
    probe = Probe(pool, settings.probe_s)
    forwarder = Forwarder(
        pool,
        HostToken(settings.host_token_file),
        settings.passthrough,
        settings.in_flight,
        Rates(settings.requests_per_s),
        settings.body_bytes,
        probe.take,
    )
    dialler = Dialler(settings, forwarder, probe)
    with suppress(Expired):
        if settings.state is None or load(settings.state) is None:
            read_token(settings)
    logs.event(events.AGENT_STARTED, version=__version__, agent=settings.name, host=settings.host, relay=settings.relay)
    await probe.look()
    dialling = asyncio.create_task(dialler.run())
    stopping = asyncio.create_task(stop.wait())
    reporter = Reporter(settings, dialler, forwarder, probe)
    beside = [asyncio.create_task(probe.run())]
    if settings.state is not None:
        beside.append(asyncio.create_task(keep(settings.state / STATUS_FILE, reporter.status)))
    try:
        async with metrics.served(settings.metrics_port, reporter.figures, "agent.metrics_port"):
            ready()
            await asyncio.wait({dialling, stopping}, return_when=asyncio.FIRST_COMPLETED)
        logs.event(events.AGENT_STOPPING, in_flight=forwarder.carried)
        forwarder.draining = True
        dialler.stop()
        await asyncio.wait({dialling}, timeout=settings.stop_s)
    finally:
        for task in (stopping, dialling, *beside):
            task.cancel()
        await asyncio.gather(dialling, *beside, return_exceptions=True)
        pool.close()
    if not dialling.cancelled():
        dialling.result()
    logs.event(events.AGENT_STOPPED)
