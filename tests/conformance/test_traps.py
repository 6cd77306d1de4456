"""The traps of sql-connectors.md §1c and §3.3, each by its number, wherever it can be set here.

1c.10 cannot be set: there are no multi-valued attributes.
"""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from connector_host.connectors.contract import EVERYTHING, Add, Comparator, Compare, Delete, Modify, Mutability, Query
from connector_host.connectors.errors import Conflict, ConnectorError, InvalidValue, NotFound, Unavailable
from connector_host.connectors.registry import open_connector, open_importer
from connector_host.connectors.sql.dialects import dialect_of
from connector_host.connectors.sql.engines import open_engine, parse_url
from connector_host.errors import Level
from connector_host.runs import imports
from connector_host.runs.state import ImportState
from tests.conformance.platforms import on_server

ANNA = Add({"Login": "anna", "Name": "Anna"})


def table(platform, columns, name="Trap"):
    platform.execute(f'DROP TABLE IF EXISTS "{name}"', f'CREATE TABLE "{name}" ({columns})')


@pytest.fixture
def heard(connector):
    """Every statement that the connector says from now on."""
    statements = []
    for engine in (connector._reading, connector._writing):
        event.listen(engine, "before_cursor_execute", lambda *spoken: statements.append(spoken[2]))
    return statements


async def test_1c_1_an_error_is_never_taken_for_success(employees, connector):
    await connector.export(ANNA)
    with pytest.raises(Conflict):
        await connector.export(ANNA)
    assert employees.execute('SELECT count(*) FROM "Employees"')[0][0] == 1


async def test_1c_2_an_update_of_nobody_is_not_found(connector):
    with pytest.raises(NotFound):
        await connector.export(Modify("anna", lambda _: {"Name": "x"}))


async def test_1c_5_a_numeric_key_is_bound_as_a_number(platform):
    table(platform, "id int PRIMARY KEY NOT NULL, name varchar(9)")
    connector = platform.open(table="Trap", anchor="id")
    await connector.export(Add({"id": 7, "name": "x"}))
    assert (await connector.export(Delete("7"))).entry.values["name"] == "x"
    await connector.close()


async def test_1c_7_discovery_reads_no_rows_of_the_table(heard, connector):
    await connector.describe()
    assert heard
    assert not any('"Employees"' in statement or "`Employees`" in statement for statement in heard)


async def test_1c_8_an_import_and_paging_go_beyond_the_first_page(platform):
    table(platform, "id int PRIMARY KEY NOT NULL")
    rows = ", ".join(f"({number})" for number in range(2_500))
    platform.execute(f'INSERT INTO "Trap" VALUES {rows}')
    settings = platform.settings(table="Trap", anchor="id")
    with open_importer("HR", settings) as importer:
        batches = [len(rows) for rows in importer.batches(EVERYTHING)]
    assert sum(batches) == 2_500
    assert max(batches) <= 1_000
    connector = open_connector("HR", settings)
    last = await connector.search(Query(offset=2_400, limit=200))
    assert (len(last.entries), last.total) == (100, 2_500)
    await connector.close()


@pytest.mark.parametrize("length", [397, 398, 8_191, 16_000])
async def test_1c_9_long_text_is_not_cut(platform, length):
    table(platform, "id int PRIMARY KEY NOT NULL, essay text")
    connector = platform.open(table="Trap", anchor="id")
    text = ("äöü🙂" * length)[:length]
    done = await connector.export(Add({"id": 1, "essay": text}))
    assert done.entry.values["essay"] == text
    assert (await connector.read("1")).values["essay"] == text
    await connector.close()


async def test_3_3_1_a_number_never_matches_every_text(employees, connector):
    """`WHERE login = 0` hits every row of MariaDB: a value of another type is refused or matches nothing."""
    await connector.export(ANNA)
    page = await connector.search(Query(Compare("Login", Comparator.EQ, 0)))
    assert page.total == 0


