"""Anybody may ask whether the host is ready, and however many do, the database hardly notices."""

import asyncio
import re

import pytest

from connector_host.access.tokens import hash_token
from connector_host.app.building import Builder
from connector_host.endpoint.health import Readiness
from connector_host.observability.metrics import Metrics
from connector_host.settings import AuditSettings, SqlSettings
from tests.endpoint.service import TOKEN
from tests.folders import Folder


@pytest.fixture
async def looked_at(tmp_path):
    """Return one connector as it is served, and what tells how often its database was read."""
    folder, metrics = Folder(tmp_path), Metrics()
    given = {"database": folder.url, "table": "Employees", "anchor": "ContosoLogin", "attributes": {}}
    settings = SqlSettings.model_validate(given | {"token_hashes": [hash_token(TOKEN)]})
    served = {"HR": Builder(metrics, None, AuditSettings()).build("HR", settings)}
    yield served, lambda: _reads(metrics)
    await served["HR"].connector.close()


def _reads(metrics):
    found = re.search(r'operation_seconds_count\{[^}]*operation="read"[^}]*\} (\S+)', metrics.text().decode())
    return int(float(found.group(1)))


async def test_all_who_ask_at_once_are_answered_by_one_look(looked_at):
    served, reads = looked_at
    readiness = Readiness(fresh_s=0.0)
    assert await asyncio.gather(*(readiness.count(served) for _ in range(20))) == [1] * 20
    assert reads() == 1


@pytest.mark.parametrize(("fresh_s", "looks"), [(3_600.0, 1), (0.0, 2)])
async def test_one_look_is_good_for_a_moment(looked_at, fresh_s, looks):
    served, reads = looked_at
    readiness = Readiness(fresh_s=fresh_s)
    assert [await readiness.count(served) for _ in range(2)] == [1, 1]
    assert reads() == looks


async def test_a_connector_that_is_exchanged_is_looked_at_anew(looked_at):
    served, _ = looked_at
    readiness = Readiness(fresh_s=3_600.0)
    assert await readiness.count(served) == 1
    assert await readiness.count({}) == 0
