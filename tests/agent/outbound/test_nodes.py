"""An agent of a relay with two nodes holds a link to each, and clients do not notice the loss of one."""

from __future__ import annotations

import socket
from contextlib import closing

import pytest
from yarl import URL

from agent import events
from agent.outbound.credentials import EnrolmentRefused, enrol_at_any
from agent.relay.databases import SQLite
from agent.relay.store import FILE, Store
from connector_host.clock import now
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


async def test_a_link_whose_node_does_not_answer_goes_to_one_that_has_none(nodes, host):
    one, other = nodes
    gone = f"https://localhost:{free_port()}"
    await one.start_agent(host.url, relay=(one.url, gone, other.url), links=2, connected=False)
    await one.log.wait_for(events.LINK_FAILED, relay=gone)
    for node in nodes:
        await one.log.wait_for(events.LINK_CONNECTED, relay=node.url)


async def test_links_never_crowd_at_one_node_while_another_may_come_back(nodes, host):
    one, other = nodes
    await one.start_agent(host.url, relay=(one.url, other.url), links=2)
    await one.relay_sees(2)
    await one.kill("relay")
    await one.log.wait_for(events.LINK_FAILED, relay=one.url, count=3)
    at_other = [
        seen for event, seen in one.log.seen if event == events.LINK_CONNECTED and seen.get("relay") == other.url
    ]
    assert len(at_other) == 1


async def test_an_agent_enrols_at_the_first_node_that_can_be_reached(chain, host):
    await chain.start_relay()
    with closing(Store(SQLite(chain.folder / "relay-state" / FILE))) as store:
        store.add_tenant("acme")
        token = store.new_enrolment("acme", int(now().timestamp()), 600)
    settings = chain.agent_settings(host.url)
    gone = URL(f"https://localhost:{free_port()}")
    identity = await enrol_at_any(settings, [gone, URL(chain.url)], settings.state, token)
    assert identity.name.tenant == "acme"
    with pytest.raises(EnrolmentRefused, match="cannot be reached"):
        await enrol_at_any(settings, [gone, gone], settings.state, token)
