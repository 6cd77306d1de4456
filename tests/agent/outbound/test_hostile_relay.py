"""A relay that was taken over: the agent lets nothing through to the host that it has not looked at."""

from __future__ import annotations

import asyncio
import ssl

import pytest

from agent.errors import StreamFailed
from agent.link.messages import Failure, Reason, RequestHead
from agent.link.packing import decode, encode
from tests.agent.chain import USERS
from tests.agent.outbound.linked import linked

SMUGGLED = b"DELETE /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
async def link(chain, host, papers):
    """The link of an agent, in the hands of such a relay."""
    async with linked(chain, host.url, papers) as taken:
        yield taken


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


class Ending:
    """A host that answers everything, and ends the connections that only looked at it when it is told to."""

    def __init__(self):
        self.over = asyncio.Event()
        self.ended = asyncio.Event()
        self.last_words = b""

    async def serve(self, reader, writer):
        asked = b""
        over = asyncio.create_task(self.over.wait())
        while not over.done():
            head = asyncio.create_task(reader.readuntil(b"\r\n\r\n"))
            await asyncio.wait({head, over}, return_when=asyncio.FIRST_COMPLETED)
            if head.done() and not head.exception():
                asked += head.result()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
            else:
                head.cancel()
                break
        if USERS.encode() not in asked:
            writer.write(self.last_words)
            writer.close()
            await writer.wait_closed()
            self.ended.set()
        over.cancel()
        writer.close()


@pytest.mark.parametrize("last_words", [b"", b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"])
async def test_a_connection_that_ends_while_a_body_is_awaited_has_not_seen_the_request(chain, papers, last_words):
    host = Ending()
    host.last_words = last_words
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(papers.certificate, papers.key)
    async with await asyncio.start_server(host.serve, "localhost", 0, ssl=context) as listening:
        async with linked(chain, f"https://localhost:{listening.sockets[0].getsockname()[1]}", papers) as link:
            head = RequestHead(method="POST", target=USERS, headers=b"", request_id="1", deadline_ms=9_000, length=2)
            stream = link.open(encode(head), end=False)
            # This one goes over another connection, so the first request has its own by now.
            await answered(link)
            host.over.set()
            async with asyncio.timeout(10):
                await host.ended.wait()
                await stream.write(b"{}", end=True)
                with pytest.raises(StreamFailed) as failed:
                    await stream.answer()
            link.forget(stream)
        host.over.set()
    failure = decode(Failure, failed.value.payload)
    assert (failure.reason, failure.sent) == (Reason.HOST_UNREACHABLE, False)
