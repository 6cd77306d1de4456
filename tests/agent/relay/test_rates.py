"""Whoever asks too often is told when to come back, and nobody else notices."""

from __future__ import annotations

import pytest

from agent import events
from agent.errors import AgentError
from agent.outbound.credentials import enrol
from tests.agent.chain import USERS


async def statuses(client, address, count, **options):
    seen = []
    for _ in range(count):
        async with client.get(address, **options) as response:
            seen.append((response.status, response.headers.get("Retry-After"), await response.read()))
    return seen


async def test_a_tenant_that_asks_too_often_is_told_when_to_come_back(chain, host, client):
    await chain.start_relay(limits={"requests_per_s": 0.1}, retry_after_s=3)
    await chain.start_agent(host.url)
    await chain.start_agent(host.url, "other", tenant="other")
    (first, *_), (second, after, body) = await statuses(client, chain.address(), 2)
    assert (first, second) == (200, 429)
    assert 1 <= int(after) <= 10
    assert b"The tenant acme sends more than 0.1 requests a second." in body
    assert b"urn:ietf:params:scim:api:messages:2.0:Error" in body
    assert len(host.asked) == 1
    assert [status for status, *_ in await statuses(client, chain.address(tenant="other"), 1)] == [200]


async def test_strangers_do_not_use_up_what_a_tenant_may(chain, host, client):
    await chain.start_relay(limits={"requests_per_s": 0.1}, clients=("right",))
    await chain.start_agent(host.url)
    wrong = await statuses(client, chain.address(), 5, headers={"Authorization": "Bearer wrong"})
    assert {status for status, *_ in wrong} == {401}
    right = await statuses(client, chain.address(), 1, headers={"Authorization": "Bearer right"})
    assert [status for status, *_ in right] == [200]


async def test_an_address_that_asks_too_often_is_refused_whatever_it_asks(chain, host, client):
    await chain.start_relay(limits={"requests_per_s_and_address": 1}, clients=("right",))
    await chain.start_agent(host.url)
    wrong = await statuses(client, chain.address(tenant="guess"), 20, headers={"Authorization": "Bearer wrong"})
    assert {status for status, *_ in wrong} == {404, 429}
    assert b"Your address sends more than 1 requests a second." in wrong[-1][2]
    assert not host.asked


async def test_an_address_that_asks_too_often_guesses_no_agents_token(chain, client):
    await chain.start_relay(limits={"requests_per_s_and_address": 1})
    seen = await statuses(client, f"{chain.url}/link/acme", 20, headers={"Authorization": "Bearer wrong"})
    assert {status for status, *_ in seen} == {401, 429}


async def test_an_address_that_asks_too_often_guesses_no_enrolment_token(chain, host, tmp_path):
    from agent.addresses import relay_url

    await chain.start_relay(limits={"requests_per_s_and_address": 1})
    settings = chain.agent_settings(host.url)
    words = set()
    for _ in range(5):
        with pytest.raises(AgentError) as refused:
            await enrol(settings, relay_url(chain.url), tmp_path / "new", "guess")
        words.add(str(refused.value))
    assert any("more than 1 requests a second" in text for text in words), words


async def test_an_agent_carries_no_more_than_it_may_whatever_the_relay_asks(chain, host, client):
    await chain.start_relay()
    await chain.start_agent(host.url, requests_per_s=0.1)
    first, second = await statuses(client, chain.address(), 2)
    assert (first[0], second[0]) == (200, 503)
    assert second[1] == "5"
    assert b"no more than 0.1 requests a second" in second[2]
    refused = await chain.log.wait_for(events.REQUEST_FAILED, reason="busy")
    assert refused["request_id"], "each hop's log names the request"
    assert refused["request_id"].encode() in second[2]
    assert len(host.asked) == 1


async def test_an_agent_carries_no_larger_body_than_it_may_whatever_the_relay_lets_through(chain, host, client):
    await chain.start_relay()
    await chain.start_agent(host.url, body_bytes=300_000)
    async with client.post(chain.address(USERS), data=b"x" * 300_001) as response:
        assert response.status == 502
        detail = (await response.json(content_type=None))["detail"]
        assert "`body_bytes`" in detail
        assert "Nothing was done" in detail
    assert not host.asked
    async with client.post(chain.address(USERS), data=b"x" * 300_000) as response:
        assert response.status == 200
