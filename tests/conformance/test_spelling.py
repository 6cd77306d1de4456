"""Names that are awkward in every way, and values whose spelling drivers like to change."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import closing
from decimal import Decimal

import pytest

from connector_host.connectors.contract import Add, Comparator, Compare, Query
from connector_host.connectors.errors import InvalidValue
from connector_host.connectors.registry import change_log, grants, survey_table
from connector_host.errors import Level
from tests.servers import PASSWORD

TABLE = "Us'er :x%s [a]"
NAMES = {"key": "sel ect", "shown": "Ünï %(x)s", "plain": "na:me", "asked": "?"}
ROW = {"sel ect": "Änna/1 %41", "Ünï %(x)s": "%s :x [1]", "na:me": "it's", "?": "100%"}


@pytest.fixture
def awkward(platform):
    columns = ", ".join(f'"{name}" varchar(40)' for name in list(NAMES.values())[1:])
    cascade = " CASCADE" if platform.database == "postgresql" else ""
    platform.execute(
        f'DROP TABLE IF EXISTS "{TABLE}"{cascade}',
        f'CREATE TABLE "{TABLE}" ("{NAMES["key"]}" varchar(40) NOT NULL PRIMARY KEY, {columns})',
    )
    yield platform
    platform.execute(f'DROP TABLE IF EXISTS "{TABLE}"{cascade}')


def settings_of(platform, **changes):
    return platform.settings(**{"table": TABLE, "anchor": NAMES["key"], "column": {}} | changes)


async def test_awkward_names_and_values_go_both_ways(awkward):
    connector = awkward.open(table=TABLE, anchor=NAMES["key"])
    try:
        assert (await connector.export(Add(ROW))).entry.values == ROW
        for name, value in ROW.items():
            page = await connector.search(Query(Compare(name, Comparator.EQ, value)))
            assert [entry.values for entry in page.entries] == [ROW]
    finally:
        await connector.close()


async def test_a_name_may_hold_the_signs_that_quote_names(platform):
    spelled = '`a``b"c`' if platform.database == "mariadb" else '"a`b""c"'
    with closing(platform.connect()) as connection:
        cursor = connection.cursor()
        cursor.execute("DROP TABLE IF EXISTS quoting")
        cursor.execute(f"CREATE TABLE quoting (id varchar(9) NOT NULL PRIMARY KEY, {spelled} varchar(9))")
    connector = platform.open(table="quoting", anchor="id", column={})
    try:
        row = {"id": "x", 'a`b"c': "y"}
        assert (await connector.export(Add(row))).entry.values == row
        page = await connector.search(Query(Compare('a`b"c', Comparator.EQ, "y"), sort_by='a`b"c'))
        assert [entry.values for entry in page.entries] == [row]
    finally:
        await connector.close()


async def test_the_index_that_check_proposes_can_be_made_whatever_the_names(awkward):
    mapping = {"attributes": {NAMES["shown"]: "userName"}}
    connector = awkward.open(table=TABLE, anchor=NAMES["key"], **mapping)
    try:
        (found,) = [one for one in await connector.check() if "No index" in one.fact]
        awkward.execute(found.mend.removeprefix("Create one: "))
        assert not [one for one in await connector.check() if "No index" in one.fact]
    finally:
        await connector.close()


async def test_what_grants_prints_is_enough_whatever_the_names(awkward, poor_login):
    login = poor_login
    for statement in grants(settings_of(awkward), login):
        awkward.execute(statement)
    url = awkward.url.replace("scim@", "we%20ird@")
    connector = awkward.open(table=TABLE, anchor=NAMES["key"], database=url, password="poor")
    try:
        assert (await connector.export(Add(ROW))).written
        assert not [one for one in await connector.check() if one.level is Level.FAILURE]
    finally:
        await connector.close()


@pytest.fixture
def poor_login(awkward):
    awkward.only("postgresql", "mariadb")
    login = "we ird"
    quoted = f'"{login}"' if awkward.database == "postgresql" else f"'{login}'"
    identified = "PASSWORD" if awkward.database == "postgresql" else "IDENTIFIED BY"
    awkward.execute(f"CREATE USER {quoted} {identified} 'poor'")
    yield login
    awkward.execute(*([f"DROP OWNED BY {quoted}"] if awkward.database == "postgresql" else []), f"DROP USER {quoted}")


def test_a_change_log_can_be_made_and_removed_whatever_the_names(awkward):
    awkward.execute(*change_log(settings_of(awkward)))
    awkward.execute(f"""INSERT INTO "{TABLE}" ("{NAMES["key"]}") VALUES ('x')""")
    assert awkward.execute(f'SELECT anchor FROM "{TABLE}_changes"')[0][0] == "x"
    awkward.execute(*change_log(settings_of(awkward), remove=True))


# ── values ────────────────────────────────────────────────────────────────────────────────────────────────────────

TYPES = {
    "postgresql": "number numeric(38, 10), doc json, docb jsonb, label spelling, clock time(2)",
    "mariadb": "number decimal(38, 10), doc json, label enum('happy', 'o''k'), clock time(2)",
}


@pytest.fixture
async def spelled(platform):
    platform.only("postgresql", "mariadb")
    platform.execute("DROP TABLE IF EXISTS spelled")
    if platform.database == "postgresql":
        platform.execute("DROP TYPE IF EXISTS spelling", "CREATE TYPE spelling AS ENUM ('happy', 'o''k')")
    platform.execute(f"CREATE TABLE spelled (id int PRIMARY KEY, {TYPES[platform.database]})")
    connector = platform.open(table="spelled", anchor="id", column={})
    yield connector
    await connector.close()
    platform.execute("DROP TABLE spelled")


@pytest.mark.parametrize("sign", ["", "-"])
async def test_every_digit_of_a_decimal_survives_and_is_compared(spelled, sign):
    """Python's own arithmetic rounds to 28 digits."""
    largest = Decimal(f"{sign}{'9' * 28}.{'9' * 10}")
    assert (await spelled.export(Add({"id": 1, "number": largest}))).entry.values["number"] == largest
    beyond = Decimal(f"{sign}{'9' * 28}.{'9' * 11}")
    for comparator, value, count in (
        (Comparator.EQ, largest, 1),
        (Comparator.EQ, beyond, 0),
        (Comparator.GE if sign else Comparator.LE, beyond, 1),
        (Comparator.LE if sign else Comparator.GE, Decimal(f"{sign}1E28"), 0),
    ):
        assert (await spelled.search(Query(Compare("number", comparator, value)))).total == count


