"""A relay that was taken over: the agent lets nothing through to the host that it has not looked at."""

from __future__ import annotations

import asyncio
import ssl

import pytest
from aiohttp import web

from agent.errors import StreamFailed
from agent.link.links import Heartbeat, Link
from agent.link.messages import VERSION, Failure, Hello, Reason, RequestHead
from agent.link.packing import decode, encode
from agent.link.session import WINDOW_BYTES, Session
from tests.agent.chain import USERS

SMUGGLED = b"DELETE /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
async def link(chain, host, papers):
    """The link of an agent, in the hands of such a relay."""
    arrived = asyncio.get_running_loop().create_future()

    async def serve(request):
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        session = Session(Hello((VERSION, VERSION), WINDOW_BYTES, "mallory", "0"), opens=True)
        arrived.set_result(Link(socket, session, Heartbeat()))
        await arrived.result().run()
        return socket

    runner = web.ServerRunner(web.Server(serve, access_log=None), shutdown_timeout=0.1)
    await runner.setup()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(papers.certificate, papers.key)
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    relay = f"https://localhost:{runner.addresses[0][1]}"
    await chain.start_agent(host.url, relay=relay, connected=False)
    async with asyncio.timeout(10):
        taken = await arrived
        await taken.greeted.wait()
    yield taken
    await chain.stop("one")
    await runner.cleanup()


async def ask(link, length, *stretches):
    """Send one request whose body comes in these stretches, and return why the agent gave it up."""
    head = RequestHead(
        method="POST", target=USERS, headers=b"", request_id="1", deadline_ms=2_000, record="", length=length
    )
    stream = link.open(encode(head), end=False)
    for stretch in stretches:
        await stream.write(stretch)
    with pytest.raises(StreamFailed) as failed:
        async with asyncio.timeout(5):
            await stream.answer()
    link.forget(stream)
    return decode(Failure, failed.value.payload)


async def test_a_body_that_begins_longer_than_announced_never_reaches_the_host(link, host):
    failure = await ask(link, 2, b"{}" + SMUGGLED)
    assert (failure.reason, failure.sent) == (Reason.MALFORMED, False)
    assert "announced as 2" in failure.detail
    await answered(link)
    assert [target for _, target, *_ in host.asked] == [USERS]


async def test_a_body_that_grows_longer_than_announced_ends_its_connection(link, host):
    failure = await ask(link, 2, b"{", b"}" + SMUGGLED)
    assert failure.reason == Reason.MALFORMED
    await answered(link)
    assert {target for _, target, *_ in host.asked} == {USERS}


async def answered(link):
    """Return once a proper request was answered, and so all before it were looked at."""
    head = RequestHead(method="GET", target=USERS, headers=b"", request_id="2", deadline_ms=5_000)
    stream = link.open(encode(head), end=True)
    async with asyncio.timeout(5):
        await stream.answer()
    link.forget(stream)
