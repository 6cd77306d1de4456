"""A relay or an agent that stops ends passthrough connections between two requests, and not within one."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web

from agent import events
from agent.relay import passthrough
from tests.agent.chain import USERS, host_server, issue_papers

NAME = "scim.acme.example"
REQUEST = f"GET {USERS} HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode()
QUIET_S = 0.2


@pytest.fixture
def host_papers(tmp_path):
    return issue_papers(tmp_path, NAME)


@pytest.fixture
async def host(host_papers):
    async with host_server(host_papers) as server:
        yield server


@pytest.fixture
async def connection(chain, host, host_papers, monkeypatch):
    """A client's connection through relay and agent, with one request already answered on it."""
    monkeypatch.setattr(passthrough, "QUIET_S", QUIET_S)
    await chain.start_relay(passthrough=(NAME,), limits={"wait_s": 0.2}, stop_s=5.0)
    await chain.start_agent(host.url, passthrough=True, stop_s=5.0)
    trust = host_papers.context()
    reader, writer = await asyncio.open_connection("localhost", chain.port, ssl=trust, server_hostname=NAME)
    writer.write(REQUEST)
    assert await answer(reader) == b'{"totalResults":0}'
    yield reader, writer
    writer.transport.abort()


async def answer(reader):
    head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)).decode().lower()
    return await reader.readexactly(int(head.partition("content-length: ")[2].partition("\r\n")[0]))


@pytest.mark.parametrize("part", ["relay", "one"])
async def test_a_connection_between_two_requests_is_closed_cleanly(chain, connection, part):
    reader, _ = connection
    stopping = asyncio.create_task(chain.stop(part))
    await chain.log.wait_for(events.PASSTHROUGH_ENDED, limit_s=4)
    assert await asyncio.wait_for(reader.read(), 4) == b""
    await stopping
    assert not [event for event, _ in chain.log.seen if event == events.PASSTHROUGH_CUT]


@pytest.mark.parametrize("part", ["relay", "one"])
async def test_a_request_in_hand_is_answered_before_its_connection_ends(chain, connection, host, part):
    released = asyncio.Event()

    async def slowly(_):
        await released.wait()
        return web.Response(body=b"late")

    host.arrived.clear()
    host.answer = slowly
    reader, writer = connection
    writer.write(REQUEST)
    await host.arrived.wait()
    stopping = asyncio.create_task(chain.stop(part))
    await asyncio.sleep(3 * QUIET_S)
    assert not stopping.done()
    released.set()
    assert await answer(reader) == b"late"
    assert await asyncio.wait_for(reader.read(), 4) == b""
    await stopping


async def test_an_idle_connection_of_a_relay_that_goes_on_stays(chain, connection):
    reader, writer = connection
    await asyncio.sleep(3 * QUIET_S)
    writer.write(REQUEST)
    assert await answer(reader) == b'{"totalResults":0}'
