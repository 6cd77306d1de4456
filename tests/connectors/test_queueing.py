"""Who waits how long for a writer: lanes by origin, the size of groups, the room of the queue, the pace."""

from __future__ import annotations

import asyncio
import sqlite3

import pytest

from connector_host import clock
from connector_host.connectors.contract import Add, Modify, Query
from connector_host.connectors.errors import Busy, Conflict
from connector_host.connectors.origins import working_for
from connector_host.connectors.registry import open_connector
from connector_host.connectors.sql import writers
from connector_host.connectors.sql.lanes import Full, Lanes
from connector_host.connectors.sql.pacing import Pace
from connector_host.connectors.sql.sizing import GROUP_MAX, GROUP_REFUSED_MIN, GroupSize
from connector_host.connectors.sql.statements import KEPT_MAX
from connector_host.settings import SqlSettings


def test_each_lane_has_its_turn():
    lanes = Lanes()
    for item in ("a1", "a2", "a3", "b1", "c1", "c2"):
        lanes.put(item, item[0], 100)
    assert lanes.take(4) == ["a1", "b1", "c1", "a2"]
    assert lanes.take(4) == ["c2", "a3"]


def test_a_full_queue_has_a_little_room_for_whoever_waits_for_little():
    lanes = Lanes()
    for number in range(8):
        lanes.put(number, "bulk", 8)
    with pytest.raises(Full):
        lanes.put(8, "bulk", 8)
    lanes.put("one", "single", 8)
    lanes.put("two", "single", 8)
    with pytest.raises(Full):
        lanes.put("three", "single", 8)
    assert len(lanes) == 10


def test_what_may_not_be_taken_yet_keeps_its_place():
    lanes = Lanes()
    for item in ("a1", "b1", "a2", "a1", "b2"):
        lanes.put(item, item[0], 100)
    assert lanes.take(3, lambda item: item != "a1") == ["a2", "b1", "b2"]
    assert len(lanes) == 2
    lanes.put("a3", "a", 100)
    assert lanes.take(8) == ["a1", "a1", "a3"]


def test_a_lane_whose_first_item_may_not_go_loses_no_turn():
    lanes = Lanes()
    for item in ("a-held", "a-free", *(f"b{number}" for number in range(9))):
        lanes.put(item, item[0], 100)
    taken = [lanes.take(1, lambda item: not item.endswith("held")) for _ in range(3)]
    assert taken == [["a-free"], ["b0"], ["b1"]]
    assert lanes.take(1) == ["a-held"]
    assert lanes.take(9, lambda _: False) == []
    assert len(lanes) == 7


def test_a_group_whose_statements_are_slow_is_halved_and_a_quick_full_one_doubles():
    size = GroupSize()
    size.committed(100, work_s=1.0, commit_s=0.01)
    assert size.limit == 50
    size.committed(20, work_s=0.1, commit_s=0.01)
    assert size.limit == 50, "a group that was not full says nothing of larger ones"
    size.committed(50, work_s=0.1, commit_s=0.01)
    assert size.limit == 100
    size.committed(100, work_s=0.1, commit_s=0.01)
    assert size.limit == GROUP_MAX
    size.refused(8, too_slow=True)
    size.committed(128, work_s=1.0, commit_s=0.01)
    assert size.limit == 4, "a large group that began before is no reason for a larger one"


def test_a_slow_commit_is_shared_by_as_many_as_before():
    size = GroupSize()
    size.committed(100, work_s=1.0, commit_s=2.0)
    assert size.limit == GROUP_MAX


def test_groups_that_are_refused_become_smaller_but_still_share_a_commit():
    size = GroupSize()
    limits = []
    for _ in range(8):
        size.refused(size.limit)
        limits.append(size.limit)
    assert limits[:2] == [64, 32]
    assert limits[-1] == GROUP_REFUSED_MIN


def test_groups_that_take_longer_than_a_statement_may_become_as_small_as_it_takes():
    size = GroupSize()
    for _ in range(8):
        size.refused(size.limit, too_slow=True)
    assert size.limit == 1


def test_a_single_export_that_is_refused_says_nothing_of_groups():
    size = GroupSize()
    size.refused(1)
    assert size.limit == GROUP_MAX


def test_the_client_is_told_to_come_back_when_what_waits_will_be_done():
    size = GroupSize()
    assert size.retry_after_s(1_000) == 2, "nothing is known yet"
    size.committed(100, work_s=0.9, commit_s=0.1)
    assert size.retry_after_s(1_000) == 10
    assert size.retry_after_s(1_000_000) == 60
    assert size.retry_after_s(10, Pace(0.5).seconds_for(10)) == 20, "the pace allows no more"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "hr.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE users (login varchar(20) NOT NULL UNIQUE, name varchar(20))")
    connection.close()
    return path


def opened(file, **changes):
    return open_connector("HR", SqlSettings(database=f"sqlite:///{file}", table="users", anchor="login", **changes))


