"""A write whose outcome is unknown stays so at every node: its client may come back at another one, or later."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from agent import events
from tests.agent.chain import host_server

NOBODY_WAITS = {"limits": {"wait_s": 0.0}}


async def never(_):
    await asyncio.Event().wait()


@pytest.fixture
async def hosts(host, papers):
    """Two hosts that serve the same users, each with a record of its own."""
    async with host_server(papers) as other:
        host.record, other.record = "r1", "r2"
        yield host, other


async def post(client, node, key="mine"):
    async with client.post(node.address(), data=b"{}", headers={"Idempotency-Key": key}) as response:
        return response.status


async def hear_that_nobody_knows(client, node, host, meanwhile=None):
    """Write over the agent `one`, which dies of it."""
    host.answer = never
    await node.start_agent(host.url, "one")
    asked = asyncio.create_task(post(client, node))
    await host.arrived.wait()
    if meanwhile is not None:
        await meanwhile
    await node.kill("one")
    assert await asked == 504


async def test_a_client_that_comes_back_at_once_at_another_node_is_not_served_by_a_host_that_knows_nothing(
    cluster, hosts, client
):
    host, other = hosts
    a, b = await cluster.start("a", **NOBODY_WAITS), await cluster.start("b", **NOBODY_WAITS)
    await hear_that_nobody_knows(client, a, host, b.start_agent(other.url, "two"))
    assert await post(client, b) == 503
    assert not other.asked
    assert await post(client, b, "another") == 200
    host.answer = None
    await b.start_agent(host.url, "three")
    assert await post(client, b) == 200
    assert len(host.asked) == 2


async def test_what_the_host_itself_does_not_know_another_node_does_not_ask_another_host(cluster, hosts, client):
    host, other = hosts
    a, b = await cluster.start("a", **NOBODY_WAITS), await cluster.start("b", **NOBODY_WAITS)
    host.status = 504
    await a.start_agent(host.url, "one")
    assert await post(client, a) == 504
    await a.kill("one")
    await b.start_agent(other.url, "two")
    assert await post(client, b) == 503
    assert not other.asked


async def test_a_node_that_starts_later_is_told(cluster, hosts, client):
    host, other = hosts
    a = await cluster.start("a", **NOBODY_WAITS)
    await hear_that_nobody_knows(client, a, host)
    b = await cluster.start("b", **NOBODY_WAITS)
    await cluster.log.wait_for(events.OUTCOMES_LEARNED)
    await b.start_agent(other.url, "two")
    assert await post(client, b) == 503
    assert not other.asked


async def test_what_a_node_was_told_it_knows_after_a_restart_without_the_other(cluster, hosts, client):
    host, other = hosts
    a, b = await cluster.start("a", **NOBODY_WAITS), await cluster.start("b", **NOBODY_WAITS)
    await hear_that_nobody_knows(client, a, host)
    for node in (a, b):
        await node.stop("relay")
    del cluster.nodes["a"]
    b = await cluster.start("b", **NOBODY_WAITS)
    await b.start_agent(other.url, "two")
    assert await post(client, b) == 503
    assert not other.asked


async def test_without_nats_nodes_know_it_from_the_store(cluster, shared, hosts, client, own_nats):
    host, other = hosts
    a, b = await cluster.start("a", **shared, **NOBODY_WAITS), await cluster.start("b", **shared, **NOBODY_WAITS)
    own_nats.kill()
    try:
        await cluster.log.wait_for(events.NATS_LOST, count=2)
        await b.start_agent(other.url, "two")
        await hear_that_nobody_knows(client, a, host)
        assert await post(client, b) == 503
        assert not other.asked
    finally:
        own_nats.start()


async def test_what_was_noted_while_nats_was_away_is_told_once_it_is_back(cluster, hosts, client, own_nats):
    host, other = hosts
    a, b = await cluster.start("a", **NOBODY_WAITS), await cluster.start("b", **NOBODY_WAITS)
    own_nats.kill()
    try:
        await cluster.log.wait_for(events.NATS_LOST, count=2)
        await hear_that_nobody_knows(client, a, host)
    finally:
        own_nats.start()
    await cluster.log.wait_for(events.OUTCOMES_LEARNED, limit_s=20)
    await b.start_agent(other.url, "two")
    assert await post(client, b) == 503
    assert not other.asked


async def test_a_write_that_is_sent_again_meets_the_same_host_at_any_node_though_nobody_noted_it(
    cluster, hosts, client
):
    a, b = await cluster.start("a"), await cluster.start("b")
    for host, name in zip(hosts, ("one", "two"), strict=True):
        await b.start_agent(host.url, name)
    drawn = itertools.count()
    async with asyncio.timeout(10):
        for node in (a, b):
            while not all(any(key.startswith(f"{node.port}-") for key in expected(host)) for host in hosts):
                await post(client, node, f"{node.port}-{next(drawn)}")
    for number in range(6):
        for node in (a, a, b):
            assert await post(client, node, f"again-{number}") == 200
        assert sorted(expected(host).count(f"again-{number}") for host in hosts) == [0, 3]


def expected(host):
    """Return the keys of the writes that the node knew to be for this host's record."""
    return [headers["Idempotency-Key"] for _, _, headers, _ in host.asked if "Idempotency-Record" in headers]
