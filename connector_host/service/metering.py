"""Metrics on a listener of their own: plain HTTP, loopback only, so that no token and no certificate is needed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog
from aiohttp import web

from connector_host import clock
from connector_host.observability import events
from connector_host.observability.metrics import CONTENT_TYPE
from connector_host.service.lifecycle import explain_bind

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Container

    from aiohttp.typedefs import Middleware

    from connector_host.observability.metrics import Metrics

LOOPBACK: Final = "127.0.0.1"
_PREFIX: Final = "/ecma2host_"


def measuring(metrics: Metrics, served: Container[str]) -> Middleware:
    """Return the outermost middleware: it counts every request, and names only connectors that exist."""

    @web.middleware
    async def measure(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        began_s, status = clock.monotonic_s(), 500
        metrics.request_begins()
        try:
            response = await handler(request)
            status = response.status
        except web.HTTPException as failure:
            status = failure.status
            raise
        finally:
            name = request.path.removeprefix(_PREFIX).partition("/")[0] if request.path.startswith(_PREFIX) else ""
            known = name if name in served else ""
            metrics.request_ends(known, _method(request), status, clock.monotonic_s() - began_s)
        return response

    return measure


async def serve_metrics(text: Callable[[], Awaitable[bytes]], port: int) -> None:
    """Serve `/metrics` until cancelled; a port that is taken is logged, and stops nothing else."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=await text(), headers={"Content-Type": CONTENT_TYPE})

    application = web.Application()
    application.router.add_get("/metrics", answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, LOOPBACK, port).start()
        except OSError as failure:
            reason = explain_bind(failure, LOOPBACK, port).replace("`port`", "`metrics_port`")
            structlog.get_logger().error(events.METRICS_UNAVAILABLE, reason=reason)
            return
        structlog.get_logger().info(events.METRICS_SERVED, url=f"http://{LOOPBACK}:{runner.addresses[0][1]}/metrics")
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


def _method(request: web.Request) -> str:
    """Return one of a few words: a client may send any other, and labels must stay few."""
    return request.method if request.method in {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"} else "other"
