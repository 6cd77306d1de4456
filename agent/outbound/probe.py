"""How the connector host is: looked at every few seconds, and told to the relay with each change."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

import msgspec

from agent import events, logs
from agent.link.messages import Health
from agent.outbound.host import BROKEN, HostCertificateRefused, HostUnreachable

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp.http_parser import RawResponseMessage

    from agent.outbound.host import HostPool

PROBE_S: Final = 5.0
"""Seconds that one look may take."""

DOWN_S: Final = 0.5

_HINT: Final = "; one that demands client certificates does so where host_client_certificate shows none that it knows"
_BYTES: Final = 65_536
_OK: Final = 200


class _Healthz(msgspec.Struct):
    """What the connector host says at /healthz; an older one says less."""

    idempotency_record: str | None = None


async def look(pool: HostPool) -> Health:
    """Return how the host is now; whatever is wrong with it is an answer, too."""
    try:
        async with asyncio.timeout(PROBE_S):
            message, content = await _ask(pool)
    except (HostUnreachable, HostCertificateRefused) as failure:
        return Health(reachable=False, record="", detail=str(failure))
    except TimeoutError:
        return Health(reachable=False, record="", detail=f"the connector host is silent for {PROBE_S:g} s")
    except BROKEN as failure:
        return Health(reachable=False, record="", detail=f"the connector host hung up ({failure}){_HINT}")
    return Health(reachable=True, record=_record(content) if message.code == _OK else "")


async def _ask(pool: HostPool) -> tuple[RawResponseMessage, bytes]:
    connection = await pool.borrow()
    try:
        connection.expect_answer(bodiless=False)
        await connection.send(f"GET /healthz HTTP/1.1\r\nHost: {pool.host.authority}\r\n\r\n".encode("ascii"))
        message, body = await connection.answer(bodiless=False)
        content = b""
        while not body.at_eof() and len(content) < _BYTES:
            content += await body.readany()
    except BaseException:
        # An answer that may still come must never meet the next request.
        connection.close()
        raise
    pool.give_back(connection)
    return message, content


def _record(content: bytes) -> str:
    """Return the name of the host's record of outcomes, empty where it says none."""
    try:
        return msgspec.json.decode(content, type=_Healthz).idempotency_record or ""
    except msgspec.MsgspecError:
        return ""


class Probe:
    """Keeps looking."""

    def __init__(self, pool: HostPool, every_s: float) -> None:
        self.health = Health(reachable=True, record="")
        self.tell: Callable[[Health], None] = lambda _: None
        """Called with each change."""
        self._pool = pool
        self._every_s = every_s

    async def look(self) -> None:
        """Look once, and tell where something changed."""
        health = await look(self._pool)
        if health != self.health:
            level = logging.INFO if health.reachable else logging.WARNING
            detail = health.detail or None
            logs.event(events.HOST_PROBED, level=level, reachable=health.reachable, detail=detail)
            self.health = health
            self.tell(health)

    async def run(self) -> None:
        """Look every so often, for ever; more often at a host that is down, since hosts restart in seconds."""
        while True:
            await asyncio.sleep(self._every_s if self.health.reachable else min(self._every_s, DOWN_S))
            await self.look()
