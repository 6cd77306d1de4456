"""Whether the service is alive, and whether it can do its work: for supervisors and load balancers, without a token."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

import msgspec
from aiohttp import web

from connector_host import clock
from connector_host.endpoint.served import Served
from connector_host.errors import HostError

RECORD: Final = web.AppKey("record", str)
"""Names the record of outcomes; empty where none is kept."""
ALL_SERVED: Final = web.AppKey("all_served", Mapping[str, Served])
WANTED: Final[web.AppKey[Callable[[], Collection[str]]]] = web.AppKey("wanted")
"""Tells the names of all connectors that are configured, those that cannot be served included."""
CERTIFICATE: Final[web.AppKey[Callable[[], CertificateState]]] = web.AppKey("certificate")


EXPIRED: Final = "expired"

_PATIENCE_S: Final = 5.0
_FRESH_S: Final = 1.0
"""For so long one look at the databases answers everybody who asks: nobody needs a token to ask."""


@dataclass(frozen=True, slots=True)
class CertificateState:
    """What is told about the certificate that is served."""

    word: Literal["valid", "expires soon", "expired"] = "valid"
    days_left: int | None = None
    """None where nobody looks after it."""


@dataclass(slots=True)
class Readiness:
    """Looks at the databases once, however many ask at the same time."""

    fresh_s: float = _FRESH_S
    _looking: asyncio.Task[int] | None = field(default=None, init=False)
    _served: Mapping[str, Served] = field(default_factory=dict, init=False)
    _seen_s: float = field(default=0.0, init=False)

    async def count(self, served: Mapping[str, Served]) -> int:
        """Return how many of these connectors can read their table and tokens, or could a moment ago."""
        if self._looking is None or self._is_old(self._looking, served):
            self._served = served
            self._looking = asyncio.create_task(self._look())
        return await asyncio.shield(self._looking)

    def _is_old(self, looking: asyncio.Task[int], served: Mapping[str, Served]) -> bool:
        return self._served != served or (looking.done() and clock.monotonic_s() - self._seen_s >= self.fresh_s)

    async def _look(self) -> int:
        try:
            return sum(await asyncio.gather(*(_is_ready(one) for one in self._served.values())))
        finally:
            self._seen_s = clock.monotonic_s()


READINESS: Final = web.AppKey("readiness", Readiness)


async def healthz(request: web.Request) -> web.Response:
    """Answer 200 while the process can answer at all.

    Names the record of outcomes: where the same one is named, a write with an idempotency key may be repeated.
    """
    return _answer({"status": "alive", "idempotency_record": request.app[RECORD] or None}, status=200)


async def readyz(request: web.Request) -> web.Response:
    """Answer 200 where every connector can read its table and its tokens and the certificate is valid, else 503.

    Says how many, but neither names nor reasons, since anybody may ask: those are in the log, `check` and the metrics.
    """
    served = dict(request.app[ALL_SERVED].items())
    ready = await request.app[READINESS].count(served)
    wanted = len(served.keys() | set(request.app[WANTED]()))
    certificate = request.app[CERTIFICATE]()
    is_ready = ready == wanted and certificate.word != EXPIRED
    document = {
        "status": "ready" if is_ready else "unavailable",
        "connectors": {"ready": ready, "all": wanted},
        "certificate": certificate.word,
        "certificate_days_left": certificate.days_left,
    }
    return _answer(document, status=200 if is_ready else 503)


async def _is_ready(one: Served) -> bool:
    """Return whether a connector knows its tokens, and answers a read.

    That is one that cannot match anybody, so that it costs next to nothing.
    """
    if not one.gate.is_readable():
        return False
    try:
        async with asyncio.timeout(_PATIENCE_S):
            await one.renderer()
            await one.connector.read("")
    except (HostError, TimeoutError):
        return False
    return True


def _answer(document: Mapping[str, object], *, status: int) -> web.Response:
    return web.Response(body=msgspec.json.encode(document), status=status, content_type="application/json")
