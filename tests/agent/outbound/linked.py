"""An agent's link, in the hands of a test that plays its relay, a good one or one that was taken over."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

from aiohttp import web

from agent.link.links import Heartbeat, Link
from agent.link.messages import VERSIONS, Hello
from agent.link.session import WINDOW_BYTES, Session
from tests.agent.serving import served


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

    async with served(serve, papers) as port:
        await chain.start_agent(host_url, relay=f"https://localhost:{port}", connected=False, probe_s=60.0)
        async with asyncio.timeout(10):
            taken = await arrived
            await taken.greeted.wait()
        yield taken
        await chain.stop("one")
