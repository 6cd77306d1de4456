"""A link's WebSocket is read into a buffer that stays, on both event loops, and every message comes through whole."""

from __future__ import annotations

import asyncio
import os

import aiohttp
import pytest
from aiohttp import WSMsgType, web

from agent.outbound.sockets import LinkSocket
from connector_host.reading import BUFFER_BYTES
from tests.agent.serving import served

LOOPS = [asyncio.new_event_loop, pytest.importorskip("uvloop").new_event_loop]
SIZES = [1, 200, BUFFER_BYTES - 1, BUFFER_BYTES, 3 * BUFFER_BYTES, 2]


async def echo(request):
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        await socket.send_bytes(message.data)
    return socket


async def talk(papers):
    connector = aiohttp.TCPConnector(ssl=papers.context())
    async with (
        served(echo, papers) as port,
        aiohttp.ClientSession(connector=connector, ws_response_class=LinkSocket) as client,
        client.ws_connect(f"https://localhost:{port}/") as socket,
    ):
        assert isinstance(socket._conn.transport.get_protocol(), asyncio.BufferedProtocol)
        sent = [os.urandom(size) for size in SIZES]
        for message in sent:
            await socket.send_bytes(message)
        assert [await socket.receive_bytes() for _ in sent] == sent
        await socket.close()
        assert (await socket.receive()).type is WSMsgType.CLOSED


@pytest.mark.parametrize("make_loop", LOOPS)
def test_every_message_comes_through_whole(papers, make_loop):
    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(asyncio.wait_for(talk(papers), 30))
