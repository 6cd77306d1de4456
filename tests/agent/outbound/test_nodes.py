"""An agent of a relay with two nodes holds a link to each, and clients do not notice the loss of one."""

from __future__ import annotations

import socket

import pytest

from agent import events
from tests.agent.chain import USERS, chain_of


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
async def nodes(chain, tmp_path, papers, log):
    """Two relays of the same tenants, each with a store of its own."""
    async with chain_of(tmp_path / "other", papers, log) as other:
        await chain.start_relay()
        port = free_port()
        await other.start_relay(port=port)
        await log.wait_for(events.RELAY_READY, port=port)
        other.port = port
        yield chain, other


async def test_an_agent_holds_a_link_to_each_node(nodes, host, client):
    one, other = nodes
    await one.start_agent(host.url, relay=(one.url, other.url), links=2)
    await one.relay_sees(2)
    for node in nodes:
        async with client.get(node.address(USERS)) as response:
            assert response.status == 200


async def test_the_loss_of_one_node_costs_the_other_nothing(nodes, host, client):
    one, other = nodes
    await one.start_agent(host.url, relay=(one.url, other.url), links=2)
    await one.relay_sees(2)
    await one.kill("relay")
    async with client.get(other.address(USERS)) as response:
        assert response.status == 200
