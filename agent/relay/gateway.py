"""The relay's HTTPS side: SCIM clients at /t/TENANT/…, agents at /link/TENANT and /enroll, life at /healthz.

Bounds what a client may send, writes the answer as it streams, and knows nothing of what becomes of a request.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import msgspec
from aiohttp import web

from agent import events, logs
from agent.rates import Rates
from agent.relay import answers
from agent.relay.answers import SCIM_JSON, SERVER, Problem
from agent.relay.bodies import ClientBody, TooLarge, WholeBody
from agent.relay.delivery import ParsedClient
from agent.relay.forwarded import is_authority
from agent.relay.passages import embark
from agent.relay.requests import parsed
from agent.relay.waiting import TooManyAwaited, WaitingRoom
from connector_host.framing import encourage
from connector_host.networks import client_behind, is_among, network_of
from connector_host.traces import REQUEST_ID, request_id

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from agent.relay.admission import Admission
    from agent.relay.delivery import Client, Response, WholeClient
    from agent.relay.fate import Body
    from agent.relay.matching import Agents
    from agent.relay.passages import Passage
    from agent.relay.requests import ClientRequest, Whole
    from agent.relay.tenants import Tenants
    from agent.settings import LimitSettings

_TENANT_TARGET: Final = re.compile(r"/t/(?P<tenant>[^/?]+)(?P<target>/.*)")
_LINK_TARGET: Final = re.compile(r"/link/(?P<tenant>[^/?]+)")


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

    async def serve(self, request: web.BaseRequest) -> Response:
        """Return the answer to one request."""
        if is_among(request.remote, self.proxies):
            request = _from_client(request, self.proxies)
        # The target as the client sent it: clients send quotes and blanks that a parsed URL would spell differently.
        target = request.raw_path
        if match := _TENANT_TARGET.fullmatch(target):
            return await self._scim(request, match["tenant"], match["target"])
        link = _LINK_TARGET.fullmatch(target)
        if link or (target == "/enroll" and request.method == "POST"):
            if hasty := self._hasty(request.remote):
                return self.problem(hasty, request_id(None))
            door = self.admission
            answer = await (door.serve(request, link["tenant"]) if link else door.enrolment.serve(request))
            if not answer.prepared:
                answer.headers["Server"] = SERVER
            return answer
        if target == "/healthz":
            return web.Response(text="ok\n", headers={"Server": SERVER})
        return self.problem(answers.NO_SUCH_PATH, request_id(None))

    def serve_whole(self, asked: Whole, client: WholeClient) -> Passage | None:
        """Answer a request that is here to its end: call the client back; return what can be cancelled until then."""
        head = asked.head
        if self.proxies and is_among(head.remote, self.proxies):
            head = _behind_proxy(head, self.proxies)
        identity = request_id(head.headers.request_id)
        if refusal := self._hasty(head.remote) or self._refusal(head) or self._too_fast(head.tenant):
            client.go_on(_ready(self._refuse(head, refusal, identity)))
            return None
        deadline = asyncio.get_running_loop().time() + self.limits.request_s
        passage = embark(self, client, head, identity, WholeBody(asked.body), deadline_s=deadline)
        try:
            return passage.begin(client)
        except BaseException:
            passage.over()
            raise

    async def _scim(self, request: web.BaseRequest, tenant: str, target: str) -> Response:
        asked = parsed(request, tenant, target)
        identity = request_id(asked.headers.request_id)
        if refusal := self._hasty(asked.remote) or self._refusal(asked) or self._too_fast(tenant):
            return self._refuse(asked, refusal, identity)
        return await self._counted(asked, identity, self._receive(request, asked, identity))

    async def _counted(self, asked: ClientRequest, identity: str, answer: Awaitable[Response]) -> Response:
        self.enter()
        try:
            return await answer
        except (asyncio.CancelledError, ConnectionError):
            self.tell_abandoned(asked, identity)
            raise
        finally:
            self.leave()

    def enter(self) -> None:
        """Count a request that begins."""
        self.under_way += 1
        self._idle.clear()

    def leave(self) -> None:
        """Count a request that is over."""
        self.under_way -= 1
        if not self.under_way:
            self._idle.set()

    def tell_abandoned(self, asked: ClientRequest, identity: str) -> None:
        """Log that the client hung up, or that the time to stop is over: no answer tells of the request."""
        self.admission.leftovers.note()
        fields = {"tenant": asked.tenant, "request_id": identity, "peer": asked.remote, "method": asked.method}
        logs.event(events.REQUEST_ABANDONED, level=logging.WARNING, **fields)

    async def _receive(self, request: web.BaseRequest, asked: ClientRequest, identity: str) -> Response:
        """Wait for the body, at the cost of its sender alone; only then it takes one of its tenant's places."""
        deadline = asyncio.get_running_loop().time() + self.limits.request_s
        body = ClientBody(request, self.limits)
        try:
            with ExitStack() as held:
                if not body.is_here:
                    held.enter_context(self._waiting.place(network_of(request.remote)))
                await encourage(request)
                try:
                    await body.begin(deadline)
                except TimeoutError:
                    return self._refuse(asked, answers.BODY_TOO_SLOW, identity)
                if body.complete:
                    held.close()
                return await self._carry(ParsedClient(request), asked, identity, body, deadline)
        except TooLarge:
            return self._refuse(asked, answers.too_large(self.limits.body_bytes), identity)
        except web.RequestPayloadError:
            return self._refuse(asked, answers.NO_CHUNK, identity)
        except TooManyAwaited as full:
            return self._refuse(asked, answers.too_many_bodies(full.limit), identity)

    def _refusal(self, asked: ClientRequest) -> Problem | None:
        """Return why this request goes no further than here, or None where it may."""
        tenant = asked.tenant
        if tenant not in self.tenants:
            return answers.NO_SUCH_TENANT
        if self.tenants.demands_token(tenant) and not self.tenants.admits_client(tenant, asked.headers.authorization):
            return answers.NO_TOKEN
        if (misdirected := self._misdirected(asked)) is not None:
            return misdirected
        if (asked.length or 0) > self.limits.body_bytes:
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

    def _hasty(self, address: str | None) -> Problem | None:
        """Return the answer where this client's address asks too often, whatever for."""
        if self._of_addresses.per_s is None:
            return None
        now_s = asyncio.get_running_loop().time()
        after_s = self._of_addresses.take(network_of(address), now_s)
        if not after_s:
            return None
        self.slowed[""] += 1
        return answers.too_fast("Your address", self._of_addresses.per_s, after_s)

    def _misdirected(self, asked: ClientRequest) -> Problem | None:
        """Return why this cannot be a request to a SCIM service here, or None where it can."""
        if asked.method not in answers.METHODS:
            return answers.NO_SUCH_METHOD
        host = asked.headers.host
        if host.isascii() and host.lower() in self.authorities:
            return None
        return answers.other_authority(sorted(self.authorities)) if is_authority(host) else answers.BAD_HOST

    async def _carry(
        self, client: Client, asked: ClientRequest, identity: str, body: Body, deadline: float
    ) -> Response:
        """Return the answer; until it is delivered, or as good as that, the request has one of its tenant's places."""
        if self.in_flight[asked.tenant] >= self.limits.in_flight:
            return self._refuse(asked, answers.too_many(self.limits.in_flight), identity)
        passage = embark(self, client, asked, identity, body, deadline_s=deadline)
        try:
            return await passage.settle()
        finally:
            passage.over()

    def _refuse(self, asked: ClientRequest, problem: Problem, identity: str) -> web.Response:
        """Answer what goes no further than here, where administrators see it; of tenants only those that there are."""
        known = asked.tenant if asked.tenant in self.tenants else None
        if known is not None:
            self.answered[known, problem.status] += 1
        logs.event(
            events.REQUEST_REFUSED,
            tenant=known,
            request_id=identity,
            peer=asked.remote,
            method=asked.method,
            status=problem.status,
            detail=problem.detail,
        )
        return self.problem(problem, identity)

    def problem(self, problem: Problem, identity: str) -> web.Response:
        """Return the answer that says what went wrong."""
        headers = {"Content-Type": SCIM_JSON, REQUEST_ID: identity, "Server": SERVER}
        if problem.status == HTTPStatus.UNAUTHORIZED:
            headers["WWW-Authenticate"] = 'Bearer realm="scim"'
        if problem.allow:
            headers["Allow"] = problem.allow
        if problem.retry:
            headers["Retry-After"] = str(problem.after_s or self.retry_after_s)
        response = web.Response(status=problem.status, body=problem.body(identity), headers=headers)
        if problem.close or self.admission.draining:
            response.force_close()
        return response


async def _ready(response: Response) -> Response:
    return response


def _from_client(request: web.BaseRequest, proxies: tuple[str, ...]) -> web.BaseRequest:
    """Return the request as one of the client that a proxy names; of the proxy, where it names none."""
    said = request.headers.getall("Forwarded", ()), request.headers.getall("X-Forwarded-For", ())
    return request.clone(remote=client_behind(request.remote or "", *said, proxies).address)


def _behind_proxy(asked: ClientRequest, proxies: tuple[str, ...]) -> ClientRequest:
    """Return the same of a request that aiohttp has not seen."""
    headers = asked.headers
    client = client_behind(asked.remote or "", headers.said(b"forwarded"), headers.said(b"x-forwarded-for"), proxies)
    return msgspec.structs.replace(asked, remote=client.address)
