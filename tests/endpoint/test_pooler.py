"""A pooler that begins to give sessions to others while the host runs: each write is answered that nothing was done."""

from __future__ import annotations

from contextlib import contextmanager

import psycopg
import pytest

from connector_host.endpoint.outcomes import Outcomes
from tests.endpoint.service import EMPLOYEES, serve

KEY = {"Idempotency-Key": "a-key-1"}
BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"


def user(login):
    return {"userName": login, "name": {"givenName": "G"}, "active": True}


@contextmanager
def sharing(pgbouncer):
    """Have the pool of sessions share them meanwhile; whoever is connected has to connect anew, before and after."""
    file = pgbouncer.folder / "pgbouncer.ini"
    text = file.read_text()
    pgbouncer.kill()
    file.write_text(text.replace("pool_mode=session", "pool_mode=transaction"))
    pgbouncer.start()
    try:
        yield
    finally:
        pgbouncer.kill()
        file.write_text(text)
        pgbouncer.start()


@pytest.fixture
async def scim(pgbouncer, tmp_path):
    with psycopg.connect(pgbouncer.url("session"), password=pgbouncer.password) as connection:
        connection.execute("DROP TABLE IF EXISTS employees")
        connection.execute(EMPLOYEES.replace("DEFAULT 1", "DEFAULT true"))
    secret = tmp_path / "password"
    secret.write_text(pgbouncer.password)
    secret.chmod(0o600)
    place = {
        "database": pgbouncer.url("session"),
        "password_file": str(secret),
        "table": "employees",
        "anchor": "login",
    }
    outcomes = Outcomes(tmp_path / "outcomes.sqlite3")
    mapping = {"login": "userName", "firstname": "name.givenName", "enabled": "active"}
    async with serve(tmp_path, outcomes=outcomes, attributes=mapping, **place) as service:
        yield service
    await outcomes.close()


async def test_a_write_may_be_sent_again_once_the_pooler_is_mended(scim, pgbouncer):
    assert (await scim.get("/Users")).status == 200
    with sharing(pgbouncer):
        refused = await scim.post(user("anna"), headers=KEY)
        assert (refused.status, refused.headers["Retry-After"]) == (503, "60")
    assert (await scim.post(user("anna"), headers=KEY)).status == 201


async def test_each_operation_of_a_bulk_request_is_answered(scim, pgbouncer):
    assert (await scim.get("/Users")).status == 200
    operations = [{"method": "POST", "path": "/Users", "bulkId": name, "data": user(name)} for name in ("anna", "ben")]
    with sharing(pgbouncer):
        answer = await scim.call("POST", "/Bulk", {"schemas": [BULK], "Operations": operations})
    assert answer.status == 200
    assert [operation["status"] for operation in answer.body["Operations"]] == ["503", "503"]
