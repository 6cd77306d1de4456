"""One link after another to the relay: dial, greet, carry, and dial again after a pause.

A relay that drains is left in peace: the next link is dialled at once, while the old one finishes what it carries.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

import aiohttp
import msgspec

from agent import __version__, events, logs
from agent.addresses import relay_url
from agent.errors import ConfigurationError, LinkLost
from agent.link.credentials import CHALLENGE_BYTES, prove
from agent.link.links import MESSAGE_BYTES, Heartbeat, Link
from agent.link.messages import VERSIONS, Hello
from agent.link.session import WINDOW_BYTES, Session
from agent.link.stretches import DEFLATE
from agent.link.tls import trusting
from agent.outbound.backoff import Backoff
from agent.outbound.credentials import is_enrolled, load
from agent.outbound.proxies import Way
from agent.outbound.reasons import reason_of
from agent.outbound.renewal import Renewal
from agent.outbound.sockets import LinkSocket
from agent.secrets import read_secret
from agent.status import dated
from connector_host.clock import now

if TYPE_CHECKING:
    from yarl import URL

    from agent.link.messages import Health
    from agent.outbound.credentials import Identity
    from agent.outbound.forwarding import Forwarder
    from agent.outbound.probe import Probe
    from agent.settings import AgentSettings

RENEWAL_S: Final = 60.0
"""Between two looks at whether the certificate is about to end, at the most."""
_LOOKS: Final = 4
"""So many at the least before it ends."""
_LEAST_PAUSE_S: Final = 12.0
"""A relay gives an agent one certificate in ten seconds."""

FAR_S: Final = 0.005
"""A round trip from which on a line is taken for one that leads through the internet: within a house it takes less than
1 ms, and such a line is quicker than two ends that deflate."""


class Dialler:
    """Keeps the links to the relay alive until it is told to stop."""

    def __init__(self, settings: AgentSettings, forwarder: Forwarder, probe: Probe) -> None:
        """Prepare; raises ConfigurationError where a relay's URL is none, or its authorities cannot be read."""
        self._settings = settings
        trusting(settings.relay_trust, "agent.relay_trust")
        relays = (settings.relay,) if isinstance(settings.relay, str) else settings.relay
        self._urls = [relay_url(url) / "link" / settings.tenant for url in relays]
        self._forwarder = forwarder
        self._way = Way(settings)
        self._probe = probe
        self._renewal = Renewal(settings)
        self._links: dict[Link, str] = {}
        self._aims: dict[int, URL] = {}
        """Where each link is, or is being dialled."""
        self.last_error = ""
        """When and why a link ended, or did not come about; the last of both."""
        self._instance = uuid.uuid4().hex
        self._stopping = asyncio.Event()
        probe.tell = self._tell

    async def run(self) -> None:
        """Dial and dial again until `stop`; then return once the last link has ended."""
        async with aiohttp.ClientSession(ws_response_class=LinkSocket) as client, asyncio.TaskGroup() as tasks:
            for number in range(self._settings.links):
                tasks.create_task(self._hold(client, tasks, number))
            tasks.create_task(self._renew())

    def links(self) -> list[tuple[str, Link]]:
        """Return the links that are up, each with the relay's URL."""
        return [(url, link) for link, url in self._links.items() if link.usable]

    def stop(self) -> None:
        """Want no new requests; links end by themselves once what they carry has ended."""
        self._stopping.set()
        for link in self._links:
            link.drain("the agent is about to stop")

    async def _renew(self) -> None:
        """Ask for the next certificate, over whichever link is up, when it is time."""
        while not self._stopping.is_set():
            identity = None
            with suppress(ConfigurationError):
                identity = self._identity()
                for link in list(self._links)[:1]:
                    self._renewal.ask_where_due(link, identity)
            with suppress(TimeoutError):
                async with asyncio.timeout(_until_next_look_s(identity)):
                    await self._stopping.wait()

    def _identity(self) -> Identity | None:
        """Return who this agent is by its certificate, if it has one; raises ConfigurationError."""
        return None if self._settings.state is None else load(self._settings.state)

    def _tell(self, health: Health) -> None:
        for link in self._links:
            link.tell(health)

    async def _hold(self, client: aiohttp.ClientSession, tasks: asyncio.TaskGroup, number: int) -> None:
        """Hold one link after another, until `stop`."""
        backoff = Backoff(self._settings.reconnect_s)
        while not self._stopping.is_set():
            url = self._aims[number] = self._node(number, backoff.failures)
            pause_s = await self._hold_one(client, tasks, url, backoff)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._stopping.wait()

    def _node(self, number: int, failures: int) -> URL:
        """Return the node that this link goes to: its own, after each failure the next, and none that another has."""
        count = len(self._urls)
        turns = [self._urls[(number + failures + turn) % count] for turn in range(count)]
        taken = {url for other, url in self._aims.items() if other != number}
        return next((url for url in turns if url not in taken), turns[0])

    async def _hold_one(
        self, client: aiohttp.ClientSession, tasks: asyncio.TaskGroup, url: URL, backoff: Backoff
    ) -> float:
        """Hold one link until it ends or drains, and return the seconds to wait before the next."""
        try:
            link = await self._dial(client, tasks, url)
        except (aiohttp.ClientError, OSError, TimeoutError, LinkLost, ConfigurationError) as failure:
            pause_s = backoff.pause_s(0.0)
            self._report(failure, pause_s, url)
            return pause_s
        begin_s = asyncio.get_running_loop().time()
        await link.drains.wait()
        held_s = asyncio.get_running_loop().time() - begin_s
        pause_s = backoff.pause_s(held_s)
        if not self._stopping.is_set():
            self.last_error = dated(f"the link to {url.origin()} ended: {link.end_reason}")
        logs.event(events.LINK_ENDED, relay=str(url.origin()), reason=link.end_reason, held_s=round(held_s, 1))
        return pause_s

    async def _dial(self, client: aiohttp.ClientSession, tasks: asyncio.TaskGroup, url: URL) -> Link:
        """Return a link that was greeted."""
        identity = self._identity()
        trust = trusting(self._settings.relay_trust, "agent.relay_trust")
        if identity is not None:
            identity.add_to(trust)
        shown = "Certificate" if identity is not None else f"Bearer {read_token(self._settings)}"
        async with asyncio.timeout(self._settings.relay_connect_s):
            # In a thread: some systems ask DNS for it.
            way = await asyncio.to_thread(self._way.to, url)
            socket = await client.ws_connect(
                url,
                ssl=trust,
                proxy=way.url,
                proxy_headers=way.headers,
                headers={"Authorization": shown},
                max_msg_size=MESSAGE_BYTES,
                timeout=aiohttp.ClientWSTimeout(ws_close=1.0),
            )
        settings = self._settings
        features = frozenset[str]() if settings.compression == "off" else frozenset({DEFLATE})
        hello = Hello(VERSIONS, WINDOW_BYTES, settings.name, __version__, features, instance=self._instance)
        heartbeat = Heartbeat(settings.heartbeat_s, settings.dead_s)
        reply = None if identity is None else partial(_introduce, identity, hello)
        link = Link(socket, Session(hello, opens=False, reply=reply), heartbeat, self._forwarder.serve)
        link.on_renewal = self._renewal.take
        link.deflate_beyond_s = FAR_S if settings.compression == "auto" else 0.0
        link.session.deflates = settings.compression == "on"
        ended = tasks.create_task(link.run())
        self._links[link] = str(url.origin())
        # With the hello: the relay holds a write to the record that it was told of, and may have one that waits.
        link.tell(self._probe.health)
        ended.add_done_callback(lambda _: self._links.pop(link, None))
        if self._stopping.is_set():
            link.drain("the agent is about to stop")
        greeting = asyncio.create_task(link.greeted.wait())
        await asyncio.wait({greeting, ended}, return_when=asyncio.FIRST_COMPLETED)
        greeting.cancel()
        if not link.greeted.is_set():
            raise LinkLost(ended.result())
        self._renewal.ask_where_due(link, identity)
        logs.event(
            events.LINK_CONNECTED,
            relay=str(url.origin()),
            tenant=settings.tenant,
            agent=settings.name,
            relay_name=link.peer.name,
            relay_version=link.peer.software,
            protocol=link.session.version,
        )
        return link

    def _report(self, failure: Exception, pause_s: float, url: URL) -> None:
        state, certified = self._settings.state, False
        with suppress(ConfigurationError):
            certified = state is not None and is_enrolled(state)
        reason = reason_of(failure, self._settings.relay_connect_s, certified=certified)
        self.last_error = dated(reason)
        origin, again_s = str(url.origin()), round(pause_s, 2)
        logs.event(events.LINK_FAILED, level=logging.WARNING, relay=origin, reason=reason, again_s=again_s)


