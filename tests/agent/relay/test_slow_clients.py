"""A client that is slow holds up itself and nobody else, and not for ever."""

from __future__ import annotations

import asyncio
import socket

import pytest
from aiohttp import web

from agent import events
from tests.agent.chain import USERS


@pytest.fixture
async def joined(chain, host):
    await chain.start_relay(limits={"request_s": 1.5})
    await chain.start_agent(host.url)
    return chain


@pytest.fixture
async def connection(joined, papers):
    reader, writer = await asyncio.open_connection("localhost", joined.port, ssl=papers.context())
    yield reader, writer
    writer.transport.abort()


async def test_a_body_that_does_not_come_is_not_waited_for(connection, host):
    reader, writer = connection
    writer.write(f"POST /t/acme{USERS} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhalf".encode())
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    assert head.startswith(b"HTTP/1.1 408 ")
    assert not host.asked


async def long_answer(request):
    """Answer with more than the buffers of two sockets and of a reader take."""
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(400):
        await response.write(b"s" * 65_536)
    return response


async def test_a_client_that_takes_nothing_is_cut_off(joined, connection, host):
    host.answer = long_answer
    _, writer = connection
    writer.write(f"GET /t/acme{USERS} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    truncated = await joined.log.wait_for(events.REQUEST_TRUNCATED, limit_s=8)
    assert "took nothing" in truncated["detail"]


async def test_a_client_that_takes_a_little_at_a_time_is_not(joined, papers, host):
    host.answer = long_answer
    with socket.create_connection(("localhost", joined.port)) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
        reader, writer = await asyncio.open_connection(
            sock=slow, ssl=papers.context(), server_hostname="localhost", limit=8_192
        )
        writer.write(f"GET /t/acme{USERS} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        # Far less than the system buffers for it, for longer than one that takes nothing is waited for.
        for _ in range(60):
            assert await reader.read(8_192)
            await asyncio.sleep(0.05)
        assert not [seen for event, seen in joined.log.seen if event == events.REQUEST_TRUNCATED]
        writer.transport.abort()