@pytest.fixture
async def connector(file):
    one = opened(file)
    await one.describe()
    yield one
    await one.close()


@pytest.fixture
def held(file, connector):
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    yield other
    if other.in_transaction:
        other.execute("ROLLBACK")
    other.close()


def user(number):
    return Add({"login": f"user{number}", "name": "x"})


async def test_a_client_with_much_to_do_does_not_hold_up_one_with_little(connector, file):
    done = []

    async def export(name, number, origin):
        with working_for(origin):
            await connector.export(user(number))
        done.append(name)

    connector._writers.size.limit = 4
    await connector.export(user(2_000))
    held = sqlite3.connect(file, isolation_level=None)
    held.execute("BEGIN EXCLUSIVE")
    waiting = [asyncio.create_task(export("bulk", number, "bulk")) for number in range(100)]
    await asyncio.sleep(0.1)
    waiting.append(asyncio.create_task(export("single", 1_000, "single")))
    await asyncio.sleep(0.1)
    held.execute("ROLLBACK")
    await asyncio.gather(*waiting)
    held.close()
    assert done.index("single") < 15


async def test_a_client_that_lists_much_holds_up_nobody_else(file):
    connector = opened(file, readers=1)
    await connector.export(user(1))
    done = []

    async def note(name, origin, read):
        with working_for(origin):
            await read
        done.append(name)

    held = sqlite3.connect(file, isolation_level=None)
    held.execute("BEGIN EXCLUSIVE")
    waiting = [asyncio.create_task(note("many", "many", connector.search(Query()))) for _ in range(100)]
    await asyncio.sleep(0.1)
    waiting.append(asyncio.create_task(note("list", "other", connector.search(Query()))))
    waiting.append(asyncio.create_task(note("read", "many", connector.read("user1"))))
    await asyncio.sleep(0.1)
    held.execute("ROLLBACK")
    await asyncio.gather(*waiting)
    held.close()
    await connector.close()
    assert done.index("read") < 10
    assert done.index("list") < 10


async def test_a_full_queue_tells_when_to_come_back_and_lets_another_client_in(connector, held, monkeypatch):
    monkeypatch.setattr(writers, "QUEUE_MAX", 8)

    async def export(number, origin):
        with working_for(origin):
            return await connector.export(user(number))

    first = asyncio.create_task(export(0, "bulk"))
    await asyncio.sleep(0.1)
    many = [asyncio.create_task(export(number, "bulk")) for number in range(1, 12)]
    await asyncio.sleep(0.1)
    other = asyncio.create_task(export(1_000, "other"))
    await asyncio.sleep(0.1)
    held.execute("ROLLBACK")
    outcomes = await asyncio.gather(first, *many, return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, Busy)]
    assert len(refused) == 3
    assert all(outcome.retry_after_s >= 1 for outcome in refused)
    assert (await other).written


async def test_bad_exports_make_the_groups_smaller(connector, held):
    first = asyncio.create_task(connector.export(user(0)))
    await asyncio.sleep(0.1)
    waiting = [asyncio.create_task(connector.export(user(number % 50))) for number in range(100)]
    await asyncio.sleep(0.1)
    held.execute("ROLLBACK")
    outcomes = await asyncio.gather(first, *waiting, return_exceptions=True)
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 51
    assert connector._writers.size.limit <= 50


async def test_alike_exports_are_built_and_compiled_once(connector):
    await connector.export(user(0))
    await connector.export(Modify("user0", lambda _: {"name": "y"}))
    kept = connector._known.statements._kept
    before = {key: id(statement) for key, statement in kept.items()}
    for number in range(1, 20):
        await connector.export(user(number))
        await connector.export(Modify(f"user{number}", lambda _: {"name": "y"}))
    assert {key: id(statement) for key, statement in kept.items()} == before


async def test_the_statements_that_are_kept_are_bounded(connector):
    statements = connector._known.statements
    statements._kept.update({("old", number): None for number in range(KEPT_MAX)})
    await connector.export(user(0))
    assert len(statements._kept) < KEPT_MAX


async def test_a_fragile_database_is_asked_so_many_questions_in_a_second(file):
    connector = opened(file, reads_per_s=50)
    await connector.describe()
    began_s = clock.monotonic_s()
    await asyncio.gather(*(connector.search(Query(limit=1)) for _ in range(15)))
    # One statement of 50 in a second for each: they cannot have been sooner, however fast the machine.
    assert clock.monotonic_s() - began_s >= 14 / 50
    await connector.close()


async def test_no_more_connections_are_open_than_the_settings_allow(file):
    connector = opened(file, readers=2)
    await connector.describe()
    await asyncio.gather(*(connector.search(Query(limit=1)) for _ in range(40)))
    await asyncio.gather(*(connector.export(user(number)) for number in range(40)))
    load = connector.load()
    assert load.connections["reading"] <= 2
    assert load.connections["writing"] == 1
    await connector.close()
