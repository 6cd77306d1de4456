"""A request that came whole is read past aiohttp, exactly as aiohttp would have read it, and its connection goes on."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager

import pytest
from aiohttp import HttpVersion11, web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import HttpRequestParser
from hypothesis import given
from hypothesis import strategies as st

from agent.relay import protocol
from agent.relay.delivery import ParsedClient, PassedOn
from agent.relay.protocol import Server
from agent.relay.requests import WholeReader
from agent.settings import LimitSettings
from connector_host.plain_requests import PlainReader
from tests.agent.raw import answer_to, connected

LIMITS = LimitSettings()
GET = b"GET /t/acme/ecma2host_HR/scim/Users?count=1 HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = (
    b"POST /t/acme/ecma2host_HR/scim/Users HTTP/1.1\r\nHost: localhost:443\r\nContent-Type: application/scim+json\r\n"
    b'Authorization: Bearer T\r\nConnection: keep-alive\r\nX-Empty: \r\nContent-Length: 2\r\n\r\n{"'
)


def read_by_aiohttp(data):
    """Return what aiohttp makes of the bytes, None where they are not one whole request."""
    loop = asyncio.new_event_loop()
    try:
        parser = HttpRequestParser(BaseProtocol(loop), loop, 2**16, max_line_size=16_384, max_field_size=16_384)
        try:
            messages, upgraded, tail = parser.feed_data(data)
        except HttpProcessingError:
            return None
        if len(messages) != 1 or upgraded or tail:
            return None
        message, payload = messages[0]
        if message.version != HttpVersion11 or message.should_close or not payload.is_eof():
            return None
        return message.method, message.path, list(message.raw_headers), payload.read_nowait()
    finally:
        loop.close()


def whole(data, limits=LIMITS):
    return WholeReader("192.0.2.1", limits).read(data)


def read_here(data):
    found = whole(data)
    if found is None:
        return None
    head = found.head
    return head.method, f"/t/{head.tenant}{head.target}", list(head.headers.pairs), found.body


@pytest.mark.parametrize("data", [GET, POST])
def test_a_plain_request_is_read_as_aiohttp_reads_it(data):
    assert read_here(data) is not None
    assert read_here(data) == read_by_aiohttp(data)


PIECES = [
    b" ", b"  ", b"\t", b"\r\n", b"\n", b"\r", b"\0", b"\x7f", b"\xe9", b":", b"#", b"?", b"/", b"0", b"1", b"2", b"+2",
    b"Content-Length: 2\r\n", b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n", b"Host: other\r\n",
    b"Connection: close\r\n", b"Upgrade: websocket\r\n", b"Expect: 100-continue\r\n", b"HTTP/1.0", b" folded\r\n",
    b"X: 1\r\n", b"X : 1\r\n", b"HEAD", b"{", b"\r\n\r\n", b"/../", b"%2e", GET,
]  # fmt: skip


def changed(data, changes):
    for where, dropped, piece in changes:
        data = data[:where] + piece + data[where + dropped :]
    return data


@given(
    st.sampled_from([GET, POST]),
    st.lists(st.tuples(st.integers(0, 260), st.integers(0, 12), st.sampled_from(PIECES)), min_size=1, max_size=3),
)
def test_what_is_read_here_is_what_aiohttp_would_have_read(data, changes):
    data = changed(data, changes)
    found = read_here(data)
    assert found is None or found == read_by_aiohttp(data)


MIDDLE = POST.replace(b"Content-Length: 2\r\n", b"").replace(b"Content-Type", b"Content-Length: 2\r\nContent-Type")


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [
                    GET,
                    POST,
                    MIDDLE,
                    MIDDLE.replace(b" T", b" U"),
                    GET.replace(b"acme", b"other"),
                    POST.replace(b"/t/", b"/u/"),
                    POST.replace(b"2\r\n\r\n", b"11\r\n\r\n") + b"012345678",
                ]
            ),
            st.lists(st.tuples(st.integers(0, 260), st.integers(0, 12), st.sampled_from(PIECES)), max_size=2),
        ),
        min_size=2,
        max_size=6,
    )
)
def test_what_the_last_request_said_makes_no_difference_to_how_the_next_is_read(requests):
    reader, whole_reader = PlainReader(LIMITS.header_bytes), WholeReader(None, LIMITS)
    for data, changes in requests:
        sent = changed(data, changes)
        again, anew = reader.read(sent), PlainReader(LIMITS.header_bytes).read(sent)
        assert (again and again[:-1]) == (anew and anew[:-1])
        known, fresh = whole_reader.read(sent), whole(sent)
        assert (known and known.head.headers.authorization) == (fresh and fresh.head.headers.authorization)
        assert (known and seen(known.head)) == (fresh and seen(fresh.head))


def seen(head):
    return head.method, head.tenant, head.target, head.length


def test_headers_that_come_again_are_not_read_again():
    reader = WholeReader("192.0.2.1", LIMITS)
    first, again = reader.read(MIDDLE), reader.read(MIDDLE.replace(b": 2", b": 4") + b"{}")
    assert again.head.headers is first.head.headers
    assert (again.head.length, again.body) == (4, b'{"{}')
    other = reader.read(MIDDLE.replace(b"Bearer T", b"Bearer U"))
    assert other.head.headers.authorization == "Bearer U"


@pytest.mark.parametrize("length", [b"", b" 2", b"2 ", b"+2", b"02", b"2, 2", b"3", b"2\nX: 1"])
@pytest.mark.parametrize("body", [b"", b'{"'])
def test_a_length_among_headers_that_come_again_is_read_as_strictly(length, body):
    reader = PlainReader(LIMITS.header_bytes)
    assert reader.read(POST) is not None
    assert reader.read(POST.replace(b': 2\r\n\r\n{"', b": " + length + b"\r\n\r\n" + body)) is None


@pytest.mark.parametrize("line", [b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n"])
def test_what_follows_the_length_counts_among_headers_that_come_again(line):
    reader = PlainReader(LIMITS.header_bytes)
    assert reader.read(MIDDLE) is not None
    assert reader.read(MIDDLE.replace(b"Content-Type: ", line + b"Content-Type: ")) is None


@pytest.mark.parametrize(
    "line",
    [
        b"Transfer-Encoding: chunked\r\n",
        b"Expect: 100-continue\r\n",
        b"Connection: close\r\n",
        b"Upgrade: websocket\r\n",
        b"Host: other\r\n",
        b"X: a\r\nX: b\r\n",
        b"X: " + b"a" * LIMITS.header_bytes + b"\r\n",
        b"".join(b"X-%d: a\r\n" % number for number in range(128)),
        b"X: \0\r\n",
        b"X:1\r\n",
        b"X: 1 \r\n",
        b"X:  1\r\n",
    ],
)
def test_what_changes_how_a_message_is_framed_is_left_to_aiohttp(line):
    assert read_here(POST.replace(b"Content-Type", line + b"Content-Type")) is None


@pytest.mark.parametrize(
    "data", [POST[:-1], POST + b"G", POST[:-3], GET + GET, b"\r\n" + GET, GET.replace(b"Host", b"X")]
)
def test_what_is_not_one_request_to_its_end_is_left_to_aiohttp(data):
    assert read_here(data) is None


def test_a_body_that_may_not_be_kept_is_left_to_aiohttp():
    assert whole(POST, LimitSettings(replay_bytes=1)) is None
    assert whole(POST.replace(b": 2\r\n", b": 1025\r\n") + b"x" * 1023, LimitSettings(body_bytes=1024)) is None


# ── the connection ────────────────────────────────────────────────────────────────────────────────────────────────


class Answering:
    """A gateway that says of each request how it came, and holds back those that ask for that."""

    def __init__(self):
        self.held = asyncio.Event()
        self.released = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.ended = asyncio.Event()
        self.protocols = []
        self.answered = 0

    async def serve(self, request):
        self.answered += 1
        if request.raw_path.endswith("/large"):
            return large(60_000)
        if request.raw_path.endswith("/held"):
            await self.hold()
        response = web.json_response({"parsed": request.raw_path, "body": (await request.read()).decode()})
        if not ParsedClient(request).stays:
            response.force_close()
        return response

    async def hold(self):
        self.held.set()
        try:
            await self.released.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    def serve_whole(self, asked, client):
        client.go_on(self.answer(asked, client))

    async def answer(self, asked, client):
        self.answered += 1
        if asked.head.target == "/cancelled":
            raise asyncio.CancelledError
        if asked.head.target == "/large":
            return large(16_000_000)
        if asked.head.target == "/crash":
            raise ValueError("s3cret")
        if asked.head.target == "/aiohttp":
            return web.json_response({"agent": client.request().headers["X-Agent"], "path": client.request().raw_path})
        if asked.head.target == "/held":
            await self.hold()
        body = b'{"whole": "%s"}' % asked.head.target.encode()
        close = b"" if client.stays else b"Connection: close\r\n"
        head = b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n" % (close, len(body))
        return PassedOn(200, head + body, keep_alive=asked.head.target != "/last")


def large(size):
    return PassedOn(200, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(size), keep_alive=True)


def request(target, more=b""):
    return b"GET /t/acme%b HTTP/1.1\r\nHost: localhost\r\n%b\r\n" % (target, more)


async def has_ended(reader):
    async with asyncio.timeout(10):
        return await reader.read() == b""


@asynccontextmanager
async def served(papers, limits=LIMITS):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(papers.certificate, papers.key)
    gateway = Answering()
    server = Server(gateway.serve, limits, gateway.serve_whole)

    def factory():
        gateway.protocols.append(server.protocol(gateway.ended.set))
        return gateway.protocols[-1]

    async with await asyncio.get_running_loop().create_server(factory, "localhost", 0, ssl=context) as listening:
        async with connected(papers, listening.sockets[0].getsockname()[1]) as (reader, writer):
            yield gateway, reader, writer
        await server.shutdown(0.1)


async def test_one_connection_takes_whole_requests_and_others_in_turn(papers):
    async with served(papers) as (_, reader, writer):
        for target in (b"/a", b"/b"):
            writer.write(request(target))
            assert (await answer_to(reader))[2] == {"whole": target.decode()}
        writer.write(
            b"PUT /t/acme/c HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n42\r\n0\r\n\r\n"
        )
        assert (await answer_to(reader))[2] == {"parsed": "/t/acme/c", "body": "42"}
        writer.write(request(b"/d"))
        assert (await answer_to(reader))[2] == {"parsed": "/t/acme/d", "body": ""}


async def test_requests_that_do_not_wait_for_an_answer_are_answered_in_their_order(papers):
    async with served(papers) as (gateway, reader, writer):
        writer.write(request(b"/held"))
        await gateway.held.wait()
        writer.write(request(b"/b") + request(b"/c"))
        gateway.released.set()
        assert (await answer_to(reader))[2] == {"whole": "/held"}
        assert (await answer_to(reader))[2]["parsed"] == "/t/acme/b"
        assert (await answer_to(reader))[2]["parsed"] == "/t/acme/c"


async def test_a_client_that_floods_while_it_waits_is_read_no_further(papers):
    async with served(papers) as (gateway, reader, writer):
        writer.write(request(b"/held"))
        await gateway.held.wait()
        writer.write(request(b"/b") * 40_000)
        (connection,) = gateway.protocols
        async with asyncio.timeout(10):
            while len(connection.inner._aside) < 65_536:  # noqa: ASYNC110
                await asyncio.sleep(0)
        for _ in range(100):
            await asyncio.sleep(0)
        assert len(connection.inner._aside) < 3 * 65_536
        gateway.released.set()
        assert (await answer_to(reader))[2] == {"whole": "/held"}
        for _ in range(20):
            assert "/b" in str((await answer_to(reader))[2])


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(protocol, "_PATIENCE_S", 0.05)


HELD = {
    "whole": request(b"/held"),
    "parsed": b"PUT /t/acme/held HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
}
BEHIND = {
    "requests": request(b"/b") * 4_000,
    "a body": b"PUT /t/acme/b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500000\r\n\r\n" + bytes(300_000),
}


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("behind", BEHIND.values(), ids=BEHIND)
@pytest.mark.parametrize("held", HELD.values(), ids=HELD)
async def test_who_floods_and_hangs_up_is_waited_for_no_longer(papers, held, behind):
    async with served(papers) as (gateway, _, writer):
        writer.write(held)
        await gateway.held.wait()
        writer.write(behind)
        writer.close()
        async with asyncio.timeout(10):
            await gateway.cancelled.wait()


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("held", HELD.values(), ids=HELD)
async def test_who_floods_without_end_is_answered_what_is_under_way_and_no_more(papers, held, monkeypatch):
    async with served(papers) as (gateway, reader, writer):
        writer.write(held)
        await gateway.held.wait()
        writer.write(BEHIND["requests"] * 40)
        (connection,) = gateway.protocols
        times = []
        monkeypatch.setattr(protocol, "_FLOOD_BYTES", 100_000)
        async with asyncio.timeout(10):
            while len(times) < 4:
                dropped = connection.inner._dropped
                if dropped is not None and (not times or dropped < times[-1]):
                    times.append(dropped)
                elif times:
                    times[-1] = dropped
                await asyncio.sleep(0)
        assert max(times) < 3 * 65_536 + 100_000
        gateway.released.set()
        _, headers, answer = await answer_to(reader)
        assert ("held" in str(answer), headers["connection"]) == (True, "close")
        assert gateway.answered == 1


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("held", HELD.values(), ids=HELD)
async def test_who_sends_much_behind_a_request_that_takes_long_is_answered_that_one_and_no_other(papers, held):
    async with served(papers) as (gateway, reader, writer):
        writer.write(held)
        await gateway.held.wait()
        writer.write(BEHIND["requests"])
        (connection,) = gateway.protocols
        async with asyncio.timeout(10):
            while not connection.inner._dropped:  # noqa: ASYNC110
                await asyncio.sleep(0)
        gateway.released.set()
        _, headers, answer = await answer_to(reader)
        assert ("held" in str(answer), headers["connection"]) == (True, "close")
        assert await has_ended(reader)
        assert gateway.answered == 1


async def test_a_connection_that_was_read_no_further_is_read_again(papers):
    async with served(papers) as (gateway, reader, writer):
        writer.write(request(b"/held"))
        await gateway.held.wait()
        five = 5 * request(b"/b", b"X: %b\r\n" % (b"x" * 15_000))
        writer.write(five)
        (connection,) = gateway.protocols
        async with asyncio.timeout(10):
            while len(connection.inner._aside) < len(five):  # noqa: ASYNC110
                await asyncio.sleep(0)
        gateway.released.set()
        assert (await answer_to(reader))[2] == {"whole": "/held"}
        for _ in range(5):
            assert (await answer_to(reader))[2]["parsed"] == "/t/acme/b"
        writer.write(request(b"/c"))
        assert (await answer_to(reader))[2]["parsed"] == "/t/acme/c"


async def test_large_requests_that_wait_behind_one_are_few_whoever_reads_them(papers):
    async with served(papers) as (gateway, reader, writer):
        writer.write(HELD["parsed"])
        await gateway.held.wait()
        (connection,) = gateway.protocols
        writer.write(20 * request(b"/b", b"".join(b"X-%d: %b\r\n" % (number, b"x" * 15_000) for number in range(4))))
        async with asyncio.timeout(10):
            while not connection.inner._buffer_paused:  # noqa: ASYNC110
                await asyncio.sleep(0)
        assert len(connection.inner._messages) <= 3
        gateway.released.set()
        assert "held" in str((await answer_to(reader))[2])
        for _ in range(20):
            assert (await answer_to(reader))[2]["parsed"] == "/t/acme/b"
        writer.write(request(b"/c"))
        assert (await answer_to(reader))[2]["parsed"] == "/t/acme/c"


async def test_who_hangs_up_is_waited_for_no_longer(papers):
    async with served(papers) as (gateway, _, writer):
        writer.write(request(b"/held"))
        await gateway.held.wait()
        writer.transport.abort()
        async with asyncio.timeout(10):
            await gateway.cancelled.wait()


async def test_a_connection_whose_answer_takes_long_is_not_idle(papers):
    async with served(papers, LimitSettings(idle_s=0.1)) as (gateway, reader, writer):
        writer.write(request(b"/held"))
        await gateway.held.wait()
        asyncio.get_running_loop().call_later(0.5, gateway.released.set)
        assert (await answer_to(reader))[2] == {"whole": "/held"}
        async with asyncio.timeout(10):
            assert await has_ended(reader)


async def test_an_answer_that_aiohttp_writes_finds_the_request_as_it_came(papers):
    async with served(papers) as (_, reader, writer):
        for _ in range(2):
            writer.write(request(b"/aiohttp", b"X-Agent: one\r\n"))
            assert (await answer_to(reader))[2] == {"agent": "one", "path": "/t/acme/aiohttp"}


async def test_the_last_answer_ends_the_connection(papers):
    async with served(papers) as (_, reader, writer):
        writer.write(request(b"/last"))
        assert (await answer_to(reader))[2] == {"whole": "/last"}
        assert await has_ended(reader)


async def test_a_crash_is_answered_in_scim_and_ends_the_connection(papers):
    async with served(papers) as (_, reader, writer):
        writer.write(request(b"/crash"))
        line, headers, error = await answer_to(reader)
        assert (line, error["status"]) == ("HTTP/1.1 500 Internal Server Error", "500")
        assert (headers["content-type"], headers["server"]) == ("application/scim+json", "provisioning-relay")
        assert "s3cret" not in str(error)
        assert await has_ended(reader)


async def test_an_answer_that_is_cancelled_by_itself_ends_the_connection(papers):
    async with served(papers) as (_, reader, writer):
        writer.write(request(b"/cancelled"))
        assert await has_ended(reader)


@pytest.mark.parametrize("at_once", [1, 400])
async def test_a_client_that_asks_and_takes_nothing_is_cut_off(papers, at_once):
    async with served(papers, LimitSettings(request_s=0.2)) as (gateway, _, writer):
        async with asyncio.timeout(10):
            for answered in range(2):
                while gateway.answered < answered:  # noqa: ASYNC110
                    await asyncio.sleep(0)
                writer.write(at_once * request(b"/large"))
            await gateway.ended.wait()
        assert 0 < gateway.answered < 400


@pytest.mark.parametrize("behind", [b"", request(b"/b")])
async def test_a_server_that_stops_lets_the_answer_under_way_end_and_begins_no_other(papers, behind):
    async with served(papers) as (gateway, reader, writer):
        writer.write(request(b"/held"))
        await gateway.held.wait()
        writer.write(behind)
        connection = gateway.protocols[0].inner
        async with asyncio.timeout(10):
            while len(connection._aside) < len(behind):  # noqa: ASYNC110
                await asyncio.sleep(0)
        stopping = asyncio.create_task(connection.shutdown(10))
        await asyncio.sleep(0)
        gateway.released.set()
        await stopping
        assert (await answer_to(reader))[2] == {"whole": "/held"}
        assert await has_ended(reader)
        assert gateway.answered == 1
