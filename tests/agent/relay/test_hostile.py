"""Agents and clients that mean harm: they lose their own link or connection, and nobody else notices."""

from __future__ import annotations

import asyncio
import os

import aiohttp
import msgspec
import pytest
from aiohttp import web

from agent import events
from agent.link.frames import HEADER, Kind, pack
from agent.link.messages import Failure, Health, Hello, Reason, ResponseHead
from agent.link.packing import encode
from agent.link.stretches import DEFLATE, deflated
from tests.agent.chain import TOKEN, USERS
from tests.agent.raw import connected

HELLO = pack(Kind.HELLO, 0, encode(Hello((1, 1), 65_536, "mallory", "0", frozenset({DEFLATE})))) + pack(
    Kind.HEALTH, 0, encode(Health(reachable=True, record="r1"))
)


class Mallory:
    """An agent by hand: let in with a good token, and up to no good."""

    def __init__(self, socket):
        self.socket = socket

    async def asked(self):
        """Return the stream of the next request."""
        async with asyncio.timeout(5):
            while True:
                message = await self.socket.receive()
                assert message.type is aiohttp.WSMsgType.BINARY
                kind, _, stream, _ = HEADER.unpack_from(message.data)
                if kind == Kind.REQUEST:
                    return stream

    async def say(self, *frames):
        await self.socket.send_bytes(b"".join(frames))


@pytest.fixture
async def mallory(chain, client):
    await chain.start_relay(limits={"request_s": 2.0})
    headers = {"Authorization": f"Bearer {TOKEN}acme"}
    async with client.ws_connect(f"{chain.url}/link/acme", headers=headers) as socket:
        await socket.send_bytes(HELLO)
        await chain.relay_sees(1)
        yield Mallory(socket)


HEADS = {
    "a header is smuggled": encode(ResponseHead(200, b"A: b\r\n\r\nHTTP/1.1 200 OK\r\n")),
    "framing is smuggled": encode(ResponseHead(200, b"Transfer-Encoding: chunked\r\n")),
    "a status is none": encode(ResponseHead(99, b"")),
    "a status is informational": encode(ResponseHead(101, b"Upgrade: h2c\r\n")),
    "it is no head": b"\xff\xff",
}


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
async def test_an_agent_cannot_smuggle_anything_to_a_client(mallory, chain, client, head):
    asked = asyncio.create_task(client.post(chain.address(), data=b"{}"))
    await mallory.say(pack(Kind.RESPONSE, await mallory.asked(), head, end=True))
    async with await asked as response:
        assert response.status in {502, 503, 504}
        assert "A" not in response.headers
        assert "Upgrade" not in response.headers


async def test_an_agent_that_says_more_than_it_announced_cuts_its_own_answer(mallory, chain, client):
    asked = asyncio.create_task(client.get(chain.address()))
    stream = await mallory.asked()
    smuggled = b"12345HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    await mallory.say(
        pack(Kind.RESPONSE, stream, encode(ResponseHead(200, b"", 5))), pack(Kind.DATA, stream, smuggled, end=True)
    )
    async with await asked as response:
        assert await response.read() == smuggled
        assert response.headers.getall("Content-Length") == [str(len(smuggled))]


