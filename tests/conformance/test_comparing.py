"""Comparisons with values that the column cannot hold are true by arithmetic, on every database and driver."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from connector_host.connectors.contract import Add, AllOf, Comparator, Compare, Delete, Not, Present, Query
from connector_host.connectors.errors import Conflict, NotFound

EQ, NE, GT, GE, LT, LE = (Comparator(name) for name in ("eq", "ne", "gt", "ge", "lt", "le"))
CO, SW, EW = (Comparator(name) for name in ("co", "sw", "ew"))

COLUMNS = {
    "sqlite": "price decimal(10, 2), born date, stock int, small real, big double, seen datetime",
    "postgresql": "price numeric(10, 2), born date, stock int, small real, big double precision, seen timestamp(0)",
    "mariadb": "price decimal(10, 2), born date, stock int, small float, big double, seen datetime",
}


@pytest.fixture
async def goods(platform):
    platform.execute(
        'DROP TABLE IF EXISTS "Goods"',
        f'CREATE TABLE "Goods" (id int PRIMARY KEY NOT NULL, {COLUMNS[platform.database]})',
        """INSERT INTO "Goods" VALUES (1, 1.00, '2019-12-31', 1, 0.1, 0.1, '2026-07-01 12:00:00'),
           (2, 1.01, '2020-01-01', 2, 16777.2, 0.3, '2026-10-25 02:30:00'),
           (3, 2.00, '2020-01-02', 3, -2.5, 1e300, '2026-10-25 03:00:00'), (4, {nulls})""".format(
            nulls=", ".join(["NULL"] * 6)
        ),
    )
    connector = platform.open(table="Goods", anchor="id", column={"seen": {"zone": "Europe/Berlin"}})
    yield connector
    await connector.close()


async def found(connector, condition):
    return "".join(entry.anchor for entry in (await connector.search(Query(condition))).entries)


def price(text):
    return "price", Decimal(text)


def born(text):
    return "born", datetime.fromisoformat(text)


def stock(text):
    return "stock", Decimal(text)


SHIFTED = "2020-01-01T00:00:00+02:00"


@pytest.mark.parametrize(
    ("asked", "answers"),  # to eq, gt, ge, lt, le
    [
        (price("1.005"), ("", "23", "23", "1", "1")),
        (price("1.01"), ("2", "3", "23", "1", "12")),
        (price("1.010"), ("2", "3", "23", "1", "12")),
        (price("-0.001"), ("", "123", "123", "", "")),
        (price("99999999.999"), ("", "", "", "123", "123")),
        (price("1e20"), ("", "", "", "123", "123")),
        (price("-1e20"), ("", "123", "123", "", "")),
        (price("1e-40"), ("", "123", "123", "", "")),
        (stock("1.5"), ("", "23", "23", "1", "1")),
        (stock("2.0"), ("2", "3", "23", "1", "12")),
        (stock("1e30"), ("", "", "", "123", "123")),
        (stock("-99999999999.5"), ("", "123", "123", "", "")),
        (born("2020-01-01T12:00:00Z"), ("", "3", "3", "12", "12")),
        (born("2020-01-01T00:00:00Z"), ("2", "3", "23", "1", "12")),
        (born(SHIFTED), ("2", "3", "23", "1", "12")),
        (born("9999-12-31T23:00:00Z"), ("", "", "", "123", "123")),
        (("small", Decimal("0.1")), ("1", "2", "12", "3", "13")),
        (("small", Decimal("0.10000000001")), ("", "2", "2", "13", "13")),
        (("small", Decimal("16777.2")), ("2", "", "2", "13", "123")),
        (("small", Decimal("1e40")), ("", "", "", "123", "123")),
        (("big", Decimal("0.3")), ("2", "3", "23", "1", "12")),
        (("big", Decimal("0.30000000000000000001")), ("", "3", "3", "12", "12")),
        (("big", Decimal("1e300")), ("3", "", "3", "12", "123")),
        (("big", Decimal("-1e400")), ("", "123", "123", "", "")),
        (("seen", datetime(2026, 7, 1, 10, tzinfo=UTC)), ("1", "23", "123", "", "1")),
        # 02:45 for the second time: after every 02:xx of the column, and before its 03:00.
        (("seen", datetime(2026, 10, 25, 1, 45, tzinfo=UTC)), ("", "3", "3", "12", "12")),
        (("seen", datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14)))), ("", "123", "123", "", "")),
        (("seen", datetime.max.replace(tzinfo=timezone(timedelta(hours=-14)))), ("", "", "", "123", "123")),
    ],
    ids=str,
)
async def test_a_comparison_is_true_by_arithmetic(goods, asked, answers):
    name, value = asked
    assert tuple([await found(goods, Compare(name, way, value)) for way in (EQ, GT, GE, LT, LE)]) == answers
    others = "".join(anchor for anchor in "1234" if anchor not in answers[0])
    assert await found(goods, Compare(name, NE, value)) == others


async def test_a_moment_is_cut_as_it_is_when_it_is_written(platform, goods):
    half = datetime(2026, 7, 1, 10, 0, 0, 500_000, tzinfo=UTC)
    keeps_all = platform.database == "sqlite"
    answers = ("", "23", "23", "1", "1") if keeps_all else ("1", "23", "123", "", "1")
    assert tuple([await found(goods, Compare("seen", way, half)) for way in (EQ, GT, GE, LT, LE)]) == answers


async def test_what_does_not_hold_counts_the_rows_without_a_value(goods):
    assert await found(goods, Not(Compare("price", GT, Decimal("1.005")))) == "14"


async def test_a_range_around_one_value_finds_it(goods):
    around = AllOf((Compare("price", GT, Decimal("1.0099")), Compare("price", LT, Decimal("1.0101"))))
    assert await found(goods, around) == "2"


async def test_whoever_is_read_as_true_is_found_as_true(platform):
    """Access writes -1 for true, and MariaDB takes each number but 0 for it."""
    platform.only("mariadb")
    platform.execute(
        "DROP TABLE IF EXISTS flags",
        "CREATE TABLE flags (id int PRIMARY KEY, active tinyint(1), b bit(1))",
        "INSERT INTO flags VALUES (1, 1, 1), (2, 0, 0), (3, -1, 1), (4, 2, 0), (5, NULL, NULL)",
    )
    connector = platform.open(table="flags", anchor="id", column={})
    try:
        page = await connector.search(Query())
        for name in ("active", "b"):
            for value in (True, False):
                read = "".join(entry.anchor for entry in page.entries if entry.values[name] is value)
                others = "".join(entry.anchor for entry in page.entries if entry.values[name] is not value)
                assert await found(connector, Compare(name, EQ, value)) == read
                assert await found(connector, Not(Compare(name, NE, value))) == read
                assert await found(connector, Compare(name, NE, value)) == others
    finally:
        await connector.close()


LETTERS = {
    "narrow": "varchar(20) CHARACTER SET latin1 COLLATE latin1_german1_ci",
    "exact": "varchar(20) COLLATE latin1_bin",
    "basic": "varchar(20) CHARACTER SET utf8mb3",
    "plain": "varchar(20) CHARACTER SET ascii",
}


async def test_letters_that_a_character_set_lacks_are_nobodys(platform):
    """MariaDB compares a column with nothing that its character set cannot spell (code 1267)."""
    platform.only("mariadb")
    columns = ", ".join(f"{name} {declared}" for name, declared in LETTERS.items())
    key = "id varchar(20) CHARACTER SET latin1 PRIMARY KEY"
    platform.execute("DROP TABLE IF EXISTS letters", f"CREATE TABLE letters ({key}, {columns})")
    platform.execute("INSERT INTO letters VALUES ('a', 'Anna', 'Anna', 'Anna', 'Anna'), ('?', '?', '?', '?', '?')")
    connector = platform.open(table="letters", anchor="id", column={})
    try:
        for strange in ("\N{GRINNING FACE}", "\N{LATIN SMALL LETTER L WITH STROKE}\N{GRINNING FACE}"):
            for name in ("id", *LETTERS):
                assert await found(connector, Compare(name, EQ, strange)) == ""
                assert await found(connector, Compare(name, NE, strange)) == "?a"
            assert await connector.read(strange) is None
            with pytest.raises(NotFound):
                await connector.export(Delete(strange))
        for name in LETTERS:
            assert await found(connector, Compare(name, EQ, "Anna")) == "a"
        assert await found(connector, Compare("narrow", EQ, "ANNA")) == "a"
        assert await found(connector, Compare("exact", EQ, "ANNA")) == ""
    finally:
        await connector.close()


async def test_an_address_of_the_databases_own_type_is_present(platform):
    platform.only("mariadb")
    platform.execute("DROP TABLE IF EXISTS hosts", "CREATE TABLE hosts (id int PRIMARY KEY, four inet4, six inet6)")
    platform.execute("INSERT INTO hosts VALUES (1, '10.0.0.1', '::1'), (2, NULL, NULL)")
    connector = platform.open(table="hosts", anchor="id", column={})
    try:
        for name in ("four", "six"):
            assert await found(connector, Present(name)) == "1"
            assert await found(connector, Not(Present(name))) == "2"
    finally:
        await connector.close()


LOOSE = (
    "DROP TABLE IF EXISTS loose",
    "DROP COLLATION IF EXISTS any_case, any_accent",
    "CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
    "CREATE COLLATION any_accent (provider = icu, locale = 'und-u-ks-level1', deterministic = false)",
    "CREATE TABLE loose (id text COLLATE any_case PRIMARY KEY, name varchar(20) COLLATE any_accent, n text)",
    "INSERT INTO loose VALUES ('Zoe', 'Zoé 50%', 'x'), ('Anna', 'Anna', 'y')",
)


async def test_parts_of_text_are_found_whatever_its_collation_looks_at(platform):
    """PostgreSQL refuses LIKE under a collation that is not deterministic (0A000)."""
    platform.only("postgresql")
    platform.execute(*LOOSE)
    connector = platform.open(table="loose", anchor="id", column={})
    try:
        for comparator, text in ((CO, "OÉ"), (SW, "zoé"), (EW, "50%"), (EQ, "zoé 50%"), (CO, "%")):
            assert await found(connector, Compare("name", comparator, text)) == "Zoe", (comparator, text)
        for comparator, text in ((CO, "oe"), (SW, "Zoe"), (EQ, "zoe 50%"), (CO, "_")):
            assert await found(connector, Compare("name", comparator, text)) == "", (comparator, text)
        assert await found(connector, Compare("name", NE, "zoe 50%")) == "AnnaZoe"
        assert await found(connector, Compare("id", SW, "zO")) == "Zoe"
        assert await connector.read("zoe") is None
        with pytest.raises(Conflict):
            await connector.export(Add({"id": "zoe"}))
    finally:
        await connector.close()
