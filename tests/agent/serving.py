"""A TLS server of a test's own handler."""

from __future__ import annotations

import ssl
from contextlib import asynccontextmanager

from aiohttp import web


@asynccontextmanager
async def served(handler, papers, *, port=0, clients=None):
    """Give the port on loopback; with `clients`, only who shows a certificate of that authority comes in."""
    runner = web.ServerRunner(web.Server(handler, access_log=None), shutdown_timeout=0.1)
    await runner.setup()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(papers.certificate, papers.key)
    if clients is not None:
        context.load_verify_locations(clients)
        context.verify_mode = ssl.CERT_REQUIRED
    try:
        await web.TCPSite(runner, "127.0.0.1", port, ssl_context=context).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
