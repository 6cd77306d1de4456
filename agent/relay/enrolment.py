"""How an agent gets its certificate: the first for a one-time token, each next one over its own link."""

from __future__ import annotations

import asyncio
import logging
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec
from aiohttp import web
from cryptography.hazmat.primitives.serialization import Encoding

from agent import events, logs
from agent.errors import AgentError
from agent.link.credentials import AgentName
from agent.link.messages import EnrolmentAnswer, EnrolmentRequest
from agent.relay.authority import RequestRefused
from agent.relay.databases import StoreUnavailable
from agent.relay.store import EnrolledAgent
from agent.settings import TENANT_NAME
from connector_host.clock import now

if TYPE_CHECKING:
    from datetime import timedelta

    from agent.relay.authority import Authority
    from agent.relay.store import Store

BODY_BYTES: Final = 16_384
NAME_CHARS: Final = 100
BODY_S: Final = 10.0
"""Seconds in which the whole of a request to enrol must come."""


class _TokenRefused(AgentError):
    """Nobody may enrol with this token."""

    def __init__(self) -> None:
        super().__init__("This enrolment token is not valid: it was used, has expired, or is of another tenant.")


class _AuthorityOver(AgentError):
    """Nobody may enrol any more: a certificate would be over before it is issued."""


@dataclass(frozen=True, slots=True)
class Enrolment:
    """Issues certificates to agents, and remembers to whom."""

    authority: Authority
    store: Store
    life: timedelta
    """How long a certificate is good."""

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer POST /enroll: a certificate for a token that was never used."""
        try:
            async with asyncio.timeout(BODY_S):
                body = await request.content.readexactly(min(request.content_length or 0, BODY_BYTES))
            wanted = msgspec.json.decode(body, type=EnrolmentRequest)
        except (msgspec.MsgspecError, EOFError, TimeoutError):
            return _refuse(400, "The enrolment request cannot be read.", request.remote)
        # Whoever stands at the door says it: it goes into the log where it can be a tenant's name, and nothing else.
        tenant = wanted.tenant if TENANT_NAME.fullmatch(wanted.tenant) else None
        try:
            return await self._enrol(wanted)
        except _TokenRefused as refused:
            return _refuse(403, str(refused), request.remote, tenant)
        except RequestRefused as refused:
            return _refuse(400, str(refused), request.remote, tenant)
        except _AuthorityOver as over:
            return _refuse(503, str(over), request.remote, tenant)
        except StoreUnavailable as failure:
            detail = "The relay's store cannot be asked just now: try again later."
            return _refuse(503, detail, request.remote, tenant, reason=str(failure))

    async def _enrol(self, wanted: EnrolmentRequest) -> web.StreamResponse:
        moment = now()
        if not wanted.name.isprintable() or not 0 < len(wanted.name) <= NAME_CHARS:
            raise RequestRefused(f"agent.name: an agent has a name of 1 to {NAME_CHARS} printable characters.")
        if not TENANT_NAME.fullmatch(wanted.tenant):
            raise _TokenRefused
        if moment >= self.authority.certificate.not_valid_after_utc:
            raise _AuthorityOver("The relay's authority for agents has expired: its administrator must replace it.")
        name = AgentName(wanted.tenant, uuid.uuid4().hex)
        certificate = self.authority.issue(wanted.request.encode(), name, wanted.name, moment, self.life)
        ends_s = int(certificate.not_valid_after_utc.timestamp())
        enrolled = EnrolledAgent(name.agent, name.tenant, wanted.name, int(moment.timestamp()), ends_s, None)
        # The token is spent before the certificate leaves: one that is raced for is worth one agent, not two.
        if not await asyncio.to_thread(self.store.enrol, wanted.token, enrolled):
            raise _TokenRefused
        logs.event(events.AGENT_ENROLLED, tenant=name.tenant, agent=wanted.name, id=name.agent)
        answer = EnrolmentAnswer(
            name.agent, certificate.public_bytes(Encoding.PEM).decode(), self.authority.pem.decode()
        )
        return web.Response(body=msgspec.json.encode(answer), content_type="application/json")

    async def renew(self, name: AgentName, label: str, request: bytes) -> bytes:
        """Return the next certificate, PEM, of an agent whose link is up; raises RequestRefused, StoreUnavailable."""
        certificate = self.authority.issue(request, name, label, now(), self.life)
        ends_s = int(certificate.not_valid_after_utc.timestamp())
        await asyncio.to_thread(self.store.renew_agent, name.agent, ends_s)
        logs.event(events.AGENT_RENEWED, tenant=name.tenant, agent=label, id=name.agent)
        return certificate.public_bytes(Encoding.PEM)


def _refuse(status: int, detail: str, peer: str | None, tenant: str | None = None, *, reason: str = "") -> web.Response:
    """Answer with the detail, and log it, or another reason that is not for everybody."""
    logs.event(
        events.ENROLMENT_REFUSED,
        level=logging.WARNING,
        tenant=tenant,
        peer=peer,
        status=status,
        reason=reason or detail,
    )
    return web.Response(status=status, body=msgspec.json.encode({"detail": detail}), content_type="application/json")
