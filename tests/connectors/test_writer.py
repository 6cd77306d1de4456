"""The writer (DESIGN §4): what waits together is committed together, and what waits too long is withdrawn."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from contextlib import closing
from itertools import pairwise

import pytest
from sqlalchemy import event

from connector_host import clock
from connector_host.connectors.contract import Add, Modify
from connector_host.connectors.errors import Busy, Conflict, ConnectorError, Unavailable
from connector_host.connectors.registry import open_connector
from connector_host.connectors.sql import writers
from connector_host.deadlines import Deadlines
from connector_host.endpoint.exports import Exports
from connector_host.settings import SqlSettings


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "hr.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE users (login varchar(20) NOT NULL UNIQUE, name varchar(20))")
    connection.close()
    return path


@pytest.fixture
async def connector(file):
    opened = open_connector("HR", settings(file))
    await opened.describe()
    yield opened
    await opened.close()


def settings(file, **changes):
    return SqlSettings(database=f"sqlite:///{file}", table="users", anchor="login", **changes)


@pytest.fixture
def held(file):
    """The database, locked by somebody else."""
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    yield other
    if other.in_transaction:
        other.execute("ROLLBACK")
    other.close()


def commits_of(connector):
    counted = []
    event.listen(connector._writing, "commit", counted.append)
    return counted


def user(number):
    return Add({"login": f"user{number}", "name": "x"})


async def test_exports_that_wait_together_share_one_commit(connector, held):
    commits = commits_of(connector)
    waiting = [asyncio.create_task(connector.export(user(number))) for number in range(40)]
    await asyncio.sleep(0.1)  # the first of them waits for the lock, the others in the queue
    held.execute("ROLLBACK")
    assert all(done.written for done in await asyncio.gather(*waiting))
    assert len(commits) <= 2


async def test_exports_of_one_turn_of_the_event_loop_share_one_commit(connector):
    commits = commits_of(connector)
    first = asyncio.create_task(connector.export(user(1)))
    asyncio.get_running_loop().call_soon(time.sleep, 0.05)  # the writer would have begun by the end of it
    second = asyncio.create_task(connector.export(user(2)))
    await asyncio.gather(first, second)
    assert len(commits) == 1


async def test_an_idle_writer_commits_each_export_by_itself(connector):
    commits = commits_of(connector)
    for number in range(5):
        await connector.export(user(number))
    assert len(commits) == 5


async def test_nobody_hears_success_before_the_commit(connector, file):
    order = []
    event.listen(connector._writing, "commit", lambda _: order.append("commit"))

    async def one(number):
        await connector.export(user(number))
        order.append("heard")

    await asyncio.gather(*(one(number) for number in range(20)))
    assert order[0] == "commit"
    assert all(not (before == "begin" and after == "heard") for before, after in pairwise(order))
    with sqlite3.connect(file) as other:
        assert other.execute("SELECT count(*) FROM users").fetchone() == (20,)
    other.close()


async def test_a_bad_export_among_many_is_alone_in_failing(connector, held):
    waiting = [asyncio.create_task(connector.export(user(number % 10))) for number in range(30)]
    await asyncio.sleep(0.1)
    held.execute("ROLLBACK")
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 20


async def test_an_export_that_waited_too_long_is_withdrawn_and_not_run(connector, held, file, monkeypatch):
    first = asyncio.create_task(connector.export(user(1)))
    await asyncio.sleep(0.1)
    late = asyncio.create_task(connector.export(user(2)))
    await asyncio.sleep(0.1)
    now_s = clock.monotonic_s()
    monkeypatch.setattr(clock, "monotonic_s", lambda: now_s + 1_000)
    held.execute("ROLLBACK")
    await first
    with pytest.raises(Busy, match="nothing was done"):
        await late
    with sqlite3.connect(file) as other:
        assert other.execute("SELECT login FROM users").fetchall() == [("user1",)]
    other.close()


async def test_an_export_that_waits_too_long_is_withdrawn_while_its_writer_is_held_up(file, held):
    connector = open_connector("HR", settings(file, limits={"request_s": 0.5}))
    held.execute("ROLLBACK")
    await connector.describe()
    held.execute("BEGIN EXCLUSIVE")
    first = asyncio.create_task(connector.export(user(1)))
    await asyncio.sleep(0.1)
    with pytest.raises(Busy, match="nothing was done"):
        await connector.export(user(2))
    assert held.in_transaction
    held.execute("ROLLBACK")
    await first
    await connector.close()
    with sqlite3.connect(file) as other:
        assert other.execute("SELECT login FROM users").fetchall() == [("user1",)]
    other.close()


class Slow:
    """Holds up the statement that writes one user by itself, as a lock or a trigger does, until it is let go."""

    def __init__(self, connector, name):
        self.name, self.reached, self.go = name, threading.Event(), threading.Event()
        event.listen(connector._writing, "before_cursor_execute", self._look)

    def _look(self, _connection, _cursor, _statement, parameters, *_):
        if self.name in parameters and not any(
            f"user{number}" in parameters for number in (1, 2, 3) if f"user{number}" != self.name
        ):
            self.reached.set()
            self.go.wait(30)


async def group_of(connector, held, *numbers):
    """Return the exports that wait for one writer, once it goes on with all of them together."""
    tasks = [asyncio.create_task(connector.export(user(number))) for number in numbers]
    await asyncio.sleep(0.1)
    held.execute("ROLLBACK")
    return tasks


async def test_an_export_of_a_group_whose_turn_does_not_come_in_time_is_withdrawn_as_not_done(file, held):
    connector = open_connector("HR", settings(file, limits={"request_s": 2}))
    held.execute("ROLLBACK")
    await connector.describe()
    await connector.export(user(1))
    held.execute("BEGIN EXCLUSIVE")
    slow = Slow(connector, "user2")
    again, second, third = await group_of(connector, held, 1, 2, 3)
    with pytest.raises(Busy, match="nothing was done"):
        await third
    assert slow.reached.is_set()
    assert not second.done()
    slow.go.set()
    assert (await second).written
    assert isinstance((await asyncio.gather(again, return_exceptions=True))[0], Conflict)
    await connector.close()
    with sqlite3.connect(file) as other:
        assert other.execute("SELECT login FROM users ORDER BY 1").fetchall() == [("user1",), ("user2",)]
    other.close()


async def test_what_was_committed_by_itself_is_told_before_the_rest_of_its_group_is_done(tmp_path):
    with closing(sqlite3.connect(tmp_path / "hr.db", isolation_level=None)) as held:
        held.execute(
            "CREATE TABLE users (login varchar(20) NOT NULL UNIQUE, name varchar(20) "
            "REFERENCES users (login) DEFERRABLE INITIALLY DEFERRED)"
        )
        connector = open_connector("HR", settings(tmp_path / "hr.db"))
        await connector.describe()
        held.execute("BEGIN EXCLUSIVE")
        slow = Slow(connector, "user4")
        # Of the first one the database says at the commit that it cannot be, and then each is run alone.
        exports = [Add({"login": f"user{number}", "name": name}) for number, name in ((1, "x"), (2, None), (4, None))]
        tasks = [asyncio.create_task(connector.export(export)) for export in exports]
        await asyncio.sleep(0.1)
        held.execute("ROLLBACK")
        async with asyncio.timeout(10):
            with pytest.raises(ConnectorError):
                await tasks[0]
            assert (await tasks[1]).written
        assert not tasks[2].done()
        slow.go.set()
        assert (await tasks[2]).written
        await connector.close()


async def test_an_export_is_withdrawn_before_the_time_of_its_request_is_over(connector, held):
    exports = Exports(Deadlines())
    first = asyncio.create_task(connector.export(user(1)))
    await asyncio.sleep(0.1)
    with pytest.raises(Busy, match="nothing was done"):
        await exports.carry_out(connector, user(2), 1)
    held.execute("ROLLBACK")
    await first
    await exports.finish(None)


async def test_exports_that_were_given_up_take_none_of_the_pace(file):
    connector = open_connector("HR", settings(file, exports_per_s=10, limits={"request_s": 5}))
    await connector.describe()
    given_up = [asyncio.create_task(connector.export(user(number))) for number in range(100)]
    await asyncio.sleep(0.1)
    for task in given_up:
        task.cancel()
    # All of them would take ten seconds, longer than anybody waits.
    assert (await connector.export(user(100))).written
    await connector.close()


async def test_an_export_whose_caller_gave_up_while_it_waited_is_not_run(connector, held, file):
    first = asyncio.create_task(connector.export(user(1)))
    await asyncio.sleep(0.1)
    given_up = asyncio.create_task(connector.export(user(2)))
    await asyncio.sleep(0.1)
    given_up.cancel()
    await asyncio.sleep(0)
    held.execute("ROLLBACK")
    await first
    await connector.export(Modify("user1", lambda _: {"name": "y"}))
    with sqlite3.connect(file) as other:
        assert other.execute("SELECT login FROM users").fetchall() == [("user1",)]
    other.close()


async def test_a_full_queue_turns_exports_away_as_busy(file, held, monkeypatch):
    monkeypatch.setattr(writers, "QUEUE_MAX", 3)
    connector = open_connector("HR", settings(file))
    held.execute("ROLLBACK")
    await connector.describe()
    held.execute("BEGIN EXCLUSIVE")
    waiting = [asyncio.create_task(connector.export(user(0)))]
    await asyncio.sleep(0.1)
    waiting += [asyncio.create_task(connector.export(user(number))) for number in range(1, 6)]
    await asyncio.sleep(0.1)
    held.execute("ROLLBACK")
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    turned_away = [outcome for outcome in outcomes if isinstance(outcome, Busy)]
    assert len(turned_away) == 2
    assert turned_away[0].retry_after_s > 0
    await connector.close()


async def test_closing_finishes_what_is_queued(file):
    connector = open_connector("HR", settings(file))
    await connector.describe()
    waiting = [asyncio.create_task(connector.export(user(number))) for number in range(20)]
    await asyncio.sleep(0)
    await connector.close()
    assert all(done.written for done in await asyncio.gather(*waiting))


async def test_a_fragile_database_is_given_so_many_exports_in_a_second(file):
    connector = open_connector("HR", settings(file, exports_per_s=40))
    await connector.describe()
    began = clock.monotonic_s()
    await asyncio.gather(*(connector.export(user(number)) for number in range(60)))
    # 40 at once, and the other 20 take half a second: a slow machine takes longer, never less.
    assert clock.monotonic_s() - began > 0.4
    await connector.close()


async def test_without_a_limit_nobody_waits(connector):
    began = clock.monotonic_s()
    await asyncio.gather(*(connector.export(user(number)) for number in range(60)))
    assert clock.monotonic_s() - began < 3


async def test_what_comes_after_closing_is_turned_away_and_does_not_hang(file):
    connector = open_connector("HR", settings(file))
    await connector.describe()
    await connector.close()
    with pytest.raises(Unavailable, match="stopping"):
        await connector.export(user(1))
    with pytest.raises(Unavailable, match="stopping"):
        await connector.read("user1")
