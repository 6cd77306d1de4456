"""Headers that every answer carries: nothing is cached, framed, guessed, or sent in the clear next time.

The trace of a request goes on: what a client sends as W3C `traceparent` is bound to every log line and answered.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from aiohttp import web

from connector_host.observability.logs import trace_scope

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Strict-Transport-Security": "max-age=31536000",
    "X-Content-Type-Options": "nosniff",
}
"""OWASP's REST security cheat sheet; SCIM answers hold personal data (RFC 7644 §7.5)."""

_TRACE: Final = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
"""W3C Trace Context §3.2: version 00, no all-zero ids."""


@web.middleware
async def guard(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Lay the headers on the answer, the trace on the log."""
    trace = request.headers.get("traceparent")
    if trace is None or not _TRACE.fullmatch(trace):
        response = await handler(request)
    else:
        with trace_scope(trace):
            response = await handler(request)
        response.headers.setdefault("traceparent", trace)
    headers = response.headers
    for name, value in HEADERS.items():
        headers.setdefault(name, value)
    headers["Server"] = "connector-host"
    return response
