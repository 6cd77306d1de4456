"""Nodes that share a PostgreSQL store and an authority: what is enrolled, or revoked, at one is so at all."""

from __future__ import annotations

import asyncio
from contextlib import closing

import msgspec
import pytest
from yarl import URL

from agent import events
from agent.errors import ConfigurationError
from agent.outbound.credentials import EnrolmentRefused, enrol
from agent.relay.databases import PostgreSQL
from agent.relay.reporting import STATUS_FILE
from agent.relay.store import Store
from connector_host.clock import now
from tests.agent.test_status import status_of


@pytest.fixture
def shared(shared):
    """The settings of a store that all nodes share, and of no tenant but those in it."""
    return shared | {"tenants": ()}


@pytest.fixture
def store(shared):
    """The store as a command of the administrator sees it."""
    with closing(Store(PostgreSQL(shared["store"], None, shared["store_password_file"].read_text))) as opened:
        yield opened


def invite(store):
    store.add_tenant("acme")
    return store.new_enrolment("acme", int(now().timestamp()), 600)


async def known(node):
    """Return once the node has heard of the tenant, which takes it a second."""
    await asyncio.sleep(1.5)
    return node


async def test_an_agent_enrols_at_one_node_and_is_welcome_at_all(cluster, shared, store, host, client):
    a, b = await cluster.start("a", **shared), await cluster.start("b", **shared)
    settings = msgspec.structs.replace(a.agent_settings(host.url), relay=(a.url, b.url), links=2)
    identity = await enrol(settings, URL(a.url), settings.state, invite(store))
    a.run_agent(settings)
    for url in (a.url, b.url):
        await cluster.log.wait_for(events.LINK_CONNECTED, relay=url)
    for node in (await known(a), b):
        async with client.get(node.address()) as response:
            assert response.status == 200
    assert [agent.id for agent in store.agents()] == [identity.name.agent]


@pytest.mark.parametrize("tenant", ["acme\0", "zürich", "Acme"])
async def test_what_can_be_no_tenant_is_refused_and_is_not_the_stores_fault(cluster, shared, store, host, tenant):
    a = await cluster.start("a", **shared)
    settings = msgspec.structs.replace(a.agent_settings(host.url), tenant=tenant)
    with pytest.raises(EnrolmentRefused, match="token is not valid: it was used, has expired, or is of another tenant"):
        await enrol(settings, URL(a.url), settings.state, invite(store))


async def test_a_token_that_was_used_at_one_node_is_worth_nothing_at_another(cluster, shared, store, host):
    a, b = await cluster.start("a", **shared), await cluster.start("b", **shared)
    token = invite(store)
    first, second = a.agent_settings(host.url), b.agent_settings(host.url, "two")
    await enrol(first, URL(a.url), first.state, token)
    with pytest.raises(EnrolmentRefused, match="it was used"):
        await enrol(second, URL(b.url), second.state, token)


async def test_a_revocation_ends_the_links_at_all_nodes_within_seconds(cluster, shared, store, host):
    a, b = await cluster.start("a", **shared), await cluster.start("b", **shared)
    settings = msgspec.structs.replace(a.agent_settings(host.url), relay=(a.url, b.url), links=2)
    identity = await enrol(settings, URL(a.url), settings.state, invite(store))
    a.run_agent(settings)
    for url in (a.url, b.url):
        await cluster.log.wait_for(events.LINK_CONNECTED, relay=url)
    store.revoke(identity.name.agent, int(now().timestamp()))
    await cluster.log.wait_for(events.LINK_ENDED, reason="the agent was revoked", id=identity.name.agent, limit_s=5)
    await cluster.log.wait_for(
        events.LINK_ENDED, reason="the agent was revoked", id=identity.name.agent, count=2, limit_s=5
    )


async def test_a_node_with_another_authority_does_not_start(cluster, shared):
    await cluster.start("a", **shared)
    node = cluster.nodes["a"]
    with pytest.raises(ConfigurationError, match="its nodes have another authority for agents: give this node"):
        await other_node(cluster, node, shared)


async def other_node(cluster, node, shared):
    from agent.relay import service
    from agent.settings import RelayConfiguration, RelaySettings

    given = {key: value for key, value in shared.items() if key != "tenants"}
    settings = RelaySettings(
        certificate=node.papers.certificate, key=node.papers.key, port=0, state=cluster.folder / "fresh", **given
    )
    await service.run(RelayConfiguration(relay=settings), asyncio.Event())


async def test_without_the_store_links_go_on_and_new_ones_wait(cluster, own_postgresql, host, client):
    server = own_postgresql
    secret = cluster.folder / "store-password"
    secret.write_text(server.password)
    url = f"postgresql://{server.user}@{server.host}:{server.port}/{server.database()}"
    a = await cluster.start("a", store=url, store_password_file=secret, tenants=())
    with closing(Store(PostgreSQL(url, None, lambda: server.password))) as store:
        settings = a.agent_settings(host.url)
        await enrol(settings, URL(a.url), settings.state, invite(store))
        other = a.agent_settings(host.url, "two")
        await enrol(other, URL(a.url), other.state, invite(store))
    a.run_agent(settings)
    await a.relay_sees(1)
    await known(a)
    server.kill()
    try:
        await cluster.log.wait_for(events.STORE_UNAVAILABLE)
        async with client.get(a.address()) as response:
            assert response.status == 200
        a.run_agent(other)
        failed = await cluster.log.wait_for(events.LINK_FAILED, limit_s=15)
        assert "cannot ask its store" in failed["reason"]
        told = await status_of(a.folder / "relay-state", STATUS_FILE, lambda status: status["troubles"])
        assert told["troubles"][0].startswith("relay.store: ")
        assert told["troubles"][0].endswith("(revocations may not act here until that is over)")
    finally:
        server.start()
    await a.relay_sees(2)
