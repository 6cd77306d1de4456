"""The agent finds its relay again, and leaves without losing a request."""

from __future__ import annotations

import asyncio
import random

import msgspec
import pytest
from aiohttp import web

from agent import events
from agent.errors import ConfigurationError
from agent.outbound import service
from agent.outbound.backoff import FIRST_S, HELD_S, Backoff
from agent.relay.matching import Agents
from tests.agent.chain import USERS, issue_papers
from tests.agent.raw import answer_to, connected


async def test_an_agent_that_is_early_waits_for_the_relay(chain, host, client):
    await chain.start_relay()
    await chain.stop("relay")
    await chain.start_agent(host.url, connected=False)
    await chain.log.wait_for(events.LINK_FAILED)
    await chain.start_relay()
    await chain.log.wait_for(events.LINK_CONNECTED, relay_name="localhost")
    await chain.relay_sees(1)
    async with client.get(chain.address()) as response:
        assert response.status == 200


async def test_no_request_is_on_its_way_before_the_relay_knows_which_record_the_host_keeps(chain, host, monkeypatch):
    add, known = Agents.add, []
    monkeypatch.setattr(Agents, "add", lambda agents, *new: known.append(new[1].health.record) or add(agents, *new))
    host.record = "one"
    await chain.start_relay()
    await chain.start_agent(host.url, links=3)
    await chain.relay_sees(3)
    assert known == ["one"] * 3


async def test_a_relay_that_restarts_loses_no_request_in_hand(chain, host, client):
    await chain.start_relay()
    await chain.start_agent(host.url)
    release = asyncio.Event()

    async def answer(_):
        await release.wait()
        return web.Response(status=204)

    host.answer = answer
    asked = asyncio.create_task(client.delete(chain.address(USERS + "/1")))
    await host.arrived.wait()
    stopping = asyncio.create_task(chain.stop("relay"))
    await chain.log.wait_for(events.LINK_ENDED, reason="the relay is about to stop")
    release.set()
    assert (await asked).status == 204
    await stopping
    await chain.start_relay()
    await chain.relay_sees(2)
    async with client.delete(chain.address(USERS + "/1")) as response:
        assert response.status == 204


@pytest.mark.parametrize("method", ["DELETE", "HEAD"])
async def test_a_relay_that_stops_says_with_its_answers_that_the_connection_ends(chain, host, client, method):
    await chain.start_relay()
    await chain.start_agent(host.url)
    async with client.request(method, chain.address(USERS + "/1")) as response:
        assert "Connection" not in response.headers
    release = asyncio.Event()

    async def answer(_):
        await release.wait()
        return web.Response(status=204)

    host.answer = answer
    host.arrived.clear()
    asked = asyncio.create_task(client.request(method, chain.address(USERS + "/1")))
    await host.arrived.wait()
    stopping = asyncio.create_task(chain.stop("relay"))
    await chain.log.wait_for(events.LINK_ENDED, reason="the relay is about to stop")
    release.set()
    async with await asked as response:
        assert response.headers["Connection"] == "close"
    await stopping


async def stopped_with_one_under_way(chain, host, client):
    """Tell the relay to stop while a DELETE waits for its release; the client has another connection, kept."""
    release = asyncio.Event()

    async def answer(request):
        if request.method == "DELETE":
            await release.wait()
        return web.Response(status=204)

    host.answer = answer
    asked = asyncio.create_task(client.delete(chain.address(USERS + "/1")))
    await host.arrived.wait()
    async with client.get(chain.address()) as response:
        assert response.status == 204
    stopping = asyncio.create_task(chain.stop("relay"))
    await chain.log.wait_for(events.LINK_ENDED, reason="the relay is about to stop")
    return release, asked, stopping


async def test_a_request_that_comes_as_the_relay_stops_hears_so_at_once(chain, host, client):
    # Longer than a test may take: who waited for an agent would hear nothing.
    await chain.start_relay(limits={"wait_s": 3_000.0, "request_s": 3_000.0})
    await chain.start_agent(host.url)
    release, asked, stopping = await stopped_with_one_under_way(chain, host, client)
    # On the connection of the last one: new ones are not taken any more.
    async with client.get(chain.address()) as response:
        assert (response.status, response.headers["Connection"]) == (503, "close")
        assert int(response.headers["Retry-After"]) > 0
        assert "This relay is about to stop" in (await response.json(content_type=None))["detail"]
    release.set()
    assert (await asked).status == 204
    await stopping


async def test_whoever_asks_again_as_the_last_request_of_a_relay_ends_hears_that_nothing_was_done(chain, host, client):
    await chain.start_relay()
    await chain.start_agent(host.url)
    release, asked, stopping = await stopped_with_one_under_way(chain, host, client)
    release.set()
    assert (await asked).status == 204
    for _ in range(50):
        # In that many turns a relay that did not wait has hung up.
        await asyncio.sleep(0)
    async with client.get(chain.address()) as response:
        assert (response.status, response.headers["Connection"]) == (503, "close")
    await stopping


@pytest.mark.parametrize("framed", ["Content-Length: 0\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"])
async def test_a_relay_that_ends_reads_nothing_more_that_it_would_drop(chain, papers, monkeypatch, framed):
    await chain.start_relay()
    monkeypatch.setattr("agent.relay.service.CUT_S", 60.0)
    async with connected(papers, chain.port) as (reader, writer):
        writer.write(f"POST /t/acme{USERS} HTTP/1.1\r\nHost: localhost\r\n{framed}".encode())
        assert (await answer_to(reader))[1].get("connection") != "close"
        async with asyncio.timeout(20):
            await chain.stop("relay")
            assert await reader.read() == b""


