"""The relay as a service: built from its settings, it serves until it is told to stop, and drains before it goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from agent import __version__, events, logs
from agent.errors import ConfigurationError
from agent.link.links import Heartbeat
from agent.link.tls import showing
from agent.relay.admission import Admission
from agent.relay.gateway import Gateway
from agent.relay.matching import Agents
from agent.relay.tenants import Tenants

if TYPE_CHECKING:
    import asyncio
    import ssl

    from agent.settings import RelayConfiguration, RelaySettings


async def run(configuration: RelayConfiguration, stop: asyncio.Event) -> None:
    """Serve until `stop` is set; raises ConfigurationError where the settings cannot be used."""
    settings = configuration.relay
    context = showing(settings.certificate, settings.key, settings.name)
    tenants, agents = Tenants(configuration.tenants), Agents()
    admission = Admission(tenants, agents, Heartbeat(settings.heartbeat_s, settings.dead_s), settings.name)
    gateway = Gateway(tenants, agents, admission, settings.limits, settings.retry_after_s)
    header_bytes = settings.limits.header_bytes
    server = web.Server(
        gateway.serve,
        handler_cancellation=True,
        access_log=None,
        max_line_size=header_bytes,
        max_field_size=header_bytes,
    )
    runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await _listen(runner, settings, context)
        await stop.wait()
        await _drain(gateway, agents, admission, settings.stop_s)
    finally:
        await runner.cleanup()
    logs.event(events.RELAY_STOPPED)


async def _listen(runner: web.ServerRunner, settings: RelaySettings, context: ssl.SSLContext) -> None:
    site = web.TCPSite(runner, settings.listen, settings.port, ssl_context=context)
    try:
        await site.start()
    except OSError as failure:
        where = f"relay.listen and relay.port: {settings.listen}:{settings.port}"
        raise ConfigurationError(f"{where} cannot be opened ({failure.strerror or failure}).") from failure
    port = runner.addresses[0][1]
    url = f"https://{settings.name}:{port}"
    logs.event(events.RELAY_READY, url=url, listen=settings.listen, port=port, version=__version__)


async def _drain(gateway: Gateway, agents: Agents, admission: Admission, stop_s: float) -> None:
    """Let every request in hand end, while agents are sent to other nodes."""
    logs.event(events.RELAY_STOPPING, in_flight=gateway.under_way)
    admission.draining = True
    for link in agents.all():
        link.drain("the relay is about to stop")
    await gateway.idle(stop_s)
