"""A client arrives at one node, the agent at another: the request is carried, as if both had met at one."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import aiohttp
import pytest
from aiohttp import web

from agent import events
from agent.relay import passthrough
from agent.relay.reporting import STATUS_FILE
from tests.agent.chain import USERS, host_server, issue_papers
from tests.agent.test_status import status_of

NAME = "scim.acme.example"


@pytest.fixture
async def apart(cluster, host):
    """Node `a`, where clients arrive, and node `b`, which holds the only agent."""
    a, b = await cluster.start("a"), await cluster.start("b")
    await b.start_agent(host.url)
    return a


async def never(_):
    await asyncio.Event().wait()


async def test_a_request_reaches_an_agent_of_another_node(apart, host, client):
    headers = {"Authorization": "Bearer host-token", "X-Request-Id": "traced"}
    async with client.post(apart.address(), data=b"{}", headers=headers) as response:
        assert (response.status, await response.read()) == (200, b"{}")
        assert response.headers["X-Request-Id"] == "traced"
    [(method, path, seen, body)] = host.asked
    assert (method, path, body) == ("POST", USERS, b"{}")
    assert seen["Authorization"] == "Bearer host-token"
    assert seen["X-Request-Id"] == "traced"


async def test_that_a_node_asked_the_client_for_a_token_is_known_to_an_agent_of_another(cluster, host, client):
    for name in ("a", "b"):
        await cluster.start(name, clients=("the-clients-token",))
    a, b = cluster.nodes["a"], cluster.nodes["b"]
    (b.folder / "host-token").write_text("the-hosts-token")
    await b.start_agent(host.url, host_token_file=b.folder / "host-token")
    async with client.get(a.address(), headers={"Authorization": "Bearer the-clients-token"}) as response:
        assert response.status == 200
    assert host.asked[0][2].getall("Authorization") == ["Bearer the-hosts-token"]


async def test_bodies_larger_than_a_message_of_nats_pass_both_ways(apart, host, client):
    body = b"x" * 3_500_000

    async def echo(request):
        return web.Response(body=b"".join([stretch async for stretch in request.content.iter_any()]))

    host.answer = echo

    async def stretches():
        for begin in range(0, len(body), 100_000):
            yield body[begin : begin + 100_000]

    async with client.post(apart.address(), data=stretches()) as response:
        assert await response.read() == body


async def test_many_requests_share_one_session(apart, client):
    async def ask(number):
        async with client.post(apart.address(), data=b"%d" % number) as response:
            return await response.read()

    assert await asyncio.gather(*(ask(number) for number in range(200))) == [b"%d" % number for number in range(200)]


async def test_a_slow_client_holds_back_its_own_answer_and_no_other(apart, host, client):
    written = 0

    async def answer(request):
        nonlocal written
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(800 if "big" in request.raw_path else 1):
            await response.write(b"b" * 65_536)
            written += 65_536
        return response

    host.answer = answer
    async with client.get(apart.address(USERS + "?big=1")) as slow:
        async with asyncio.timeout(10):
            async with client.get(apart.address()) as quick:
                assert len(await quick.read()) == 65_536
        before = -1
        while written > before:
            before = written
            await asyncio.sleep(0.3)
        assert written < 800 * 65_536 / 2, "what nobody reads piles up nowhere"
        assert len(await slow.read()) == 800 * 65_536


async def test_a_client_that_hangs_up_ends_the_request_at_the_host(apart, host, client):
    ended = asyncio.Event()

    async def answer(request):
        response = web.StreamResponse()
        await response.prepare(request)
        with suppress(ConnectionError):
            while True:
                await response.write(b" ")
                await asyncio.sleep(0.02)
        ended.set()
        return response

    host.answer = answer
    async with client.get(apart.address()) as response:
        response.close()
    async with asyncio.timeout(5):
        await ended.wait()


async def test_the_deadline_is_the_same_at_the_other_node(cluster, host, client):
    a, b = await cluster.start("a", limits={"request_s": 1.0, "wait_s": 1.0}), await cluster.start("b")
    await b.start_agent(host.url)
    host.answer = never
    async with client.post(a.address(), data=b"{}") as response:
        assert response.status == 504
        assert "outcome of this request is unknown" in (await response.json(content_type=None))["detail"]


async def test_an_agent_of_the_clients_own_node_goes_first(cluster, host, client):
    a, b = await cluster.start("a"), await cluster.start("b")
    await b.start_agent(host.url, "far")
    async with client.get(a.address()) as response:
        assert response.status == 200
    await a.start_agent(host.url, "near")
    for _ in range(6):
        async with client.get(a.address()) as response:
            assert response.status == 200
    agents = [seen["agent"] for event, seen in cluster.log.seen if event == events.REQUEST_ANSWERED and "agent" in seen]
    assert agents == ["far", *["near"] * 6]


async def test_an_agent_that_reaches_its_host_goes_before_a_nearer_one_that_does_not(cluster, host, client):
    a, b = await cluster.start("a"), await cluster.start("b")
    await a.start_agent("https://localhost:1", "lame")
    await b.start_agent(host.url, "well")
    await cluster.log.wait_for(events.AGENT_HEALTH, agent="well", host_reachable=True)
    async with client.post(a.address(), data=b"{}") as response:
        assert response.status == 200
    assert len(host.asked) == 1


async def test_no_tenant_reaches_the_agents_of_another(apart, host, client):
    async with client.get(apart.address(tenant="other"), timeout=aiohttp.ClientTimeout(10)) as response:
        assert response.status == 503
    assert not host.asked


async def test_passthrough_reaches_a_host_behind_another_node(cluster, tmp_path):
    papers = issue_papers(tmp_path, NAME)
    async with host_server(papers) as host:
        a, b = await cluster.start("a", passthrough=(NAME,)), await cluster.start("b", passthrough=(NAME,))
        await b.start_agent(host.url, passthrough=True)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=papers.context())) as session:
            url = f"https://localhost:{a.port}{USERS}"
            async with session.post(url, server_hostname=NAME, data=b"x" * 900_000) as response:
                assert await response.read() == b"x" * 900_000


async def test_a_node_that_stops_finishes_what_it_carries_for_others(cluster, host, client):
    a, b = await cluster.start("a"), await cluster.start("b")
    await b.start_agent(host.url)
    release = asyncio.Event()

    async def answer(_):
        await release.wait()
        return web.Response(body=b"in peace")

    host.answer = answer
    asked = asyncio.create_task(client.post(a.address(), data=b"{}"))
    await host.arrived.wait()
    stopping = asyncio.create_task(b.stop("relay"))
    await cluster.log.wait_for(events.RELAY_STOPPING)
    release.set()
    async with await asked as response:
        assert await response.read() == b"in peace"
    await stopping


@pytest.mark.parametrize("leaving", ["a", "b"])
async def test_an_idle_passthrough_connection_ends_cleanly_when_either_node_stops(
    cluster, tmp_path, monkeypatch, leaving
):
    monkeypatch.setattr(passthrough, "QUIET_S", 0.2)
    papers = issue_papers(tmp_path, NAME)
    async with host_server(papers) as host:
        a, b = await cluster.start("a", passthrough=(NAME,)), await cluster.start("b", passthrough=(NAME,))
        await b.start_agent(host.url, passthrough=True)
        trust = papers.context()
        reader, writer = await asyncio.open_connection("localhost", a.port, ssl=trust, server_hostname=NAME)
        writer.write(f"GET {USERS} HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
        await asyncio.wait_for(reader.readuntil(b'{"totalResults":0}'), 5)
        stopping = asyncio.create_task(cluster.nodes[leaving].stop("relay"))
        await cluster.log.wait_for(events.PASSTHROUGH_ENDED, limit_s=4)
        assert await asyncio.wait_for(reader.read(), 4) == b""
        await stopping
        writer.transport.abort()
    assert not [event for event, _ in cluster.log.seen if event == events.PASSTHROUGH_CUT]


async def test_a_node_that_comes_later_is_found(cluster, host, client):
    a = await cluster.start("a", limits={"wait_s": 1.0})
    async with client.get(a.address()) as response:
        assert response.status == 503
    b = await cluster.start("b")
    await b.start_agent(host.url)
    async with client.get(a.address()) as response:
        assert response.status == 200


async def test_a_tenant_that_only_another_node_has_stands_in_the_status(cluster, host):
    a, b = await cluster.start("a", tenants=("acme",)), await cluster.start("b", tenants=("acme", "other"))
    await b.start_agent(host.url, "far")
    await b.start_agent(host.url, "stray", tenant="other")
    status = await status_of(a.folder / "relay-state", STATUS_FILE, lambda status: status["troubles"])
    (told,) = status["troubles"]
    assert told.startswith("node b has agents of other, which is no tenant here: give all nodes the same [tenants]")
