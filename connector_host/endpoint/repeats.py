"""Writes with an `Idempotency-Key`: carried out once, however often they arrive.

The header is that of draft-ietf-httpapi-idempotency-key-header; the record behind it is `outcomes`. So a relay that
lost sight of a write may send it again, and a provisioning engine that crashed may, too (DESIGN §2.5).
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import sqlite3
from typing import TYPE_CHECKING, Final

import structlog
from aiohttp import web

from connector_host.connectors.errors import ConnectorError, InDoubt
from connector_host.endpoint import answers
from connector_host.endpoint.outcomes import Answer
from connector_host.endpoint.requests import REQUEST_ID, SERVED, read_bounded
from connector_host.observability import events
from connector_host.scim.errors import ScimError

if TYPE_CHECKING:
    from aiohttp.typedefs import Middleware

    from connector_host.endpoint.outcomes import Outcomes, Recorded
    from connector_host.endpoint.requests import Handler

HEADER: Final = "Idempotency-Key"

_LOG = structlog.stdlib.get_logger()
_WRITES: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_KEY: Final = re.compile(r"\"?([A-Za-z0-9._:-]{1,128})\"?")
_KEPT_HEADERS: Final = ("Content-Type", "ETag", "Location", "Preference-Applied")


def carry_out_once(outcomes: Outcomes | None) -> Middleware:
    """Return the middleware; without a record, keys are passed over, and `/healthz` does not promise them."""
    under_way: dict[bytes, asyncio.Event] = {}

    @web.middleware
    async def once(request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get(HEADER)
        is_write = request.method in _WRITES and not request.path.rstrip("/").endswith("/.search")
        if outcomes is None or given is None or not is_write or SERVED not in request:
            return await handler(request)
        match = _KEY.fullmatch(given.strip())
        if match is None:
            return _refuse(request, 400, f"The {HEADER} is not one: 1 to 128 letters, digits, dots and hyphens.")
        key = hashlib.sha256(f"{request[SERVED].name}\n{match.group(1)}".encode()).digest()
        # The same write may arrive again while the first is still at work: then that one's outcome is waited for.
        while (first := under_way.get(key)) is not None:
            await first.wait()
        under_way[key] = asyncio.Event()
        try:
            return await _first_or_recorded(outcomes, key, request, handler)
        except sqlite3.Error as failure:
            _LOG.error(events.OUTCOMES_UNAVAILABLE, reason=str(failure))
            return _refuse(request, 503, "The host cannot record the outcome, so it did nothing: its disk may be full.")
        finally:
            under_way.pop(key).set()

    return once


async def _first_or_recorded(
    outcomes: Outcomes, key: bytes, request: web.Request, handler: Handler
) -> web.StreamResponse:
    digest = await _digest(request)
    recorded = await outcomes.begin(key, digest)
    if recorded is not None:
        return _again(request, recorded, digest)
    try:
        response = await handler(request)
    except InDoubt:
        raise
    except (ConnectorError, ScimError, web.HTTPException):
        # Each of these says that nothing was done; any other leaves the key as it is: begun, and unknown.
        await outcomes.forget(key)
        raise
    await _keep(outcomes, key, response)
    return response


async def _keep(outcomes: Outcomes, key: bytes, response: web.StreamResponse) -> None:
    """Record an answer; one that cannot be recorded is still the truth for the client that waits for it."""
    body = response.body if isinstance(response, web.Response) and isinstance(response.body, bytes) else b""
    headers = [(name, response.headers[name]) for name in _KEPT_HEADERS if name in response.headers]
    try:
        await outcomes.finish(key, Answer(response.status, headers, body))
    except sqlite3.Error as failure:
        _LOG.error(events.OUTCOMES_UNAVAILABLE, reason=str(failure))


async def _digest(request: web.Request) -> bytes:
    """Return what tells this request from another one under the same key."""
    target = f"{request.method} {request.raw_path}\n".encode()
    return hashlib.sha256(target + await read_bounded(request)).digest()


def _again(request: web.Request, recorded: Recorded, digest: bytes) -> web.StreamResponse:
    if recorded.request != digest:
        return _refuse(request, 422, f"The {HEADER} came with another request before; use a new one for each write.")
    if recorded.answer is None:
        return _refuse(request, 504, answers.UNKNOWN_OUTCOME)
    _LOG.info(events.REQUEST_REPLAYED, status=recorded.answer.status)
    return web.Response(body=recorded.answer.body, status=recorded.answer.status, headers=recorded.answer.headers)


def _refuse(request: web.Request, status: int, detail: str) -> web.Response:
    return answers.error(status, detail, request_id=request[REQUEST_ID])
