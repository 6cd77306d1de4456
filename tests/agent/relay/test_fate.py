"""What becomes of a request when an agent, the link or the host fails: every client hears the truth."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from agent import events
from agent.link.frames import PAYLOAD_BYTES
from agent.link.links import Heartbeat, Link
from agent.link.messages import Failure, Hello, Reason, RequestHead, ResponseHead
from agent.link.packing import encode
from agent.link.session import WINDOW_BYTES, Session
from agent.outbound.exchange import Exchange
from agent.relay import passages
from agent.relay.delivery import deliver
from agent.relay.matching import Agents
from agent.relay.protocol import Server
from agent.relay.requests import WholeReader
from tests.agent.chain import TOKEN, USERS, host_server, issue_papers
from tests.agent.raw import answer_to, connected
from tests.provisioning.rig import until

SCIM = "application/scim+json"


async def error_of(response):
    error = await response.json(content_type=SCIM)
    assert error["status"] == str(response.status)
    return error["detail"]


async def never(_):
    await asyncio.Event().wait()


BUSY = Failure(Reason.BUSY, sent=False, detail="It is busy.")
UNMENDED = Failure(Reason.HOST_UNREACHABLE, sent=False, detail="Its settings are wrong.", lasting=True)
WELL = ResponseHead(200, b"", 0)


@pytest.fixture
async def says(chain, client):
    """Link an agent that gives these answers, one after the other and the last one for ever; return how often."""
    links = []

    async def says(name, *script):
        asked = []

        async def serve(stream, _):
            asked.append(stream)
            answer = script[min(len(asked), len(script)) - 1]
            if isinstance(answer, Failure):
                stream.fail(encode(answer))
            else:
                stream.respond(encode(answer), end=True)

        headers = {"Authorization": f"Bearer {TOKEN}acme"}
        socket = await client.ws_connect(f"{chain.url}/link/acme", headers=headers)
        hello = Hello((1, 1), WINDOW_BYTES, name, "1")
        links.append(asyncio.create_task(Link(socket, Session(hello, opens=False), Heartbeat(), serve).run()))
        await chain.relay_sees(len(links))
        return asked

    yield says
    for link in links:
        link.cancel()
    await asyncio.gather(*links, return_exceptions=True)


async def test_nobody_waits_where_every_agent_says_that_an_administrator_must_mend_it(chain, client, says):
    await chain.start_relay(limits={"wait_s": 60.0})
    asked = [await says("one", UNMENDED), await says("two", UNMENDED)]
    async with client.get(chain.address()) as response:
        assert response.status == 502
        assert "Its settings are wrong" in await error_of(response)
    assert [len(times) for times in asked] == [1, 1]
    again = [seen["agent"] for event, seen in chain.log.seen if event == events.REQUEST_REPEATED]
    assert len(again) == 1, "only what was asked again is told of as such"


async def test_nobody_waits_for_an_agent_where_the_relay_stops(chain, client, says):
    await chain.start_relay(limits={"wait_s": 3_000.0, "request_s": 3_000.0})
    await says("one", BUSY)
    waiting = asyncio.create_task(client.get(chain.address()))
    await chain.log.wait_for(events.REQUEST_FAILED)
    stopping = asyncio.create_task(chain.stop("relay"))
    async with await waiting as response:
        assert response.status == 503
        assert "It is busy" in await error_of(response)
    await stopping


async def test_an_agent_that_only_an_administrator_can_mend_is_asked_over_one_link_only(chain, client, says):
    await chain.start_relay(limits={"wait_s": 60.0})
    asked = [await says("one", UNMENDED), await says("one", UNMENDED)]
    async with client.get(chain.address()) as response:
        assert response.status == 502
    assert sum(map(len, asked)) == 1


@pytest.mark.parametrize("script", [(BUSY, UNMENDED), (UNMENDED, BUSY)])
async def test_a_request_waits_for_the_agent_that_may_be_well_again(chain, client, says, script):
    await chain.start_relay(limits={"wait_s": 30.0})
    for name, first in zip(("one", "two"), script, strict=True):
        await says(name, first, *([first] if first is UNMENDED else [WELL]))
    async with client.get(chain.address()) as response:
        assert response.status == 200


async def test_without_an_agent_the_client_is_told_to_come_back(chain, client):
    await chain.start_relay()
    async with client.post(chain.address(), data=b"{}") as response:
        assert response.status == 503
        assert response.headers["Retry-After"] == "5"
        identity, detail = response.headers["X-Request-Id"], await error_of(response)
    assert "No agent of tenant acme is connected" in detail
    assert detail.endswith(f" (request {identity})")
    failed = await chain.log.wait_for(events.REQUEST_FAILED, request_id=identity)
    answered = await chain.log.wait_for(events.REQUEST_ANSWERED, request_id=identity)
    assert "No agent of tenant acme is connected" in failed["detail"]
    assert failed["traceparent"] == answered["traceparent"]


async def test_agents_of_another_tenant_are_not_asked(chain, host, client):
    await chain.start_relay()
    await chain.start_agent(host.url, tenant="other")
    async with client.get(chain.address()) as response:
        assert response.status == 503
    assert not host.asked


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_a_write_that_was_sent_on_a_link_that_breaks_is_unknown(chain, host, client, method):
    await chain.start_relay()
    await chain.start_agent(host.url, "one")
    await chain.start_agent(host.url, "two")
    host.answer = never
    asked = asyncio.create_task(client.request(method, chain.address(USERS + "/1"), data=b"{}"))
    await host.arrived.wait()
    for name in ("one", "two"):
        await chain.kill(name)
    response = await asked
    assert response.status == 504
    assert "Retry-After" not in response.headers
    assert "outcome of this request is unknown" in await error_of(response)
    assert len(host.asked) == 1


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_a_write_that_was_sent_is_never_sent_again_through_another_agent(chain, host, client, method):
    await chain.start_relay(limits={"wait_s": 1.0})
    await chain.start_agent(host.url, "holds it")
    host.answer = never
    asked = asyncio.create_task(client.request(method, chain.address(USERS + "/1"), data=b"{}"))
    await host.arrived.wait()
    await chain.start_agent(host.url, "is free")
    host.answer = None
    await chain.kill("holds it")
    async with await asked as response:
        assert response.status == 504
        assert "outcome of this request is unknown" in await error_of(response)
    async with client.get(chain.address()) as response:
        assert response.status == 200
    assert [method for method, *_ in host.asked] == [method, "GET"]


@pytest.mark.parametrize(("method", "path"), [("GET", USERS), ("POST", USERS + "/.search")])
async def test_a_safe_request_is_repeated_once_by_another_agent(chain, host, client, method, path):
    await chain.start_relay()
    await chain.start_agent(host.url, "one")
    host.answer = never
    asked = asyncio.create_task(client.request(method, chain.address(path), data=b"{}"))
    await host.arrived.wait()
    await chain.start_agent(host.url, "two")
    host.answer = None
    await chain.kill("one")
    async with await asked as response:
        assert response.status == 200
    assert [method for method, *_ in host.asked] == [method, method]


async def test_a_safe_request_without_another_agent_may_be_sent_again(chain, host, client):
    await chain.start_relay()
    await chain.start_agent(host.url)
    host.answer = never
    asked = asyncio.create_task(client.get(chain.address()))
    await host.arrived.wait()
    await chain.kill("one")
    async with await asked as response:
        assert response.status == 503
        assert "Retry-After" in response.headers


async def test_a_write_that_no_host_has_seen_moves_to_another_agent(chain, host, client):
    await chain.start_relay()
    await chain.start_agent("https://localhost:1", "broken")
    await chain.start_agent(host.url, "good")
    for number in range(4):
        async with client.post(chain.address(), data=b"%d" % number) as response:
            assert response.status == 200
    assert len(host.asked) == 4


async def test_an_agent_that_cannot_reach_its_host_says_so(chain, client):
    await chain.start_relay()
    await chain.start_agent("https://localhost:1")
    async with client.post(chain.address(), data=b"{}") as response:
        assert response.status == 502
        detail = await error_of(response)
    assert "Agent one reports" in detail
    assert "https://localhost:1" in detail
    assert "Nothing was done" in detail


async def test_a_host_with_a_certificate_for_another_name_is_not_believed(chain, client, tmp_path):
    stranger = issue_papers(tmp_path, "other.example.org")
    async with host_server(stranger) as host:
        await chain.start_relay()
        chain.papers = type(chain.papers)(chain.papers.authority, chain.papers.certificate, chain.papers.key)
        await chain.start_agent(host.url, host_trust=stranger.authority)
        async with client.post(chain.address(), data=b"{}") as response:
            assert response.status == 502
            detail = await error_of(response)
        assert "Agent one reports" in detail
        assert "connector host" in detail
        assert "not valid for 'localhost': dial a name that it is for" in detail
        assert "Nothing was done" in detail
        assert not host.asked


@pytest.mark.parametrize("days_ago", [400, -2])
async def test_a_certificate_out_of_its_time_is_told_with_what_the_clock_says(chain, client, tmp_path, days_ago):
    papers = issue_papers(tmp_path, days_ago=days_ago)
    async with host_server(papers) as host:
        await chain.start_relay()
        await chain.start_agent(host.url, host_trust=papers.authority)
        async with client.get(chain.address()) as response:
            assert response.status == 502
            assert "this machine's clock says 20" in await error_of(response)
        assert not host.asked


async def test_a_host_of_another_authority_is_not_believed(chain, client, tmp_path):
    async with host_server(issue_papers(tmp_path)) as host:
        await chain.start_relay()
        await chain.start_agent(host.url)
        async with client.get(chain.address()) as response:
            assert response.status == 502
            assert "certificate of the connector host" in await error_of(response)
        assert not host.asked


@pytest.mark.parametrize(
    ("method", "words"), [("GET", "Nothing was changed"), ("POST", "outcome of this request is unk")]
)
async def test_a_host_that_does_not_answer_in_time_is_a_504(chain, host, client, method, words):
    await chain.start_relay(limits={"request_s": 0.5})
    await chain.start_agent(host.url)
    host.answer = never
    async with client.request(method, chain.address()) as response:
        assert response.status == 504
        assert words in await error_of(response)


async def test_an_answer_that_begins_as_the_time_is_up_is_not_too_late(chain, host, client, monkeypatch):
    heard = Exchange._on_answer

    def just_in_time(exchange):
        heard(exchange)
        # As the timer would, in the same turn of the loop.
        if exchange in exchange.forwarder.deadlines._moments:
            exchange.expire()

    async def in_pieces(request):
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write_eof(b"whole")
        return response

    await chain.start_relay()
    await chain.start_agent(host.url)
    async with client.get(chain.address()) as response:
        assert response.status == 200
    monkeypatch.setattr(Exchange, "_on_answer", just_in_time)
    host.answer = in_pieces
    async with client.get(chain.address()) as response:
        assert (response.status, await response.read()) == (200, b"whole")


async def test_a_host_that_hangs_up_on_a_write_leaves_it_unknown(chain, host, client):
    await chain.start_relay()
    await chain.start_agent(host.url)

    async def hang_up(request):
        request.transport.abort()
        return web.Response()

    host.answer = hang_up
    async with client.post(chain.address(), data=b"{}") as response:
        assert response.status == 504
        assert "ended the connection" in await error_of(response)
    async with client.get(chain.address()) as response:
        assert response.status == 502


async def test_a_client_that_hangs_up_frees_the_agent(chain, host, client):
    await chain.start_relay()
    await chain.start_agent(host.url, in_flight=1)
    gone = asyncio.Event()

    async def answer(_):
        try:
            await asyncio.Event().wait()
        finally:
            gone.set()

    host.answer = answer
    asked = asyncio.create_task(client.get(chain.address(), headers={"X-Request-Id": "in-a-hurry"}))
    await host.arrived.wait()
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    await chain.log.wait_for(events.REQUEST_ABANDONED, tenant="acme", request_id="in-a-hurry", method="GET")
    host.answer = None
    async with asyncio.timeout(5):
        while True:
            async with client.get(chain.address()) as response:
                if response.status == 200:
                    break


@pytest.mark.parametrize("chunked", [False, True], ids=["whole", "in chunks"])
async def test_a_client_that_is_gone_as_its_answer_begins_is_no_mistake_of_ours(
    chain, host, client, monkeypatch, chunked
):
    async def begin(request):
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"half")
        await asyncio.Event().wait()

    async def pieces():
        yield b"{}"

    async def late(taker, *given, **more):
        taker.request().transport.close()
        return await deliver(taker, *given, **more)

    monkeypatch.setattr(passages, "deliver", late)
    await chain.start_relay(limits={"in_flight": 1})
    await chain.start_agent(host.url)
    host.answer = begin
    with pytest.raises(aiohttp.ClientError):
        await client.put(chain.address(), data=pieces() if chunked else b"{}")
    await chain.log.wait_for(events.REQUEST_ABANDONED, tenant="acme", method="PUT")
    host.answer = None
    async with client.get(chain.address()) as response:
        assert response.status == 200
    assert not [event for event, _ in chain.log.seen if event == events.REQUEST_UNREADABLE]


async def test_a_write_that_is_given_up_before_it_left_is_carried_out_by_nobody(chain, host, client, monkeypatch):
    links, add = [], Agents.add
    monkeypatch.setattr(Agents, "add", lambda self, tenant, link: links.append(link) or add(self, tenant, link))
    quiet = {"heartbeat_s": 60.0, "dead_s": 60.0}
    await chain.start_relay(**quiet)
    await chain.start_agent(host.url, probe_s=60.0, **quiet)
    async with client.get(chain.address()) as response:
        assert response.status == 200
    (link,) = links
    head, body, waiting = encode(RequestHead("POST", USERS, b"", "one", 5_000, 60_000)), bytes(60_000), []
    while link.has_room:
        waiting.append(link.open(head, body, end=True))
    assert all(map(link.is_unsent, waiting))
    for stream in waiting:
        link.forget(stream)
    async with asyncio.timeout(10):
        await link.room()
    async with client.get(chain.address()) as response:
        assert response.status == 200
    assert [method for method, *_ in host.asked] == ["GET", "GET"]


QUIET = {"heartbeat_s": 60.0, "dead_s": 60.0}


@asynccontextmanager
async def stalled(chain, client):
    """Give the relay's end of a link to an agent that takes nothing any more."""
    links, add = [], Agents.add
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Agents, "add", lambda self, tenant, link: links.append(link) or add(self, tenant, link))
        socket = await client.ws_connect(f"{chain.url}/link/acme", headers={"Authorization": f"Bearer {TOKEN}acme"})
        agent = Link(socket, Session(Hello((1, 1), WINDOW_BYTES, "stalled", "1"), opens=False), Heartbeat(60.0, 60.0))
        running = asyncio.create_task(agent.run())
        await chain.relay_sees(1)
    socket._response.connection.transport.pause_reading()
    while not links[0].session.waiting_bytes:
        links[0].note(os.urandom(PAYLOAD_BYTES))
        for _ in range(50):  # what could leave has left then
            await asyncio.sleep(0)
    yield links[0]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_write_that_waits_on_a_link_that_is_cut_moves_to_another_agent(chain, host, client):
    await chain.start_relay(**QUIET)
    async with stalled(chain, client) as link:
        asked = asyncio.create_task(client.post(chain.address(), data=b"{}"))
        await until(lambda: link.in_flight)
        await chain.start_agent(host.url, "two", **QUIET)
        link.cut("the agent was revoked")
        async with await asked as response:
            assert response.status == 200, await response.text()
    assert len(host.asked) == 1


