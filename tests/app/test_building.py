"""A connector is built with its share of what may be asked of a database, and not where its tokens cannot be read."""

import sqlite3
from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from connector_host.app.building import Builder
from connector_host.connectors.contract import Add, Query
from connector_host.connectors.sql import pacing
from connector_host.errors import ConfigurationError
from connector_host.observability.metrics import Metrics
from connector_host.settings import AuditSettings, SqlSettings


@pytest.fixture
def pauses(monkeypatch):
    """Return the pauses that were made for the sake of the database, which nobody waits for."""
    made = []
    monkeypatch.setattr(pacing, "time", SimpleNamespace(sleep=made.append))
    return made


@pytest.fixture
def settings(tmp_path):
    """Return settings for a table, with what is given beside it."""
    with sqlite3.connect(tmp_path / "hr.db") as connection:
        connection.execute("CREATE TABLE people (login TEXT PRIMARY KEY NOT NULL, name TEXT)")
    connection.close()
    fixed = {"database": f"sqlite:///{tmp_path / 'hr.db'}", "table": "people", "anchor": "login"}
    return lambda **given: SqlSettings(**fixed, **given)


async def export_twice(connector):
    for login in ("ann", "bob"):
        await connector.export(Add({"login": login, "name": "x"}))


async def search_twice(connector):
    for _ in range(2):
        await connector.search(Query())


@pytest.mark.parametrize(
    ("rate", "ask"), [({"exports_per_s": 0.1}, export_twice), ({"reads_per_s": 0.1}, search_twice)]
)
@pytest.mark.parametrize("workers", [1, 4])
async def test_the_rates_of_a_connector_are_those_of_all_workers_together(settings, pauses, rate, ask, workers):
    connector = Builder(Metrics(), None, AuditSettings(), workers=workers).build("HR", settings(**rate)).connector
    await ask(connector)
    await connector.close()
    first = next(pause for pause in pauses if pause > 0)
    assert 10 * (workers - 1) < first <= 10 * workers


@pytest.mark.parametrize(("workers", "readers"), [(1, 5), (2, 2), (8, 1)])
async def test_the_connections_of_a_connector_are_those_of_all_workers_together(settings, workers, readers):
    metrics = Metrics()
    connector = Builder(metrics, None, AuditSettings(), workers=workers).build("HR", settings(readers=5)).connector
    text = metrics.text().decode()
    await connector.close()
    assert f'connector_host_database_connections_max{{connector="HR",purpose="reading"}} {readers}.0' in text


@pytest.mark.parametrize("content", [b"\xff\xfe", None])
def test_a_connector_whose_tokens_cannot_be_read_is_not_served(settings, tmp_path, content):
    file = tmp_path / "HR.tokens"
    file.mkdir() if content is None else file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"HR\.tokens: the tokens in it cannot be read \(.*\)\. Let the"):
        Builder(Metrics(), None, AuditSettings()).build("HR", settings(token_hash_file=file))


@pytest.mark.parametrize(("content", "told"), [("nonsense\n", ["tokens.unreadable"]), (None, [])])
async def test_a_line_that_is_no_token_is_told_at_once_and_stops_nobody(settings, tmp_path, content, told):
    file = tmp_path / "HR.tokens"
    if content is not None:
        file.write_text(content)
    with capture_logs() as lines:
        served = Builder(Metrics(), None, AuditSettings()).build("HR", settings(token_hash_file=file))
    await served.connector.close()
    assert [line["event"] for line in lines] == told
