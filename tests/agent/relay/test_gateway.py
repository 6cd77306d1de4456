"""A SCIM client at the relay's door: what reaches the host, what comes back, and what is refused at once."""

from __future__ import annotations

import asyncio
import gzip
import re

import aiohttp
import pytest
from aiohttp import web

from agent import events
from tests.agent.chain import USERS


@pytest.fixture
async def joined(chain, host):
    await chain.start_relay(limits={"body_bytes": 1_000_000, "replay_bytes": 10_000})
    await chain.start_agent(host.url)
    return chain


async def test_a_request_arrives_as_it_was_sent(joined, host, client):
    body = b'{"userName":"B\xc3\xa9a"}'
    async with client.post(joined.address() + "?a=b", data=body, headers={"Authorization": "Bearer s"}) as response:
        assert response.status == 200
        assert await response.read() == body
        assert response.headers["ETag"] == 'W/"1"'
    method, target, headers, received = host.asked[0]
    assert (method, target, received) == ("POST", USERS + "?a=b", body)
    assert headers["Authorization"] == "Bearer s"


async def test_a_compressed_body_arrives_compressed_as_its_headers_say(joined, host, client):
    body = b'{"userName":"bjensen"}' * 2_000
    headers = {"Content-Encoding": "gzip"}
    async with client.post(joined.address(), data=gzip.compress(body), headers=headers) as response:
        assert response.status == 200
    _, _, headers, received = host.asked[0]
    assert headers["Content-Encoding"] == "gzip"
    assert int(headers["Content-Length"]) == len(gzip.compress(body))
    assert received == body, "the host, which stands for any, unpacks it"


async def test_which_record_a_write_is_for_is_the_relays_to_say(joined, host, client):
    async with client.post(joined.address(), data=b"{}", headers={"Idempotency-Record": "mine"}):
        pass
    assert "Idempotency-Record" not in host.asked[0][2]


async def test_the_host_learns_the_address_that_the_client_used(joined, host, client):
    lies = {"X-Forwarded-Host": "evil.example.org", "X-Forwarded-Prefix": "/x", "Forwarded": "host=evil", "Via": "x"}
    async with client.get(joined.address(), headers=lies):
        pass
    headers = host.asked[0][2]
    assert headers.getall("X-Forwarded-Host") == [f"localhost:{joined.port}"]
    assert headers.getall("X-Forwarded-Prefix") == ["/t/acme"]
    assert headers.getall("X-Forwarded-Proto") == ["https"]
    assert "Forwarded" not in headers
    assert "Via" not in headers


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/enroll"), ("GET", "/link/acme"), ("GET", "/healthz"), ("GET", "/")]
)
async def test_no_stranger_is_told_which_library_the_relay_stands_on(chain, client, method, path):
    await chain.start_relay()
    async with client.request(method, chain.url + path) as response:
        assert response.headers["Server"] == "provisioning-relay"


async def test_nor_is_whoever_has_still_to_prove_itself_inside_a_link(chain, client):
    await chain.start_relay()
    async with client.ws_connect(chain.url + "/link/acme", headers={"Authorization": "Certificate"}) as socket:
        assert socket._response.headers["Server"] == "provisioning-relay"


@pytest.mark.parametrize("stated", ["evil.example.org", "localhost:1", "localhost.evil.example.org", "127.0.0.1"])
async def test_a_host_header_that_is_not_the_relays_is_refused(joined, host, client, stated):
    async with client.get(joined.address(), headers={"Host": stated}) as response:
        error = await response.json(content_type="application/scim+json")
        assert (response.status, error["status"]) == (421, "421")
    assert "evil" not in error["detail"]
    assert f"localhost:{joined.port}" in error["detail"]
    assert not host.asked


async def test_the_relays_own_name_and_its_public_ones_are_taken(chain, host, client):
    await chain.start_relay(public=("scim.example.org", "lb.example.org:8443"))
    await chain.start_agent(host.url)
    taken = [f"LocalHost:{chain.port}", "localhost", "scim.example.org", "lb.example.org:8443"]
    for stated in taken:
        async with client.get(chain.address(), headers={"Host": stated}) as response:
            assert response.status == 200
    assert [headers["X-Forwarded-Host"] for _, _, headers, _ in host.asked] == taken


async def test_hop_by_hop_headers_stay_on_their_hop(joined, host, client):
    hop = {"Connection": "close, X-Private", "X-Private": "1", "TE": "trailers", "Proxy-Authorization": "Basic x"}
    async with client.get(joined.address(), headers=hop):
        pass
    headers = host.asked[0][2]
    assert not {"X-Private", "TE", "Proxy-Authorization"} & set(headers)


