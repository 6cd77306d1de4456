"""How an agent gets in: a token at the upgrade, a hello on both sides, and a place among the tenant's links."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aiohttp import web

from agent import __version__, events, logs
from agent.link.links import MESSAGE_BYTES, Heartbeat, Link
from agent.link.messages import VERSION, Hello
from agent.link.session import WINDOW_BYTES, Session

if TYPE_CHECKING:
    from agent.relay.matching import Agents
    from agent.relay.tenants import Tenants

HELLO_S: Final = 10.0
"""Seconds in which an agent that was let in must say hello."""


@dataclass(slots=True)
class Admission:
    """Lets agents in."""

    tenants: Tenants
    agents: Agents
    heartbeat: Heartbeat
    name: str
    """What agents are told the relay is called."""
    draining: bool = False

    async def serve(self, request: web.BaseRequest, tenant: str) -> web.StreamResponse:
        """Carry the link of one agent until it ends; 401 for a wrong token and for a wrong tenant alike."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not self.tenants.admits(tenant, token.strip()):
            logs.event(events.LINK_REFUSED, level=logging.WARNING, peer=request.remote, reason="tenant or token")
            return web.Response(status=401, text="This tenant and token are not accepted.\n", headers=_CHALLENGE)
        if self.draining:
            return web.Response(status=503, text="This relay is about to stop.\n", headers={"Retry-After": "1"})
        socket = web.WebSocketResponse(compress=False, max_msg_size=MESSAGE_BYTES, timeout=1.0)
        try:
            await socket.prepare(request)
        except web.HTTPException as failure:
            return failure
        hello = Hello((VERSION, VERSION), WINDOW_BYTES, self.name, __version__)
        await self._carry(Link(socket, Session(hello, opens=True), self.heartbeat), tenant, request.remote)
        return socket

    async def _carry(self, link: Link, tenant: str, peer: str | None) -> None:
        async with asyncio.TaskGroup() as tasks:
            ended = tasks.create_task(link.run())
            greeted = tasks.create_task(link.greeted.wait())
            try:
                await asyncio.wait({ended, greeted}, timeout=HELLO_S, return_when=asyncio.FIRST_COMPLETED)
                if not link.greeted.is_set():
                    reason = link.end_reason if ended.done() else f"no hello within {HELLO_S:g} s"
                    logs.event(events.LINK_REFUSED, level=logging.WARNING, tenant=tenant, peer=peer, reason=reason)
                    return
                await self._match(link, tenant, peer, ended)
            finally:
                greeted.cancel()
                ended.cancel()

    async def _match(self, link: Link, tenant: str, peer: str | None, ended: asyncio.Task[str]) -> None:
        """Let the link take requests until it ends."""
        agent = link.peer.name
        logs.event(events.LINK_CONNECTED, tenant=tenant, agent=agent, version=link.peer.software, peer=peer)
        self.agents.add(tenant, link)
        try:
            await asyncio.wait({ended})
        finally:
            self.agents.remove(tenant, link)
            logs.event(events.LINK_ENDED, tenant=tenant, agent=agent, reason=link.end_reason)


_CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="agents"'}
