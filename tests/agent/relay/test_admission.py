"""Who may dial in, and what happens to a link whose other end misbehaves or falls silent."""

from __future__ import annotations

import asyncio
import gc
import json
import time

import aiohttp
import pytest

from agent import events
from agent.link.frames import Kind, pack, unpack
from agent.link.links import MESSAGE_BYTES, Link
from agent.link.messages import Hello
from agent.link.packing import encode
from tests.agent.chain import TOKEN
from tests.agent.raw import answer_to, connected

HELLO = pack(Kind.HELLO, 0, encode(Hello((1, 1), 65_536, "by hand", "0")))


def authorisation(token):
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize(
    ("tenant", "headers"),
    [
        ("acme", {}),
        ("acme", authorisation("wrong")),
        ("acme", authorisation(TOKEN + "other")),
        ("nobody", authorisation(TOKEN + "acme")),
        ("acme", {"Authorization": "Basic " + TOKEN}),
    ],
)
async def test_a_wrong_token_and_a_wrong_tenant_look_alike(chain, client, tenant, headers):
    await chain.start_relay()
    async with client.get(f"{chain.url}/link/{tenant}", headers=headers) as response:
        assert response.status == 401
        assert await response.text() == "This tenant and token are not accepted.\n"


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (b"garbage", "header is cut short"),
        (b"", "without a frame"),
        (pack(Kind.PING, 0, b"12345678"), "before the hello"),
        (pack(Kind.HEALTH, 0, b""), "before the hello"),
        (pack(Kind.RENEW, 0, b""), "before the hello"),
        (pack(Kind.GOAWAY, 0, b"it is late"), "no hello, but: it is late"),
        (HELLO + b"\x04\x00" + b"\xff" * 8, "bytes, and"),
        (HELLO + pack(Kind.RESPONSE, 7, b""), "never opened"),
        (HELLO + pack(Kind.REQUEST, 1, b""), "may not be opened"),
        (pack(Kind.HELLO, 0, encode(Hello((2, 3), 65_536, "newer", "9"))), "versions 2 to 3"),
    ],
)
async def test_an_agent_that_breaks_the_protocol_loses_its_link(chain, client, message, words):
    await chain.start_relay()
    async with client.ws_connect(f"{chain.url}/link/acme", headers=authorisation(TOKEN + "acme")) as socket:
        await socket.send_bytes(message)
        async with asyncio.timeout(5):
            while (await socket.receive()).type is aiohttp.WSMsgType.BINARY:
                pass
    greeted = any(name == events.LINK_CONNECTED for name, _ in chain.log.seen)
    ended = await chain.log.wait_for(events.LINK_ENDED if greeted else events.LINK_REFUSED)
    assert words in ended["reason"]


async def test_an_agent_of_another_version_hears_which_one_the_relay_speaks(chain, client):
    await chain.start_relay()
    async with client.ws_connect(f"{chain.url}/link/acme", headers=authorisation(TOKEN + "acme")) as socket:
        await socket.send_bytes(pack(Kind.HELLO, 0, encode(Hello((2, 3), 65_536, "newer", "9"))))
        said = b""
        async with asyncio.timeout(5):
            while (message := await socket.receive()).type is aiohttp.WSMsgType.BINARY:
                said += message.data
    assert [frame.kind for frame in unpack(said)] == [Kind.HELLO, Kind.GOAWAY]
    assert said.endswith(b"it speaks version 1 of the protocol, and was offered versions 2 to 3")


async def test_a_silent_link_is_given_up(chain, client):
    await chain.start_relay(heartbeat_s=0.05, dead_s=0.2)
    async with client.ws_connect(f"{chain.url}/link/acme", headers=authorisation(TOKEN + "acme")) as socket:
        await socket.send_bytes(HELLO)
        await chain.log.wait_for(events.LINK_ENDED, reason="nothing came from the other end for 0.2 s", limit_s=5)


async def test_a_silent_link_is_given_up_when_its_time_is_up_and_not_with_the_next_ping(chain, client):
    await chain.start_relay(heartbeat_s=120.0, dead_s=0.5)
    async with client.ws_connect(f"{chain.url}/link/acme", headers=authorisation(TOKEN + "acme")) as socket:
        await socket.send_bytes(HELLO)
        await chain.log.wait_for(events.LINK_ENDED, reason="nothing came from the other end for 0.5 s", limit_s=20)


