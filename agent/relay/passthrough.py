"""A client's TLS connection, carried untouched to the tenant's host: the relay can neither read nor forge anything.

What becomes of a request inside is nobody's to say here: a link that breaks ends the connection, as a broken network
would. When relay or agent are about to stop, a connection is ended in a quiet moment: the host spoke last, and then
nobody for a while, so most likely an answer is complete and no request is under way.

A client needs no token to hold a connection, and has a place of its tenant and of an agent with it: one whose host has
ended it, or on which nothing passes any more, is ended, and no address holds more than it leaves to others.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

from agent import events, logs
from agent.errors import AgentError, LinkLost, StreamFailed
from agent.link.messages import Failure, RequestHead
from agent.link.packing import decode, encode
from agent.link.piping import Traffic, pipe
from agent.relay import answers
from agent.relay.refusals import Refusals
from agent.relay.sni import HELLO_BYTES
from agent.status import dated
from connector_host.networks import network_of
from connector_host.unsent import unsent_bytes

if TYPE_CHECKING:
    from agent.link.streams import Stream
    from agent.relay.matching import Agents, Route
    from agent.settings import LimitSettings

_LEFT: Final = "the client left while there was no agent for it"
_TOO_MANY: Final = "this address holds as many connections as are free (relay.limits.passthrough_connections)"
QUIET_S: Final = 2.0
"""Silence after the host's last bytes that passes for the end of an answer, where relay or agent are about to stop."""


class Stalled(AgentError):
    """Nothing passes on the connection any more."""


