"""A client that hangs up, or a time limit, never stops an export half-way; what is answered stays true."""

from __future__ import annotations

import asyncio
import sqlite3

import aiohttp
import pytest

from connector_host import clock
from connector_host.endpoint import operations as endpoint_operations
from tests.endpoint.service import TOKEN, serve

USER = {"userName": "anna", "name": {"givenName": "Anna"}}


@pytest.fixture
def locked(scim):
    """Hold the database's write lock, as a backup or another program would."""
    connection = sqlite3.connect(scim.database, isolation_level=None, check_same_thread=False)
    connection.execute("BEGIN IMMEDIATE")
    yield connection
    connection.close()


async def test_a_client_that_hangs_up_does_not_undo_its_export(scim, locked):
    url = f"{scim.origin}{scim.base}/Users"
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with pytest.raises(TimeoutError):
        await scim.session.post(url, json=USER, headers=headers, timeout=aiohttp.ClientTimeout(total=0.3))
    locked.execute("ROLLBACK")
    while not scim.rows():  # noqa: ASYNC110 - a file of another connection tells nobody
        await asyncio.sleep(0.01)
    assert [row["Login"] for row in scim.rows()] == ["anna"]


async def test_an_export_that_is_not_committed_in_time_is_answered_as_unknown_and_goes_on(tmp_path):
    async with serve(tmp_path, limits={"request_s": 0.3}) as scim:
        await scim.get("/Users")
        connection = sqlite3.connect(scim.database, isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        answer = await scim.post(USER)
        assert (answer.status, answer.body["status"]) == (504, "504")
        assert "may or may not" in answer.body["detail"]
        assert scim.rows() == []
        connection.execute("ROLLBACK")
        connection.close()
        while not scim.rows():  # noqa: ASYNC110 - a file of another connection tells nobody
            await asyncio.sleep(0.01)


async def test_a_service_that_stops_finishes_the_exports_in_hand(tmp_path):
    async with serve(tmp_path) as scim:
        await scim.get("/Users")
        connection = sqlite3.connect(scim.database, isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(TimeoutError):
            await scim.session.post(
                f"{scim.origin}{scim.base}/Users",
                json=USER,
                headers={"Authorization": f"Bearer {TOKEN}"},
                timeout=aiohttp.ClientTimeout(total=0.3),
            )
        asyncio.get_running_loop().call_later(0.2, connection.execute, "ROLLBACK")
    assert [row["Login"] for row in scim.rows()] == ["anna"]
    connection.close()


async def test_a_bulk_request_that_runs_out_of_time_says_of_each_operation_what_is_known(tmp_path):
    async with serve(tmp_path, limits={"request_s": 0.5}) as scim:
        await scim.get("/Users")
        connection = sqlite3.connect(scim.database, isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        operations = [
            {"method": "POST", "path": "/Users", "bulkId": str(number), "data": {**USER, "userName": f"u{number}"}}
            for number in range(3)
        ]
        answer = await scim.call("POST", "/Bulk", {"Operations": operations, "failOnErrors": 9})
        connection.execute("ROLLBACK")
        connection.close()
        assert answer.status == 200
        assert [operation["status"] for operation in answer.body["Operations"]] == ["504", "503", "503"]
        while not scim.rows():  # noqa: ASYNC110 - a file of another connection tells nobody
            await asyncio.sleep(0.01)
    assert [row["Login"] for row in scim.rows()] == ["u0"]


async def test_a_bulk_request_whose_reads_hang_says_of_each_operation_what_is_known(tmp_path):
    async with serve(tmp_path, delete={"action": "none"}, limits={"request_s": 0.5}) as scim:
        await scim.post(USER)
        connection = sqlite3.connect(scim.database, isolation_level=None)
        connection.execute("BEGIN EXCLUSIVE")
        operations = [{"method": "DELETE", "path": f"/Users/{name}"} for name in ("anna", "berta")]
        operations.append({"method": "POST", "path": "/Users"})
        answer = await scim.call("POST", "/Bulk", {"Operations": operations})
        connection.execute("ROLLBACK")
        connection.close()
        assert answer.status == 200
        assert [operation["status"] for operation in answer.body["Operations"]] == ["503", "503", "400"]


async def test_a_bulk_request_begins_with_nothing_once_its_time_is_nearly_over(tmp_path, monkeypatch):
    async with serve(tmp_path) as scim:
        await scim.get("/Users")
        began_s, took_s = clock.monotonic_s(), iter([0.0, 10.0, 29.0])
        create = endpoint_operations.create

        async def slowly(call, body):
            created = await create(call, body)
            now_s = began_s + next(took_s)
            monkeypatch.setattr(clock, "monotonic_s", lambda: now_s)
            return created

        monkeypatch.setattr(endpoint_operations, "create", slowly)
        operations = [
            {"method": "POST", "path": "/Users", "bulkId": str(number), "data": {**USER, "userName": f"u{number}"}}
            for number in range(5)
        ]
        answer = await scim.call("POST", "/Bulk", {"Operations": operations, "failOnErrors": 9})
        told = [
            (operation["status"], operation.get("response", {}).get("detail", ""))
            for operation in answer.body["Operations"]
        ]
        assert [status for status, _ in told] == ["201", "201", "201", "503", "503"]
        assert "nothing was done" in told[-1][1]
        assert len(scim.rows()) == 3


async def test_what_was_not_begun_in_time_is_answered_as_not_done(tmp_path):
    async def slowly():
        yield b'{"userName": "anna", '
        await asyncio.sleep(0.6)
        yield b'"name": {"givenName": "Anna"}}'

    async with serve(tmp_path, limits={"request_s": 0.5}) as slow:
        answer = await slow.call("POST", "/Users", data=slowly())
        assert answer.status in (408, 503)
        assert slow.rows() == []
