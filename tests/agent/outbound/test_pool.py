"""Connections to the host under a burst: few are made at once, and whoever waits takes the one that comes first."""

from __future__ import annotations

import asyncio
import queue
import socket
import ssl
import threading
from contextlib import asynccontextmanager, suppress
from itertools import count

import pytest
from aiohttp import web
from yarl import URL

from agent.outbound.host import DIALS, Host, HostPool, HostUnreachable
from agent.outbound.host_tls import HostTls
from agent.outbound.probe import Probe
from tests.agent.serving import served


class Looked:
    """A host that says how it is once it may, and counts who asks."""

    def __init__(self):
        self.connections = set()
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self._asked = asyncio.Condition()
        self.asked = 0
        self.keeps = True

    async def serve(self, request):
        self.connections.add(request.transport.get_extra_info("peername"))
        async with self._asked:
            self.asked += 1
            self._asked.notify_all()
        await self.may_answer.wait()
        response = web.json_response({"idempotency_record": "r"})
        if not self.keeps:
            response.force_close()
        return response

    async def was_asked(self, times):
        async with asyncio.timeout(20), self._asked:
            await self._asked.wait_for(lambda: self.asked >= times)


@asynccontextmanager
async def pool_of(papers, port):
    pool = HostPool(Host(URL(f"https://localhost:{port}"), HostTls(papers.authority, None, None), 20.0))
    try:
        yield pool
    finally:
        pool.close()


@pytest.fixture
async def host(papers):
    looked = Looked()
    async with served(looked.serve, papers) as looked.port:
        yield looked
        looked.may_answer.set()


@pytest.fixture
async def pool(host, papers):
    async with pool_of(papers, host.port) as made:
        yield made


async def use(pool):
    pool.give_back(await pool.borrow())


async def test_a_burst_is_served_by_fewer_connections_than_it_has_requests(host, pool):
    host.may_answer.clear()
    burst = [asyncio.create_task(use(pool)) for _ in range(40)]
    await host.was_asked(40 // 4)
    host.may_answer.set()
    async with asyncio.timeout(20):
        await asyncio.gather(*burst)
    assert 40 // 4 <= len(host.connections) < 40


async def test_a_host_that_keeps_no_connection_is_dialled_for_each_request_at_once(host, pool):
    host.keeps = False
    await use(pool)
    host.may_answer.clear()
    burst = [asyncio.create_task(pool.borrow()) for _ in range(3 * DIALS)]
    # The first of them takes the connection that was made, and not asked, for the request before.
    await host.was_asked(3 * DIALS)
    host.may_answer.set()
    async with asyncio.timeout(20):
        for connection in await asyncio.gather(*burst):
            connection.close()


async def test_whoever_waits_for_a_new_connection_takes_one_that_is_given_back_first(host, pool):
    first = await pool.borrow()
    host.may_answer.clear()
    waiting = asyncio.create_task(pool.borrow())
    await host.was_asked(2)
    pool.give_back(first)
    async with asyncio.timeout(20):
        assert await waiting is first


async def test_a_connection_to_another_record_is_not_for_who_names_one(host, pool):
    first = await pool.borrow()
    host.may_answer.clear()
    waiting = asyncio.create_task(pool.borrow("another"))
    await host.was_asked(2)
    pool.give_back(first)
    host.may_answer.set()
    async with asyncio.timeout(20):
        assert await waiting is not first


async def test_the_connection_of_a_request_that_was_given_up_serves_the_next(host, pool):
    host.may_answer.clear()
    given_up = asyncio.create_task(pool.borrow())
    await host.was_asked(1)
    given_up.cancel()
    await asyncio.wait({given_up})
    next_one = asyncio.create_task(pool.borrow())
    host.may_answer.set()
    async with asyncio.timeout(20):
        connection = await next_one
    assert connection.record == "r"
    pool.give_back(connection)
    host.may_answer.clear()
    async with asyncio.timeout(20):
        assert await pool.borrow()


async def test_a_host_that_takes_no_connection_is_known_to_all_who_wait_at_once(papers):
    attempts = []

    def hang_up(_, writer):
        attempts.append(writer)
        writer.close()

    async with (
        await asyncio.start_server(hang_up, "127.0.0.1", 0) as listening,
        pool_of(papers, listening.sockets[0].getsockname()[1]) as pool,
        asyncio.timeout(20),
    ):
        burst = [asyncio.create_task(pool.borrow()) for _ in range(DIALS + 2)]
        outcomes = await asyncio.gather(*burst, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [HostUnreachable] * (DIALS + 2)
    assert len(attempts) <= DIALS


@asynccontextmanager
async def balancer(host, takes):
    """Something before the host that passes on the connections whose number, from 0, it takes, and resets the rest."""
    numbers, serving = count(), set()

    async def pump(reader, writer):
        with suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    async def serve(reader, writer):
        serving.add(asyncio.current_task())
        if not takes(next(numbers)):
            writer.transport.abort()
            return
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", host.port)
        await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer))

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listening:
        yield listening.sockets[0].getsockname()[1]
        await asyncio.gather(*serving)


