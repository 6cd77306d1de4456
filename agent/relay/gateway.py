"""The relay's HTTPS side: SCIM clients at /t/TENANT/…, agents at /link/TENANT and /enroll, life at /healthz.

Bounds what a client may send, writes the answer as it streams, and knows nothing of what becomes of a request.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from aiohttp import web

from agent import events, logs
from agent.errors import AgentError
from agent.link.messages import RequestHead
from agent.rates import Rates
from agent.relay import answers
from agent.relay.answers import SCIM_JSON, Problem
from agent.relay.bodies import ClientBody, TooLarge
from agent.relay.delivery import Stalled, deliver, encourage
from agent.relay.fate import Asked, Carried, carry, is_safe
from agent.relay.forwarded import REQUEST_ID, Caller, is_authority, onward, request_id
from agent.relay.waiting import TooManyBodies, WaitingRoom
from agent.status import dated
from connector_host import traces
from connector_host.networks import client_behind, is_among, network_of

if TYPE_CHECKING:
    from agent.relay.admission import Admission
    from agent.relay.matching import Agents
    from agent.relay.tenants import Tenants
    from agent.settings import LimitSettings

SERVER: Final = "provisioning-relay"

_TENANT_TARGET: Final = re.compile(r"/t/(?P<tenant>[^/?]+)(?P<target>/.*)")
_LINK_TARGET: Final = re.compile(r"/link/(?P<tenant>[^/?]+)")


@dataclass(frozen=True, slots=True)
class _Received:
    """A request that may be carried."""

    tenant: str
    target: str
    identity: str
    body: ClientBody
    deadline: float
    """When its answer must have begun, by the loop's clock."""


