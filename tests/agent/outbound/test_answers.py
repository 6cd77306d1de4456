"""Answers of the host: what is read as plain means the same to the parser, and all else is left to it."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp.client_proto import ResponseHandler
from hypothesis import event, given
from hypothesis import strategies as st
from msgspec.structs import replace

from agent.link.messages import ResponseHead
from agent.outbound.answers import Answer, parsed, plain

LINES = b"HTTP/1.1 200 OK\r\nContent-Type: application/scim+json\r\nX-Request-Id: 7\r\n"

RUNNER = asyncio.Runner()

DOUBTFUL = {
    "no length": LINES + b"\r\n{}",
    "no end of the head": LINES + b"Content-Length: 2\r\n",
    "less than announced": LINES + b"Content-Length: 3\r\n\r\n{}",
    "more than announced": LINES + b"Content-Length: 1\r\n\r\n{}",
    "two lengths": LINES + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "two lengths that differ": LINES + b"Content-Length: 9\r\ncontent-length: 2\r\n\r\n{}",
    "a length and chunks": LINES + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
    "a length in other digits": LINES + b"Content-Length: +2\r\n\r\n{}",
    "a length with zeros": LINES + b"Content-Length: 02\r\n\r\n{}",
    "the last of a connection": LINES + b"Connection: close\r\nContent-Length: 2\r\n\r\n{}",
    "a header for this hop only": LINES + b"Connection: X-Hop\r\nX-Hop: 1\r\nContent-Length: 2\r\n\r\n{}",
    "an upgrade": LINES + b"Upgrade: h2c\r\nContent-Length: 2\r\n\r\n{}",
    "a bare line feed": LINES + b"X: 1\nY: 2\r\nContent-Length: 2\r\n\r\n{}",
    "a bare carriage return": LINES + b"X: 1\rY: 2\r\nContent-Length: 2\r\n\r\n{}",
    "a zero byte": LINES + b"X: \0\r\nContent-Length: 2\r\n\r\n{}",
    "a folded line": LINES + b"X: 1\r\n 2\r\nContent-Length: 2\r\n\r\n{}",
    "a space before the colon": LINES + b"X : 1\r\nContent-Length: 2\r\n\r\n{}",
    "no name": LINES + b": 1\r\nContent-Length: 2\r\n\r\n{}",
    "no colon": LINES + b"X\r\nContent-Length: 2\r\n\r\n{}",
    "one that is not the last": b"HTTP/1.1 100 Continue\r\nContent-Length: 0\r\n\r\n",
    "no body": b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
    "unchanged": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 0\r\n\r\n",
    "an old version": b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "another protocol": b"ICY 200 OK\r\nContent-Length: 0\r\n\r\n",
    "a host with another record": LINES + b"Idempotency-Record: r\r\nContent-Length: 2\r\n\r\n{}",
    "a long head": LINES + b"X: " + b"x" * 5_000 + b"\r\nContent-Length: 2\r\n\r\n{}",
}


def test_a_plain_answer_is_read_as_it_is():
    answer = plain(
        LINES + b"Connection: keep-alive\r\nKeep-Alive: timeout=5\r\nContent-Length: 2\r\nETag: W/1\r\n\r\n{}"
    )
    kept = b"Content-Type: application/scim+json\r\nETag: W/1\r\n"
    assert answer == Answer(ResponseHead(200, kept, 2), encoded=False, body=b"{}")


def test_an_answer_without_a_body_is_plain_where_it_says_no_length():
    data = b"HTTP/1.1 204 No Content\r\nETag: W/1\r\nX-Request-Id: 7\r\nDate: now\r\n\r\n"
    assert plain(data) == Answer(ResponseHead(204, b"ETag: W/1\r\nDate: now\r\n"), encoded=False, body=b"")
    assert plain(data + b"{}") is None


@pytest.mark.parametrize(("coding", "encoded"), [(b"gzip", True), (b"Identity", False)])
def test_the_coding_of_a_plain_answer_is_known(coding, encoded):
    answer = plain(b"HTTP/1.1 200 OK\r\nContent-Encoding: " + coding + b"\r\nContent-Length: 1\r\n\r\nx")
    assert answer is not None
    assert answer.encoded is encoded


@pytest.mark.parametrize("data", DOUBTFUL.values(), ids=DOUBTFUL)
def test_doubt_is_left_to_the_parser(data):
    assert plain(data) is None


async def by_the_parser(data):
    protocol = ResponseHandler(asyncio.get_running_loop())
    protocol.set_response_params(read_until_eof=True, auto_decompress=False)
    protocol.data_received(data)
    message, body = await protocol.read()
    answer = parsed(message, body, bodiless=False)
    whole = answer.body if isinstance(answer.body, bytes) else answer.body.read_nowait()
    assert not protocol.should_close, "the connection is good for another answer"
    return replace(answer, body=whole)


HARMLESS = [
    b"ETag: W/1",
    b"etag: ",
    b"X-Request-Id: 7",
    b"Content-Encoding: gzip",
    b"Connection: keep-alive",
    b"X:  1 ",
]
HARMLESS += [b"Keep-Alive: timeout=5", b"content-encoding: identity", b"X: a: b", b"X: \xff", b"Location: /\t"]
ODD = [b"Connection: close", b"Connection: Keep-Alive, X", b"Connection:  keep-alive", b"Transfer-Encoding: chunked"]
ODD += [b"Content-Length: 2", b"Content-Length:2", b"Content-Length : 2", b"Content-Length: 0", b"content-length: 2 "]
ODD += [b"X: a\rb", b"X: a\nb", b"X: \0", b"X", b"", b": 1", b"x y: 1", b"X:1", b" X: 1", b"X: " + b"x" * 9_000]
ODD += [b"Host: x", b"Expect: x", b"Trailer: X", b"Idempotency-Record: r", b"Upgrade: h2c"]
HEADERS = st.lists(st.sampled_from(HARMLESS), max_size=3)
ODD_ONE = st.lists(st.sampled_from(ODD), max_size=1)
BEGINNINGS = [b"HTTP/1.1 200 OK", b"HTTP/1.1 201 ", b"HTTP/1.1 599 a b", b"HTTP/1.1 204 ", b"HTTP/1.0 200 OK"]
BODIES = [b"", b"{}", b"\r\n\r\n", b"HTTP/1.1 "]


@given(
    HEADERS,
    st.sampled_from(BEGINNINGS),
    st.lists(st.sampled_from(ODD), max_size=1),
    st.lists(HEADERS, max_size=2),
    st.sampled_from(BODIES),
)
def test_what_is_plain_means_the_same_to_the_parser(before, beginning, odd, after, body):
    lines = [beginning, *before, *odd, *(line for rest in after for line in (b"Content-Length: %d" % len(body), *rest))]
    data = b"\r\n".join(lines) + b"\r\n\r\n" + body
    answer = plain(data)
    event("plain" if answer else "doubtful")
    if answer:
        assert stripped(answer) == stripped(RUNNER.run(by_the_parser(data)))


def stripped(answer):
    """Return the answer without the white space around its headers' values, which means nothing (RFC 9110 §5.5)."""
    pairs = [line.partition(b": ")[::2] for line in answer.head.headers.split(b"\r\n")]
    return replace(
        answer, head=(answer.head.status, answer.head.length, [(name, value.strip()) for name, value in pairs])
    )
