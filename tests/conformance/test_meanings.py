"""What an administrator says of a column: words for true and false, its time zone, counting from 1970."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from connector_host.connectors.contract import Add, AttributeType, Comparator, Compare, Modify, Query
from connector_host.connectors.errors import InvalidValue
from connector_host.errors import ConfigurationError

TABLE = """CREATE TABLE "Legacy" (id int PRIMARY KEY NOT NULL, active char(3), enabled smallint, seen bigint,
           hired {naive}, name varchar(20))"""
NAIVE = {"sqlite": "datetime", "postgresql": "timestamp", "mariadb": "datetime(6)"}
MEANINGS = {
    "active": {"true": "Y", "false": "N"},
    "enabled": {"true": "1", "false": "0"},
    "seen": {"epoch": "ms"},
    "hired": {"zone": "Europe/Berlin"},
}


@pytest.fixture
async def legacy(platform):
    platform.execute('DROP TABLE IF EXISTS "Legacy"', TABLE.format(naive=NAIVE[platform.database]))
    connector = platform.open(table="Legacy", anchor="id", column=MEANINGS)
    yield connector
    await connector.close()


async def test_words_for_true_and_false_make_a_boolean(platform, legacy):
    assert (await legacy.describe()).by_name["active"].type is AttributeType.BOOLEAN
    done = await legacy.export(Add({"id": 1, "active": True, "enabled": False}))
    assert (done.entry.values["active"], done.entry.values["enabled"]) == (True, False)
    kept = platform.execute('SELECT active, enabled FROM "Legacy"')[0]
    assert (kept[0].strip(), kept[1]) == ("Y", 0)
    await legacy.export(Modify("1", lambda _: {"active": False}))
    for value, anchors in ((False, ["1"]), (True, [])):
        page = await legacy.search(Query(Compare("active", Comparator.EQ, value)))
        assert [entry.anchor for entry in page.entries] == anchors


async def test_a_moment_is_kept_in_the_columns_own_zone(platform, legacy):
    summer = datetime(2026, 7, 1, 10, 0, tzinfo=UTC)
    done = await legacy.export(Add({"id": 1, "hired": summer}))
    assert done.entry.values["hired"] == summer
    assert str(platform.execute('SELECT hired FROM "Legacy"')[0][0]).startswith("2026-07-01 12:00:00")
    page = await legacy.search(Query(Compare("hired", Comparator.EQ, summer)))
    assert page.total == 1
    assert not (await legacy.export(Modify("1", lambda _: {"hired": summer}))).written


async def test_a_moment_that_the_clocks_show_twice_is_refused(legacy):
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)  # 02:30 in summer time
    second = datetime(2026, 10, 25, 1, 30, tzinfo=UTC)  # 02:30 again, in winter time
    assert (await legacy.export(Add({"id": 1, "hired": first}))).entry.values["hired"] == first
    with pytest.raises(InvalidValue, match=r"shows? it twice"):
        await legacy.export(Add({"id": 2, "hired": second}))


async def test_a_number_that_counts_from_1970_is_a_moment(platform, legacy):
    moment = datetime(2026, 11, 23, 17, 30, 0, 123_000, tzinfo=UTC)
    done = await legacy.export(Add({"id": 1, "seen": moment}))
    assert done.entry.values["seen"] == moment
    assert platform.execute('SELECT seen FROM "Legacy"')[0][0] == 1_795_455_000_123
    page = await legacy.search(Query(Compare("seen", Comparator.GE, moment)))
    assert page.total == 1


@pytest.mark.parametrize(
    ("column", "meaning"),
    [("name", {"zone": "Europe/Berlin"}), ("name", {"epoch": "s"}), ("enabled", {"true": "Y", "false": "N"})],
)
async def test_a_meaning_that_the_column_cannot_have_is_refused_by_name(platform, legacy, column, meaning):
    connector = platform.open(table="Legacy", anchor="id", column={column: meaning})
    with pytest.raises(ConfigurationError, match=rf"^column\.{column}: "):
        await connector.describe()
    await connector.close()


async def test_a_moment_beyond_the_last_year_of_the_columns_zone_is_refused(legacy):
    """Directories say so of whoever never leaves."""
    with pytest.raises(InvalidValue, match="Europe/Berlin show no year"):
        await legacy.export(Add({"id": 1, "hired": datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)}))


async def test_a_moment_beyond_the_last_year_of_utc_reads_as_absent(platform, legacy):
    platform.execute("""INSERT INTO "Legacy" (id, hired) VALUES (1, '9999-12-31 23:59:59')""")
    west = platform.open(table="Legacy", anchor="id", column={**MEANINGS, "hired": {"zone": "America/New_York"}})
    assert (await west.read("1")).values["hired"] is None
    await west.close()