@dataclass(slots=True)
class Gateway:
    """Answers every request that reaches the relay."""

    tenants: Tenants
    agents: Agents
    admission: Admission
    limits: LimitSettings
    retry_after_s: int
    in_flight: Counter[str] = field(default_factory=Counter)
    """Requests under way, by tenant."""
    answered: Counter[tuple[str, int]] = field(default_factory=Counter)
    """Requests answered, by tenant and status."""
    under_way: int = 0
    """Requests under way, of all tenants, those whose body is awaited included."""
    authorities: frozenset[str] = frozenset()
    """What clients may write in the Host header, in lower case: the host names it in `meta.location`."""
    proxies: tuple[str, ...] = ()
    """Who is believed about its clients' addresses."""
    _idle: asyncio.Event = field(default_factory=asyncio.Event)
    slowed: Counter[str] = field(default_factory=Counter)
    """Requests refused because they came too fast, by tenant; those of an address that did are nobody's."""
    _waiting: WaitingRoom = field(init=False)
    _of_tenants: Rates = field(init=False)
    _of_addresses: Rates = field(init=False)

    def __post_init__(self) -> None:
        self._waiting = WaitingRoom(self.limits)
        self._of_tenants = Rates(self.limits.requests_per_s)
        self._of_addresses = Rates(self.limits.requests_per_s_and_address)

    async def idle(self, limit_s: float) -> None:
        """Return once no request is under way, or when the time is up."""
        if self.under_way:
            with suppress(TimeoutError):
                async with asyncio.timeout(limit_s):
                    await self._idle.wait()

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Return the answer to one request."""
        if is_among(request.remote, self.proxies):
            request = _from_client(request, self.proxies)
        # The target as the client sent it: clients send quotes and blanks that a parsed URL would spell differently.
        target = request.raw_path
        if match := _TENANT_TARGET.fullmatch(target):
            return await self._scim(request, match["tenant"], match["target"])
        link = _LINK_TARGET.fullmatch(target)
        if link or (target == "/enroll" and request.method == "POST"):
            if hasty := self._hasty(request):
                return self._problem(hasty, request_id(None))
            door = self.admission
            return await (door.serve(request, link["tenant"]) if link else door.enrolment.serve(request))
        if target == "/healthz":
            return web.Response(text="ok\n", headers={"Server": SERVER})
        return self._problem(answers.NO_SUCH_PATH, request_id(None))

    async def _scim(self, request: web.BaseRequest, tenant: str, target: str) -> web.StreamResponse:
        identity = request_id(request.headers.get(REQUEST_ID))
        if refusal := self._hasty(request) or self._refusal(request, tenant) or self._too_fast(tenant):
            return self._refuse(request, tenant, refusal, identity)
        self.under_way += 1
        self._idle.clear()
        try:
            return await self._receive(request, tenant, target, identity)
        except TooLarge:
            return self._refuse(request, tenant, answers.too_large(self.limits.body_bytes), identity)
        except TooManyBodies as full:
            return self._refuse(request, tenant, answers.too_many_bodies(full.limit), identity)
        finally:
            self.under_way -= 1
            if not self.under_way:
                self._idle.set()

    async def _receive(self, request: web.BaseRequest, tenant: str, target: str, identity: str) -> web.StreamResponse:
        """Wait for the body, at the cost of its sender alone; only then it takes one of its tenant's places."""
        deadline = asyncio.get_running_loop().time() + self.limits.request_s
        body = ClientBody(request, self.limits)
        with ExitStack() as held:
            if not body.is_here:
                held.enter_context(self._waiting.place(network_of(request.remote)))
            await encourage(request)
            try:
                await body.begin(deadline)
            except TimeoutError:
                return self._refuse(request, tenant, answers.BODY_TOO_SLOW, identity)
            if body.complete:
                held.close()
            if self.in_flight[tenant] >= self.limits.in_flight:
                return self._refuse(request, tenant, answers.too_many(self.limits.in_flight), identity)
            self.in_flight[tenant] += 1
            try:
                return await self._carry(request, _Received(tenant, target, identity, body, deadline))
            finally:
                self.in_flight[tenant] -= 1

    def _refusal(self, request: web.BaseRequest, tenant: str) -> Problem | None:
        """Return why this request goes no further than here, or None where it may."""
        if tenant not in self.tenants:
            return answers.NO_SUCH_TENANT
        demanded = self.tenants.demands_token(tenant)
        if demanded and not self.tenants.admits_client(tenant, request.headers.get("Authorization", "")):
            return answers.NO_TOKEN
        if (misdirected := self._misdirected(request)) is not None:
            return misdirected
        if (request.content_length or 0) > self.limits.body_bytes:
            return answers.too_large(self.limits.body_bytes)
        if self.in_flight[tenant] >= self.limits.in_flight:
            return answers.too_many(self.limits.in_flight)
        return None

    def _too_fast(self, tenant: str) -> Problem | None:
        """Return the answer where the tenant asks too often; what was refused before does not count."""
        if self._of_tenants.per_s is None:
            return None
        after_s = self._of_tenants.take(tenant, asyncio.get_running_loop().time())
        if not after_s:
            return None
        self.slowed[tenant] += 1
        return answers.too_fast(f"The tenant {tenant}", self._of_tenants.per_s, after_s)

    def _hasty(self, request: web.BaseRequest) -> Problem | None:
        """Return the answer where this client's address asks too often, whatever for."""
        if self._of_addresses.per_s is None:
            return None
        now_s = asyncio.get_running_loop().time()
        after_s = self._of_addresses.take(network_of(request.remote), now_s)
        if not after_s:
            return None
        self.slowed[""] += 1
        return answers.too_fast("Your address", self._of_addresses.per_s, after_s)

    def _misdirected(self, request: web.BaseRequest) -> Problem | None:
        """Return why this cannot be a request to a SCIM service here, or None where it can."""
        if request.method not in answers.METHODS:
            return answers.NO_SUCH_METHOD
        if not is_authority(request.host):
            return answers.BAD_HOST
        return None if request.host.lower() in self.authorities else answers.other_authority(sorted(self.authorities))

    async def _carry(self, request: web.BaseRequest, received: _Received) -> web.StreamResponse:
        tenant, target, identity, body = received.tenant, received.target, received.identity, received.body
        left_s = received.deadline - asyncio.get_running_loop().time()
        trace = traces.go_on(request.headers.getall(traces.HEADER, ()))
        # A proxy asks for many: the host shall not take them for one client.
        address = None if is_among(request.remote, self.proxies) else request.remote
        known = self.tenants.demands_token(tenant)
        head = RequestHead(
            method=request.method,
            target=target,
            headers=onward(
                request.raw_headers,
                Caller(tenant, request.host, identity, address, trace, known),
                keyed=not is_safe(request.method, target),
            ),
            request_id=identity,
            deadline_ms=max(1, int(left_s * 1000)),
            length=len(body.first) if body.complete else request.content_length,
            known=known,
        )
        outcome = await carry(self.agents, Asked(tenant, head, body, self.limits.wait_s))
        if isinstance(outcome, Problem):
            self.admission.last_error = dated(f"tenant {tenant}: {outcome.detail}")
            response: web.StreamResponse = self._problem(outcome, identity)
        else:
            try:
                # A client that is told in time asks the next node, in place of a connection that is about to be closed.
                last = self.admission.draining
                response = await deliver(request, outcome, identity, self.limits.request_s, last=last)
            except AgentError as failure:
                words = str(failure) if isinstance(failure, Stalled) else "the link broke"
                problem = answers.answer_lost(outcome.link.peer.name, outcome.head.status, words)
                response = self._problem(problem, identity)
            finally:
                outcome.close()
        self.answered[tenant, response.status] += 1
        logs.event(
            events.REQUEST_ANSWERED,
            tenant=tenant,
            request_id=identity,
            traceparent=trace.header,
            method=head.method,
            status=response.status,
            agent=outcome.link.peer.name if isinstance(outcome, Carried) else None,
        )
        return response

    def _refuse(self, request: web.BaseRequest, tenant: str, problem: Problem, identity: str) -> web.Response:
        """Answer what goes no further than here, where administrators see it; of tenants only those that there are."""
        known = tenant if tenant in self.tenants else None
        if known is not None:
            self.answered[known, problem.status] += 1
        logs.event(
            events.REQUEST_REFUSED,
            tenant=known,
            request_id=identity,
            peer=request.remote,
            method=request.method,
            status=problem.status,
            detail=problem.detail,
        )
        return self._problem(problem, identity)

    def _problem(self, problem: Problem, identity: str) -> web.Response:
        headers = {"Content-Type": SCIM_JSON, REQUEST_ID: identity, "Server": SERVER}
        if problem.status == HTTPStatus.UNAUTHORIZED:
            headers["WWW-Authenticate"] = 'Bearer realm="scim"'
        if problem.allow:
            headers["Allow"] = problem.allow
        if problem.retry:
            headers["Retry-After"] = str(problem.after_s or self.retry_after_s)
        response = web.Response(status=problem.status, body=problem.body, headers=headers)
        if problem.close or self.admission.draining:
            response.force_close()
        return response


def _from_client(request: web.BaseRequest, proxies: tuple[str, ...]) -> web.BaseRequest:
    """Return the request as one of the client that a proxy names; of the proxy, where it names none."""
    said = request.headers.getall("Forwarded", ()), request.headers.getall("X-Forwarded-For", ())
    return request.clone(remote=client_behind(request.remote or "", *said, proxies).address)