@pytest.mark.parametrize("keeps", [True, False])
async def test_a_burst_is_served_where_one_of_two_hosts_behind_a_balancer_takes_no_connection(host, papers, keeps):
    host.keeps = keeps
    async with (
        balancer(host, lambda number: number % 4 < 2) as port,
        pool_of(papers, port) as pool,
        asyncio.timeout(20),
    ):
        outcomes = await asyncio.gather(*(use(pool) for _ in range(64)), return_exceptions=True)
    failed = [outcome for outcome in outcomes if outcome is not None]
    assert len(failed) <= 8, failed


async def test_those_who_wait_hear_of_a_failure_once_no_connection_is_being_made_that_may_serve_them(host, papers):
    host.may_answer.clear()
    async with (
        balancer(host, lambda number: number == 0) as port,
        pool_of(papers, port) as pool,
        asyncio.timeout(20),
    ):
        burst = [asyncio.create_task(pool.borrow()) for _ in range(DIALS)]
        await host.was_asked(1)
        late = asyncio.create_task(pool.borrow())
        host.may_answer.set()
        outcomes = await asyncio.gather(*burst, late, return_exceptions=True)
        for connection in outcomes:
            if not isinstance(connection, Exception):
                connection.close()
    # The one connection, and each of the others was dialled for again after it and failed with its cause.
    assert sorted(isinstance(outcome, HostUnreachable) for outcome in outcomes) == [False] + [True] * DIALS


async def test_a_look_at_the_host_that_fails_unforeseen_is_an_answer_and_not_the_last(papers, host, monkeypatch):
    async def without(*_, **__):
        raise RuntimeError("can't start new thread")

    async with pool_of(papers, host.port) as pool:
        probe = Probe(pool, 1.0)
        with monkeypatch.context() as patched:
            patched.setattr(asyncio.get_running_loop(), "create_connection", without)
            await probe.look()
        assert probe.health.detail == "the agent cannot look at the connector host: RuntimeError"
        await probe.look()
        assert probe.health.reachable


async def test_a_connection_whose_end_has_come_and_was_not_read_yet_is_not_lent_again(papers):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        told = queue.Queue()

        def answer_once():
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(papers.certificate, papers.key)
            with context.wrap_socket(listening.accept()[0], server_side=True) as connection:
                connection.recv(65_536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
                told.get()

        host = threading.Thread(target=answer_once)
        host.start()
        async with pool_of(papers, listening.getsockname()[1]) as pool, asyncio.timeout(20):
            await use(pool)
            told.put("hang up")
            # The event loop stands still, as in an agent that is busy.
            host.join()
            assert pool.reuse("") is None
