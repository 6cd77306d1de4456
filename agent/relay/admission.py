"""How an agent gets in, a hello on both sides, and a place among the tenant's links.

client certificate in the TLS handshake     where the relay itself ends the TLS
signed challenge inside the link            where a load balancer does
bearer token at the upgrade                 where the administrator chose tokens over enrolment
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import ssl
from collections import deque
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from aiohttp import web
from cryptography import x509

from agent import __version__, events, logs
from agent.link.credentials import CHALLENGE_BYTES, AgentName, is_proven
from agent.link.links import MESSAGE_BYTES, Heartbeat, Link
from agent.link.messages import VERSIONS, Hello
from agent.link.session import WINDOW_BYTES, Session
from agent.link.stretches import DEFLATE
from agent.memory import Leftovers
from agent.rates import Rates
from agent.relay.answers import SERVER
from agent.relay.authority import RequestRefused
from agent.relay.databases import StoreUnavailable
from agent.relay.waiting import TooManyAwaited
from agent.status import dated
from connector_host.clock import now
from connector_host.networks import network_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from datetime import datetime

    from agent.relay.enrolment import Enrolment
    from agent.relay.matching import Agents
    from agent.relay.tenants import Tenants
    from agent.relay.waiting import WaitingRoom

_AT_THE_DOOR: Final = (
    "at the door already (relay.limits.bodies_per_address, or bodies; behind a load balancer see relay.trusted_proxies)"
)
_RENEWALS_PER_S: Final = 0.1
"""Certificates of one agent in a second; an agent asks again after half a minute, and for one a fortnight."""

_EXPIRED: Final = "the agent's certificate has expired"
_LINGER: Final = timedelta(minutes=10)
"""What a link still carries when its agent's certificate is over gets this long to end."""

_UNKNOWN: Final = "tenant or credentials"
_UNPROVEN: Final = "the certificate is not accepted"
_NAME: Final = 128
"""Characters of what an agent calls itself at the most: that stands in the log with each of its answers."""
_TOO_LONG: Final = f"what the agent calls itself, or its version, is longer than {_NAME} characters"

HELLO_S: Final = 10.0
"""Seconds in which an agent that was let in must say hello."""


@dataclass(frozen=True, slots=True)
class _Visitor:
    """Who stands at the door."""

    tenant: str
    peer: str | None
    """The address."""
    certificate: bytes
    """What the agent showed in the TLS handshake, DER; empty for one that showed none."""
    name: AgentName | None
    """Whom the certificate names; None for an agent with a token, and for one that has still to prove itself."""
    challenge: bytes
    """What the agent has to sign; empty where it is known already."""


