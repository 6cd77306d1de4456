"""Exports outlive their requests: what is told of them at a time limit, and at a stop."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import asynccontextmanager, contextmanager

import pytest

from connector_host.connectors.contract import Add
from connector_host.connectors.errors import InDoubt
from connector_host.connectors.registry import open_connector
from connector_host.deadlines import Deadlines
from connector_host.endpoint.exports import Exports
from connector_host.observability.audit import AuditTrail
from connector_host.observability.audit_reading import read
from connector_host.oversight.audited import Audited, Disclosure
from connector_host.settings import SqlSettings

ANNA = Add({"login": "anna"})


@asynccontextmanager
async def opened(file):
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE users (login varchar(20) NOT NULL UNIQUE)")
    connection.close()
    connector = open_connector("HR", SqlSettings(database=f"sqlite:///{file}", table="users", anchor="login"))
    await connector.describe()
    yield connector
    await connector.close()


@contextmanager
def locked(file):
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


async def test_an_export_that_begins_during_a_stop_has_its_time_too(tmp_path):
    exports = Exports(Deadlines())
    async with opened(tmp_path / "one.db") as one, opened(tmp_path / "two.db") as two:
        with locked(tmp_path / "two.db"):
            with locked(tmp_path / "one.db"):
                first = asyncio.create_task(exports.carry_out(one, ANNA, 20))
                await asyncio.sleep(0.1)
                stop = asyncio.create_task(exports.finish(20))
                await asyncio.sleep(0.1)
                second = asyncio.create_task(exports.carry_out(two, ANNA, 20))
                await asyncio.sleep(0.1)
            assert (await first).written
            await asyncio.sleep(0.1)
            assert not stop.done()
        assert (await second).written
        await stop


async def test_an_export_that_ends_nowhere_is_given_up_at_the_end_of_a_stop(tmp_path):
    exports = Exports(Deadlines())
    async with opened(tmp_path / "one.db") as one:
        with locked(tmp_path / "one.db"):
            first = asyncio.create_task(exports.carry_out(one, ANNA, 20))
            await asyncio.sleep(0.1)
            await exports.finish(0.1)
            with pytest.raises(InDoubt, match="stopped"):
                await first


async def test_an_export_is_unknown_where_two_deadlines_pass_while_the_loop_is_held_up(tmp_path):
    deadlines = Deadlines()
    exports = Exports(deadlines)

    async def asked(connector):
        with deadlines.within(0.3):
            await exports.carry_out(connector, ANNA, 0.2)

    async with opened(tmp_path / "one.db") as one:
        with locked(tmp_path / "one.db"):
            asking = asyncio.create_task(asked(one))
            asyncio.get_running_loop().call_later(0.05, time.sleep, 0.5)
            with pytest.raises(InDoubt, match="time limit"):
                await asking
        await exports.finish()


async def test_an_export_that_is_given_up_is_in_the_audit_trail_however_long_the_database_says_nothing(tmp_path):
    exports = Exports(Deadlines())
    trail = AuditTrail(tmp_path / "audit", rotate_bytes=1_000_000, keep_files=0)
    async with opened(tmp_path / "one.db") as one:
        with locked(tmp_path / "one.db"):
            asked = asyncio.create_task(exports.carry_out(Audited(one, trail, Disclosure()), ANNA, 20))
            await asyncio.sleep(0.1)
            one._discovered_s = float("-inf")  # whoever asks what the table is like has to look at it first
            await exports.finish(0.1)
            [(_, record)] = read(tmp_path / "audit")
            with pytest.raises(InDoubt):
                await asked
    await trail.close()
    assert (record["operation"], record["outcome"]) == ("add", "InDoubt")
