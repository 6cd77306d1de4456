"""Whoever speaks no proper HTTP is answered in SCIM; none of their bytes come back, or get into the log."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import subprocess
import sys
from contextlib import suppress
from functools import partial

import pytest
from aiohttp import web

from agent import events, logs
from agent.logs import _Console, _Json
from agent.relay import refusals
from agent.relay.connections import Connections
from agent.relay.delivery import PassedOn
from agent.relay.protocol import Server
from agent.settings import LimitSettings
from connector_host.reading import BUFFER_BYTES
from tests.agent.chain import USERS
from tests.agent.raw import answer_to, connected, ends_of

TARGET = f"/t/acme{USERS}"
SECRET = "s3cret-t0ken"
UNREADABLE = {
    "two framings": f"POST {TARGET} HTTP/1.1\r\nHost: localhost\r\nX: {SECRET}\r\nContent-Length: 5\r\n"
    "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two hosts": f"GET {TARGET} HTTP/1.1\r\nHost: {SECRET}.example\r\nHost: localhost\r\n\r\n",
    "bare line feeds": f"GET {TARGET} HTTP/1.1\nHost: localhost\nAuthorization: Bearer {SECRET}\n\n",
    "a bare line feed in a header": f"GET {TARGET} HTTP/1.1\r\nHost: localhost\r\n"
    f"Authorization: Bearer {SECRET}\nX: 1\r\n\r\n",
    "an unknown method": f"FOO {TARGET} HTTP/1.1\r\nHost: localhost\r\nX: {SECRET}\r\n\r\n",
    "no method": f"{SECRET}\r\n\r\n",
    "a method of signs": f"G@T{SECRET} {TARGET} HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "letters outside of ASCII": f"GET {TARGET}?filter={SECRET}é HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "no version": f"GET {TARGET} {SECRET}\r\n\r\n",
    "no address": f"GET http://[::1]:8@/ HTTP/1.1\r\nHost: localhost\r\nX: {SECRET}\r\n\r\n",
    "a NUL": f"GET {TARGET} HTTP/1.1\r\nHost: localhost\r\nX: {SECRET}\0\r\n\r\n",
}


@pytest.fixture
def written(caplog):
    """Everything that is logged, libraries included, as the relay would write it."""
    caplog.set_level(logging.DEBUG)
    return lambda: "\n".join(form().format(record) for record in caplog.records for form in (_Json, _Console))


@pytest.mark.parametrize("request_text", UNREADABLE.values(), ids=UNREADABLE.keys())
async def test_what_is_no_http_is_answered_in_scim_without_its_own_bytes(chain, host, papers, written, request_text):
    await chain.start_relay()
    async with connected(papers, chain.port) as (reader, writer):
        writer.write(request_text.encode())
        line, headers, error = await answer_to(reader)
        assert await reader.read() == b""
    assert line == "HTTP/1.1 400 Bad Request"
    assert headers["content-type"] == "application/scim+json"
    assert error["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]
    assert error["status"] == "400"
    for secret in (SECRET, "é"):
        assert secret not in str(error)
        assert secret not in str(headers)
        assert secret not in written()
    seen = await chain.log.wait_for(events.REQUEST_UNREADABLE)
    assert (seen["status"], seen["peer"]) == (400, "127.0.0.1")
    assert not host.asked


BEGINNING = f"GET {TARGET} HTTP/1.1\r\nHost: localhost\r\n"
EXCESSIVE = {
    "a header": (f"{BEGINNING}X: {SECRET * 5_000}\r\n\r\n", 431, "16384 bytes"),
    "a target": (f"GET {TARGET}?{SECRET * 5_000} HTTP/1.1\r\nHost: localhost\r\n\r\n", 414, "16384 bytes"),
    "the number of headers": (BEGINNING + f"X: {SECRET}\r\n" * 128 + "\r\n", 431, "128 headers"),
    "a head without an end": (BEGINNING + f"X: {SECRET * 1_000}\r\n" * 7, 431, "60 KB"),
}


@pytest.mark.parametrize("kind", EXCESSIVE)
@pytest.mark.parametrize("before", ["", f"{BEGINNING}\r\n"], ids=["at first", "behind a request"])
async def test_what_is_longer_than_it_may_be_is_told_with_the_limit(chain, papers, written, before, kind):
    request_text, status, limit = EXCESSIVE[kind]
    await chain.start_relay()
    async with connected(papers, chain.port) as (reader, writer):
        if before:
            writer.write(before.encode())
            assert (await answer_to(reader))[0] == "HTTP/1.1 503 Service Unavailable"
        writer.write(request_text.encode())
        line, headers, error = await answer_to(reader)
        assert await reader.read() == b""
    assert (line.split()[1], error["status"]) == (str(status), str(status))
    assert (headers["content-type"], headers["connection"]) == ("application/scim+json", "close")
    assert limit in error["detail"]
    assert SECRET not in written() + str(error)


OTHER = {
    "another version": (f"GET {TARGET} HTTP/2.0\r\nHost: localhost\r\n\r\n", 505),
    "an old version": (f"GET {TARGET} HTTP/0.9\r\nHost: localhost\r\n\r\n", 505),
    "another coding": (
        f"POST {TARGET} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        501,
    ),
}


@pytest.mark.parametrize(("request_text", "status"), OTHER.values(), ids=OTHER.keys())
async def test_what_the_relay_does_not_speak_is_refused_in_http_of_its_own(chain, papers, request_text, status):
    await chain.start_relay()
    async with connected(papers, chain.port) as (reader, writer):
        writer.write(request_text.encode())
        line, headers, error = await answer_to(reader)
        assert await reader.read() == b""
    assert line.startswith(f"HTTP/1.1 {status} ")
    assert (headers["content-type"], error["status"]) == ("application/scim+json", str(status))


async def test_what_stands_behind_a_body_comes_to_an_end_before_it_fills_the_relay(chain, papers):
    await chain.start_relay()
    async with connected(papers, chain.port) as (reader, writer):
        writer.write(BEGIN + b"\r\n2\r\n{}\r\n0\r\n" + b"X: %b\r\n" % (b"x" * 16_000) * 12)
        assert await is_told(reader)


async def test_a_field_behind_a_body_is_passed_over(chain, host, papers):
    await chain.start_relay()
    await chain.start_agent(host.url)
    async with connected(papers, chain.port) as (reader, writer):
        writer.write(BEGIN + b"Trailer: X\r\n\r\n2\r\n{}\r\n0\r\nX: 1\r\nAuthorization: Bearer other\r\n\r\n")
        assert (await answer_to(reader))[0] == "HTTP/1.1 200 OK"
    assert (host.asked[0][3], "Authorization" in host.asked[0][2], "X" in host.asked[0][2]) == (b"{}", False, False)


async def test_a_large_body_is_no_head_without_an_end(chain, host, papers):
    async def answer(request):
        return web.json_response(len(await request.read()))

    await chain.start_relay()
    await chain.start_agent(host.url)
    host.answer = answer
    async with connected(papers, chain.port) as (reader, writer):
        for _ in range(2):
            writer.write(BEGIN + b"\r\n30d40\r\n%b\r\n0\r\n\r\n" % (b"x" * 200_000))
            assert (await answer_to(reader))[2] == 200_000


BEGIN = f"POST {TARGET} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n".encode()
BAD_CHUNK = b"no number\r\n"


def filling(size):
    """Return header lines of this many bytes all in all, none of them over a limit."""
    lines = [b"X-%d: %b\r\n" % (number, b"x" * 10_000) for number in range(size // 10_100)]
    left = size - sum(map(len, lines)) - len(b"X: \r\n")
    return b"".join([*lines, b"X: %b\r\n" % (b"x" * left)])


SPOILED = {
    "at once": BEGIN + b"\r\n" + BAD_CHUNK,
    # The loop reads twice for these, so that the end is there before the gateway has begun with the request.
    "after more than is read at once": BEGIN + b"\r\n11170\r\n%b\r\n" % (b"x" * 70_000) + BAD_CHUNK,
    "after headers that are read at once": BEGIN + filling(BUFFER_BYTES - len(BEGIN) - 2) + b"\r\n" + BAD_CHUNK,
}


async def is_told(reader):
    line, headers, error = await answer_to(reader)
    assert (line, error["status"]) == ("HTTP/1.1 400 Bad Request", "400")
    assert (headers["content-type"], headers["connection"]) == ("application/scim+json", "close")
    async with asyncio.timeout(5):
        return await reader.read() == b""


@pytest.mark.parametrize("request_bytes", SPOILED.values(), ids=SPOILED.keys())
async def test_a_chunk_that_is_none_is_told_at_once_and_ends_the_connection(chain, papers, request_bytes):
    await chain.start_relay()
    async with connected(papers, chain.port) as (reader, writer):
        writer.write(request_bytes)
        assert await is_told(reader)


async def test_a_chunk_that_is_none_is_told_at_once_to_who_was_asked_for_it(chain, papers):
    await chain.start_relay()
    async with connected(papers, chain.port) as (reader, writer):
        writer.write(BEGIN + b"Expect: 100-continue\r\n\r\n")
        assert (await answer_to(reader))[0] == "HTTP/1.1 100 Continue"
        writer.write(b'2\r\n{"\r\n' + BAD_CHUNK)
        assert await is_told(reader)


async def test_a_chunk_that_is_none_ends_what_is_under_way_to_an_agent(chain, host, papers):
    await chain.start_relay(limits={"replay_bytes": 100})
    await chain.start_agent(host.url)
    ended = asyncio.Event()

    async def answer(request):
        try:
            await request.read()
        finally:
            ended.set()

    host.answer = answer
    async with connected(papers, chain.port) as (reader, writer):
        writer.write(BEGIN + b"X-Request-Id: odd\r\n\r\n3e8\r\n%b\r\n" % (b"x" * 1_000))
        await host.arrived.wait()
        writer.write(BAD_CHUNK)
        line, headers, _ = await answer_to(reader)
        assert (line, headers["x-request-id"]) == ("HTTP/1.1 400 Bad Request", "odd")
        async with asyncio.timeout(10):
            assert await reader.read() == b""
            await ended.wait()
    refused = await chain.log.wait_for(events.REQUEST_REFUSED, request_id="odd")
    assert (refused["tenant"], refused["status"]) == ("acme", 400)


async def test_an_answer_that_comes_before_a_chunk_that_is_none_reaches_the_client_whole(chain, host, papers):
    await chain.start_relay(limits={"replay_bytes": 100})
    await chain.start_agent(host.url)
    released = asyncio.Event()

    async def answer(request):
        response = web.StreamResponse(headers={"Content-Length": "2"})
        await response.prepare(request)
        await response.write(b"4")
        await released.wait()
        await response.write(b"2")
        return response

    host.answer = answer
    async with connected(papers, chain.port) as (reader, writer):
        writer.write(BEGIN + b"\r\n3e8\r\n%b\r\n" % (b"x" * 1_000))
        async with asyncio.timeout(10):
            assert (await reader.readuntil(b"\r\n\r\n4")).startswith(b"HTTP/1.1 200 ")
            writer.write(BAD_CHUNK)
            released.set()
            assert await reader.read() == b"2"


async def test_a_crash_is_answered_in_scim_and_logged_by_its_kind(chain, client, monkeypatch, written):
    from agent.relay.tenants import Tenants

    def crash(_, tenant):
        raise ValueError(SECRET + tenant)

    await chain.start_relay()
    monkeypatch.setattr(Tenants, "__contains__", crash)
    async with client.get(chain.address()) as response:
        error = await response.json(content_type="application/scim+json")
        assert (response.status, error["status"]) == (500, "500")
    assert SECRET not in str(error)
    assert SECRET not in written()
    assert (await chain.log.wait_for(events.REQUEST_UNREADABLE))["error"] == "ValueError"


async def test_what_waits_for_a_client_that_does_not_read_is_bounded(papers, client):
    bounds = []

    async def serve(request):
        bounds.append(request.transport.get_write_buffer_limits())
        return web.Response()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(papers.certificate, papers.key)
    server = Server(serve, LimitSettings())
    loop = asyncio.get_running_loop()
    factory = partial(server.protocol, lambda: None)
    async with await loop.create_server(factory, "127.0.0.1", 0, ssl=context) as listening:
        async with client.get(f"https://localhost:{listening.sockets[0].getsockname()[1]}/") as response:
            assert response.status == 200
        await server.shutdown()
    assert bounds[0][1] == 65_536


@pytest.mark.parametrize("form", [_Json, _Console])
def test_the_log_shows_the_kind_of_a_librarys_exception_and_never_its_text(form, caplog):
    log = logging.getLogger("aiohttp.server")
    try:
        int(f"Authorization: Bearer {SECRET}")
    except ValueError:
        log.exception("Error handling request from %s", SECRET)
        logging.getLogger("asyncio").exception("Task exception was never retrieved\nfuture: %s", SECRET)
    lines = [form().format(record) for record in caplog.records]
    assert all("ValueError at relay/test_protocol.py" in line for line in lines)
    assert not any(SECRET in line for line in lines)
    assert len(lines) == 2


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "PROPFIND"])
async def test_a_method_that_scim_has_not_is_named_as_such(chain, host, papers, method):
    await chain.start_relay()
    await chain.start_agent(host.url)
    async with connected(papers, chain.port) as (reader, writer):
        writer.write(f"{method} {TARGET} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        line, headers, error = await answer_to(reader)
    assert line.startswith("HTTP/1.1 405 ")
    assert headers["allow"] == "DELETE, GET, HEAD, PATCH, POST, PUT"
    assert error["status"] == "405"
    assert not host.asked


@pytest.mark.parametrize("beginning", ["", "GET", f"GET {TARGET} HTTP/1.1\r\nHost: localhost\r\nX-Slow: "])
async def test_a_connection_that_brings_no_request_is_closed(chain, papers, beginning):
    await chain.start_relay(limits={"idle_s": 0.3})
    async with connected(papers, chain.port) as (reader, writer):
        writer.write(beginning.encode())
        async with asyncio.timeout(5):
            assert await reader.read() == b""


async def test_a_connection_that_shakes_no_hands_is_closed(chain, monkeypatch):
    from agent.relay import listening

    monkeypatch.setattr(listening, "HELLO_S", 0.3)
    await chain.start_relay()
    reader, writer = await asyncio.open_connection("127.0.0.1", chain.port)
    async with asyncio.timeout(5):
        assert await reader.read() == b""
    writer.close()


async def test_an_idle_connection_is_closed_after_its_request(chain, papers):
    await chain.start_relay(limits={"idle_s": 0.3})
    async with connected(papers, chain.port) as (reader, writer):
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        async with asyncio.timeout(5):
            assert (await reader.read()).endswith(b"ok\n")


@pytest.mark.parametrize("framed", ["Content-Length: 600000", "Transfer-Encoding: chunked"])
async def test_the_connection_ends_with_an_answer_that_did_not_wait_for_the_body(chain, host, papers, framed):
    async def refuse(request):
        return web.Response(status=401)

    host.answer = refuse
    await chain.start_relay()
    await chain.start_agent(host.url)
    piece = b"493E0\r\n" + 300_000 * b"x" + b"\r\n"  # more than the relay keeps of a body before it asks
    for target in (TARGET, "/t/none/x"):
        async with connected(papers, chain.port) as (reader, writer):
            writer.write(f"POST {target} HTTP/1.1\r\nHost: localhost\r\n{framed}\r\n\r\n".encode() + piece)
            line, headers, _ = await answer_to(reader)
            assert line.split()[1] in {"401", "404"}
            assert headers["connection"] == "close"


async def test_tcp_ends_with_an_idle_connection_whatever_its_client_says(chain, papers):
    await chain.start_relay(limits={"idle_s": 0.3})
    request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    answer, rest = await asyncio.to_thread(ends_of, papers.context(), chain.port, request)
    assert answer.endswith(b"ok\n")
    assert rest == b""


async def is_turned_away(papers, port):
    try:
        async with connected(papers, port) as (reader, _):
            return await reader.read() == b""
    except ConnectionError:
        return True


async def is_served_in_the_end(papers, port):
    """Return whether connections that ended are no longer counted, a moment later at the latest."""
    for _ in range(20):
        with suppress(ConnectionError):
            async with connected(papers, port) as (reader, writer):
                writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                if (await reader.read()).endswith(b"ok\n"):
                    return True
    return False


async def test_one_address_holds_so_many_connections_and_no_more(chain, papers):
    await chain.start_relay(limits={"connections_per_address": 2})
    async with connected(papers, chain.port), connected(papers, chain.port) as (reader, writer):
        assert await is_turned_away(papers, chain.port)
        refused = await chain.log.wait_for(events.CONNECTION_REFUSED)
        assert (refused["peer"], refused["count"]) == ("127.0.0.1", 1)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).endswith(b"ok\n")
    assert await is_served_in_the_end(papers, chain.port)


@pytest.mark.parametrize("passthrough", [(), ("scim.acme.example",)])
async def test_a_connection_counts_from_the_handshake_to_its_end(chain, papers, monkeypatch, passthrough):
    from agent.relay import listening

    monkeypatch.setattr(listening, "HELLO_S", 1.0)
    await chain.start_relay(limits={"connections_per_address": 2}, passthrough=passthrough)
    silent = [await asyncio.open_connection("127.0.0.1", chain.port) for _ in range(2)]
    assert await is_turned_away(papers, chain.port)
    # A handshake that never ends frees its place, too.
    async with asyncio.timeout(10):
        for reader, writer in silent:
            assert await reader.read() == b""
            writer.close()
    assert await is_served_in_the_end(papers, chain.port)


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
async def test_a_relay_that_listens_everywhere_hears_both_families(chain, host, client):
    await chain.start_relay(listen="::")
    await chain.start_agent(host.url)
    for address in ("127.0.0.1", "[::1]"):
        url = chain.address().replace("localhost", address)
        async with client.get(url, server_hostname="localhost", headers={"Host": "localhost"}) as response:
            assert response.status == 200
    assert [headers["X-Forwarded-For"] for _, _, headers, _ in host.asked] == ["127.0.0.1", "::1"]
    assert {seen["peer"] for event, seen in chain.log.seen if event == events.LINK_CONNECTED and "peer" in seen} <= {
        "127.0.0.1",
        "::1",
    }


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
async def test_a_client_that_holds_too_many_connections_is_named_as_it_is_known(chain):
    await chain.start_relay(listen="::", limits={"connections_per_address": 1})
    writers = [(await asyncio.open_connection("127.0.0.1", chain.port))[1] for _ in range(2)]
    refused = await chain.log.wait_for(events.CONNECTION_REFUSED)
    assert refused["peer"] == "127.0.0.1"
    for writer in writers:
        writer.close()


async def test_a_client_that_is_refused_without_end_does_not_fill_the_log_which_tells_how_often(log, monkeypatch):
    monkeypatch.setattr(refusals, "APART_S", 0.05)
    connections = Connections(1)
    for client in ("192.0.2.1", "192.0.2.2"):
        leave = connections.admit(client)
        for _ in range(1_000):
            assert connections.admit(client) is None
    assert leave is not None
    leave()
    assert connections.admit("192.0.2.2") is not None
    for client in ("192.0.2.1", "192.0.2.2"):
        assert (await log.wait_for(events.CONNECTION_REFUSED, peer=client))["count"] == 1
        assert (await log.wait_for(events.CONNECTION_REFUSED, peer=client, count=2))["count"] == 999


@pytest.mark.parametrize("passthrough", [(), ("scim.acme.example",)])
@pytest.mark.parametrize("first", [b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n", b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"])
async def test_the_log_says_once_that_a_balancer_speaks_the_proxy_protocol(chain, papers, first, passthrough):
    await chain.start_relay(passthrough=passthrough)
    for _ in range(4):
        reader, writer = await asyncio.open_connection("127.0.0.1", chain.port)
        writer.write(first)
        async with asyncio.timeout(10):
            with suppress(ConnectionError):
                await reader.read()
        writer.close()
    refused = [seen for event, seen in chain.log.seen if event == events.CONNECTION_REFUSED]
    assert [one["peer"] for one in refused] == ["127.0.0.1"]
    assert "PROXY protocol" in refused[0]["reason"]
    assert await is_served_in_the_end(papers, chain.port)


async def test_one_site_in_ipv6_is_one_client():
    connections = Connections(2)
    first, second = connections.admit("2001:db8::1"), connections.admit("2001:db8::2")
    assert connections.admit("2001:db8::3") is None
    assert connections.admit("2001:db8:0:1::1") is not None
    first()
    first()
    assert connections.admit("2001:db8::3") is not None
    assert connections.admit("2001:db8::3") is None
    second()


@pytest.mark.parametrize(
    ("within", "held", "bound"),
    [
        (2, 2, "relay.limits.connections_per_address; of a load balancer see relay.trusted_proxies"),
        (1, 1, "a quarter of all open files"),
    ],
)
async def test_a_balancer_holds_four_times_what_anybody_else_does(caplog, within, held, bound):
    connections = Connections(2, within, ("192.0.2.0/24",))
    assert all(connections.admit("192.0.2.7") for _ in range(8))
    assert all(connections.admit("198.51.100.7") for _ in range(held))
    caplog.set_level(logging.WARNING)
    assert connections.admit("192.0.2.7") is None
    assert connections.admit("198.51.100.7") is None
    four = "four times relay.limits.connections_per_address, as a load balancer of relay.trusted_proxies"
    assert [record.fields["reason"] for record in caplog.records] == [
        f"too many connections: it holds 8 ({four})",
        f"too many connections: it holds {held} ({bound})",
    ]


FILES = """
import resource
from agent.relay import connections
from agent.relay.connections import within_files
connections._FILES = 200
for soft, hard, wanted in ((100, 800, 100), (100, 400, 1_024), (400, 400, 50), (400, 400, 1)):
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    print(within_files(wanted), *resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such bound")
def test_no_client_may_have_all_files_of_a_relay_open():
    done = subprocess.run([sys.executable, "-c", FILES], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["100 400 800", "100 400 400", "50 400 400", "1 400 400"]


async def test_an_event_of_ours_is_logged_with_its_fields(caplog):
    caplog.set_level(logging.INFO)
    logs.event(events.RELAY_READY, port=1)
    assert '"event":"relay.ready","port":1' in _Json().format(caplog.records[-1])


async def asked_for(papers, port, line, host="localhost", body=b""):
    head = f"{line} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n\r\n"
    async with connected(papers, port) as (reader, writer):
        writer.write(head.encode() + body)
        line, _, answer = await answer_to(reader)
        return int(line.split(" ")[1]), answer


@pytest.mark.parametrize(("method", "body"), [("GET", b""), ("POST", b"{}")])
@pytest.mark.parametrize("stated", ["localhost", "evil.example.org"])
async def test_an_absolute_target_is_a_request_to_its_authority_whatever_the_host_header_says(  # noqa: PLR0913, PLR0917 - fixtures
    chain, host, papers, method, body, stated
):
    """RFC 9112 §3.2.2."""
    await chain.start_relay(public=("scim.example.org",))
    await chain.start_agent(host.url)
    for authority in (f"localhost:{chain.port}", "scim.example.org"):
        target = f"HTTPS://{authority}{TARGET}?a=b%20c"
        status, _ = await asked_for(papers, chain.port, f"{method} {target}", stated, body)
        assert status == 200
        asked, path, headers, received = host.asked[-1]
        assert (asked, path, received) == (method, f"{USERS}?a=b%20c", body)
        assert headers.getall("X-Forwarded-Host") == [authority]
        assert headers["Host"] == host.url.removeprefix("https://")


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (f"https://evil.example.org{TARGET}", 421),
        (f"https://localhost:1{TARGET}", 421),
        (f"https://localhost@evil.example.org{TARGET}", 400),
        (f"https://me@localhost{TARGET}", 400),
        (f"https://{TARGET}", 400),
        (f"ftp://localhost{TARGET}", 421),
        (f"GOPHER://evil.example.org{TARGET}", 421),
        (f"https://localhost{TARGET}#x", 400),
        (f"https://localhost{TARGET}?a=b#x", 400),
        (f"{TARGET}#x", 400),
        (f"{TARGET}?a=b#x", 400),
        ("https://localhost", 404),
        ("https://localhost?/t/acme/", 404),
    ],
)
async def test_a_target_of_another_service_or_with_a_fragment_is_refused(chain, host, papers, target, status):
    await chain.start_relay()
    await chain.start_agent(host.url)
    answered, error = await asked_for(papers, chain.port, f"GET {target}")
    assert (answered, error["status"]) == (status, str(status))
    assert not host.asked