@pytest.mark.parametrize("shown", [authorisation(TOKEN + "acme"), {"Authorization": "Certificate"}])
async def test_a_visitor_that_says_too_much_at_once_is_turned_away(chain, client, shown):
    await chain.start_relay(heartbeat_s=60.0, dead_s=60.0)
    async with client.ws_connect(f"{chain.url}/link/acme", headers=shown) as socket:
        # A first half of a message that announces one byte too many: nobody waits for the second.
        socket._conn.transport.write(b"\x82\xff" + (MESSAGE_BYTES + 1).to_bytes(8) + bytes(4) + bytes(1_000))
        async with asyncio.timeout(5):
            while (await socket.receive()).type is aiohttp.WSMsgType.BINARY:
                pass


async def test_a_quiet_link_with_a_heartbeat_lives(chain, host, client):
    await chain.start_relay(heartbeat_s=0.05, dead_s=0.3)
    await chain.start_agent(host.url, heartbeat_s=0.05, dead_s=0.3)
    with pytest.raises(TimeoutError):
        await chain.log.wait_for(events.LINK_ENDED, limit_s=1.0)
    async with client.get(chain.address()) as response:
        assert response.status == 200


async def test_a_link_outlives_a_while_in_which_nobody_here_listened(chain, host, client):
    await chain.start_relay(heartbeat_s=0.05, dead_s=0.3)
    await chain.start_agent(host.url, heartbeat_s=0.05, dead_s=0.3)
    for _ in range(3):
        time.sleep(0.5)  # noqa: ASYNC251 - a machine that is so busy that this process does not run
        await asyncio.sleep(0)
    async with client.get(chain.address()) as response:
        assert response.status == 200
    assert events.LINK_ENDED not in [event for event, _ in chain.log.seen]


async def test_tokens_never_show_in_the_log(chain, host, client):
    await chain.start_relay()
    await chain.start_agent(host.url, token="a-token-of-somebody", connected=False)
    failed = await chain.log.wait_for(events.LINK_FAILED)
    assert "does not accept this agent" in failed["reason"]
    assert "a-token-of-somebody" not in json.dumps(chain.log.seen)


async def test_links_that_end_unproven_leave_nothing_behind_for_long(chain, client):
    await chain.start_relay()
    gc.collect()
    gc.disable()  # Python's own looks come by chance
    try:
        for _ in range(64):
            async with client.ws_connect(f"{chain.url}/link/acme", headers={"Authorization": "Certificate"}) as socket:
                await socket.receive()
                await socket.send_bytes(b"\xff" * 16)
        async with asyncio.timeout(20):
            while sum(isinstance(one, Link) for one in gc.get_objects()) > 8:  # noqa: ASYNC110 - nobody tells of it
                await asyncio.sleep(0.1)
    finally:
        gc.enable()


async def test_one_address_has_few_unproven_agents_at_the_door(chain, client):
    await chain.start_relay(limits={"bodies_per_address": 2})
    shown = {"Authorization": "Certificate"}
    url = f"{chain.url}/link/acme"
    async with client.ws_connect(url, headers=shown) as first, client.ws_connect(url, headers=shown):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await client.ws_connect(url, headers=shown)
        assert (refused.value.status, "Retry-After" in refused.value.headers) == (503, True)
        assert "relay.trusted_proxies" in (await chain.log.wait_for(events.LINK_REFUSED))["reason"]
        async with client.ws_connect(url, headers=authorisation(TOKEN + "acme")) as known:
            assert (await known.receive()).type is aiohttp.WSMsgType.BINARY
        await first.close()
        await chain.log.wait_for(events.LINK_REFUSED, tenant="acme")
        async with client.ws_connect(url, headers=shown) as third:
            assert (await third.receive()).type is aiohttp.WSMsgType.BINARY


async def test_slow_clients_keep_no_agent_behind_the_same_balancer_out_nor_agents_a_client(chain, client, papers):
    await chain.start_relay(limits={"bodies_per_address": 1})
    shown = {"Authorization": "Certificate"}
    begun = b"POST /t/acme/ HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    async with connected(papers, chain.port) as (reader, writer):
        writer.write(begun)
        assert (await answer_to(reader))[0] == "HTTP/1.1 100 Continue"
        async with client.ws_connect(f"{chain.url}/link/acme", headers=shown) as socket:
            assert (await socket.receive()).type is aiohttp.WSMsgType.BINARY
            writer.write(b"{}")
            assert (await answer_to(reader))[0] == "HTTP/1.1 503 Service Unavailable"
            writer.write(begun)
            assert (await answer_to(reader))[0] == "HTTP/1.1 100 Continue"


async def test_a_tenant_that_there_is_not_gets_into_no_log(chain, client):
    await chain.start_relay()
    async with client.ws_connect(f"{chain.url}/link/of-nobody", headers={"Authorization": "Certificate"}) as socket:
        await socket.send_bytes(b"\xff" * 16)
        await chain.log.wait_for(events.LINK_REFUSED)
    assert "of-nobody" not in json.dumps(chain.log.seen)
