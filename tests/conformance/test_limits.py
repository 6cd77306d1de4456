"""What a column cannot keep is refused with its attribute and its limit; only fractions of a second are cut."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from connector_host.connectors.contract import Add, Comparator, Compare, Modify, Query
from connector_host.connectors.errors import InvalidValue

COLUMNS = {
    "sqlite": "small text, clock time, seen datetime, kept datetime",
    "postgresql": "small real, clock time(0), fine time(6), seen timestamp(0), kept timestamptz(3)",
    "mariadb": "small float, clock time, fine time(6), seen datetime, kept datetime(3), stamp timestamp NULL, "
    "cents double(10,2), mills float(7,3), made year, brief tinytext, "
    "western varchar(20) CHARACTER SET latin1, choice enum('a', 'B')",
}


@pytest.fixture
async def limited(platform):
    columns = COLUMNS[platform.database]
    platform.execute(
        'DROP TABLE IF EXISTS "Limited"', f'CREATE TABLE "Limited" (id int PRIMARY KEY NOT NULL, {columns})'
    )
    connector = platform.open(table="Limited", anchor="id")
    yield connector
    await connector.close()


async def refusal(connector, name, value):
    with pytest.raises(InvalidValue) as refused:
        await connector.export(Add({"id": 1, name: value}))
    assert refused.value.attribute == name
    return str(refused.value)


async def test_a_number_beyond_four_bytes_is_refused_by_name(platform, limited):
    platform.only("postgresql", "mariadb")
    assert "3.4e38" in await refusal(limited, "small", Decimal("1e39"))


@pytest.mark.parametrize(
    ("name", "value", "limit"),
    [
        ("cents", Decimal("0.125"), "2 of them after the point"),
        ("mills", Decimal("0.0001"), "3 of them after the point"),
        ("stamp", datetime(2039, 1, 1, tzinfo=UTC), "2038"),
        ("stamp", datetime(1969, 1, 1, tzinfo=UTC), "1970"),
        ("made", 1800, "1901"),
        ("brief", "é" * 200, "255 bytes"),
        ("western", "Ж", "character set"),
        ("choice", "zz", "one of a, B"),
    ],
)
async def test_the_limits_of_mariadb_are_told(platform, limited, name, value, limit):
    platform.only("mariadb")
    assert limit in await refusal(limited, name, value)


async def test_a_time_of_day_keeps_what_column_and_driver_can(platform, limited):
    platform.only("postgresql", "mariadb")
    done = await limited.export(Add({"id": 1, "fine": "23:59:59.9999999"}))
    whole = (platform.database, platform.driver) == ("mariadb", "odbc")
    assert done.entry.values["fine"] == ("23:59:59" if whole else "23:59:59.999999")
    assert (await limited.search(Query(Compare("fine", Comparator.EQ, "23:59:59.9999999")))).total == 1


async def test_fractions_of_a_second_are_cut_and_never_rounded(platform, limited):
    moment = datetime(2026, 11, 23, 12, 30, 59, 999_999, tzinfo=UTC)
    done = await limited.export(Add({"id": 1, "clock": "23:59:59.9999999", "seen": moment, "kept": moment}))
    values = done.entry.values
    keeps_all = platform.database == "sqlite"
    assert values["clock"] == ("23:59:59.999999" if keeps_all and platform.driver == "native" else "23:59:59")
    assert values["seen"] == (moment if keeps_all else moment.replace(microsecond=0))
    assert values["kept"] == (moment if keeps_all else moment.replace(microsecond=999_000))
    for name, value in (("clock", "23:59:59.9999999"), ("seen", moment), ("kept", moment)):
        for comparator in (Comparator.EQ, Comparator.GE, Comparator.LE):
            assert (await limited.search(Query(Compare(name, comparator, value)))).total == 1, (name, comparator)


async def test_a_floating_column_with_digits_of_its_own_keeps_those(platform, limited):
    """DOUBLE(10,2) of MySQL and MariaDB rounds beyond them without a word."""
    platform.only("mariadb")
    kept = {"cents": Decimal("12345678.25"), "mills": Decimal("1.125")}
    entry = (await limited.export(Add({"id": 1, **kept}))).entry
    assert {name: entry.values[name] for name in kept} == kept
    for bound, total in ((Decimal("12345678.251"), 0), (Decimal("12345678.249"), 1)):
        assert (await limited.search(Query(Compare("cents", Comparator.GT, bound)))).total == total


async def test_a_moment_that_is_none_reads_as_absent_and_spoils_no_row(platform):
    """MariaDB keeps days of no month and times beyond a day; no driver has a word for them."""
    platform.only("mariadb")
    platform.execute(
        "DROP TABLE IF EXISTS moments",
        "CREATE TABLE moments (id int PRIMARY KEY NOT NULL, born date, seen datetime(6), clock time, name varchar(9))",
        "INSERT INTO moments VALUES (2, '2024-02-29', '2024-02-29 12:13:14.5', '12:13:14', 'bob')",
        "INSERT IGNORE INTO moments VALUES (1, '2020-00-00', '2020-01-00 00:00:00', '-25:00:00', 'anna')",
    )
    kept = platform.execute("SELECT concat_ws(' ', born, seen, clock) FROM moments WHERE id = 1")
    update = "UPDATE moments SET born = :born, seen = :seen, clock = :clock, name = :name WHERE id = :id"
    connector = platform.open(table="moments", anchor="id", column={}, exports={"update": [update]})
    try:
        page = await connector.search(Query())
        assert {entry.anchor: entry.values["born"] is None for entry in page.entries} == {"1": True, "2": False}
        assert (await connector.export(Modify("1", lambda _: {"name": "Anne"}))).entry.values["name"] == "Anne"
        assert platform.execute("SELECT concat_ws(' ', born, seen, clock) FROM moments WHERE id = 1") == kept
        warned = {finding.subject for finding in await connector.check() if "reads as absent" in finding.fact}
        assert warned == {"born", "seen", "clock"}
    finally:
        await connector.close()