@pytest.mark.parametrize(
    ("given", "kept"), [("abc-123", True), ("a b", False), ("x" * 128, True), ("x" * 129, False), ('"><script>', False)]
)
async def test_a_request_id_is_kept_where_it_is_well_formed(joined, host, client, given, kept):
    async with client.get(joined.address(), headers={"X-Request-Id": given}) as response:
        answered = response.headers["X-Request-Id"]
    assert host.asked[0][2]["X-Request-Id"] == answered
    assert (answered == given) is kept


@pytest.mark.parametrize("size", [0, 1, 9_999, 10_000, 10_001, 900_000])
async def test_bodies_of_every_size_pass_both_ways(joined, client, size):
    body = b"x" * size
    async with client.post(joined.address(), data=body) as response:
        assert await response.read() == (body or b'{"totalResults":0}')


async def test_a_body_without_a_length_passes(joined, client):
    async def stretches():
        for _ in range(20):
            yield b"y" * 30_000

    async with client.post(joined.address(), data=stretches()) as response:
        assert await response.read() == b"y" * 600_000


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_over_the_limit_is_refused(joined, client, chunked):
    async def stretches():
        for _ in range(150):
            yield b"z" * 10_000

    try:
        async with client.post(joined.address(), data=stretches() if chunked else b"z" * 1_000_001) as response:
            assert response.status == 413
            assert (await response.json(content_type=None))["status"] == "413"
    except aiohttp.ClientConnectionError:
        # The relay stopped reading; a client that only writes sees the connection end.
        assert chunked


async def test_a_head_says_how_long_the_body_would_be(joined, host, client):
    async def answer(_):
        return web.Response(body=b"12345")

    host.answer = answer
    async with client.head(joined.address()) as response:
        assert response.headers["Content-Length"] == "5"


async def test_an_answer_without_a_body_has_none(joined, host, client):
    async def answer(_):
        return web.Response(status=204)

    host.answer = answer
    async with client.delete(joined.address(USERS + "/1")) as response:
        assert response.status == 204
        assert await response.read() == b""


async def test_a_slow_client_does_not_stall_another(joined, host, client):
    async def answer(request):
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(200 if "big" in request.raw_path else 1):
            await response.write(b"b" * 65_536)
        return response

    host.answer = answer
    async with client.get(joined.address(USERS + "?big=1")) as slow:
        async with asyncio.timeout(10):
            async with client.get(joined.address()) as quick:
                assert len(await quick.read()) == 65_536
        assert len(await slow.read()) == 200 * 65_536


async def test_many_requests_share_one_link(joined, client):
    async def ask(number):
        async with client.post(joined.address(), data=b"%d" % number) as response:
            return await response.read()

    assert await asyncio.gather(*(ask(number) for number in range(200))) == [b"%d" % number for number in range(200)]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/t/nobody/ecma2host_HR/scim/Users", 404),
        ("/elsewhere", 404),
        ("/t/acme/metrics", 404),
        ("/t/acme/ecma2host_HR/scim/../../metrics", 404),
    ],
)
async def test_what_is_not_there_is_said_in_scim(joined, host, client, path, status):
    from yarl import URL

    async with client.get(URL(joined.url + path, encoded=True)) as response:
        error = await response.json(content_type="application/scim+json")
    assert response.status == status
    assert error["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]
    assert error["status"] == str(status)
    assert not host.asked


async def test_more_requests_than_allowed_are_told_to_wait(chain, host, client):
    release = asyncio.Event()

    async def answer(_):
        await release.wait()
        return web.Response(status=204)

    host.answer = answer
    await chain.start_relay(limits={"in_flight": 1})
    await chain.start_agent(host.url)
    first = asyncio.create_task(client.delete(chain.address(USERS + "/1")))
    await host.arrived.wait()
    async with client.get(chain.address()) as second:
        assert second.status == 429
        assert second.headers["Retry-After"] == "5"
    release.set()
    assert (await first).status == 204


TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


async def test_a_clients_trace_reaches_the_host_and_every_log(joined, host, client):
    given = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", "tracestate": "congo=t61rcWkgMzE"}
    async with client.get(joined.address(), headers=given):
        pass
    headers = host.asked[0][2]
    [carried] = headers.getall("traceparent")
    assert (carried[:35], carried[-3:]) == (f"00-{TRACE}", "-01")
    assert carried != given["traceparent"]
    assert headers["tracestate"] == given["tracestate"]
    logged = [fields["traceparent"] for name, fields in joined.log.seen if name == events.REQUEST_ANSWERED]
    assert logged == [carried, carried]


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"traceparent": "hello", "tracestate": "congo=t61rcWkgMzE"},
        [("traceparent", f"00-{TRACE}-00f067aa0ba902b7-01")] * 2 + [("tracestate", "congo=t61rcWkgMzE")],
    ],
)
async def test_a_request_without_a_trace_is_given_one(joined, host, client, given):
    async with client.get(joined.address(), headers=given):
        pass
    headers = host.asked[0][2]
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-00", headers["traceparent"])
    assert "tracestate" not in headers