async def test_a_write_that_waited_on_a_link_until_its_time_was_up_is_told_as_not_done(chain, client):
    await chain.start_relay(limits={"request_s": 0.5}, **QUIET)
    async with (
        stalled(chain, client) as link,
        client.post(chain.address(), data=b"{}", headers={"Idempotency-Key": "mine"}) as response,
    ):
        assert response.status == 503
        assert response.headers["Retry-After"]
        assert "Nothing was done" in await error_of(response)
        assert not link.in_flight


async def test_a_body_that_breaks_off_is_never_passed_off_as_whole(chain, host, client):
    await chain.start_relay()
    await chain.start_agent(host.url)
    begun = asyncio.Event()

    async def answer(request):
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"half")
        begun.set()
        await asyncio.Event().wait()

    host.answer = answer
    async with client.get(chain.address()) as response:
        await response.content.readexactly(4)
        await chain.kill("one")
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()
    await chain.log.wait_for(events.REQUEST_TRUNCATED)


async def test_more_headers_than_a_link_carries_are_refused_and_break_nothing(chain, host, client):
    await chain.start_relay()
    await chain.start_agent(host.url)
    headers = {f"X-Large-{number}": "v" * 3_500 for number in range(20)}
    async with client.post(chain.address(), data=b"{}", headers=headers) as response:
        assert response.status == 431
        assert "headers are more than the relay carries" in await error_of(response)
    async with client.get(chain.address()) as response:
        assert response.status == 200
    assert not [event for event, _ in chain.log.seen if event == events.LINK_ENDED]