async def test_3_3_3_an_aware_moment_goes_into_a_column_without_a_zone_as_utc(platform):
    naive = {"sqlite": "datetime", "postgresql": "timestamp", "mariadb": "datetime"}[platform.database]
    table(platform, f"id int PRIMARY KEY NOT NULL, seen {naive}")
    connector = platform.open(table="Trap", anchor="id")
    moment = datetime(2026, 11, 23, 17, 30, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    assert (await connector.export(Add({"id": 1, "seen": moment}))).entry.values["seen"] == moment
    assert str(platform.execute('SELECT seen FROM "Trap"')[0][0]).startswith("2026-11-23 12:00:00")
    await connector.close()


async def test_3_3_5_a_uuid_keeps_its_bytes(employees, connector):
    text = "6f9619ff-8b86-d011-b42d-00c04fc964ff"
    await connector.export(Add({**ANNA.values, "Guid": text}))
    assert uuid.UUID(str(employees.execute('SELECT "Guid" FROM "Employees"')[0][0])) == uuid.UUID(text)


async def test_3_3_6_no_engine_of_generic_odbc_uses_fast_executemany(employees):
    engine = open_engine(parse_url(employees.url, employees.password), size=1, statement_s=5, purpose="writing")
    assert not getattr(engine.dialect, "fast_executemany", False)


ODD = {
    "until": ("timestamptz", "'infinity'"),
    "later": ("timestamp", "'-infinity'"),
    "day": ("date", "'infinity'"),
    "once": ("date", "'0044-03-15 BC'"),
    "ever": ("timestamp", "'20000-01-01'"),
    "shift": ("time", "'24:00'"),
    "pay": ("numeric", "'NaN'"),
    "share": ("numeric(4, 2)", "'NaN'"),
    "rate": ("double precision", "'Infinity'"),
}
"""What PostgreSQL keeps, and JSON, SCIM or Python has no word for."""


async def test_3_3_7_a_value_that_nobody_else_has_a_word_for_is_absent_and_reported(platform):
    platform.only("postgresql")
    table(platform, f"id int PRIMARY KEY, {', '.join(f'{name} {kind}' for name, (kind, _) in ODD.items())}")
    odd = ", ".join(value for _, value in ODD.values())
    platform.execute(
        f"""INSERT INTO "Trap" VALUES (1, {odd}), (2, now(), now(), now(), now(), now(), '12:30', 1.5, 1.5, 1.5)"""
    )
    connector = platform.open(table="Trap", anchor="id")
    try:
        page = await connector.search(Query())
        assert {entry.anchor for entry in page.entries} == {"1", "2"}
        by_anchor = {entry.anchor: entry.values for entry in page.entries}
        assert {name for name, value in by_anchor["1"].items() if value is not None} == {"id"}
        assert None not in by_anchor["2"].values()
        assert isinstance(by_anchor["2"]["until"], datetime)
        reported = [one.subject for one in await connector.check() if "does not allow" in one.fact]
        assert sorted(reported) == sorted(ODD)
    finally:
        await connector.close()


async def test_3_3_8_an_update_that_changes_nothing_still_counts_its_row(employees):
    employees.execute("""INSERT INTO "Employees" ("Login", "Name") VALUES ('anna', 'Anna')""")
    engine = open_engine(parse_url(employees.url, employees.password), size=1, statement_s=5, purpose="writing")
    users = sa.Table(
        "Employees", sa.MetaData(), sa.Column("Login", quote=True), sa.Column("Name", quote=True), quote=True
    )
    with engine.begin() as connection:
        done = connection.execute(sa.update(users).values(Name="Anna").where(users.c.Login == "anna"))
        assert done.rowcount == 1
    engine.dispose()


async def test_3_3_10_no_update_asks_for_returning(connector, heard):
    await connector.export(ANNA)
    await connector.export(Modify("anna", lambda _: {"Name": "Anne"}))
    updates = [statement for statement in heard if statement.startswith("UPDATE")]
    assert updates
    assert not any("RETURNING" in statement for statement in updates)


AFTER = {
    "sqlite": (
        """CREATE TRIGGER late AFTER INSERT ON "Employees"
           BEGIN UPDATE "Employees" SET "Number" = 42 WHERE "Login" = new."Login"; END""",
    ),
    "postgresql": (
        """CREATE OR REPLACE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN UPDATE "Employees" SET "Number" = 42 WHERE "Login" = new."Login"; RETURN NULL; END $$""",
        'CREATE TRIGGER late AFTER INSERT ON "Employees" FOR EACH ROW EXECUTE FUNCTION late()',
    ),
}


async def test_3_3_11_the_answer_shows_what_an_after_trigger_did(employees, connector):
    employees.only("sqlite", "postgresql")
    employees.execute(*AFTER[employees.database])
    assert (await connector.export(ANNA)).entry.values["Number"] == 42


async def test_3_3_11_a_row_that_a_trigger_took_away_is_no_success(employees, connector):
    employees.only("postgresql")
    employees.execute(
        "CREATE OR REPLACE FUNCTION gone() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$",
        'CREATE TRIGGER gone BEFORE INSERT ON "Employees" FOR EACH ROW EXECUTE FUNCTION gone()',
    )
    with pytest.raises(ConnectorError, match="trigger"):
        await connector.export(ANNA)


async def test_3_3_13_the_columns_of_a_view_have_their_types(employees):
    employees.execute('DROP VIEW IF EXISTS "Seen"', 'CREATE VIEW "Seen" AS SELECT * FROM "Employees"')
    employees.execute("""INSERT INTO "Employees" ("Login", "Name") VALUES ('anna', 'Anna')""")
    connector = employees.open(table="Seen", accept_unenforced_anchor=True)
    assert (await connector.read("anna")).values["Active"] is True
    await connector.close()
    employees.execute('DROP VIEW "Seen"')


async def test_3_3_15_check_says_whether_the_connection_is_encrypted(employees, connector):
    employees.only("postgresql", "mariadb")
    found = [finding for finding in await connector.check() if finding.subject == "encryption"]
    assert [finding.level for finding in found] == [Level.OK]
    assert "does not leave this machine" in found[0].fact


@pytest.mark.parametrize(
    ("kept", "asked", "matches"),
    [
        ("é", "e", False),
        ("e", "é", False),
        ("A1", "a1", True),
        ("x ", "x", False),
        ("ß", "ss", False),
        ("I", "i", True),
    ],
)
async def test_3_3_16_only_case_is_passed_over_in_comparing(connector, kept, asked, matches):
    await connector.export(Add({**ANNA.values, "Name": kept}))
    page = await connector.search(Query(Compare("Name", Comparator.EQ, asked)))
    assert bool(page.total) is matches


async def test_3_3_16_a_zero_date_reads_as_absent(employees):
    employees.only("mariadb")
    connection = employees.connect()
    cursor = connection.cursor()
    cursor.execute("SET SESSION sql_mode = ''")
    cursor.execute("INSERT INTO `Employees` (`Login`, `Name`, `Hired`, `Born`) VALUES ('anna', 'x', 0, 0)")
    connection.close()
    connector = employees.open()
    entry = await connector.read("anna")
    assert (entry.values["Hired"], entry.values["Born"]) == (None, None)
    await connector.close()


async def test_3_3_16_text_that_is_too_long_is_refused_and_never_cut(platform):
    """The length is the database's own to enforce where we do not know it: bytes of a TINYTEXT, for one."""
    platform.only("mariadb")
    table(platform, "id int PRIMARY KEY, note tinytext")
    connector = platform.open(table="Trap", anchor="id")
    with pytest.raises(InvalidValue):
        await connector.export(Add({"id": 1, "note": "🙂" * 255}))
    await connector.close()


async def test_3_3_17_text_that_is_no_unicode_stops_no_page(platform):
    platform.only("sqlite")
    table(platform, "id int PRIMARY KEY, name text")
    platform.execute("""INSERT INTO "Trap" VALUES (1, CAST(X'FF41' AS text)), (2, 'Anna')""")
    connector = platform.open(table="Trap", anchor="id", accept_unenforced_anchor=True)
    try:
        by_anchor = {entry.anchor: entry.values for entry in (await connector.search(Query())).entries}
        assert by_anchor["2"]["name"] == "Anna"
        if platform.driver == "native":  # the ODBC driver leaves out what it cannot read
            assert by_anchor["1"]["name"] is None
            assert "name" in {one.subject for one in await connector.check() if "does not allow" in one.fact}
    finally:
        await connector.close()


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
async def test_3_3_17_a_database_of_another_encoding_is_served_and_refuses_what_it_lacks(platform, encoding):
    platform.only("postgresql")
    name = f"of_{encoding.lower()}_{platform.driver}"
    platform.server.execute(f"CREATE DATABASE {name} TEMPLATE template0 LOCALE 'C' ENCODING '{encoding}'")
    other = on_server(platform.server, platform.driver, name)
    table(other, "id int PRIMARY KEY, name text")
    connector = other.open(table="Trap", anchor="id")
    try:
        assert (await connector.export(Add({"id": 1, "name": "Zoë"}))).entry.values["name"] == "Zoë"
        if encoding == "LATIN1":
            with pytest.raises(InvalidValue):
                await connector.export(Add({"id": 2, "name": "€"}))
    finally:
        await connector.close()


async def test_3_3_18_a_missing_driver_and_a_missing_data_source_are_said_to_be_missing(platform):
    if platform.driver == "native":
        pytest.skip("is about ODBC")
    backend = dialect_of(parse_url(platform.url, None)).name
    scheme = "mariadb" if backend == "mysql" else backend
    for query, mend in (("driver=No+Such+Driver", "odbcinst -q -d"), ("dsn=no_such_source", "odbcinst -q -s")):
        connector = platform.open(database=f"{scheme}+pyodbc://x@127.0.0.1:1/x?{query}")
        with pytest.raises(Unavailable, match="not installed"):
            await connector.describe()
        (found,) = [one for one in await connector.check() if one.subject == "driver"]
        assert mend in found.mend
        await connector.close()


async def test_1c_3_a_value_that_does_not_fit_is_refused_and_its_column_is_not_dropped(employees, connector):
    with pytest.raises(InvalidValue, match="Number"):
        await connector.export(Add({**ANNA.values, "Number": 2**70}))
    assert employees.execute('SELECT count(*) FROM "Employees"')[0][0] == 0


async def test_1c_4_a_row_with_the_very_mark_of_the_last_run_is_not_lost(platform, tmp_path):
    table(platform, "id int PRIMARY KEY NOT NULL, changed int")
    platform.execute('INSERT INTO "Trap" VALUES (1, 5)')
    settings = platform.settings(table="Trap", anchor="id")

    def run():
        request = imports.Request("watermark", tmp_path / "out", watermark="changed", overlap=0)
        with ImportState(tmp_path / "state") as state, open_importer("HR", settings) as importer:
            return imports.run(importer, state, request).adds

    assert run() == 1
    platform.execute('INSERT INTO "Trap" VALUES (2, 5)')
    assert run() == 1


async def test_1c_6_a_quote_in_a_name_is_doubled(platform):
    mark = "`" if platform.database == "mariadb" else '"'
    name, column = f"Tr{mark}ap", f"na{mark}me"
    doubled, doubled_column = (f"{mark}{text.replace(mark, mark * 2)}{mark}" for text in (name, column))
    connection = platform.connect()
    for statement in (
        f"DROP TABLE IF EXISTS {doubled}",
        f"CREATE TABLE {doubled} (id int PRIMARY KEY NOT NULL, {doubled_column} varchar(9))",
    ):
        connection.cursor().execute(statement)
    connection.close()
    connector = platform.open(table=name, anchor="id")
    await connector.export(Add({"id": 1, column: "x"}))
    assert (await connector.export(Modify("1", lambda _: {column: "y"}))).entry.values[column] == "y"
    assert (await connector.search(Query(Compare(column, Comparator.EQ, "y")))).total == 1
    await connector.close()


async def test_3_3_2_text_that_looks_like_a_number_finds_nobody_by_a_numeric_key(platform):
    table(platform, "id int PRIMARY KEY NOT NULL, name varchar(9)")
    connector = platform.open(table="Trap", anchor="id")
    await connector.export(Add({"id": 1, "name": "x"}))
    for anchor in ("01", "1abc", " 1", "1.0", "+1", "1e0", "\uff10\uff11"):
        assert await connector.read(anchor) is None, anchor
        with pytest.raises(NotFound):
            await connector.export(Delete(anchor))
    assert (await connector.read("1")).values["name"] == "x"
    await connector.close()


async def test_3_3_4_fractions_of_a_second_survive(platform):
    """MariaDB's driver cuts them from parameters; SQLite's keeps three digits."""
    precise = {"sqlite": "datetime", "postgresql": "timestamp(6)", "mariadb": "datetime(6)"}[platform.database]
    table(platform, f"id int PRIMARY KEY NOT NULL, seen {precise}")
    connector = platform.open(table="Trap", anchor="id")
    moment = datetime(2026, 11, 23, 17, 30, 1, 123_000, tzinfo=UTC)
    assert (await connector.export(Add({"id": 1, "seen": moment}))).entry.values["seen"] == moment
    assert (await connector.read("1")).values["seen"] == moment
    await connector.close()


async def test_3_3_9_an_insertion_is_believed_by_its_row_and_not_by_a_count(platform):
    """The count is -1 with several drivers; the anchor that the database made is what tells."""
    serial = {
        "sqlite": "id integer PRIMARY KEY AUTOINCREMENT",
        "postgresql": "id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
        "mariadb": "id int AUTO_INCREMENT PRIMARY KEY",
    }[platform.database]
    table(platform, f"{serial}, name varchar(9) NOT NULL")
    connector = platform.open(table="Trap", anchor="id", accept_unenforced_anchor=True)
    made = [(await connector.export(Add({"name": f"n{number}"}))).entry for number in range(3)]
    assert len({entry.anchor for entry in made}) == 3
    for entry in made:
        assert (await connector.read(entry.anchor)).values["name"] == entry.values["name"]
    await connector.close()


async def test_3_3_12_unique_keys_that_sqlite_does_not_spell_out_are_seen(platform):
    platform.only("sqlite")
    table(
        platform,
        "id integer PRIMARY KEY, login varchar(20) not null unique, up text GENERATED ALWAYS AS (upper(login))",
    )
    connector = platform.open(table="Trap", anchor="login")
    described = (await connector.describe()).by_name
    assert described["login"].unique
    assert described["up"].mutability is Mutability.READ_ONLY
    assert (await connector.export(Add({"login": "anna"}))).entry.values["up"] == "ANNA"
    with pytest.raises(InvalidValue, match="login"):
        await connector.export(Add({"login": "x" * 21}))
    await connector.close()


async def test_3_3_14_a_connection_that_was_killed_is_not_used_again(employees, connector):
    employees.only("postgresql", "mariadb")
    await connector.export(ANNA)
    if employees.database == "postgresql":
        employees.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    else:
        asked = "SELECT id FROM information_schema.processlist WHERE db = database() AND id <> connection_id()"
        for (number,) in employees.execute(asked):
            employees.execute(f"KILL {number}")
    assert (await connector.export(Modify("anna", lambda _: {"Name": "b"}))).written
    assert (await connector.read("anna")).values["Name"] == "b"


@pytest.mark.parametrize("text", ["lone \ud800 surrogate", "nul \x00 byte"])
async def test_3_3_17_text_that_no_database_takes_alike_is_refused_or_kept_whole(employees, connector, text):
    (done,) = await asyncio.gather(connector.export(Add({**ANNA.values, "Email": text})), return_exceptions=True)
    if isinstance(done, InvalidValue):
        assert done.attribute == "Email"
        assert employees.execute('SELECT count(*) FROM "Employees"')[0][0] == 0
    else:
        assert done.entry.values["Email"] == text


def test_every_trap_that_can_be_set_has_a_test_of_its_number():
    """1c.10 cannot be set: there are no multi-valued attributes."""
    numbers = {f"1c_{number}" for number in range(1, 10)} | {f"3_3_{number}" for number in range(1, 19)}
    held = {name.removeprefix("test_") for name in globals() if name.startswith(("test_1c", "test_3_3"))}
    assert {number for number in numbers if not any(name.startswith(f"{number}_") for name in held)} == set()
