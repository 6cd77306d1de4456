"""A client that is slow holds up itself and nobody else, and not for ever."""

from __future__ import annotations

import asyncio

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


async def test_a_client_that_takes_nothing_is_cut_off(joined, connection, host):
    async def answer(request):
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(400):
            await response.write(b"s" * 65_536)
        return response

    host.answer = answer
    _, writer = connection
    # The buffers of two sockets and of the reader take a few megabytes; this answer is longer than all of them.
    writer.write(f"GET /t/acme{USERS} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    truncated = await joined.log.wait_for(events.REQUEST_TRUNCATED, limit_s=8)
    assert "took nothing" in truncated["detail"]
