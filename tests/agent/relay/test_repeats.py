"""Writes that may be repeated, because the host carries them out once, and requests that wait for better times."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from agent import events
from agent.outbound import probe
from agent.relay.store import FILE
from tests.agent.chain import host_server
from tests.agent.weather import weather_before

KEPT = {"wait_s": 5.0}


async def never(_):
    await asyncio.Event().wait()


async def hang_up_once(request):
    """Take the first request and say nothing; answer the next ones."""
    request.transport.abort()
    return web.Response()


def hanging_up_on_one(host):
    """Return what says nothing to one request, after which the host answers as ever."""

    async def answer(request):
        host.answer = None
        return await hang_up_once(request)

    return answer


def keys_of(host):
    return [headers["Idempotency-Key"] for _, _, headers, _ in host.asked]


async def test_every_write_gets_a_key_and_a_client_keeps_its_own(chain, host, client):
    await chain.start_relay()
    await chain.start_agent(host.url)
    for headers in ({}, {}, {"Idempotency-Key": "mine"}):
        async with client.post(chain.address(), data=b"{}", headers=headers):
            pass
    async with client.get(chain.address()):
        pass
    *writes, read = host.asked
    keys = [headers["Idempotency-Key"] for _, _, headers, _ in writes]
    assert len(set(keys)) == 3
    assert keys[2] == "mine"
    assert "Idempotency-Key" not in read[2]


async def test_a_write_moves_to_another_agent_of_the_same_host(chain, host, client):
    host.record = "r1"
    await chain.start_relay(limits=KEPT)
    await chain.start_agent(host.url, "one")
    host.answer = never
    asked = asyncio.create_task(client.post(chain.address(), data=b"{}"))
    await host.arrived.wait()
    await chain.start_agent(host.url, "two")
    host.answer = None
    await chain.kill("one")
    async with await asked as response:
        assert response.status == 200
    assert len(host.asked) == 2
    assert len(set(keys_of(host))) == 1


async def test_a_write_never_moves_to_a_host_that_does_not_know_of_it(chain, host, client, papers):
    host.record = "r1"
    async with host_server(papers) as other:
        other.record = "r2"
        await chain.start_relay(limits={"wait_s": 0.5})
        await chain.start_agent(host.url, "one")
        host.answer = never
        asked = asyncio.create_task(client.post(chain.address(), data=b"{}"))
        await host.arrived.wait()
        await chain.start_agent(other.url, "two")
        await chain.kill("one")
        async with await asked as response:
            assert response.status == 504
        assert not other.asked


async def post(chain, client, key):
    async with client.post(chain.address(), data=b"{}", headers={"Idempotency-Key": key}) as response:
        return response.status, await response.text()


async def never_mind(chain, client, host):
    """Leave before there is an answer."""
    asked = asyncio.create_task(post(chain, client, "mine"))
    await host.arrived.wait()
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    host.answer, status = None, 0
    async with asyncio.timeout(10):
        while status != 200:
            async with client.get(chain.address()) as response:
                status = response.status
    await chain.kill("one")


async def be_told_that_nobody_knows(chain, client, host):
    """Hear that the outcome is unknown."""
    asked = asyncio.create_task(post(chain, client, "mine"))
    await host.arrived.wait()
    await chain.kill("one")
    assert (await asked)[0] == 504


async def get_half_an_answer(chain, client, host):
    """See the answer begin, and not end."""

    async def half(request):
        response = web.StreamResponse(status=201)
        response.content_length = 2
        await response.prepare(request)
        await response.write(b"{")
        await asyncio.Event().wait()

    host.answer = half
    async with client.post(chain.address(), data=b"{}", headers={"Idempotency-Key": "mine"}) as response:
        assert response.status == 201
        await chain.kill("one")
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()


@pytest.mark.parametrize("first", [never_mind, be_told_that_nobody_knows, get_half_an_answer])
async def test_a_client_that_sends_a_write_again_is_answered_only_by_a_host_that_knows_of_it(
    chain, host, client, papers, first
):
    host.record = "r1"
    async with host_server(papers) as other:
        other.record = "r2"
        await chain.start_relay(limits={"wait_s": 0.5})
        await chain.start_agent(host.url, "one", in_flight=1)
        host.answer = never
        await first(chain, client, host)
        await chain.start_agent(other.url, "two")
        status, text = await post(chain, client, "mine")
        assert status == 503
        assert "would be carried out twice" in text
        assert not other.asked
        assert (await post(chain, client, "another"))[0] == 200
        host.answer = None
        await chain.start_agent(host.url, "three")
        assert (await post(chain, client, "mine"))[0] == 200
        writes = [headers["Idempotency-Key"] for method, _, headers, _ in host.asked if method == "POST"]
        assert writes == ["mine", "mine"]
        assert keys_of(other) == ["another"]


@pytest.mark.parametrize("first", [never_mind, be_told_that_nobody_knows, get_half_an_answer])
async def test_a_relay_that_was_started_again_knows_what_became_unknown(chain, host, client, papers, first):
    host.record = "r1"
    async with host_server(papers) as other:
        other.record = "r2"
        await chain.start_relay()
        await chain.start_agent(host.url, "one", in_flight=1)
        host.answer = never
        await first(chain, client, host)
        await chain.stop("relay")
        await chain.start_relay()
        await chain.start_agent(other.url, "two")
        assert (await post(chain, client, "mine"))[0] == 503
        assert not other.asked


async def test_a_relay_that_was_started_again_knows_what_it_cut_off_as_it_stopped(chain, host, client, papers):
    host.record = "r1"
    async with host_server(papers) as other:
        other.record = "r2"
        await chain.start_relay(stop_s=0.1)
        await chain.start_agent(host.url, "one")
        host.answer = never
        asked = asyncio.create_task(post(chain, client, "mine"))
        await host.arrived.wait()
        await chain.stop("relay")
        await asyncio.gather(asked, return_exceptions=True)
        await chain.kill("one")
        await chain.start_relay()
        await chain.start_agent(other.url, "two")
        assert (await post(chain, client, "mine"))[0] == 503
        assert not other.asked


async def test_nobody_hears_that_an_outcome_is_unknown_before_that_is_on_disk(chain, host, client):
    host.record = "r1"
    await chain.start_relay()
    await chain.start_agent(host.url)
    host.answer = never
    asked = asyncio.create_task(post(chain, client, "mine"))
    await host.arrived.wait()
    with closing(sqlite3.connect(chain.folder / "relay-state" / FILE, isolation_level=None)) as store:
        store.execute("BEGIN EXCLUSIVE")
        await chain.kill("one")
        await chain.log.wait_for(events.REQUEST_FAILED)
        done, _ = await asyncio.wait({asked}, timeout=0.3)
        assert not done
        store.execute("ROLLBACK")
        assert (await asked)[0] == 504
        assert store.execute("SELECT tenant, record FROM unknown_outcome").fetchall() == [("acme", "r1")]


async def test_a_machine_without_a_thread_to_spare_delays_what_is_noted_and_ends_nothing(
    chain, host, client, monkeypatch
):
    host.record = "r1"
    await chain.start_relay()
    await chain.start_agent(host.url)
    host.status = 500
    with monkeypatch.context() as patched:

        async def without(*_):
            raise RuntimeError("can't start new thread")

        patched.setattr(asyncio, "to_thread", without)
        assert (await post(chain, client, "one"))[0] == 500
    assert (await post(chain, client, "two"))[0] == 500
    with closing(sqlite3.connect(chain.folder / "relay-state" / FILE)) as store:
        assert store.execute("SELECT count(*) FROM unknown_outcome").fetchall() == [(2,)]


async def test_a_write_that_is_answered_in_the_end_leaves_nothing_on_disk(chain, host, client):
    host.record = "r1"
    await chain.start_relay()
    await chain.start_agent(host.url)
    for status in (201, 400, 503):
        host.status = status
        assert (await post(chain, client, "mine"))[0] == status
    await chain.stop("relay")
    with closing(sqlite3.connect(chain.folder / "relay-state" / FILE)) as store:
        assert store.execute("SELECT * FROM unknown_outcome").fetchall() == []


async def test_a_write_is_not_repeated_to_the_host_that_took_the_first_ones_place(chain, host, client):
    host.record = "r1"
    await chain.start_relay(limits={"wait_s": 0.5})
    await chain.start_agent(host.url, "one")

    async def be_exchanged(_):
        host.record = "r2"
        await asyncio.Event().wait()

    host.answer = be_exchanged
    asked = asyncio.create_task(client.post(chain.address(), data=b"{}"))
    await host.arrived.wait()
    await chain.log.wait_for(events.AGENT_HEALTH, count=2)
    await chain.start_agent(host.url, "two")
    host.answer = None
    await chain.kill("one")
    async with await asked as response:
        assert response.status == 504
    assert len(host.asked) == 1


async def test_a_host_that_was_exchanged_gets_the_next_write_at_once(chain, host, client):
    host.record = "r1"
    async with weather_before(URL(host.url).port) as balancer, host_server(chain.papers) as other:
        other.record = "r2"
        await chain.start_relay(limits={"wait_s": 30.0})
        await chain.start_agent(f"https://localhost:{balancer.port}", probe_s=60.0)
        balancer.lead_to(URL(other.url).port)
        balancer.reset()
        async with client.post(chain.address(), data=b"{}") as response:
            assert response.status == 200
    assert (len(host.asked), len(other.asked)) == (0, 1)


async def test_a_key_for_the_first_hop_only_is_no_key(chain, host, client):
    host.record = "r1"
    await chain.start_relay()
    await chain.start_agent(host.url)
    headers = {"Idempotency-Key": "mine", "Connection": "Idempotency-Key"}
    async with client.post(chain.address(), data=b"{}", headers=headers):
        pass
    [key] = keys_of(host)
    assert key.startswith("relay-")


async def test_an_agent_looks_at_the_record_again_before_it_repeats(chain, host, client):
    host.record = "r1"
    await chain.start_relay(limits={"wait_s": 1.0})
    await chain.start_agent(host.url, probe_s=60.0)

    async def forget_everything(request):
        host.record = "r2"
        return await hang_up_once(request)

    host.answer = forget_everything
    async with client.post(chain.address(), data=b"{}") as response:
        assert response.status == 504
    assert len(host.asked) == 1


async def test_a_host_that_hangs_up_is_asked_again_where_it_keeps_outcomes(chain, host, client):
    host.record = "r1"
    await chain.start_relay(limits=KEPT)
    await chain.start_agent(host.url)

    host.answer = hanging_up_on_one(host)
    async with client.post(chain.address(), data=b"{}") as response:
        assert response.status == 200
    assert len(set(keys_of(host))) == 1


@pytest.mark.parametrize("record", [{}, {"Idempotency-Record": "r1"}], ids=["at the door", "by the record"])
@pytest.mark.parametrize("status", [401, 403, 404, 408, 429, 503])
async def test_a_refusal_at_the_door_says_nothing_of_the_write_that_was_sent_before(
    chain, host, client, status, record
):
    host.record = "r1"

    async def turn_away(_):
        headers = {"Content-Type": "application/scim+json", **record}
        return web.Response(status=status, body=b"{}", headers=headers)

    async def take_one(request):
        host.answer = turn_away
        return await hang_up_once(request)

    await chain.start_relay(limits={"wait_s": 0.5})
    await chain.start_agent(host.url)
    host.answer = take_one
    async with client.post(chain.address(), data=b"{}", headers={"Idempotency-Key": "mine"}) as response:
        assert response.status == (status if record else 504)
    assert len(host.asked) >= 2
    # To one that nobody has sent before it is an answer as any.
    async with client.post(chain.address(), data=b"{}") as response:
        assert response.status == status


async def test_a_write_that_meets_a_host_as_it_comes_back_is_held_to_its_record(chain, host, client, monkeypatch):
    host.record = "r1"
    monkeypatch.setattr(probe, "DOWN_S", 60.0)
    async with weather_before(URL(host.url).port) as balancer:
        await chain.start_relay(limits=KEPT)
        await chain.start_agent(f"https://localhost:{balancer.port}", probe_s=0.1)
        balancer.lead_to(1)
        balancer.reset()
        await chain.log.wait_for(events.AGENT_HEALTH, host_reachable=False)
        balancer.lead_to(URL(host.url).port)

        host.answer = hanging_up_on_one(host)
        async with client.post(chain.address(), data=b"{}") as response:
            assert response.status == 200
    assert (len(host.asked), len(set(keys_of(host)))) == (2, 1)


async def test_an_unknown_outcome_stays_unknown_whatever_fails_later(chain, papers, client):
    async with host_server(papers) as host:
        host.record = "r1"
        await chain.start_relay(limits={"wait_s": 1.5})
        await chain.start_agent(host.url)
        host.answer = never
        asked = asyncio.create_task(client.post(chain.address(), data=b"{}"))
        await host.arrived.wait()
    async with await asked as response:
        assert response.status == 504
        assert "unknown" in (await response.json(content_type=None))["detail"]


async def test_a_request_waits_for_an_agent(chain, host, client):
    await chain.start_relay(limits=KEPT)
    asked = asyncio.create_task(client.post(chain.address(), data=b"{}"))
    await chain.start_agent(host.url)
    async with await asked as response:
        assert response.status == 200


async def test_a_request_waits_for_a_host_that_restarts(chain, papers, client):
    async with host_server(papers) as host:
        port = URL(host.url).port
        await chain.start_relay(limits=KEPT)
        await chain.start_agent(host.url)
    asked = asyncio.create_task(client.post(chain.address(), data=b"{}"))
    await chain.log.wait_for(events.REQUEST_FAILED)
    async with host_server(papers, port=port) as again:
        async with await asked as response:
            assert response.status == 200
        assert len(again.asked) == 1


async def test_a_host_that_stays_down_is_asked_ever_less_often_and_named_once(chain, client):
    await chain.start_relay(limits={"wait_s": 2.0})
    await chain.start_agent("https://localhost:1", links=2)
    await chain.relay_sees(2)
    await chain.log.wait_for(events.AGENT_HEALTH, count=2, agent="one", host_reachable=False)
    async with client.post(chain.address(), data=b"{}") as response:
        assert response.status == 502
    failures = [seen for event, seen in chain.log.seen if event == events.REQUEST_FAILED]
    assert [seen["tenant"] for seen in failures if "agent" in seen] == ["acme"], "said by the relay"
    assert 1 < len([seen for seen in failures if "reason" in seen]) <= 4, "asked at 0, 0.5, 1.5 and 2 s, over one link"


async def test_an_agent_whose_host_is_down_is_asked_last(chain, host, client):
    await chain.start_relay()
    await chain.start_agent("https://localhost:1", "lame")
    await chain.start_agent(host.url, "sound")
    await chain.log.wait_for(events.AGENT_HEALTH, agent="lame", host_reachable=False)
    for _ in range(6):
        async with client.get(chain.address()) as response:
            assert response.status == 200
    assert not [seen for event, seen in chain.log.seen if event == events.REQUEST_REPEATED]


async def test_two_links_of_one_agent_survive_the_loss_of_one(chain, host, client):
    await chain.start_relay()
    await chain.start_agent(host.url, links=2)
    await chain.relay_sees(2)
    statuses = set()
    for _ in range(10):
        async with client.get(chain.address()) as response:
            statuses.add(response.status)
    assert statuses == {200}