async def test_an_answer_with_more_headers_than_a_link_carries_breaks_nothing(chain, host, client):
    async def answer(_):
        return web.Response(headers={f"X-Large-{number}": "v" * 7_000 for number in range(12)})

    await chain.start_relay()
    await chain.start_agent(host.url)
    host.answer = answer
    async with client.get(chain.address()) as response:
        assert response.status == 502
        assert "more headers than a link carries" in await error_of(response)
    assert not [event for event, _ in chain.log.seen if event == events.LINK_ENDED]


async def test_a_mistake_of_the_relays_own_is_told_and_costs_one_request(chain, host, client, monkeypatch):
    await chain.start_relay(limits={"in_flight": 1})
    await chain.start_agent(host.url)
    with monkeypatch.context() as broken:
        broken.setattr(passages, "whole", None)
        async with client.post(chain.address(), data=b"{}") as response:
            assert response.status == 500
            assert "its log says more" in await error_of(response)
    async with client.get(chain.address()) as response:
        assert response.status == 200


async def test_a_mistake_of_the_agents_own_is_told_and_costs_one_request(chain, host, client, monkeypatch):
    await chain.start_relay()
    await chain.start_agent(host.url, in_flight=1)
    async with client.get(chain.address()) as response:
        assert response.status == 200
    with monkeypatch.context() as broken:
        for way in ("_pass_on", "_answer"):  # which of both it takes depends on whether a connection rests by then
            broken.setattr(Exchange, way, None)
        async with client.post(chain.address(), data=b"{}") as response:
            assert response.status == 504
            assert "the agent gave it up" in await error_of(response)
    await chain.log.wait_for(events.STREAM_CRASHED)
    async with client.get(chain.address()) as response:
        assert response.status == 200