async def test_whoever_writes_one_after_the_other_as_a_relay_stops_hears_that_nothing_was_done(chain, host, papers):
    await chain.start_relay()
    await chain.start_agent(host.url)
    write = f"POST /t/acme{USERS} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{{}}".encode()
    async with connected(papers, chain.port) as (reader, writer):
        writer.write(write)
        assert (await answer_to(reader))[0] == "HTTP/1.1 200 OK"
        stopping = asyncio.create_task(chain.stop("relay"))
        await chain.log.wait_for(events.LINK_ENDED, reason="the relay is about to stop")
        for _ in range(50):
            await asyncio.sleep(0)
        writer.write(write)
        line, headers, _ = await answer_to(reader)
        assert (line, headers["connection"]) == ("HTTP/1.1 503 Service Unavailable", "close")
    await stopping


async def test_an_agent_that_stops_finishes_what_it_carries(chain, host, client):
    await chain.start_relay()
    await chain.start_agent(host.url)
    release = asyncio.Event()

    async def answer(_):
        await release.wait()
        return web.Response(status=204)

    host.answer = answer
    asked = asyncio.create_task(client.delete(chain.address(USERS + "/1")))
    await host.arrived.wait()
    stopping = asyncio.create_task(chain.stop("one"))
    await chain.log.wait_for(events.AGENT_STOPPING)
    async with client.delete(chain.address(USERS + "/2")) as late:
        assert late.status == 503
    release.set()
    assert (await asked).status == 204
    await stopping
    assert len(host.asked) == 1


@pytest.mark.parametrize(
    ("stops", "reason"), [("one", "the agent is about to stop"), ("relay", "the relay is about to stop")]
)
async def test_both_ends_log_who_stopped(chain, host, stops, reason):
    await chain.start_relay()
    await chain.start_agent(host.url)
    await chain.stop(stops)
    await chain.log.wait_for(events.LINK_ENDED, relay=chain.url, reason=reason)
    await chain.log.wait_for(events.LINK_ENDED, tenant="acme", reason=reason)


async def test_agents_take_turns_to_stop_and_nobody_notices(chain, host, client):
    await chain.start_relay()
    await chain.start_agent(host.url, "one")
    await chain.start_agent(host.url, "two")
    statuses, over = [], asyncio.Event()

    async def write():
        while not over.is_set():
            async with client.post(chain.address(), data=b"{}") as response:
                statuses.append(response.status)

    writers = [asyncio.create_task(write()) for _ in range(8)]
    for name in ("one", "two"):
        await chain.stop(name)
        await chain.start_agent(host.url, name)
    over.set()
    await asyncio.gather(*writers)
    assert set(statuses) == {200}
    assert len(host.asked) == len(statuses)


async def test_a_relay_that_cannot_be_reached_is_named_in_plain_words(chain, host):
    await chain.start_relay()
    await chain.stop("relay")
    await chain.start_agent(host.url, connected=False)
    failed = await chain.log.wait_for(events.LINK_FAILED)
    assert failed["reason"] == "the relay cannot be reached: Connection refused"


async def test_a_relay_whose_authority_is_not_trusted_says_which_setting_names_it(chain, host, tmp_path):
    await chain.start_relay()
    other = issue_papers(tmp_path, "localhost").authority
    await chain.start_agent(host.url, relay_trust=other, connected=False)
    failed = await chain.log.wait_for(events.LINK_FAILED)
    assert failed["reason"].startswith("the relay's certificate is not accepted: ")
    assert failed["reason"].endswith("name the one that did in agent.relay_trust")


async def test_a_relay_that_speaks_no_tls_is_named(chain, host):
    async with await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        await chain.start_agent(host.url, relay=f"https://localhost:{port}", connected=False)
        failed = await chain.log.wait_for(events.LINK_FAILED)
    assert "SSLContext" not in failed["reason"]
    assert failed["reason"].startswith("the relay ")


async def test_an_agent_outlives_a_folder_that_it_cannot_look_into_for_a_while(chain, host, tmp_path):
    folder, state = tmp_path / "folder", tmp_path / "link"
    folder.mkdir()
    state.symlink_to(folder)
    await chain.start_relay()
    await chain.start_agent(host.url, state=state)
    state.unlink()
    state.symlink_to("n" * 300)  # which is so for root, too, who may look into any folder
    await chain.stop("relay")
    failed = await chain.log.wait_for(events.LINK_FAILED)
    assert "agent.state" in failed["reason"]
    state.unlink()
    state.symlink_to(folder)
    await chain.start_relay()
    await chain.relay_sees(2)


async def test_an_agent_does_not_start_with_authorities_that_are_not_there(chain, host, tmp_path):
    settings = msgspec.structs.replace(chain.agent_settings(host.url), relay_trust=tmp_path / "nowhere.pem")
    with pytest.raises(ConfigurationError, match=r"agent\.relay_trust: .*nowhere\.pem cannot be used"):
        await service.run(settings, asyncio.Event())


def test_pauses_are_drawn_from_a_range_that_doubles_up_to_its_bound():
    class Longest(random.Random):
        def uniform(self, a, b):
            assert a == 0
            return b

    backoff = Backoff(5.0, Longest())
    assert [backoff.pause_s(0.0) for _ in range(5)] == [2 * FIRST_S, 4 * FIRST_S, 8 * FIRST_S, 5.0, 5.0]
    assert backoff.pause_s(HELD_S - 1) == 5.0
    assert backoff.pause_s(HELD_S) == FIRST_S