def _until_next_look_s(identity: Identity | None) -> float:
    """Return the seconds until the certificate is looked at again, which is well before it ends."""
    if identity is None:
        return RENEWAL_S
    left_s = (identity.certificate.not_valid_after_utc - now()).total_seconds()
    return min(RENEWAL_S, max(left_s / _LOOKS, _LEAST_PAUSE_S))


def _introduce(identity: Identity, hello: Hello, relay: Hello) -> Hello:
    """Return the hello with the proof that the relay's hello asks for."""
    if len(relay.challenge) != CHALLENGE_BYTES:
        return hello
    proof = prove(identity.key, relay.challenge)
    return msgspec.structs.replace(hello, certificate=identity.der, proof=proof)


def read_token(settings: AgentSettings) -> str:
    """Return the token; raises ConfigurationError that names the file."""
    if settings.token_file is None:
        raise ConfigurationError("the agent is not enrolled: run `provisioning-agent enroll`, or set agent.token_file")
    token = read_secret(settings.token_file, "agent.token_file")
    if not token.isascii() or not token.isprintable():  # it becomes a header
        raise ConfigurationError(f"agent.token_file: {settings.token_file} holds no token; write it and nothing else.")
    if not token:
        raise ConfigurationError(f"agent.token_file: {settings.token_file} is empty.")
    return token