@dataclass(slots=True)
class Passthrough:
    """Carries connections."""

    agents: Agents
    limits: LimitSettings
    under_way: Counter[str] = field(default_factory=Counter)
    """Connections, by tenant."""
    held: Counter[tuple[str, str]] = field(default_factory=Counter)
    """The same, by tenant and client."""
    failed: Counter[str] = field(default_factory=Counter)
    """Connections that were not carried, by tenant."""
    last_error: str = ""
    """When and why that was so last."""
    leaving: bool = False
    """Whether this relay is about to stop; links by way of other nodes stay usable then."""
    _refusals: Refusals = field(default_factory=Refusals)
    _none: asyncio.Event = field(default_factory=asyncio.Event)

    async def idle(self, limit_s: float) -> None:
        """End connections in a quiet moment, and return once none is left, or when the time is up."""
        self.leaving = True
        if self.under_way.total():
            self._none.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(limit_s):
                    await self._none.wait()

    async def carry(self, tenant: str, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection until it ends; returns, whatever happens to it."""
        client = network_of(str(writer.get_extra_info("peername", ("",))[0]))
        # Who comes alone gets half of the places, each of two a third: a newcomer always finds some.
        if self.held[tenant, client] >= self.limits.passthrough_connections - self.under_way[tenant]:
            self._refuse(tenant, client)
            writer.transport.abort()
            return
        self.under_way[tenant] += 1
        self.held[tenant, client] += 1
        try:
            await self._carry(tenant, name, reader, writer)
        finally:
            self._leave(tenant, client)
            writer.close()

    def _leave(self, tenant: str, client: str) -> None:
        self.under_way[tenant] -= 1
        self.held[tenant, client] -= 1
        if not self.held[tenant, client]:
            del self.held[tenant, client]
        if not self.under_way.total():
            self._none.set()

    def _refuse(self, tenant: str, client: str) -> None:
        self._count_failed(tenant, _TOO_MANY)
        self._refusals.take(tenant, partial(_tell_refused, tenant, client))

    def _count_failed(self, tenant: str, reason: str) -> None:
        self.failed[tenant] += 1
        self.last_error = dated(f"tenant {tenant}: a connection was not carried: {reason}")

    def _tell_failed(self, tenant: str, reason: str, **fields: str) -> None:
        self._count_failed(tenant, reason)
        logs.event(events.PASSTHROUGH_FAILED, level=logging.WARNING, tenant=tenant, reason=reason, **fields)

    async def _carry(self, tenant: str, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        identity = uuid.uuid4().hex
        beginning = bytearray()
        leaving = asyncio.create_task(_leaves(reader, beginning))
        try:
            opened = await self._open(tenant, name, identity, leaving)
        finally:
            leaving.cancel()
            await asyncio.gather(leaving, return_exceptions=True)
        if isinstance(opened, str):
            self._tell_failed(tenant, opened, request_id=identity)
            return
        link, stream = opened
        traffic = Traffic()
        piping = asyncio.create_task(pipe(stream, reader, writer, traffic, bytes(beginning)))
        lull = asyncio.create_task(self._lull(link, traffic, writer))
        try:
            await asyncio.wait({piping, lull}, return_when=asyncio.FIRST_COMPLETED)
            (piping if piping.done() else lull).result()
            if not piping.done():
                logs.event(events.PASSTHROUGH_ENDED, tenant=tenant, request_id=identity)
        except (AgentError, OSError) as failure:
            logs.event(events.PASSTHROUGH_CUT, tenant=tenant, request_id=identity, reason=str(failure))
            writer.transport.abort()
        finally:
            piping.cancel()
            lull.cancel()
            await asyncio.gather(piping, lull, return_exceptions=True)
            link.forget(stream)

    async def _lull(self, link: Route, traffic: Traffic, writer: asyncio.StreamWriter) -> None:
        """Return once the connection is over: as far as anybody sees, it is between two requests, or nobody uses it.

        Raises Stalled where nothing passes, and it may be in the middle of something.
        """
        loop = asyncio.get_running_loop()
        traffic.last_s = loop.time()
        most_s = max(self.limits.idle_s, self.limits.request_s)
        unsent = None
        while True:
            await asyncio.sleep(QUIET_S / 4)
            now_s, taken = loop.time(), not writer.transport.get_write_buffer_size()
            before, unsent = unsent, None if taken else unsent_bytes(writer.transport)
            if unsent != before:
                # A slow client takes something, although there is no room for more yet.
                traffic.last_s = now_s
            silent_s = now_s - traffic.last_s
            quiet = traffic.outward and silent_s >= QUIET_S
            over = self.leaving or not link.usable
            # A host that has ended it hears no more, whatever the client sends, or keeps.
            left = traffic.ended_s is not None and now_s - traffic.ended_s >= QUIET_S
            if taken and ((quiet and over) or left or (traffic.outward and silent_s >= most_s)):
                return
            if silent_s >= most_s:
                raise Stalled(f"nothing passed for {most_s:g} s")

    async def _open(
        self, tenant: str, name: str, identity: str, leaving: asyncio.Task[bool]
    ) -> tuple[Route, Stream] | str:
        """Return a stream to the tenant's host, or why there is none; no byte of the client was sent until then."""
        loop = asyncio.get_running_loop()
        patience = loop.time() + self.limits.wait_s
        head = RequestHead("CONNECT", name, b"", identity, int(self.limits.request_s * 1000))
        reason = answers.no_agent(tenant, apart=self.agents.apart).detail
        tried: set[Route] = set()
        while True:
            link = self.agents.pick(tenant, tried)
            if link is None:
                if (left_s := patience - loop.time()) <= 0:
                    return reason
                if leaving.done() and leaving.result():
                    return _LEFT
                await self.agents.news(tenant, min(left_s, 0.5))
                tried.clear()
                continue
            tried.add(link)
            stream = link.open(encode(head), end=False)
            try:
                async with asyncio.timeout(self.limits.request_s):
                    await stream.answer()
            except (AgentError, TimeoutError) as failure:
                reason = f"agent {link.peer.name}: {_words(failure)}"
                link.forget(stream)
            except BaseException:
                link.forget(stream)
                raise
            else:
                return link, stream


async def _leaves(reader: asyncio.StreamReader, said: bytearray) -> bool:
    """Return True once the client has left, or False once it has said as much as a hello may be; add that to `said`."""
    while len(said) < HELLO_BYTES:
        try:
            data = await reader.read(HELLO_BYTES)
        except OSError:
            return True
        if not data:
            return True
        said += data
    return False


def _tell_refused(tenant: str, client: str, count: int) -> None:
    whose = {"tenant": tenant, "peer": client, "count": count}
    logs.event(events.PASSTHROUGH_FAILED, level=logging.WARNING, reason=_TOO_MANY, **whose)


def _words(failure: Exception) -> str:
    match failure:
        case StreamFailed(payload=payload):
            with suppress(AgentError):
                return decode(Failure, payload).detail
            return "it failed for no reason that the relay can read"
        case LinkLost(reason=reason):
            return reason
        case _:
            return str(failure) or "no answer in time"
