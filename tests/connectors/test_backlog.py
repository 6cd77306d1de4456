"""Which writer goes on with what waits: one with all of it, and others where that one is held up."""

from __future__ import annotations

import asyncio
import threading

import pytest

from connector_host.connectors.contract import Add, Modify
from connector_host.connectors.errors import NotFound
from connector_host.connectors.registry import open_connector
from connector_host.connectors.sql.backlog import HELP_S, Backlog
from connector_host.connectors.sql.jobs import Job
from connector_host.settings import SqlSettings
from tests.servers import PASSWORD

LIMIT_S = 10


def job(name, *keys, apart=False):
    return Job(name, None, None, 0.0, "", keys, apart)


def names(group):
    return [one.export for one in group]


class Writer:
    """A thread that takes groups and says so, and goes on with the next when it is told."""

    def __init__(self, backlog):
        self.groups, self.news, self.finish = [], threading.Condition(), threading.Semaphore(0)
        self._backlog, self._seat = backlog, backlog.seat()
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        while group := self._backlog.take(self._seat, lambda: 8):
            with self.news:
                self.groups.append(names(group))
                self.news.notify_all()
            self.finish.acquire()

    def took(self, count):
        with self.news:
            return self.news.wait_for(lambda: len(self.groups) >= count, LIMIT_S)


def said(backlog, *jobs):
    for one in jobs:
        backlog.put(one, 100)
    backlog.tell()


def any_took(writers, count):
    """Return the groups of all once there are so many."""
    for _ in range(1_000):
        groups = [group for writer in writers for group in writer.groups]
        if len(groups) >= count:
            return groups
        threading.Event().wait(LIMIT_S / 1_000)
    return groups


def ended(backlog, writers):
    backlog.close()
    for writer in writers:
        writer.finish.release(100)
        writer.thread.join(LIMIT_S)
    return not any(writer.thread.is_alive() for writer in writers)


def test_what_waits_when_the_backlog_is_closed_is_still_taken():
    backlog = Backlog()
    backlog.put(job("a"), 8)
    backlog.close()
    seat = backlog.seat()
    assert names(backlog.take(seat, lambda: 4)) == ["a"]
    assert backlog.take(seat, lambda: 4) == []


def test_a_writer_waits_until_something_comes():
    backlog = Backlog()
    writer = Writer(backlog)
    said(backlog, job("a"))
    assert writer.took(1)
    assert ended(backlog, [writer])


def test_what_comes_while_a_writer_is_at_work_waits_for_it(monkeypatch):
    monkeypatch.setattr("connector_host.connectors.sql.backlog.HELP_S", 1_000)
    backlog = Backlog()
    writers = [Writer(backlog), Writer(backlog)]
    said(backlog, job("a"))
    assert any_took(writers, 1) == [["a"]]
    (first,) = (writer for writer in writers if writer.groups)
    for name in "bcd":
        said(backlog, job(name))
    first.finish.release()
    assert first.took(2)
    assert first.groups == [["a"], ["b", "c", "d"]]
    assert ended(backlog, writers)


def test_another_writer_goes_on_where_one_is_held_up():
    backlog = Backlog()
    writers = [Writer(backlog), Writer(backlog), Writer(backlog)]
    said(backlog, job("a"))
    assert any_took(writers, 1)
    said(backlog, job("b"))
    assert sorted(any_took(writers, 2)) == [["a"], ["b"]]
    said(backlog, job("c"))
    assert sorted(any_took(writers, 3)) == [["a"], ["b"], ["c"]]
    assert ended(backlog, writers)


def test_what_is_more_than_one_group_is_helped_with_after_a_while():
    backlog = Backlog()
    writers = [Writer(backlog), Writer(backlog)]
    said(backlog, *(job(number) for number in range(12)))
    assert sorted(any_took(writers, 2)) == [list(range(8)), list(range(8, 12))]
    assert ended(backlog, writers)


def test_exports_of_one_anchor_are_never_in_two_hands():
    backlog = Backlog()
    writers = [Writer(backlog), Writer(backlog)]
    said(backlog, job("first", "a"))
    assert any_took(writers, 1) == [["first"]]
    (first,) = (writer for writer in writers if writer.groups)
    (second,) = (writer for writer in writers if not writer.groups)
    said(backlog, job("second", "a"), job("other", "b"), job("third", "c", "a"))
    assert second.took(1)
    assert second.groups == [["other"]]
    first.finish.release()
    assert sorted(any_took(writers, 3)) == [["first"], ["other"], ["second", "third"]]
    assert ended(backlog, writers)


def test_no_export_overtakes_one_of_its_anchor_that_has_to_wait():
    backlog = Backlog()
    first, second = backlog.seat(), backlog.seat()
    said(backlog, job("add b", "creations", "b"))
    assert names(backlog.take(first, lambda: 8)) == ["add b"]
    said(backlog, job("add a", "creations", "a"), job("change a", "a"), job("change c", "c", apart=True))
    assert names(backlog.take(second, lambda: 8)) == ["change c"]
    assert names(backlog.take(first, lambda: 8)) == ["add a", "change a"]