@dataclass(slots=True)
class Admission:
    """Lets agents in."""

    tenants: Tenants
    agents: Agents
    enrolment: Enrolment
    heartbeat: Heartbeat
    waiting: WaitingRoom
    """Where agents that have yet to prove themselves have places: not those of bodies, which slow clients may hold."""
    name: str
    """What agents are told the relay is called."""
    compression: bool
    """Whether agents may deflate their answers."""
    draining: bool = False
    last_error: str = ""
    """When and why an agent was not let in, or a request that was let in was not carried; the last of both."""
    named: dict[Link, AgentName] = field(default_factory=dict)
    """The live links of agents with a certificate."""
    _ends: dict[Link, datetime] = field(default_factory=dict)
    """Until when each of them is good."""
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _renewals: Rates = field(default_factory=lambda: Rates(_RENEWALS_PER_S))
    leftovers: Leftovers = field(default_factory=Leftovers)
    """Of links, and of requests that were abandoned."""

    async def serve(self, request: web.BaseRequest, tenant: str) -> web.StreamResponse:
        """Carry the link of one agent until it ends; 401 for wrong credentials and for a wrong tenant alike."""
        try:
            visitor = await self._look_at(request, tenant)
        except StoreUnavailable as failure:
            self._refused(request.remote, str(failure))
            return web.Response(status=503, text="The relay's store cannot be asked.\n", headers={"Retry-After": "5"})
        if isinstance(visitor, str):
            self._refused(request.remote, visitor)
            return web.Response(status=401, text="This tenant and token are not accepted.\n", headers=_CHALLENGE)
        if self.draining:
            return web.Response(status=503, text="This relay is about to stop.\n", headers={"Retry-After": "1"})
        with ExitStack() as held:
            if visitor.challenge:
                try:
                    held.enter_context(self.waiting.place(network_of(visitor.peer)))
                except TooManyAwaited as full:
                    self._refused(visitor.peer, f"{full.limit} that have not proven themselves are {_AT_THE_DOOR}")
                    return web.Response(status=503, text="Too many are at the door.\n", headers={"Retry-After": "5"})
            return await self._greet(request, visitor, held)

    async def _greet(self, request: web.BaseRequest, visitor: _Visitor, held: ExitStack) -> web.StreamResponse:
        socket = web.WebSocketResponse(compress=False, max_msg_size=MESSAGE_BYTES, timeout=1.0)
        socket.headers["Server"] = SERVER
        try:
            await socket.prepare(request)
        except web.HTTPException as failure:
            return failure
        features = frozenset({DEFLATE}) if self.compression else frozenset[str]()
        hello = Hello(VERSIONS, WINDOW_BYTES, self.name, __version__, features, visitor.challenge)
        await self._carry(Link(socket, Session(hello, opens=True), self.heartbeat), visitor, held.close)
        return socket

    def cut_revoked(self, revoked: frozenset[str]) -> None:
        """End the links of agents that are let in no more."""
        for link, name in self.named.items():
            if name.agent in revoked:
                link.cut("the agent was revoked")

    def end_expired(self) -> None:
        """Have no more requests on links whose agent's certificate is over; they end with what they carry."""
        moment = now()
        for link, end in self._ends.items():
            if moment < end:
                continue
            if not link.drains.is_set():
                self.last_error = dated(f"the certificate of agent {link.peer.name} has expired")
            link.drain(_EXPIRED)
            if moment >= end + _LINGER:
                link.cut(_EXPIRED)

    def turn_away(self, peer: str, doubt: str) -> None:
        """Tell of a client whose certificate is not believed: TLS ends then, and it hears no more than that."""
        mend = "enrol it anew, unless a clock is wrong"
        self._refused(peer, f"its certificate is not of this relay's authority, or out of its time ({doubt}): {mend}")

    def _refused(self, peer: str | None, reason: str, tenant: str | None = None) -> None:
        known = tenant if tenant is not None and tenant in self.tenants else None
        logs.event(events.LINK_REFUSED, level=logging.WARNING, tenant=known, peer=peer, reason=reason)
        self.last_error = dated(f"an agent at {peer} was not let in: {reason}")

    async def _look_at(self, request: web.BaseRequest, tenant: str) -> _Visitor | str:
        """Return who asks to be let in, or why nobody is; raises StoreUnavailable."""
        shown = _shown(request)
        name = self.enrolment.authority.recognise(shown, now()) if shown else None
        if name is not None:
            end = x509.load_der_x509_certificate(shown).not_valid_after_utc
            welcome = name.tenant == tenant and await self.tenants.welcomes(tenant, name.agent, end)
            return _Visitor(tenant, request.remote, shown, name, b"") if welcome else _unwelcome(name, tenant)
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "certificate":
            return _Visitor(tenant, request.remote, b"", None, secrets.token_bytes(CHALLENGE_BYTES))
        if scheme.lower() == "bearer" and self.tenants.admits(tenant, token.strip()):
            return _Visitor(tenant, request.remote, b"", None, b"")
        return _UNKNOWN

    async def _proven(self, visitor: _Visitor, hello: Hello) -> AgentName | str:
        """Return whom the hello proves to be, or why nobody who is welcome; raises StoreUnavailable."""
        name = self.enrolment.authority.recognise(hello.certificate, now())
        if name is None:
            return _UNPROVEN
        certificate = x509.load_der_x509_certificate(hello.certificate)
        if not is_proven(certificate, visitor.challenge, hello.proof):
            return _UNPROVEN
        welcome = name.tenant == visitor.tenant and await self.tenants.welcomes(
            name.tenant, name.agent, certificate.not_valid_after_utc
        )
        return name if welcome else _unwelcome(name, visitor.tenant)

    async def _carry(self, link: Link, visitor: _Visitor, proven: Callable[[], None]) -> None:
        tenant = visitor.tenant
        # An agent may ask for its next certificate together with its hello, before it is known whose link this is.
        early = deque[bytes](maxlen=1)
        link.on_renewal = early.append
        async with asyncio.TaskGroup() as tasks:
            ended = tasks.create_task(link.run())
            greeted = tasks.create_task(link.greeted.wait())
            try:
                await asyncio.wait({ended, greeted}, timeout=HELLO_S, return_when=asyncio.FIRST_COMPLETED)
                if not link.greeted.is_set():
                    reason = link.end_reason if ended.done() else f"no hello within {HELLO_S:g} s"
                    self._refused(visitor.peer, reason, tenant)
                    link.cut(reason)
                    return
                if max(map(len, (link.peer.name, link.peer.software, link.peer.instance))) > _NAME:
                    self._refused(visitor.peer, _TOO_LONG, tenant)
                    link.cut(_TOO_LONG)
                    return
                told = _UNPROVEN
                try:
                    name = await self._proven(visitor, link.peer) if visitor.challenge else visitor.name
                except StoreUnavailable as failure:
                    name, told = str(failure), "the relay cannot look the certificate up just now"
                if isinstance(name, str):
                    self._refused(visitor.peer, name, tenant)
                    link.cut(told)
                    return
                proven()
                self._follow(link, visitor, name, early)
                await self._match(link, visitor, name, ended)
            finally:
                greeted.cancel()
                ended.cancel()
                self.leftovers.note()

    async def _match(self, link: Link, visitor: _Visitor, name: AgentName | None, ended: asyncio.Task[str]) -> None:
        """Let the link take requests until it ends."""
        tenant, agent = visitor.tenant, link.peer.name
        identity = name.agent if name else None
        logs.event(
            events.LINK_CONNECTED,
            tenant=tenant,
            agent=agent,
            id=identity,
            version=link.peer.software,
            protocol=link.session.version,
            peer=visitor.peer,
        )
        told = partial(logs.event, events.LINK_ENDED, tenant=tenant, agent=agent, id=identity)
        ended.add_done_callback(lambda _: told(reason=link.end_reason))
        self.agents.add(tenant, link)
        try:
            await asyncio.wait({ended})
        finally:
            self.agents.remove(tenant, link)
            self.named.pop(link, None)
            self._ends.pop(link, None)

    def _follow(self, link: Link, visitor: _Visitor, name: AgentName | None, early: deque[bytes]) -> None:
        """Know when the link's certificate ends, and renew it when asked, where the agent has one."""
        if name is None:
            link.on_renewal = lambda _: None
            return
        end = x509.load_der_x509_certificate(visitor.certificate or link.peer.certificate).not_valid_after_utc
        # Its certificate may have been renewed over another link while this one came about.
        self._ends[link] = max([end, *(self._ends[other] for other, known in self.named.items() if known == name)])
        self.named[link] = name
        link.on_renewal = partial(self._on_renewal, link, name)
        while early:
            self._on_renewal(link, name, early.popleft())

    def _on_renewal(self, link: Link, name: AgentName, request: bytes) -> None:
        """Begin to issue the agent's next certificate; one that comes too soon or too late is passed over, unlogged."""
        end = self._ends.get(link)
        if end is None or now() >= end:
            return
        if self._renewals.take(name.agent, asyncio.get_running_loop().time()):
            self.last_error = dated(f"agent {link.peer.name} asks for certificates too often")
            return
        self._begin(self._renew(link, name, request))

    async def _renew(self, link: Link, name: AgentName, request: bytes) -> None:
        try:
            certificate = await self.enrolment.renew(name, link.peer.name, request)
        except (RequestRefused, StoreUnavailable) as refused:
            # The agent asks again in a minute.
            logs.event(events.ENROLMENT_REFUSED, level=logging.WARNING, agent=name.agent, reason=str(refused))
            return
        end = x509.load_pem_x509_certificate(certificate).not_valid_after_utc
        self._ends.update({one: end for one, other in self.named.items() if other == name})
        link.session.send_renewed(certificate)
        link.flush()

    def _begin(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _unwelcome(name: AgentName, tenant: str) -> str:
    """Say, to administrators of the relay alone, why an agent with a good certificate is not let in."""
    if name.tenant != tenant:
        return f"agent {name.agent} is of tenant {name.tenant}"
    return f"agent {name.agent} of tenant {tenant} is revoked, or was never enrolled here"


def _shown(request: web.BaseRequest) -> bytes:
    """Return the client certificate of the TLS handshake, DER, empty where there was none."""
    transport = request.transport
    session = None if transport is None else transport.get_extra_info("ssl_object")
    return (session.getpeercert(binary_form=True) or b"") if isinstance(session, ssl.SSLObject) else b""


_CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="agents"'}
