"""Whether the service is alive, and whether it can do its work: for supervisors and load balancers, without a token."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

import msgspec
from aiohttp import web

from connector_host.endpoint.served import Served
from connector_host.errors import HostError

RECORD: Final = web.AppKey("record", str)
"""Names the record of outcomes; empty where none is kept."""
ALL_SERVED: Final = web.AppKey("all_served", Mapping[str, Served])
CERTIFICATE_DAYS: Final[web.AppKey[Callable[[], int | None]]] = web.AppKey("certificate_days")
"""Tells the days that are left of the certificate; None where nobody looks after it."""

_PATIENCE_S: Final = 5.0


async def healthz(request: web.Request) -> web.Response:
    """Answer 200 while the process can answer at all.

    Names the record of outcomes: where the same one is named, a write with an idempotency key may be repeated.
    """
    return _answer({"status": "alive", "idempotency_record": request.app[RECORD] or None}, status=200)


async def readyz(request: web.Request) -> web.Response:
    """Answer 200 where every connector can read its table and the certificate is valid, else 503.

    Says how many, but neither names nor reasons, since anybody may ask: those are in the log, `check` and the metrics.
    """
    everyone = tuple(request.app[ALL_SERVED].values())
    ready = sum(await asyncio.gather(*(_is_ready(one) for one in everyone)))
    days_left = request.app[CERTIFICATE_DAYS]()
    expired = days_left is not None and days_left < 0
    is_ready = ready == len(everyone) and not expired
    document = {
        "status": "ready" if is_ready else "unavailable",
        "connectors": {"ready": ready, "all": len(everyone)},
        "certificate": "expired" if expired else "valid",
    }
    return _answer(document, status=200 if is_ready else 503)


async def _is_ready(one: Served) -> bool:
    """Return whether the connector answers a read: one that cannot match anybody, so that it costs next to nothing."""
    try:
        async with asyncio.timeout(_PATIENCE_S):
            await one.renderer()
            await one.connector.read("")
    except (HostError, TimeoutError):
        return False
    return True


def _answer(document: Mapping[str, object], *, status: int) -> web.Response:
    return web.Response(body=msgspec.json.encode(document), status=status, content_type="application/json")
