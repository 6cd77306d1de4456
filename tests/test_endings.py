"""A connection that is ended takes all that was written with it, however slow its client is, and the loop."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import sys
import time

import pytest

from connector_host.endings import Ending
from connector_host.unsent import unsent_bytes
from tests.agent.chain import issue_papers

LOOPS = [asyncio.new_event_loop, pytest.importorskip("uvloop").new_event_loop]
ANSWER = 20_000_000
"""Bytes; more than the system takes for a client that reads nothing."""
STALL_S = 0.2
"""Longer than an ending waits before it first looks."""


class Server(asyncio.Protocol):
    """Answers as soon as a client is there, and is ended."""

    def __init__(self, made, size=ANSWER):
        self.made, self.size = made, size
        self.lost = asyncio.Event()

    def connection_made(self, transport):
        transport.write(bytes(self.size))
        self.transport = transport
        self.made.set_result(self)

    def end(self):
        self.transport.close()
        self.ending = Ending(self.transport, asyncio.get_running_loop())

    def connection_lost(self, _exc):
        self.lost.set()
        self.ending.over()


@pytest.fixture
def papers(tmp_path):
    return issue_papers(tmp_path)


@pytest.fixture
def context(papers):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(papers.certificate, papers.key)
    return context


def dial(trust, port):
    plain = socket.create_connection(("localhost", port))
    plain.settimeout(10)
    return trust.wrap_socket(plain, server_hostname="localhost")


def taken(client, transport):
    """Take what there is until the system has nothing more; the loop, which is in here, adds nothing meanwhile."""
    client.settimeout(0)
    count, until = 0, time.monotonic() + STALL_S
    while unsent_bytes(transport) or time.monotonic() < until:
        try:
            count += len(client.recv(65_536))
        except ssl.SSLWantReadError:
            time.sleep(0.001)
    return count


def rest(client):
    client.settimeout(10)
    return sum(len(piece) for piece in iter(lambda: client.recv(65_536), b""))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the others do not tell what is unsent")
@pytest.mark.parametrize("make_loop", LOOPS)
def test_what_the_loop_holds_after_a_stall_is_sent_before_tcp_ends(papers, context, make_loop):
    async def work(size):
        loop = asyncio.get_running_loop()
        made, stalled = loop.create_future(), loop.create_future()
        async with await loop.create_server(lambda: Server(made, size), "127.0.0.1", 0, ssl=context) as server:
            client = await asyncio.to_thread(dial, papers.context(), server.sockets[0].getsockname()[1])
            protocol = await made
            stall, begin = os.pipe()

            def be_stalled():
                loop.remove_reader(stall)
                stalled.set_result(taken(client, protocol.transport))

            with client:
                await asyncio.sleep(0)
                loop.add_reader(stall, be_stalled)
                protocol.end()
                os.write(begin, b"x")
                of_the_system = await stalled
                received = of_the_system + await asyncio.to_thread(rest, client)
            os.close(stall)
            os.close(begin)
        return of_the_system, received

    with asyncio.Runner(loop_factory=make_loop) as runner:
        of_the_system, received = runner.run(asyncio.wait_for(work(ANSWER), 60))
        assert received == ANSWER
        # So little more that its TLS has handed all of it on, and only the loop below that holds it.
        size = of_the_system + 50_000
        assert runner.run(asyncio.wait_for(work(size), 60))[1] == size


@pytest.mark.parametrize("make_loop", LOOPS)
def test_the_end_of_a_connection_that_is_lost_already_is_no_failure(papers, context, make_loop):
    failed = []

    async def work():
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, told: failed.append(told))
        made = loop.create_future()
        async with await loop.create_server(lambda: Server(made), "127.0.0.1", 0, ssl=context) as server:
            client = await asyncio.to_thread(dial, papers.context(), server.sockets[0].getsockname()[1])
            protocol = await made
            protocol.end()
            client.close()
            await protocol.lost.wait()
            Ending(protocol.transport, loop)
            await asyncio.sleep(STALL_S)

    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(asyncio.wait_for(work(), 60))
    assert not failed