def test_what_goes_apart_is_in_no_group():
    backlog = Backlog()
    seat = backlog.seat()
    said(backlog, job("a"), job("apart", "x", apart=True), job("after it", "x"), job("b"))
    assert [names(backlog.take(seat, lambda: 8)) for _ in range(3)] == [["a", "b"], ["apart"], ["after it"]]


def test_what_goes_apart_is_taken_by_all_writers_at_once(monkeypatch):
    monkeypatch.setattr("connector_host.connectors.sql.backlog.HELP_S", 1_000)
    backlog = Backlog()
    writers = [Writer(backlog), Writer(backlog), Writer(backlog)]
    said(backlog, *(job(number, apart=True) for number in range(4)))
    assert sorted(any_took(writers, 3)) == [[0], [1], [2]]
    assert ended(backlog, writers)
    assert sorted(any_took(writers, 4)) == [[0], [1], [2], [3]]


def test_what_is_given_back_comes_first_and_goes_apart():
    backlog = Backlog()
    seat = backlog.seat()
    said(backlog, job("a1", "a"), job("b", "b"))
    group = backlog.take(seat, lambda: 8)
    said(backlog, job("a2", "a"), job("c", "c"))
    backlog.give_back(group)
    assert [names(backlog.take(seat, lambda: 8)) for _ in range(3)] == [["a1"], ["b"], ["a2", "c"]]


def test_what_is_freed_by_the_last_one_at_work_is_taken_by_it():
    backlog = Backlog()
    writer = Writer(backlog)
    said(backlog, job("first", "a"), job("second", "a"))
    assert writer.took(1)
    assert writer.groups == [["first", "second"]], "in one hand they keep their order"
    assert ended(backlog, [writer])


# ── on a real server ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def database(postgresql_server):
    name = postgresql_server.database()
    with postgresql_server.connect(name) as connection:
        connection.execute("CREATE TABLE users (login varchar(20) PRIMARY KEY, name varchar(20))")
        connection.execute("INSERT INTO users SELECT 'old' || n, 'x' FROM generate_series(1, 50) n")
    return name


@pytest.fixture
async def connector(postgresql_server, database):
    url = f"postgresql://{postgresql_server.user}@{postgresql_server.host}:{postgresql_server.port}/{database}"
    opened = open_connector(
        "HR", SqlSettings(database=url, password=PASSWORD, table="users", anchor="login", writers=4, statement_s=3)
    )
    await opened.describe()
    yield opened
    await opened.close()


def revised(anchor, name):
    return Modify(anchor, lambda _: {"name": name})


async def test_what_came_in_one_turn_is_one_group_on_one_connection(connector, postgresql_server, database):
    created = await asyncio.gather(*(connector.export(Add({"login": f"new{n}", "name": "x"})) for n in range(40)))
    assert all(one.written for one in created)
    assert connector.load().connections["writing"] == 1
    with postgresql_server.connect(database) as connection:
        groups = connection.execute("SELECT count(DISTINCT xmin::text) FROM users WHERE login LIKE 'new%'").fetchone()
    assert groups == (1,)


async def test_a_user_whom_somebody_locks_holds_up_no_others_of_the_same_turn_for_long(
    connector, postgresql_server, database
):
    with postgresql_server.connect(database) as other:
        other.execute("BEGIN")
        other.execute("SELECT * FROM users WHERE login = 'old1' FOR UPDATE")
        changes = [asyncio.create_task(connector.export(revised(f"old{number}", "y"))) for number in range(1, 41)]
        done = await asyncio.gather(*changes[1:])
        assert all(one.written for one in done)
        assert not changes[0].done()
        other.execute("ROLLBACK")
    assert (await changes[0]).written


async def test_a_user_whom_somebody_locks_holds_up_nobody_else(connector, postgresql_server, database):
    with postgresql_server.connect(database) as other:
        other.execute("BEGIN")
        other.execute("SELECT * FROM users WHERE login = 'old1' FOR UPDATE")
        waiting = asyncio.create_task(connector.export(revised("old1", "first")))
        await asyncio.sleep(HELP_S)
        again = asyncio.create_task(connector.export(revised("OLD1", "second")))
        after = asyncio.create_task(connector.export(revised("old1", "third")))
        for number in range(2, 51):
            assert (await connector.export(revised(f"old{number}", "y"))).written
        assert not waiting.done()
        assert not after.done()
        other.execute("ROLLBACK")
    assert (await waiting).entry.values["name"] == "first"
    assert (await after).entry.values["name"] == "third"
    with pytest.raises(NotFound):
        await again