@pytest.mark.parametrize("pieces", [1, 2])
@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("DELETE", 204), ("GET", 304)])
async def test_a_body_where_there_is_none_never_passes_for_the_next_answer(  # noqa: PLR0913, PLR0917 - fixtures
    mallory, chain, papers, method, status, pieces
):
    smuggled = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nforged!"
    async with connected(papers, chain.port) as (reader, writer):
        writer.write(f"{method} /t/acme{USERS}/1 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        stream = await mallory.asked()
        await mallory.say(pack(Kind.RESPONSE, stream, encode(ResponseHead(status, b""))))
        for number in range(pieces):
            await mallory.say(pack(Kind.DATA, stream, smuggled, end=number == pieces - 1))
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        assert head.startswith(b"HTTP/1.1 %d " % status)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        rest = await asyncio.wait_for(reader.read(), 5)
    assert b"forged" not in rest
    assert not rest or rest.endswith(b"ok\n")


async def test_an_agent_that_floods_is_cut_off_and_another_goes_on(mallory, chain, client, host):
    asked = asyncio.create_task(client.get(chain.address()))
    stream = await mallory.asked()
    await chain.start_agent(host.url, "good")
    # Deflated, so that it comes in one message, faster than the relay could grant more.
    flood = (pack(Kind.DATA, stream, deflated(b"f" * 65_536), deflated=True) for _ in range(5))
    await mallory.say(pack(Kind.RESPONSE, stream, encode(ResponseHead(200, b""))), *flood)
    ended = await chain.log.wait_for(events.LINK_ENDED, agent="mallory")
    assert "more data than the window allows" in ended["reason"]
    async with await asked as response:
        assert response.status == 200, "a read is repeated by the other agent"
    async with client.post(chain.address(), data=b"{}") as response:
        assert response.status == 200


async def test_an_agent_of_one_tenant_gets_nothing_of_another(mallory, chain, client):
    async with client.post(chain.address(tenant="other"), data=b"{}") as response:
        assert response.status == 503
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await mallory.asked()


async def test_an_agent_that_lies_about_having_sent_nothing_is_believed_for_its_own_tenant_only(mallory, chain, client):
    asked = asyncio.create_task(client.post(chain.address(), data=b"{}"))
    failure = Failure(Reason.HOST_UNREACHABLE, sent=False, detail="\r\nSet-Cookie: x=y\x00<script>")
    await mallory.say(pack(Kind.FAIL, await mallory.asked(), encode(failure)))
    async with await asked as response:
        assert response.status == 502
        assert response.content_type == "application/scim+json"
        assert "Set-Cookie" not in response.headers


GARBAGE = {
    "random bytes": os.urandom(600),
    "a length that is none": f"POST /t/acme{USERS} HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n".encode(),
    "a huge length": f"POST /t/acme{USERS} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {2**62}\r\n\r\n".encode(),
    "two lengths": f"POST /t/acme{USERS} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n"
    "Content-Length: 2\r\n\r\nab".encode(),
    "length and chunks": f"POST /t/acme{USERS} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n"
    "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n".encode(),
    "a chunk that is none": f"POST /t/acme{USERS} HTTP/1.1\r\nHost: localhost\r\n"
    "Transfer-Encoding: chunked\r\n\r\nzz\r\n".encode(),
    "a huge chunk": f"POST /t/acme{USERS} HTTP/1.1\r\nHost: localhost\r\n"
    "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n".encode(),
    "a path that climbs": b"GET /t/acme/../other/ecma2host_HR/scim/Users HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a link that is none": b"GET /link/acme HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\n\r\n",
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
async def test_a_client_that_sends_garbage_reaches_no_host_and_disturbs_nobody(chain, host, client, papers, garbage):
    await chain.start_relay(limits={"request_s": 1.0})
    await chain.start_agent(host.url)
    async with connected(papers, chain.port) as (reader, writer):
        writer.write(garbage)
        try:
            line = (await asyncio.wait_for(reader.readuntil(b"\r\n"), 5)).decode()
            assert line.split()[1].startswith("4"), line
        except asyncio.IncompleteReadError as cut:
            assert not cut.partial  # noqa: PT017 - hung up on without a word is an answer, too
    async with client.post(chain.address(), data=b"{}") as response:
        assert response.status == 200
    assert len(host.asked) == 1


async def test_a_herd_of_agents_comes_back_after_a_restart_and_spreads_out(chain, host, client):
    await chain.start_relay()
    count = 30
    for number in range(count):
        chain._start(f"a{number}", *chain_agent(chain, host, f"a{number}"))
    await chain.relay_sees(count)
    await chain.kill("relay")
    await chain.start_relay()
    await chain.relay_sees(2 * count)
    async with client.post(chain.address(), data=b"{}") as response:
        assert response.status == 200
    agents = {seen["agent"] for event, seen in chain.log.seen if event == events.LINK_CONNECTED and "peer" in seen}
    assert len(agents) == count


def chain_agent(chain, host, name):
    from agent.outbound import service

    file = chain.folder / f"{name}.token"
    file.write_text(TOKEN + "acme")
    return service.run, chain.agent_settings(host.url, name, token_file=file, reconnect_s=0.5)


async def test_clients_that_take_nothing_stall_nobody(chain, host, client, papers):
    async def answer(request):
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(100 if "big" in request.raw_path else 1):
            await response.write(b"b" * 65_536)
        return response

    host.answer = answer
    await chain.start_relay()
    await chain.start_agent(host.url)
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        stalled = [await asyncio.open_connection("localhost", chain.port, ssl=papers.context()) for _ in range(20)]
        for _, writer in stalled:
            writer.write(f"GET /t/acme{USERS}?big HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())

        async def read():
            async with client.get(chain.address()) as response:
                assert len(await response.read()) == 65_536

        for _ in range(30):
            group.create_task(read())
    for _, writer in stalled:
        writer.transport.abort()


async def test_an_agent_that_changes_its_mind_all_the_time_does_not_fill_the_log(mallory, chain):
    said = [
        Health(number % 2 == 0, f"r{number % 3}", "x" * 2_000 if number == 0 else str(number)) for number in range(201)
    ]
    await mallory.say(*(pack(Kind.HEALTH, 0, encode(health)) for health in said))
    seen = await chain.log.wait_for(events.AGENT_HEALTH, detail="200")
    assert seen["host_reachable"]
    lines = [fields for event, fields in chain.log.seen if event == events.AGENT_HEALTH]
    assert len(lines) < 10
    assert all(len(fields.get("detail", "")) <= 1_024 for fields in lines)


@pytest.mark.parametrize("length", [128, 129])
@pytest.mark.parametrize("field", ["name", "software", "instance"])
async def test_no_agent_gets_a_name_that_fills_the_log(chain, client, field, length):
    await chain.start_relay()
    hello = msgspec.structs.replace(Hello((1, 1), 65_536, "mallory", "0"), **{field: "x" * length})
    headers = {"Authorization": f"Bearer {TOKEN}acme"}
    async with client.ws_connect(f"{chain.url}/link/acme", headers=headers) as socket:
        await socket.send_bytes(pack(Kind.HELLO, 0, encode(hello)))
        if length == 128:
            await chain.relay_sees(1)
        else:
            refused = await chain.log.wait_for(events.LINK_REFUSED)
            assert refused["reason"] == "what the agent calls itself, or its version, is longer than 128 characters"
