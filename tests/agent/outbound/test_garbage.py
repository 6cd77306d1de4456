"""A host that answers with anything but HTTP: what it sent may hold secrets, and stands in no error and no log."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager, suppress

import pytest

from agent import events
from agent.addresses import host_url
from agent.outbound.connection import BROKEN
from agent.outbound.host import Host, HostPool
from agent.outbound.host_tls import HostTls

SECRET = "the-users-password"
HEALTHY = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
GARBAGE = {
    "no status": f"{SECRET} {SECRET}\r\n\r\n",
    "no header": f"HTTP/1.1 200 OK\r\n{SECRET}\x01\r\n\r\n",
    "no length": f"HTTP/1.1 200 OK\r\nContent-Length: {SECRET}\r\n\r\n",
    "no such status": f"HTTP/1.1 600 OK\r\nContent-Length: {len(SECRET)}\r\n\r\n{SECRET}",
    "half a head": f"HTTP/1.1 200 OK\r\nX: {SECRET}",
}


@asynccontextmanager
async def answering(papers, *answers, left=None, then=None):
    """Answer the requests of each connection with these bytes, and hang up after the last, or once we are left.

    What `then` brings is sent in between, unasked.
    """

    writers = []

    async def serve(reader, writer):
        writers.append(writer)
        try:
            for answer in answers:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(answer)
                await writer.drain()
            if then is not None:
                writer.write(await then)
            if left is not None:
                await reader.read()
                left.set()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(papers.certificate, papers.key)
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    yield f"https://localhost:{server.sockets[0].getsockname()[1]}"
    server.close()
    # TLS ends by turns, and the event loop must not end before it.
    async with asyncio.timeout(10):
        for writer in writers:
            with suppress(OSError):
                await writer.wait_closed()


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
@pytest.mark.parametrize("healthy", [True, False])
async def test_what_a_host_sends_in_place_of_http_is_not_quoted(chain, client, papers, garbage, healthy):
    answers = [HEALTHY, garbage.encode()] if healthy else [garbage.encode()]
    async with answering(papers, *answers) as url:
        await chain.start_relay()
        await chain.start_agent(url, probe_s=60.0)
        async with client.get(chain.address()) as response:
            assert response.status == 502
            text = await response.text()
        assert url in text
        await chain.log.wait_for(events.REQUEST_FAILED)
        await chain.stop("one")
    assert SECRET not in text
    assert SECRET not in repr(chain.log.seen)


async def test_a_connection_that_is_of_no_use_after_the_look_is_ended(papers):
    left = asyncio.Event()
    endless = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 70_000
    async with answering(papers, endless, left=left) as url:
        pool = HostPool(Host(host_url(url), HostTls(papers.authority, None, None), 5.0))
        connection = await pool.borrow()
        async with asyncio.timeout(10):
            await left.wait()
        assert connection.reusable
        connection.close()


@pytest.mark.parametrize("answer", [HEALTHY, CHUNKED], ids=["plain", "in chunks"])
async def test_a_connection_on_which_something_comes_unasked_is_not_used_again(papers, answer):
    unasked = asyncio.get_running_loop().create_future()
    async with answering(papers, answer, left=asyncio.Event(), then=unasked) as url:
        pool = HostPool(Host(host_url(url), HostTls(papers.authority, None, None), 5.0))
        connection = await pool.borrow()
        pool.give_back(connection)
        assert connection.reusable
        # The rest would pass for the next answer, or hide the beginning of it.
        unasked.set_result(b"HTTP/1.1 200 OK\r\nX: ")
        async with asyncio.timeout(10):
            while connection.reusable:  # noqa: ASYNC110 - what tells it is what is tested
                await asyncio.sleep(0)
        connection.close()


@pytest.mark.parametrize("cut", [0, 10, len(HINTS), len(HINTS) + 5])
async def test_the_answer_is_what_follows_the_hints_of_a_host(papers, cut):
    rest = asyncio.get_running_loop().create_future()
    both = HINTS + HEALTHY
    async with answering(papers, HEALTHY, both[:cut], left=asyncio.Event(), then=rest) as url:
        pool = HostPool(Host(host_url(url), HostTls(papers.authority, None, None), 5.0))
        connection = await pool.borrow()
        connection.expect_answer(bodiless=False)
        await connection.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        waiting = asyncio.create_task(connection.answer(bodiless=False))
        await asyncio.sleep(0.01)
        rest.set_result(both[cut:])
        async with asyncio.timeout(10):
            assert (await waiting).head.status == 200
        connection.close()


async def test_whoever_waits_for_an_answer_hears_that_the_connection_is_ended_here(papers):
    async with answering(papers, HEALTHY, left=asyncio.Event()) as url:
        pool = HostPool(Host(host_url(url), HostTls(papers.authority, None, None), 5.0))
        connection = await pool.borrow()
        connection.expect_answer(bodiless=False)
        waiting = asyncio.create_task(connection.answer(bodiless=False))
        await asyncio.sleep(0)
        connection.close()
        async with asyncio.timeout(10):
            with pytest.raises(BROKEN):
                await waiting


async def test_an_answer_that_streams_from_a_host_without_a_name_is_the_relays(chain, client, papers):
    half = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n"
    rest = asyncio.get_running_loop().create_future()
    async with answering(papers, HEALTHY, half, then=rest) as url:
        await chain.start_relay()
        await chain.start_agent(url, probe_s=60.0)
        async with client.get(chain.address()) as response:
            rest.set_result(b"1\r\nb\r\n0\r\n\r\n")
            assert (response.headers["Server"], await response.read()) == ("provisioning-relay", b"ab")
        await chain.stop("one")