async def test_who_is_refused_for_a_target_hears_what_to_mend(chain, papers):
    await chain.start_relay()
    for target, words in ((f"{TARGET}#x", "write %23"), (f"ftp://localhost{TARGET}", "another scheme")):
        _, error = await asked_for(papers, chain.port, f"POST {target}", body=b"{}")
        assert words in error["detail"]


async def test_whether_the_relay_lives_may_be_asked_by_an_absolute_target(chain, papers):
    await chain.start_relay()
    async with connected(papers, chain.port) as (reader, writer):
        writer.write(b"GET https://localhost/healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).endswith(b"ok\n")


@pytest.mark.parametrize("behind", [UNREADABLE["no address"], UNREADABLE["no method"]], ids=["no address", "no method"])
async def test_who_sends_no_http_behind_a_request_under_way_harms_nobody_else(behind):
    begun, go_on = asyncio.Queue(), asyncio.Event()

    async def slow(asked, client):
        begun.put_nowait(asked.head.target)
        await go_on.wait()
        return PassedOn(200, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", keep_alive=True)

    server = Server(lambda _: None, LimitSettings(), lambda asked, client: client.go_on(slow(asked, client)))
    listening = await asyncio.get_running_loop().create_server(lambda: server.protocol(lambda: None), "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    plain = b"GET /t/acme/x HTTP/1.1\r\nHost: localhost\r\n\r\n"
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(plain)
        await begun.get()
        writer.write(behind.encode())
        await asyncio.sleep(0.1)  # it is read, and set aside
        go_on.set()
        answers = await reader.read()
        assert answers.count(b"HTTP/1.1 200") == 1
        assert b"HTTP/1.1 400" in answers
        for _ in range(3):
            reader_of_other, other = await asyncio.open_connection("127.0.0.1", port)
            other.write(plain)
            assert (await reader_of_other.readexactly(15)) == b"HTTP/1.1 200 OK"
            other.close()
    writer.close()
    listening.close()
    await server.shutdown(1)
