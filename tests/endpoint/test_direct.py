"""A request that came whole is answered past aiohttp as it would be through it, and its connection goes on."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3

import pytest

from connector_host.endpoint import direct, protocol
from connector_host.plain_requests import PlainReader
from tests.endpoint.service import PATCH_OP, TOKEN, serve
from tests.endpoint.test_protocol import connected

USERS = "/ecma2host_HR/scim/Users"
ANNA = json.dumps({"userName": "anna", "name": {"givenName": "Anna"}})
RETITLE = json.dumps({"schemas": [PATCH_OP], "Operations": [{"op": "replace", "path": "active", "value": False}]})
SEARCH = json.dumps({"filter": 'userName eq "carl"'})


def written(method, target, body="", *lines, token=TOKEN):
    head = [f"{method} {target} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {token}", *lines]
    length = [f"Content-Length: {len(body)}"] if body else []
    return "\r\n".join([*head, *length, "", body]).encode()


async def whole_answer(reader):
    """Return the head and the body of an answer."""
    async with asyncio.timeout(10):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = int((re.search(r"(?i)content-length: (\d+)", head) or [0, 0])[1])
        return head, await reader.readexactly(length)


@pytest.fixture
def read(monkeypatch):
    """Return of each stretch of bytes whether it was read as a whole request."""
    seen = []

    def watched(reader, data):
        found = read_by(reader, data)
        seen.append(found is not None)
        return found

    read_by = PlainReader.read
    monkeypatch.setattr(PlainReader, "read", watched)
    return seen


ASKED = {
    "read": written("GET", f"{USERS}/carl"),
    "read of nobody": written("GET", f"{USERS}/nobody"),
    "read by an encoded id": written("GET", f"{USERS}/%63arl"),
    "read with a slash at the end": written("GET", f"{USERS}/carl/"),
    "read of some attributes": written("GET", f"{USERS}/carl?attributes=userName"),
    "read of what has not changed": written("GET", f"{USERS}/carl", "", "If-None-Match: *"),
    "filter": written("GET", f"{USERS}?filter=userName+eq+%22carl%22"),
    "filter that cannot be read": written("GET", f"{USERS}?filter=userName+is+%22carl%22"),
    "page": written("GET", f"{USERS}?count=1"),
    "search": written("POST", f"{USERS}/.search", SEARCH),
    "create": written("POST", USERS, ANNA),
    "create of one that is there": written("POST", USERS, ANNA.replace("anna", "carl")),
    "create of no JSON": written("POST", USERS, "{"),
    "create without a body": written("POST", USERS),
    "PATCH": written("PATCH", f"{USERS}/carl", RETITLE),
    "PATCH that prefers no answer": written("PATCH", f"{USERS}/carl", RETITLE, "Prefer: return=minimal"),
    "PUT": written("PUT", f"{USERS}/carl", ANNA.replace("anna", "carl")),
    "delete": written("DELETE", f"{USERS}/carl"),
    "a wrong token": written("GET", f"{USERS}/carl", token="wrong"),
    "a method that there is not": written("DELETE", USERS),
    "a path that there is not": written("GET", "/ecma2host_HR/scim/Nothing"),
    "another connector": written("GET", "/ecma2host_Other/scim/Users/carl"),
    "health": written("GET", "/healthz"),
    "a document": written("GET", "/ecma2host_HR/scim/ServiceProviderConfig"),
}


def without_chance(head, body):
    """Return an answer without what differs between two of the same; its header lines in no order."""
    line, *lines = re.sub(r"(?im)^(X-Request-Id|traceparent|Date): .*$", r"\1", head.strip()).split("\r\n")
    return line, sorted(line.strip() for line in lines), re.sub(rb"\(request \w+\)", b"", body)


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
async def test_a_whole_request_is_answered_as_one_that_comes_in_pieces(tmp_path, read, asked):
    answers = []
    for pieces in ([asked], [asked[:9], asked[9:]]):
        folder = tmp_path / str(len(pieces))
        folder.mkdir()
        async with serve(folder) as scim, connected(scim) as (reader, writer):
            scim.run("INSERT INTO Employees (Login, FirstName) VALUES ('carl', 'Carl')")
            for piece in pieces:
                writer.write(piece)
                while len(read) < len(pieces):  # noqa: ASYNC110 - so that the pieces arrive one by one
                    await asyncio.sleep(0)
            got = without_chance(*await whole_answer(reader))
            answers.append((got, scim.rows()))
    assert answers[0] == answers[1]
    assert read == [True, False]


async def test_one_connection_takes_whole_requests_and_others_in_turn(tmp_path, read):
    async with serve(tmp_path) as scim, connected(scim) as (reader, writer):
        for asked, expected in (
            (written("POST", USERS, ANNA), "201"),
            (written("GET", f"{USERS}/anna"), "200"),
            (written("GET", f"{USERS}/anna", "", "X: a", "X: b"), "200"),
            (written("DELETE", f"{USERS}/anna"), "204"),
            (written("GET", f"{USERS}/anna"), "404"),
        ):
            writer.write(asked)
            head, _ = await whole_answer(reader)
            assert head.startswith(f"HTTP/1.1 {expected} ")
    assert read == [True, True, False]


async def test_a_body_that_is_coded_is_aiohttps_to_decode(tmp_path):
    asked = written("POST", USERS, ANNA, "Content-Encoding: identity")
    async with serve(tmp_path) as scim, connected(scim) as (reader, writer):
        writer.write(asked)
        head, _ = await whole_answer(reader)
        assert head.startswith("HTTP/1.1 201 ")
        writer.write(written("POST", USERS, ANNA, "Content-Encoding: gzip"))
        head, _ = await whole_answer(reader)
        assert head.startswith("HTTP/1.1 400 ")


async def test_a_body_over_the_limit_is_refused(tmp_path, read):
    async with serve(tmp_path, limits={"body_bytes": 1024}) as scim, connected(scim) as (reader, writer):
        writer.write(written("POST", USERS, ANNA + " " * 1024))
        head, _ = await whole_answer(reader)
        assert head.startswith("HTTP/1.1 413 ")
        assert (read, scim.rows()) == ([True], [])


async def test_requests_that_do_not_wait_for_an_answer_are_answered_in_their_order(tmp_path, read):
    async with serve(tmp_path) as scim, connected(scim) as (reader, writer):
        writer.write(written("POST", USERS, ANNA))
        while not read:  # noqa: ASYNC110
            await asyncio.sleep(0)
        writer.write(written("GET", f"{USERS}/anna") + written("DELETE", f"{USERS}/anna"))
        found = [(await whole_answer(reader))[0].split()[1] for _ in range(3)]
        assert found == ["201", "200", "204"]
        assert scim.rows() == []


async def test_a_connection_that_is_idle_after_an_answer_is_closed(tmp_path, monkeypatch):
    monkeypatch.setattr(protocol, "IDLE_S", 0.3)
    async with serve(tmp_path) as scim, connected(scim) as (reader, writer):
        writer.write(written("GET", "/healthz"))
        await whole_answer(reader)
        async with asyncio.timeout(10):
            assert await reader.read() == b""


async def test_a_client_that_takes_nothing_is_hung_up_on(tmp_path, monkeypatch, read):
    lost = asyncio.Event()
    end = direct.DirectHandler.connection_lost
    monkeypatch.setattr(direct, "STALL_S", 0.2)
    monkeypatch.setattr(direct.DirectHandler, "connection_lost", lambda *them: (end(*them), lost.set()))
    async with serve(tmp_path) as scim:
        value = "x" * 60_000
        for number in range(100):
            scim.run("INSERT INTO Employees (Login, FirstName, LastName) VALUES (?, 'A', ?)", str(number), value)
        async with connected(scim) as (_, writer):
            writer.transport.pause_reading()
            async with asyncio.timeout(10):
                for asked in range(1, 10):  # the first of them are kept by the system and the loop
                    writer.write(written("GET", f"{USERS}?count=100"))
                    while len(read) < asked and not lost.is_set():  # noqa: ASYNC110
                        await asyncio.sleep(0)
                await lost.wait()
            assert 0 < len(read) < 9


async def test_a_client_whose_connection_is_aiohttps_and_that_takes_nothing_is_hung_up_on(tmp_path, monkeypatch):
    lost = asyncio.Event()
    end = direct.DirectHandler.connection_lost
    monkeypatch.setattr(direct, "STALL_S", 0.2)
    monkeypatch.setattr(direct.DirectHandler, "connection_lost", lambda *them: (end(*them), lost.set()))
    async with serve(tmp_path) as scim:
        for number in range(100):
            scim.run("INSERT INTO Employees (Login, FirstName, LastName) VALUES (?, 'A', ?)", str(number), "x" * 60_000)
        async with connected(scim) as (_, writer):
            writer.transport.pause_reading()
            listing = written("GET", f"{USERS}?count=100")
            writer.write(listing[:20])
            await asyncio.sleep(0.1)
            writer.write(listing[20:] + 9 * listing)  # the first of them are kept by the system and the loop
            async with asyncio.timeout(10):
                await lost.wait()


async def test_a_connection_whose_answer_takes_long_is_not_idle(tmp_path, monkeypatch):
    monkeypatch.setattr(protocol, "IDLE_S", 0.1)
    async with serve(tmp_path) as scim:
        await scim.get("/Users")
        async with connected(scim) as (reader, writer):
            other = sqlite3.connect(scim.database, isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            asyncio.get_running_loop().call_later(0.5, other.execute, "ROLLBACK")
            writer.write(written("POST", USERS, ANNA))
            head, _ = await whole_answer(reader)
            assert head.startswith("HTTP/1.1 201 ")
            other.close()
