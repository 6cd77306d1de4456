"""A stop closes every connector, and what cannot be closed keeps nothing else from ending."""

import asyncio
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from connector_host.app import reloading
from connector_host.app.building import Builder
from connector_host.app.reloading import Reloading
from connector_host.connectors.contract import Add
from connector_host.connectors.errors import ConnectorError, Unavailable
from connector_host.endpoint.outcomes import Outcomes
from connector_host.observability.audit import AuditTrail
from connector_host.observability.metrics import Metrics
from connector_host.service.leaving import threads_ended
from connector_host.settings import load


@pytest.fixture
def started(configured):
    """Return what takes over changes of a folder's file, with every connector of it."""
    path = configured.path / "connector-host.toml"
    configuration = load(path)
    builder = Builder(Metrics(), None, configuration.audit)
    served = {name: builder.build(name, one) for name, one in configuration.connectors.items()}
    return Reloading(path, configuration, builder, served)


async def test_connectors_that_hang_take_no_thread_that_the_rest_of_the_stop_needs(started, tmp_path, monkeypatch):
    monkeypatch.setattr(reloading, "CLOSE_S", 0.1)
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))  # as many threads as connectors that hang
    held = threading.Event()
    trail = AuditTrail(tmp_path / "audit", rotate_bytes=1_000_000, keep_files=0)
    outcomes = Outcomes(tmp_path / "outcomes.sqlite3")
    connector = started.served["Employees"].connector
    await connector.describe()
    with closing(sqlite3.connect(tmp_path / "contoso.sqlite", isolation_level=None)) as locked, capture_logs() as lines:
        locked.execute("BEGIN IMMEDIATE")
        export = asyncio.create_task(connector.export(Add({"ContosoLogin": "ann", "FirstName": "A", "LastName": "B"})))
        await asyncio.sleep(0)
        await started.close()
        await asyncio.to_thread(held.clear)
        assert not export.done(), "a thread of the loop waited for the database"
        waiting = asyncio.create_task(asyncio.to_thread(held.wait, 60))  # as a rehearsal that hangs keeps one
        async with asyncio.timeout(20):
            await trail.close()
            await outcomes.close()
        held.set()
        await waiting
        assert not await threads_ended()
    with suppress(ConnectorError):
        await export
    assert [line["connector"] for line in lines if line["event"] == "connector.left"] == ["Employees"]


async def test_a_connector_that_cannot_be_closed_is_named_and_the_others_are_closed(started):
    async def fail():
        raise OSError

    broken = SimpleNamespace(name="Broken", connector=SimpleNamespace(close=fail))
    good = started.served.pop("Employees")
    started.served |= {"Broken": broken, "Employees": good}
    with capture_logs() as lines:
        await started.close()
    assert [(line["event"], line["connector"], line["reason"]) for line in lines] == [
        ("connector.left", "Broken", "closing it failed")
    ]
    with pytest.raises(Unavailable, match="stopping"):
        await good.connector.describe()


async def test_a_stop_gives_exports_the_time_of_every_connector_that_may_have_one(started, configured):
    text = configured.read("connector-host.toml")
    stop_s = started.configuration.host.stop_s
    limits = []
    for statement_s, other in (("40", "stop_s = 1"), ("50", "stop_s = 99"), ("7", "")):
        changed = text.replace("\ntable =", f"\nstatement_s = {statement_s}\ntable =")
        configured.write("connector-host.toml", changed.replace("[host]\n", f"[host]\n{other}\n"))
        assert (await started.reload()).failure == ""
        limits.append(started.stop_max_s - stop_s)
    await started.close()
    # What was exchanged may still have an export in hand; `stop_s` changes at a restart only.
    assert limits == [40, 50, 50]
