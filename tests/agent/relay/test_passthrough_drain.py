"""A relay or an agent that stops ends passthrough connections between two requests, and not within one."""

from __future__ import annotations

import asyncio
import socket

import pytest
from aiohttp import web

from agent import events
from agent.relay import passthrough
from tests.agent.chain import USERS, host_server, issue_papers
from tests.agent.relay.test_passthrough import client_hello

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


async def test_a_client_that_stays_when_the_host_has_left_gives_its_place_back(chain, monkeypatch):
    async def greet_and_leave(reader, writer):
        await reader.read(65_536)
        writer.write(b"bye")
        writer.close()

    monkeypatch.setattr(passthrough, "QUIET_S", QUIET_S)
    async with await asyncio.start_server(greet_and_leave, "127.0.0.1", 0) as server:
        await chain.start_relay(passthrough=(NAME,), limits={"wait_s": 0.2})
        url = f"https://localhost:{server.sockets[0].getsockname()[1]}"
        await chain.start_agent(url, passthrough=True)
        reader, writer = await asyncio.open_connection("localhost", chain.port)
        writer.write(client_hello(NAME))
        assert await asyncio.wait_for(reader.read(), 10) == b"bye"
        await chain.log.wait_for(events.PASSTHROUGH_ENDED)
        writer.transport.abort()


async def test_a_connection_on_which_nothing_passes_is_ended(chain, host, host_papers, monkeypatch):
    async def never(_):
        await asyncio.Event().wait()

    monkeypatch.setattr(passthrough, "QUIET_S", QUIET_S)
    await chain.start_relay(passthrough=(NAME,), limits={"idle_s": 3 * QUIET_S, "request_s": 2 * QUIET_S})
    await chain.start_agent(host.url, passthrough=True)
    trust, connections = host_papers.context(), []
    for last in (None, never):
        reader, writer = await asyncio.open_connection("localhost", chain.port, ssl=trust, server_hostname=NAME)
        connections.append(writer)
        writer.write(REQUEST)
        assert await answer(reader) == b'{"totalResults":0}'
        if last is None:
            assert await asyncio.wait_for(reader.read(), 10) == b""
            await chain.log.wait_for(events.PASSTHROUGH_ENDED)
        else:
            host.answer = last
            writer.write(REQUEST)
    cut = await chain.log.wait_for(events.PASSTHROUGH_CUT)
    assert cut["reason"] == f"nothing passed for {3 * QUIET_S:g} s"
    for writer in connections:
        writer.transport.abort()


async def test_a_client_that_is_slow_takes_something_and_stays(chain, monkeypatch):
    async def pour(reader, writer):
        await reader.read(65_536)
        writer.write(b"x" * 12_000_000)
        await writer.drain()

    monkeypatch.setattr(passthrough, "QUIET_S", QUIET_S)
    loop = asyncio.get_running_loop()
    async with await asyncio.start_server(pour, "127.0.0.1", 0) as server:
        await chain.start_relay(passthrough=(NAME,), limits={"idle_s": 4 * QUIET_S, "request_s": 4 * QUIET_S})
        url = f"https://localhost:{server.sockets[0].getsockname()[1]}"
        await chain.start_agent(url, passthrough=True)
        with socket.socket() as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
            slow.setblocking(False)  # noqa: FBT003 - the standard library's signature
            await loop.sock_connect(slow, ("127.0.0.1", chain.port))
            await loop.sock_sendall(slow, client_hello(NAME))
            # Far less than the system buffers for it, for longer than a connection may be without any traffic.
            end_s = loop.time() + 10 * QUIET_S
            while loop.time() < end_s:
                assert await loop.sock_recv(slow, 8_192)
                await asyncio.sleep(QUIET_S / 5)
            assert not [seen for event, seen in chain.log.seen if event == events.PASSTHROUGH_CUT]
            # And then it takes nothing.
            await chain.log.wait_for(events.PASSTHROUGH_CUT)


async def test_an_idle_connection_of_a_relay_that_goes_on_stays(chain, connection):
    reader, writer = connection
    await asyncio.sleep(3 * QUIET_S)
    writer.write(REQUEST)
    assert await answer(reader) == b'{"totalResults":0}'
