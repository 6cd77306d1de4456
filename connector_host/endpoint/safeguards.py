"""Headers that every answer carries: nothing is cached, framed, guessed, or sent in the clear next time.

The trace of a request goes on, or begins here: our hop of it is on every log line, in the audit trail, and answered.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from aiohttp import web

from connector_host import traces
from connector_host.observability.logs import trace_scope

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Server": "connector-host",
    "Strict-Transport-Security": "max-age=31536000",
    "X-Content-Type-Options": "nosniff",
}
"""OWASP's REST security cheat sheet; SCIM answers hold personal data (RFC 7644 §7.5)."""


LEAVING: Final = web.AppKey("leaving", asyncio.Event)
"""Set once the host is about to stop."""


async def leave(application: web.Application) -> None:
    """Say with each answer from now on that the connection ends: what is sent on it next might never be answered."""
    application[LEAVING].set()


@web.middleware
async def guard(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Lay the headers on the answer, the trace on the log."""
    trace = traces.go_on(request.headers.getall(traces.HEADER, ()))
    with trace_scope(trace):
        response = await handler(request)
    headers = response.headers
    headers.update(HEADERS)
    headers[traces.HEADER] = trace.header
    if request.app[LEAVING].is_set():
        response.force_close()
    return response
