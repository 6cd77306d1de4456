"""Whoever speaks no proper HTTP, or stops speaking, is told so in SCIM; none of their bytes come back or are logged."""

from __future__ import annotations

import asyncio
import io
import json
import ssl
from contextlib import asynccontextmanager

import pytest

from connector_host.endpoint.outcomes import Outcomes
from connector_host.observability import logs
from tests.agent.raw import ends_of
from tests.endpoint.service import TOKEN, serve

TARGET = "/ecma2host_HR/scim/Users"
SECRET = "s3cret-t0ken"
UNREADABLE = {
    "a header over the limit": f"GET {TARGET} HTTP/1.1\r\nHost: localhost\r\nX: {SECRET * 5_000}\r\n\r\n",
    "a line over the limit": f"GET {TARGET}?{SECRET * 5_000} HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "too many headers": f"GET {TARGET} HTTP/1.1\r\nHost: localhost\r\n" + f"X: {SECRET}\r\n" * 128 + "\r\n",
    "a head without an end": f"GET {TARGET} HTTP/1.1\r\nHost: localhost\r\n" + f"X: {SECRET * 2_000}\r\n" * 7,
    "another version": f"GET {TARGET} HTTP/2.0\r\nHost: localhost\r\nX: {SECRET}\r\n\r\n",
    "another coding": f"POST {TARGET} HTTP/1.1\r\nHost: localhost\r\nX: {SECRET}\r\n"
    "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "two framings": f"POST {TARGET} HTTP/1.1\r\nHost: localhost\r\nX: {SECRET}\r\nContent-Length: 5\r\n"
    "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two hosts": f"GET {TARGET} HTTP/1.1\r\nHost: {SECRET}.example\r\nHost: localhost\r\n\r\n",
    "bare line feeds": f"GET {TARGET} HTTP/1.1\nHost: localhost\nAuthorization: Bearer {SECRET}\n\n",
    "an unknown method": f"FOO {TARGET} HTTP/1.1\r\nHost: localhost\r\nX: {SECRET}\r\n\r\n",
    "letters outside of ASCII": f"GET {TARGET}?filter={SECRET}é HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a NUL": f"GET {TARGET} HTTP/1.1\r\nHost: localhost\r\nX: {SECRET}\0\r\n\r\n",
}


@pytest.fixture
def log():
    stream = io.StringIO()
    logs.configure("json", "debug", stream=stream)
    yield stream
    logs.configure("console")


@asynccontextmanager
async def connected(scim):
    trust = ssl.create_default_context(cafile=str(scim.authority))
    reader, writer = await asyncio.open_connection("localhost", int(scim.origin.rpartition(":")[2]), ssl=trust)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def answer_to(reader):
    async with asyncio.timeout(10):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = int(head.lower().partition("content-length:")[2].partition("\r\n")[0])
        return head, json.loads(await reader.readexactly(length))


KNOWN = {
    "another version": ("505", "HTTP/1.1"),
    "another coding": ("501", "Transfer-Encoding"),
    "a header over the limit": ("431", "A header is longer than the 32768 bytes"),
    "a line over the limit": ("414", "The URL is longer than the 32768 bytes"),
    "too many headers": ("431", "more than the 128 headers"),
    "a head without an end": ("431", "more than the 131072 bytes"),
}