READ_OFTEN = """
import sys
from connector_host.connectors.sql.engines import open_engine, parse_url
url, password, number = sys.argv[1:]
engine = open_engine(parse_url(url, password), size=1, statement_s=30)
with engine.connect() as connection:
    for _ in range(2000):
        connection.exec_driver_sql("SELECT CAST(? AS DECIMAL(38, 10)), CAST(NULL AS DECIMAL), ?", (number, 1)).all()
    print(*connection.exec_driver_sql("SELECT CAST(? AS DECIMAL(38, 10)), CAST(NULL AS DECIMAL)", (number,)).one())
"""


def test_a_decimal_of_many_digits_leaves_memory_alone(platform):
    """MariaDB's driver writes beyond its buffer, and the C library, told to look, ends the process for it."""
    platform.only("mariadb")
    if platform.driver == "native":
        pytest.skip("it is about MariaDB's ODBC driver")
    number = f"-{'9' * 28}.{'9' * 10}"
    done = subprocess.run(
        [sys.executable, "-c", READ_OFTEN, platform.url, PASSWORD, number],
        env=os.environ | {"MALLOC_CHECK_": "3", "MALLOC_PERTURB_": "165"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.split()) == (0, [number, "None"]), done.stderr[-2_000:]


async def test_digits_that_a_decimal_does_not_keep_are_refused_and_never_rounded(spelled):
    for number in ("1.00000000001", f"{'9' * 28}.99999999991", "1E28"):
        with pytest.raises(InvalidValue, match="at most 38 digits"):
            await spelled.export(Add({"id": 1, "number": Decimal(number)}))


async def test_a_decimal_that_keeps_no_digit_before_the_point_takes_zero(platform):
    platform.only("postgresql", "mariadb")
    platform.execute("DROP TABLE IF EXISTS share", "CREATE TABLE share (id int PRIMARY KEY, part decimal(2, 2))")
    connector = platform.open(table="share", anchor="id", column={})
    try:
        for number in ("0", "-0.99"):
            done = await connector.export(Add({"id": len(number), "part": Decimal(number)}))
            assert done.entry.values["part"] == Decimal(number)
        assert (await connector.search(Query(Compare("part", Comparator.EQ, Decimal(0))))).total == 1
        with pytest.raises(InvalidValue, match="2 of them after the point"):
            await connector.export(Add({"id": 9, "part": Decimal(1)}))
    finally:
        await connector.close()


DOMAINS = (
    "DROP TABLE IF EXISTS domains",
    "DROP DOMAIN IF EXISTS inner_count, code, feeling CASCADE",
    "DROP TYPE IF EXISTS sentiment",
    "CREATE TYPE sentiment AS ENUM ('glad', 'sad')",
    "CREATE DOMAIN inner_count AS smallint NOT NULL",
    "CREATE DOMAIN outer_count AS inner_count DEFAULT 7",
    "CREATE DOMAIN code AS varchar(3)",
    "CREATE DOMAIN outer_code AS code",
    "CREATE DOMAIN feeling AS sentiment",
    "CREATE TABLE domains (id int PRIMARY KEY, count outer_count, code outer_code, feeling feeling, named name)",
)


async def test_a_domain_is_what_it_is_made_of_however_deep(platform):
    platform.only("postgresql")
    platform.execute(*DOMAINS)
    connector = platform.open(table="domains", anchor="id", column={})
    try:
        attributes = (await connector.describe()).by_name
        assert not attributes["count"].required, "its domain has a default"
        assert not attributes["count"].nullable
        assert (attributes["code"].max_length, attributes["named"].max_length) == (3, 63)
        assert attributes["feeling"].canonical_values == ("glad", "sad")
        done = await connector.export(Add({"id": 1, "code": "abc", "feeling": "sad"}))
        assert done.entry.values == {"id": 1, "count": 7, "code": "abc", "feeling": "sad", "named": None}
        with pytest.raises(InvalidValue, match="-32768 to 32767"):
            await connector.export(Add({"id": 2, "count": 32768}))
    finally:
        await connector.close()


async def test_a_decimal_whose_scale_is_negative_takes_what_the_column_keeps(platform):
    platform.only("postgresql")
    platform.execute("DROP TABLE IF EXISTS round", "CREATE TABLE round (id int PRIMARY KEY, sum numeric(3, -2))")
    survey = survey_table(platform.url, platform.password, table="round")
    assert survey.columns[1].values == "decimal, 3 digits, in steps of 100"
    connector = platform.open(table="round", anchor="id", column={})
    try:
        for number, value in enumerate(("0", "12300", "-99900")):
            done = await connector.export(Add({"id": number, "sum": Decimal(value)}))
            assert done.entry.values["sum"] == Decimal(value)
        assert (await connector.search(Query(Compare("sum", Comparator.GT, Decimal(12299))))).total == 1
        for value in ("12345", "100000"):
            with pytest.raises(InvalidValue, match="at most 3 digits, in steps of 100"):
                await connector.export(Add({"id": 9, "sum": Decimal(value)}))
    finally:
        await connector.close()


async def test_a_document_is_read_as_it_is_kept(spelled, platform):
    document = '{"b": "é\'", "a": [1, 2.50, null, true]}'
    names = ["doc", "docb"] if platform.database == "postgresql" else ["doc"]
    done = await spelled.export(Add({"id": 1} | dict.fromkeys(names, document)))
    assert done.entry.values["doc"] == document
    for name in names:
        kept = done.entry.values[name]
        assert json.loads(kept) == json.loads(document)
        for comparator, value in ((Comparator.EQ, kept), (Comparator.CO, "2.50")):
            assert (await spelled.search(Query(Compare(name, comparator, value)))).total == 1


@pytest.mark.parametrize("text", ["{bad", "word", "NaN", '{"a": 01}', "{'a': 1}", '"a\tb"'])
async def test_text_that_is_no_document_is_refused_by_the_name_of_its_column(spelled, platform, text):
    for name in ("doc", "docb") if platform.database == "postgresql" else ("doc",):
        with pytest.raises(InvalidValue) as refused:
            await spelled.export(Add({"id": 1, name: text}))
        assert refused.value.attribute == name


async def test_a_document_that_is_deeper_than_python_reads_is_left_to_the_database(spelled, platform):
    platform.only("postgresql")
    deep = "[" * 3_000 + "]" * 3_000
    assert (await spelled.export(Add({"id": 1, "doc": deep}))).entry.values["doc"] == deep


async def test_a_label_with_a_quotation_mark_is_one_of_the_allowed(spelled):
    assert (await spelled.describe()).by_name["label"].canonical_values == ("happy", "o'k")
    assert (await spelled.export(Add({"id": 1, "label": "o'k"}))).entry.values["label"] == "o'k"


@pytest.mark.parametrize("clock", ["00:00:00", "09:05:01", "23:59:59"])
async def test_every_time_of_day_is_read(spelled, clock):
    assert (await spelled.export(Add({"id": 1, "clock": clock}))).entry.values["clock"] == clock
    assert (await spelled.search(Query(Compare("clock", Comparator.EQ, clock)))).total == 1


LARGEST = {"tiny": 2**8, "small": 2**16, "medium": 2**24, "whole": 2**32, "filled": 2**32, "big": 2**64}


@pytest.fixture
async def unsigned(platform):
    platform.only("mariadb")
    platform.execute(
        "DROP TABLE IF EXISTS counted",
        "CREATE TABLE counted (id int unsigned PRIMARY KEY, tiny tinyint unsigned, small smallint unsigned, "
        "medium mediumint unsigned, whole int unsigned, filled int(5) zerofill, big bigint unsigned, "
        "rate float unsigned, share double unsigned)",
    )
    connector = platform.open(table="counted", anchor="id", column={})
    yield connector
    await connector.close()
    platform.execute("DROP TABLE counted")


async def test_numbers_without_a_sign_go_both_ways_up_to_the_largest(unsigned):
    """MariaDB's ODBC driver reads 4294967295 as -1, and pyodbc takes no number of more than 63 bits."""
    for shift in (1, 3):
        values = {name: end - shift for name, end in LARGEST.items()} | {"id": 2**32 - shift}
        values |= {"rate": Decimal("1.5"), "share": Decimal("0.25")}
        done = await unsigned.export(Add(values))
        assert done.entry.values == values
        assert (await unsigned.read(str(2**32 - shift))).values == values
    for name, end in LARGEST.items():
        for comparator, value in ((Comparator.EQ, end - 1), (Comparator.GT, end - 2), (Comparator.LT, end - 2)):
            assert (await unsigned.search(Query(Compare(name, comparator, value)))).total == 1, (name, comparator)
