"""Connections that are read into one buffer: each byte reaches its own protocol, once and in order, on both loops."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager
from functools import partial

import pytest

from connector_host.reading import BUFFER_BYTES, Reading
from tests.agent.chain import issue_papers


@pytest.fixture(scope="module")
def papers(tmp_path_factory):
    return issue_papers(tmp_path_factory.mktemp("papers"))


LOOPS = [asyncio.new_event_loop, pytest.importorskip("uvloop").new_event_loop]


class Collector(asyncio.Protocol):
    """Keeps what arrives, and says when the other end has ended."""

    def __init__(self, into):
        self.content = []
        self.over = asyncio.get_running_loop().create_future()
        self.lost = asyncio.get_running_loop().create_future()
        into.append(self)

    def data_received(self, data):
        self.content.append(data)

    def eof_received(self):
        self.over.set_result(b"".join(self.content))

    def connection_lost(self, exc):
        self.lost.set_result(exc)


@asynccontextmanager
async def collecting(papers):
    """Serve collectors over TLS, all of one buffer."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(papers.certificate, papers.key)
    reading, made = Reading(), []
    make = partial(reading.into, lambda: Collector(made))
    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1], made


async def dial(papers, port):
    context = ssl.create_default_context(cafile=papers.authority)
    _, writer = await asyncio.open_connection("localhost", port, ssl=context)
    return writer


def run(make_loop, work):
    with asyncio.Runner(loop_factory=make_loop) as runner:
        return runner.run(asyncio.wait_for(work, 30))


@pytest.mark.parametrize("make_loop", LOOPS)
def test_what_two_connections_send_at_once_reaches_each_whole_and_in_order(papers, make_loop):
    async def work():
        sent = [bytes([*range(first, 256), *range(first)]) * 4_000 for first in (0, 128)]
        async with collecting(papers) as (port, made):
            writers = [await dial(papers, port) for _ in sent]
            for position in range(0, len(sent[0]), 100_003):
                for writer, content in zip(writers, sent, strict=True):
                    writer.write(content[position : position + 100_003])
            for writer in writers:
                writer.close()
            received = [await collector.over for collector in made]
            pieces = [len(piece) for collector in made for piece in collector.content]
        assert sorted(received) == sent
        assert max(pieces) <= BUFFER_BYTES

    run(make_loop, work())


@pytest.mark.parametrize("make_loop", LOOPS)
def test_the_end_of_a_connection_reaches_its_protocol(papers, make_loop):
    async def work():
        async with collecting(papers) as (port, made):
            writer = await dial(papers, port)
            writer.write(b"one word")
            await writer.drain()
            writer.close()
            assert await made[0].over == b"one word"
            await made[0].lost

    run(make_loop, work())
