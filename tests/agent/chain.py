"""Relay, agents and a stand-in for the connector host, joined over real TLS on loopback."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import aiohttp
from aiohttp import web

from agent import events
from agent.outbound import service as outbound_service
from agent.relay import service as relay_service
from agent.settings import AgentSettings, LimitSettings, RelayConfiguration, RelaySettings, TenantSettings
from connector_host.tls.issuing import issue_authority, issue_leaf
from tests.agent.serving import served

TOKEN = "the agent's token"
USERS = "/ecma2host_HR/scim/Users"


def token_hash(token):
    return "sha256:" + hashlib.sha256(token.encode()).hexdigest()


@dataclass(frozen=True)
class Papers:
    """A throw-away authority, and a certificate of it for localhost (or another name), as files."""

    authority: object
    certificate: object
    key: object

    def context(self):
        return ssl.create_default_context(cafile=str(self.authority))


def issue_papers(folder, name="localhost", also=(), *, days_ago=0):
    now = datetime.now(UTC) - timedelta(days=days_ago)
    authority = issue_authority(f"test authority of {name}", now)
    leaf = issue_leaf(authority, name, now, also=also)
    papers = Papers(folder / "authority.pem", folder / "certificate.pem", folder / "key.pem")
    papers.authority.write_bytes(authority.certificate_pem)
    papers.certificate.write_bytes(leaf.certificate_pem)
    papers.key.write_bytes(leaf.key_pem)
    papers.key.chmod(0o600)
    return papers


@dataclass
class Host:
    """What stands in for the connector host: answers as the test says, and remembers what it was asked."""

    url: str
    asked: list = field(default_factory=list)
    answer: object = None
    record: str | None = None
    status: int = 200
    closes: bool = False
    """Whether each connection ends after one answer."""
    away: bool = False
    """Whether a proxy before it says that it is not there."""
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, request):
        answer = await self._serve(request)
        if self.closes:
            answer.force_close()
        return answer

    async def _serve(self, request):
        if self.away:
            return web.Response(status=503, text="No server is available.", content_type="text/html")
        if request.path == "/healthz":
            return web.json_response({"status": "alive", "idempotency_record": self.record})
        body = await request.read() if self.answer is None else b""
        self.asked.append((request.method, request.raw_path, request.headers, body))
        self.arrived.set()
        if self.answer is not None:
            return await self.answer(request)
        headers = {"Content-Type": "application/scim+json", "ETag": 'W/"1"'}
        return web.Response(status=self.status, body=body or b'{"totalResults":0}', headers=headers)


@asynccontextmanager
async def host_server(papers, *, port=0, clients=None):
    host = Host("")
    async with served(host.serve, papers, port=port, clients=clients) as opened:
        host.url = f"https://localhost:{opened}"
        yield host


class Chain:
    """Starts relays and agents, and stops what it started."""

    def __init__(self, folder, papers, log, stack):
        self.folder, self.papers, self.log = folder, papers, log
        self.port = 0
        self._stack = stack
        self._relays = 0
        self._stops = {}

    @property
    def url(self):
        return f"https://localhost:{self.port}"

    def address(self, path=USERS, tenant="acme"):
        return f"{self.url}/t/{tenant}{path}"

    async def start_relay(self, *, limits=None, tenants=("acme", "other"), passthrough=(), clients=(), **keys):
        keys = {"heartbeat_s": 0.2, "dead_s": 2.0, "stop_s": 5.0, "port": self.port} | keys
        keys.setdefault("state", self.folder / "relay-state")
        settings = RelaySettings(
            certificate=self.papers.certificate,
            key=self.papers.key,
            limits=LimitSettings(**({"wait_s": 0.0} | (limits or {}))),
            **keys,
        )
        hashes = {name: TenantSettings(agent_token_hashes=(token_hash(TOKEN + name),)) for name in tenants}
        if passthrough or clients:
            hashes["acme"] = TenantSettings(
                agent_token_hashes=(token_hash(TOKEN + "acme"),),
                passthrough=passthrough,
                client_token_hashes=tuple(token_hash(token) for token in clients),
            )
        self._start("relay", relay_service.run, RelayConfiguration(relay=settings, tenants=hashes))
        self._relays += 1
        self.port = (await self.log.wait_for(events.RELAY_READY, count=self._relays))["port"]

    async def start_agent(self, host_url, name="one", *, token=None, connected=True, called=None, **keys):
        token_file = self.folder / f"{name}.token"
        keys = {
            "tenant": "acme",
            "links": 1,
            "probe_s": 0.2,
            "heartbeat_s": 0.2,
            "dead_s": 2.0,
            "reconnect_s": 0.2,
            "stop_s": 5.0,
            "state": self.folder / name,
        } | keys
        token_file.write_text(TOKEN + keys["tenant"] if token is None else token)
        settings = AgentSettings(
            token_file=token_file,
            host=host_url,
            name=called or name,
            **({"relay": self.url, "relay_trust": self.papers.authority, "host_trust": self.papers.authority} | keys),
        )
        before = sum(event == events.LINK_CONNECTED for event, seen in self.log.seen if seen.get("peer"))
        self._start(name, outbound_service.run, settings)
        if connected:
            await self.log.wait_for(events.LINK_CONNECTED, relay_name="localhost", agent=settings.name)
            await self.relay_sees(before + 1)

    async def relay_sees(self, links):
        """Return once the relay has let in so many links, since its first start."""
        async with asyncio.timeout(10):
            while sum(event == events.LINK_CONNECTED and "peer" in seen for event, seen in self.log.seen) < links:
                self.log._news.clear()
                await self.log._news.wait()

    def agent_settings(self, host_url, name="one", **keys):
        """Return the settings of an agent that enrols, as a file would give them."""
        keys = {"tenant": "acme", "links": 1, "probe_s": 0.2, "reconnect_s": 0.2, "state": self.folder / name} | keys
        trust = self.papers.authority
        return AgentSettings(relay=self.url, relay_trust=trust, host=host_url, host_trust=trust, name=name, **keys)

    def run_agent(self, settings):
        self._start(settings.name, outbound_service.run, settings)

    async def stop(self, name):
        stop, task = self._stops.pop(name)
        stop.set()
        await task

    async def kill(self, name):
        """End it without a good-bye, as far as one process allows."""
        _, task = self._stops.pop(name)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    def _start(self, name, run, settings):
        stop = asyncio.Event()
        task = asyncio.create_task(run(settings, stop))
        self._stops[name] = (stop, task)
        self._stack.push_async_callback(self._end, name)

    async def _end(self, name):
        if name in self._stops:
            await self.stop(name)


@asynccontextmanager
async def scim_client(papers):
    connector = aiohttp.TCPConnector(ssl=papers.context(), limit=0)
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as client:
        yield client
    # aiohttp closes TLS transports in the background; let it, so that no socket outlives the test.
    await asyncio.sleep(0)


@asynccontextmanager
async def chain_of(folder, papers, log):
    async with AsyncExitStack() as stack:
        yield Chain(folder, papers, log, stack)
