"""A host that answers with anything but HTTP: what it sent may hold secrets, and stands in no error and no log."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager

import pytest

from agent import events
from agent.addresses import host_url
from agent.outbound.host import Host, HostPool
from agent.outbound.host_tls import HostTls

SECRET = "the-users-password"
HEALTHY = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
GARBAGE = {
    "no status": f"{SECRET} {SECRET}\r\n\r\n",
    "no header": f"HTTP/1.1 200 OK\r\n{SECRET}\x01\r\n\r\n",
    "no length": f"HTTP/1.1 200 OK\r\nContent-Length: {SECRET}\r\n\r\n",
    "half a head": f"HTTP/1.1 200 OK\r\nX: {SECRET}",
}


@asynccontextmanager
async def answering(papers, *answers, left=None):
    """Answer the requests of each connection with these bytes, and hang up after the last, or once we are left."""

    async def serve(reader, writer):
        try:
            for answer in answers:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(answer)
                await writer.drain()
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