@pytest.mark.parametrize("kind", UNREADABLE)
async def test_what_is_no_http_is_answered_in_scim_without_its_own_bytes(log, tmp_path, kind):
    request_text, (status, said) = UNREADABLE[kind], KNOWN.get(kind, ("400", "cannot be read as HTTP"))
    async with serve(tmp_path) as scim, connected(scim) as (reader, writer):
        writer.write(request_text.encode())
        head, error = await answer_to(reader)
        assert await reader.read() == b""
    assert head.startswith(f"HTTP/1.1 {status} ")
    request_id = head.partition("X-Request-Id: ")[2].partition("\r\n")[0]
    assert said in error["detail"]
    assert error["detail"].endswith(f"(request {request_id})")
    assert len(request_id) == 32
    assert request_id in log.getvalue()
    assert "application/scim+json" in head
    assert "Cache-Control: no-store" in head
    assert error["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]
    assert error["status"] == status
    for secret in (SECRET, "é"):
        assert secret not in head + str(error)
        assert secret not in log.getvalue()
    assert "request.unreadable" in log.getvalue()


async def test_a_client_that_leaves_within_its_body_is_no_failure_of_the_host(log, tmp_path):
    async with serve(tmp_path) as scim:
        async with connected(scim) as (reader, writer):
            writer.write(
                f"POST {TARGET} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n"
                "Expect: 100-continue\r\nContent-Length: 100\r\n\r\n".encode()
            )
            assert b" 100 " in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
            writer.write(b'{"userName": "an')
        async with asyncio.timeout(10):
            while "request.answered" not in log.getvalue():  # noqa: ASYNC110 - what changes is plain text
                await asyncio.sleep(0.01)
        assert scim.rows() == []
    assert '"status":400' in log.getvalue()
    assert "request.failed" not in log.getvalue()


@pytest.fixture
async def outcomes(tmp_path):
    record = Outcomes(tmp_path / "outcomes.sqlite3")
    yield record
    await record.close()


@pytest.mark.parametrize(("method", "key"), [("POST", "Idempotency-Key: k1\r\n"), ("PATCH", "")])
async def test_a_body_that_breaks_off_is_the_clients_fault_and_not_the_databases(tmp_path, outcomes, method, key):
    target = TARGET if method == "POST" else f"{TARGET}/anna"
    limits = {"request_s": 0.3}
    async with serve(tmp_path, outcomes=outcomes, limits=limits) as scim, connected(scim) as (reader, writer):
        writer.write(
            f"{method} {target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n{key}"
            'Content-Length: 100\r\n\r\n{"userName": "an'.encode()
        )
        head, error = await answer_to(reader)
        assert head.startswith("HTTP/1.1 408 ")
        assert error["status"] == "408"
        assert "request body" in error["detail"]
        assert "database" not in error["detail"]
        assert scim.rows() == []


async def test_a_body_that_is_not_compressed_as_its_header_says_is_the_clients_fault(tmp_path):
    async with serve(tmp_path) as scim, connected(scim) as (reader, writer):
        writer.write(
            f"POST {TARGET} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n"
            'Content-Encoding: gzip\r\nContent-Length: 20\r\n\r\n{"userName": "anna"}'.encode()
        )
        head, error = await answer_to(reader)
    assert head.startswith("HTTP/1.1 400 ")
    assert (error["scimType"], "headers" in error["detail"]) == ("invalidSyntax", True)


@pytest.mark.parametrize("coding", ["br", "zstd", "x-secret", "gzip, gzip"])
async def test_a_body_in_a_coding_that_nobody_reads_is_refused_as_such(tmp_path, coding):
    async with serve(tmp_path) as scim, connected(scim) as (reader, writer):
        writer.write(
            f"POST {TARGET} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n"
            f'Content-Encoding: {coding}\r\nContent-Length: 20\r\n\r\n{{"userName": "anna"}}'.encode()
        )
        head, error = await answer_to(reader)
        assert scim.rows() == []
    assert head.startswith("HTTP/1.1 415 ")
    assert "gzip or deflate" in error["detail"]


async def test_a_chunk_that_is_none_is_told_at_once_and_ends_the_connection(tmp_path):
    async with serve(tmp_path) as scim, connected(scim) as (reader, writer):
        begin = (
            f"POST {TARGET} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n"
            "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        writer.write(begin.encode())
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")  # somebody waits for the body
        writer.write(b'5\r\n{"use\r\nno number\r\n')
        head, error = await answer_to(reader)
        assert await reader.read() == b""
        assert scim.rows() == []
    assert head.startswith("HTTP/1.1 400 ")
    assert "not coded as its headers say" in error["detail"]


async def test_a_body_is_asked_for_only_once_its_sender_is_known(tmp_path):
    asked = b'{"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"]}'
    begin = (
        f"POST {TARGET}/.search HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(asked)}\r\nExpect: 100-continue\r\n"
    )
    async with serve(tmp_path) as scim:
        async with connected(scim) as (reader, writer):
            writer.write(f"{begin}Authorization: Bearer {SECRET}\r\n\r\n".encode())
            head, _ = await answer_to(reader)
            assert (head.startswith("HTTP/1.1 401 "), "Connection: close" in head) == (True, True)
        async with connected(scim) as (reader, writer):
            writer.write(f"{begin}Authorization: Bearer {TOKEN}\r\n\r\n".encode())
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
            writer.write(asked)
            head, _ = await answer_to(reader)
            assert (head.startswith("HTTP/1.1 200 "), "Connection: close" in head) == (True, False)


async def test_what_else_a_client_expects_is_refused_in_scim(tmp_path):
    async with serve(tmp_path) as scim, connected(scim) as (reader, writer):
        writer.write(
            f"POST {TARGET} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n"
            "Expect: miracles\r\nContent-Length: 20\r\n\r\n".encode()
        )
        head, error = await answer_to(reader)
    assert (head.split()[1], error["status"]) == ("417", "417")


async def test_a_connection_that_brings_no_request_is_closed(tmp_path, monkeypatch):
    from connector_host.endpoint import protocol

    monkeypatch.setattr(protocol, "IDLE_S", 0.3)
    async with serve(tmp_path) as scim, connected(scim) as (reader, writer):
        writer.write(f"GET {TARGET} HTTP/1.1\r\nHost: localhost\r\nX-Slow: ".encode())
        async with asyncio.timeout(5):
            assert await reader.read() == b""


async def test_the_connection_ends_with_an_answer_that_did_not_wait_for_the_body(tmp_path):
    async with serve(tmp_path) as scim, connected(scim) as (reader, writer):
        writer.write(f"POST {TARGET} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nhalf".encode())
        head, _ = await answer_to(reader)
        assert head.startswith("HTTP/1.1 401 ")
        assert "connection: close" in head.lower()


async def test_tcp_ends_with_an_idle_connection_whatever_its_client_says(tmp_path, monkeypatch):
    from connector_host.endpoint import protocol

    monkeypatch.setattr(protocol, "IDLE_S", 0.3)
    request = f"GET {TARGET} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    async with serve(tmp_path) as scim:
        trust = ssl.create_default_context(cafile=str(scim.authority))
        answer, rest = await asyncio.to_thread(ends_of, trust, int(scim.origin.rpartition(":")[2]), request)
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert rest == b""


@pytest.mark.parametrize(
    ("target", "status", "words"),
    [
        (f"ftp://localhost{TARGET}", "421", "another scheme"),
        (f"{TARGET}?count=1#x", "400", "write %23"),
        (f"https://localhost{TARGET}#x", "400", "write %23"),
    ],
)
async def test_a_target_of_another_scheme_or_with_a_fragment_is_refused(tmp_path, target, status, words):
    async with serve(tmp_path) as scim, connected(scim) as (reader, writer):
        body = "x" * 70_000
        rest = f"Host: localhost\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        writer.write(f"POST {target} HTTP/1.1\r\n{rest}".encode())
        head, error = await answer_to(reader)
        assert (head.split()[1], error["status"]) == (status, status)
        assert words in error["detail"]
        assert "Connection: close" in head


async def test_an_absolute_target_is_one_for_its_path_whose_authority_stands_for_the_host_header(tmp_path, outcomes):
    """RFC 9112 §3.2.2: the location names it with its port, and an idempotency key holds for both forms."""
    body = json.dumps(
        {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "anna", "name": {"givenName": "A"}}
    )
    rest = (
        f"Host: evil.example\r\nAuthorization: Bearer {TOKEN}\r\nIdempotency-Key: k1\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    )
    async with serve(tmp_path, outcomes=outcomes) as scim, connected(scim) as (reader, writer):
        for target in (f"https://localhost:8443{TARGET}", TARGET):
            writer.write(f"POST {target} HTTP/1.1\r\n{rest}".encode())
            head, created = await answer_to(reader)
            assert head.startswith("HTTP/1.1 201 ")
            assert created["meta"]["location"] == f"https://localhost:8443{TARGET}/anna"
        assert len(scim.rows()) == 1
        writer.write(f"GET HTTP://localhost:8443{TARGET}?count=1 HTTP/1.1\r\n{rest}".encode())
        _, found = await answer_to(reader)
        assert found["Resources"][0]["meta"]["location"] == f"https://localhost:8443{TARGET}/anna"
