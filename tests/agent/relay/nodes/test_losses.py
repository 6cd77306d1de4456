"""Nodes and NATS are lost: that costs what was in flight there, every client hears the truth, and all comes back."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

import nats
import pytest

from agent import events
from agent.relay.nodes.fabric import Fabric
from agent.relay.reporting import STATUS_FILE
from tests.agent.chain import USERS
from tests.agent.test_status import status_of
from tests.agent.weather import weather_before

DEAD = {"beat_s": 0.1, "dead_s": 0.6}


async def never(_):
    await asyncio.Event().wait()


@pytest.fixture
async def behind(cluster, own_nats):
    """Node `b` reaches NATS through this weather."""
    async with weather_before(own_nats.port) as weather:
        yield weather, cluster.settings(urls=(f"tls://localhost:{weather.port}",), **DEAD)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_node_that_falls_silent_is_missed_within_seconds(cluster, host, client, behind, method):
    weather, through = behind
    a = await cluster.start("a", nats=cluster.settings(**DEAD))
    b = await cluster.start("b", nats=through)
    await b.start_agent(host.url, "far")
    host.answer = never
    asked = asyncio.create_task(client.request(method, a.address(USERS + "/1"), data=b"{}"))
    await host.arrived.wait()
    host.answer = None
    weather.swallow()
    await cluster.log.wait_for(events.NODE_LOST, node="b", limit_s=3)
    await a.start_agent(host.url, "near")
    async with await asked as response:
        assert response.status == (200 if method == "GET" else 504)
        # Of node and agent it is the node that is away.
        assert method == "GET" or "the way to node b of the relay" in (await response.json(content_type=None))["detail"]
    assert len(host.asked) == (2 if method == "GET" else 1), "a write is never sent again"


async def test_a_write_moves_to_another_node_where_the_host_keeps_outcomes(cluster, host, client, behind):
    weather, through = behind
    host.record = "r1"
    a = await cluster.start("a", nats=cluster.settings(**DEAD))
    b, c = await cluster.start("b", nats=through), await cluster.start("c", nats=cluster.settings(**DEAD))
    await b.start_agent(host.url, "one")
    host.answer = never
    asked = asyncio.create_task(client.post(a.address(), data=b"{}"))
    await host.arrived.wait()
    host.answer = None
    await c.start_agent(host.url, "two")
    weather.swallow()
    async with await asked as response:
        assert response.status == 200
    first, second = (headers["Idempotency-Key"] for _, _, headers, _ in host.asked)
    assert first == second


async def test_nodes_outlive_a_while_in_which_nobody_here_listened(cluster, host, client):
    a = await cluster.start("a", nats=cluster.settings(**DEAD))
    b = await cluster.start("b", nats=cluster.settings(**DEAD))
    await b.start_agent(host.url)
    for _ in range(3):
        time.sleep(1.0)  # noqa: ASYNC251 - a machine that is so busy that this process does not run
        await asyncio.sleep(0)
    async with client.get(a.address()) as response:
        assert response.status == 200
    assert events.NODE_LOST not in [event for event, _ in cluster.log.seen]


async def test_the_agents_of_a_lost_node_are_missed_and_found_again(cluster, host, client, behind):
    weather, through = behind
    a = await cluster.start("a", nats=cluster.settings(**DEAD), limits={"wait_s": 0.0})
    b = await cluster.start("b", nats=through)
    await b.start_agent(host.url)
    weather.swallow()
    await cluster.log.wait_for(events.NODE_LOST, node="b", limit_s=3)
    async with client.get(a.address()) as response:
        assert response.status == 503
        assert "nothing is heard of b, which may hold agents" in (await response.json(content_type=None))["detail"]
    told = await status_of(a.folder / "relay-state", STATUS_FILE, lambda status: status["troubles"])
    assert told["troubles"][0].startswith("nothing is heard of b")
    weather.clear_up()
    weather.reset()
    async with asyncio.timeout(10):
        while True:
            async with client.get(a.address()) as response:
                if response.status == 200:
                    break
            await asyncio.sleep(0.05)
    await status_of(a.folder / "relay-state", STATUS_FILE, lambda status: not status["troubles"])


async def test_a_node_that_was_killed_and_is_back_under_its_name_is_not_missed(cluster, client, behind):
    weather, through = behind
    a = await cluster.start("a", nats=cluster.settings(**DEAD), limits={"wait_s": 0.0})
    await cluster.start("b", nats=through)
    killed = (await cluster.log.wait_for(events.NODE_JOINED, node="b"))["id"]
    await cluster.start("b again", nats=cluster.settings(**DEAD), called="b")
    weather.swallow()
    # By both that are left.
    await cluster.log.wait_for(events.NODE_LOST, id=killed, count=2)
    async with client.get(a.address()) as response:
        detail = (await response.json(content_type=None))["detail"]
    assert "No agent of tenant acme is connected to the relay." in detail


async def test_a_node_that_takes_its_leave_is_not_missed(cluster, client):
    a, b = await cluster.start("a", limits={"wait_s": 0.1}), await cluster.start("b")
    await b.stop("relay")
    await cluster.log.wait_for(events.NODE_LOST, node="b")
    async with client.get(a.address()) as response:
        assert (
            "No agent of tenant acme is connected to the relay." in (await response.json(content_type=None))["detail"]
        )


async def test_without_nats_each_node_goes_on_with_its_own_agents(cluster, host, client, own_nats):
    a, b = await cluster.start("a", limits={"wait_s": 0.2}), await cluster.start("b", limits={"wait_s": 5.0})
    await b.start_agent(host.url)
    async with client.get(b.address()) as response:
        assert response.status == 200
    own_nats.kill()
    try:
        await cluster.log.wait_for(events.NATS_LOST, count=2)
        async with client.get(b.address()) as response:
            assert response.status == 200
        async with client.post(a.address(), data=b"{}") as response:
            assert response.status == 503
            assert response.headers["Retry-After"]
            detail = (await response.json(content_type=None))["detail"]
        assert "NATS, which leads to the other nodes, cannot be reached" in detail
        assert "Nothing was done" in detail
    finally:
        own_nats.start()
    async with asyncio.timeout(15):
        while True:
            async with client.get(a.address()) as response:
                if response.status == 200:
                    return
            await asyncio.sleep(0.1)


async def test_a_write_in_flight_when_nats_is_lost_is_unknown(cluster, host, client, own_nats):
    a, b = await cluster.start("a"), await cluster.start("b")
    await b.start_agent(host.url)
    host.answer = never
    asked = asyncio.create_task(client.post(a.address(), data=b"{}"))
    await host.arrived.wait()
    own_nats.kill()
    try:
        async with await asked as response:
            assert response.status == 504
            assert "outcome of this request is unknown" in (await response.json(content_type=None))["detail"]
    finally:
        own_nats.start()
    assert len(host.asked) == 1


async def test_a_loss_of_nats_is_logged_in_our_words_alone(cluster, own_nats, caplog):
    await cluster.start("a")
    await cluster.log.wait_for(events.NATS_CONNECTED)
    own_nats.kill()
    try:
        await cluster.log.wait_for(events.NATS_LOST)
    finally:
        own_nats.start()
    assert [record.msg for record in caplog.records if record.name == "asyncio"] == []


async def test_a_node_starts_without_nats_and_joins_later(cluster, host, client, own_nats):
    own_nats.kill()
    try:
        a = await cluster.start("a")
        await a.start_agent(host.url)
        async with client.get(a.address()) as response:
            assert response.status == 200
    finally:
        own_nats.start()
    await cluster.log.wait_for(events.NATS_CONNECTED, limit_s=15)


async def test_a_node_that_is_told_to_stop_while_nats_connects_stops(cluster, monkeypatch):
    """The library's waiting may swallow a cancellation that comes with what it waits for; so this does it each time."""
    fabric = Fabric(cluster.settings(), "a")
    flush = nats.NATS.flush

    async def flush_and_swallow(client):
        await flush(client)
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(0)

    monkeypatch.setattr(nats.NATS, "flush", flush_and_swallow)
    keeping = asyncio.create_task(fabric.keep())
    done, _ = await asyncio.wait({keeping}, timeout=10)
    keeping.cancel()
    assert done
    assert keeping.cancelled()
