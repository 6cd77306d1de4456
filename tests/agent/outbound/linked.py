"""An agent's link, in the hands of a test that plays its relay, a good one or one that was taken over."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager

from aiohttp import web

from agent.link.links import Heartbeat, Link
from agent.link.messages import VERSIONS, Hello
from agent.link.session import WINDOW_BYTES, Session


@asynccontextmanager
async def linked(chain, host_url, papers):
    arrived = asyncio.get_running_loop().create_future()

    async def serve(request):
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        session = Session(Hello(VERSIONS, WINDOW_BYTES, "mallory", "0"), opens=True)
        arrived.set_result(Link(socket, session, Heartbeat()))
        await arrived.result().run()
        return socket

    runner = web.ServerRunner(web.Server(serve, access_log=None), shutdown_timeout=0.1)
    await runner.setup()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(papers.certificate, papers.key)
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    relay = f"https://localhost:{runner.addresses[0][1]}"
    await chain.start_agent(host_url, relay=relay, connected=False, probe_s=60.0)
    async with asyncio.timeout(10):
        taken = await arrived
        await taken.greeted.wait()
    yield taken
    await chain.stop("one")
    await runner.cleanup()