async def test_who_hangs_up_just_as_a_request_is_read_gives_its_place_back(chain, papers, client, monkeypatch):
    protocols, make = [], Server.protocol
    monkeypatch.setattr(Server, "protocol", lambda *given: protocols.append(make(*given)) or protocols[-1])
    await chain.start_relay(limits={"in_flight": 1})
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    async with connected(papers, chain.port) as (reader, writer):
        writer.write(f"GET /t/nobody/ HTTP/1.1\r\nHost: localhost:{chain.port}\r\n\r\n".encode())
        await answer_to(reader)
        (connection,) = (protocol.inner for protocol in protocols)
        connection.on_end = ended.set
        asked = f"GET /t/acme{USERS} HTTP/1.1\r\nHost: localhost:{chain.port}\r\n\r\n".encode()
        connection.transport.abort()
        # What waited behind another request is read when that one is answered, be the connection lost already.
        loop.call_soon(connection.data_received, asked)
        await ended.wait()
    async with client.get(chain.address()) as response:
        assert response.status == 503, "no agent, and not: too many requests"


async def test_a_mistake_about_what_came_behind_a_request_costs_no_other_client(
    chain, papers, host, client, monkeypatch
):
    read, go_on, told = WholeReader.read, asyncio.Event(), []

    def mistaken(reader, data):
        if b"/mistake" in data:
            raise ValueError("s3cret")
        return read(reader, data)

    async def answer(_):
        await go_on.wait()
        return web.Response()

    monkeypatch.setattr(WholeReader, "read", mistaken)
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))
    await chain.start_relay()
    await chain.start_agent(host.url)
    host.answer = answer
    async with connected(papers, chain.port) as (reader, writer):
        for target in (USERS, "/mistake"):
            writer.write(f"GET /t/acme{target} HTTP/1.1\r\nHost: localhost:{chain.port}\r\n\r\n".encode())
            await host.arrived.wait()
        host.arrived.clear()
        others = asyncio.create_task(client.get(chain.address()))
        await host.arrived.wait()
        go_on.set()
        assert (await answer_to(reader))[0].startswith("HTTP/1.1 200")
        async with await others as response:
            assert response.status == 200
    assert list(map(type, told)) == [ValueError]
    assert not [event for event, _ in chain.log.seen if event == events.LINK_ENDED]
