"""What a busy database means to clients: 503 with a time to come back, and nobody starved by somebody else's Bulk."""

from __future__ import annotations

import asyncio
import sqlite3

import pytest

from connector_host.connectors.origins import current_origin
from connector_host.connectors.sql import writers
from tests.endpoint.service import serve

BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"


def body(number):
    return {"userName": f"user{number}", "name": {"givenName": "x"}}


def bulk(count):
    return {
        "schemas": [BULK],
        "Operations": [
            {"method": "POST", "path": "/Users", "bulkId": f"b{number}", "data": body(number)}
            for number in range(count)
        ],
    }


@pytest.fixture
async def scim(tmp_path):
    async with serve(tmp_path) as service:
        await service.get("/Users")
        yield service


@pytest.fixture
def held(scim):
    other = sqlite3.connect(scim.database, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    yield other
    if other.in_transaction:
        other.execute("ROLLBACK")
    other.close()


async def test_a_full_queue_is_503_with_a_time_to_come_back(scim, held, monkeypatch):
    monkeypatch.setattr(writers, "QUEUE_MAX", 3)
    waiting = [asyncio.create_task(scim.post(body(number))) for number in range(12)]
    await asyncio.sleep(0.5)
    held.execute("ROLLBACK")
    answers = await asyncio.gather(*waiting)
    refused = [answer for answer in answers if answer.status == 503]
    assert refused
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer in refused)
    done = [answer for answer in answers if answer.status == 201]
    assert len(done) + len(refused) == 12
    assert len(scim.rows()) == len(done)


async def test_a_bulk_request_waits_in_a_lane_of_its_own(scim, monkeypatch):
    origins = []
    export = scim.served.connector.export

    async def watched(one):
        origins.append(current_origin())
        return await export(one)

    monkeypatch.setattr(scim.served.connector, "export", watched)
    await scim.post(body(100))
    await scim.call("POST", "/Bulk", bulk(3))
    await scim.call("POST", "/Bulk", bulk(1))
    single, *many, other = origins
    assert len(set(many)) == 1
    assert len({single, many[0], other}) == 3
