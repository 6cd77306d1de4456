"""Any ODBC data source: the behaviours of the others, on databases that the connector is not told the name of.

What only a database itself could tell is not here: fractions of seconds, check constraints, computed columns, and on
SQLite the order of moments, which its driver keeps as text (docs/sql.md).
"""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.exc import DBAPIError

from connector_host.connectors.contract import Add, Comparator, Compare, Modify, Query
from connector_host.connectors.errors import Conflict, InDoubt, InvalidValue, WrongRowCount
from connector_host.connectors.registry import open_importer, survey_table
from connector_host.connectors.sql import datasource
from connector_host.errors import ConfigurationError, Level
from connector_host.runs import imports
from connector_host.runs.state import ImportState
from tests.conformance import (
    test_changing,
    test_exporting,
    test_faults,
    test_importing,
    test_reading,
    test_spelling,
)
from tests.conformance.conftest import opened
from tests.conformance.platforms import ODBC_DRIVERS, UNNAMED

filled = test_reading.filled
people = test_importing.people
imported = test_importing.imported
unsigned = test_spelling.unsigned
awkward = test_spelling.awkward
behind_proxy = test_faults.behind_proxy


@pytest.fixture(scope="module", params=UNNAMED, ids=[database for database, _ in UNNAMED])
def platform(request, tmp_path_factory):
    yield from opened(request, tmp_path_factory)


test_an_anchor_is_found_to_the_letter_or_not_at_all = test_reading.test_an_anchor_is_found_to_the_letter_or_not_at_all
test_comparisons_that_make_no_sense = test_reading.test_a_comparison_that_makes_no_sense_is_refused
test_a_page_is_a_stretch_in_order_with_the_whole_total = (
    test_reading.test_a_page_is_a_stretch_in_order_with_the_whole_total
)
test_pages_by_keyset_go_through_all_entries_once = test_reading.test_pages_by_keyset_go_through_all_entries_once
test_reads_that_wait_together = test_reading.test_reads_that_wait_together_each_get_their_own_entry
test_what_a_creation_leaves_out = (
    test_exporting.test_what_a_creation_leaves_out_has_its_default_and_an_explicit_null_has_not
)
test_a_required_column_without_a_value_is_named = test_exporting.test_a_required_column_without_a_value_is_named
test_a_change_that_changes_nothing_is_no_write = test_exporting.test_a_change_that_changes_nothing_is_no_write
test_a_value_is_cleared_by_an_explicit_null = test_exporting.test_a_value_is_cleared_by_an_explicit_null
test_a_required_value_cannot_be_cleared = test_exporting.test_a_required_value_cannot_be_cleared
test_changing_the_anchor_is_refused = test_exporting.test_changing_the_anchor_is_refused
test_a_deletion_answers_with_the_row_as_it_was = test_exporting.test_a_deletion_answers_with_the_row_as_it_was
test_only_the_exact_anchor_is_changed_or_deleted = test_exporting.test_only_the_exact_anchor_is_changed_or_deleted
test_changes_of_one_user_run_in_order = test_exporting.test_changes_of_one_user_run_in_the_order_in_which_they_came
test_a_new_column_appears_by_itself = test_changing.test_a_new_column_appears_by_itself
test_a_column_that_went_is_no_attribute_any_more = test_changing.test_a_column_that_went_is_no_attribute_any_more
looking = test_changing.looking
test_a_table_that_is_not_there = test_changing.test_a_table_that_is_not_there_is_named_with_what_may_be_meant
test_a_full_import = test_importing.test_a_full_import_delivers_every_row_with_every_attribute
test_a_name_may_hold_the_signs_that_quote_names = test_spelling.test_a_name_may_hold_the_signs_that_quote_names
test_awkward_names = test_spelling.test_awkward_names_and_values_go_both_ways
test_numbers_without_a_sign = test_spelling.test_numbers_without_a_sign_go_both_ways_up_to_the_largest
test_a_snapshot = test_importing.test_a_snapshot_sees_what_is_new_different_or_gone_and_nothing_twice
test_what_was_not_delivered_is_found_again = test_importing.test_what_was_not_delivered_is_found_again
test_reads_and_exports_go_on = test_faults.test_reads_and_exports_go_on_after_connections_were_lost
test_in_doubt = test_faults.test_a_connection_lost_during_the_commit_is_in_doubt
test_tried_again_once = test_faults.test_a_connection_lost_before_the_commit_is_tried_again_once
test_down_at_start = test_faults.test_a_database_that_is_down_at_start_is_unavailable_until_it_is_up


NUMBERED = {
    "sqlite": 'CREATE TABLE "Made" (id integer PRIMARY KEY, name varchar(20), team varchar(20))',
    "postgresql": 'CREATE TABLE "Made" (id serial PRIMARY KEY, name varchar(20), team varchar(20))',
    "mariadb": "CREATE TABLE `Made` (id int AUTO_INCREMENT PRIMARY KEY, name varchar(20), team varchar(20))",
}


@pytest.fixture
async def made(platform):
    platform.execute('DROP TABLE IF EXISTS "Made"', NUMBERED[platform.database])
    connector = platform.open(table="Made", anchor="id", column={})
    yield connector
    await connector.close()


async def test_a_user_is_created_read_found_changed_and_deleted(connector, employees):
    done = await connector.export(Add({"Login": "anna", "Name": "Änna", "Active": True, "Salary": 10}))
    assert done.entry == await connector.read("anna")
    assert (done.entry.values["Active"], done.entry.values["Salary"]) == (True, 10)
    changed = await connector.export(Modify("anna", lambda _: {"Name": "Anna!", "Active": False}))
    assert (changed.entry.values["Name"], changed.entry.values["Active"]) == ("Anna!", False)
    for question in (
        Compare("Name", Comparator.EQ, "ANNA!"),
        Compare("Name", Comparator.SW, "anna!"),
        Compare("Salary", Comparator.GT, 9),
        Compare("Active", Comparator.EQ, value=False),
    ):
        assert [entry.anchor for entry in (await connector.search(Query(question))).entries] == ["anna"]
    assert (await connector.search(Query(Compare("Name", Comparator.CO, "%")))).total == 0


async def test_a_second_user_with_the_anchor_is_a_conflict_in_any_case_of_letters(connector):
    await connector.export(Add({"Login": "anna", "Name": "x"}))
    for login in ("anna", "ANNA"):
        with pytest.raises(Conflict) as refused:
            await connector.export(Add({"Login": login, "Name": "x"}))
        assert refused.value.attributes == ("Login",)


async def test_a_second_holder_of_another_unique_value_is_a_conflict_that_names_it(employees):
    connector = employees.open(writers=1)
    exports = [Add({"Login": f"user{number}", "Name": "x", "Email": f"{number % 3}@x.org"}) for number in range(9)]
    outcomes = await asyncio.gather(*(connector.export(export) for export in exports), return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, Conflict)]
    assert [outcome.attributes for outcome in refused] == [("Email",)] * 6
    assert employees.execute('SELECT count(*) FROM "Employees"')[0][0] == 3
    await connector.close()


SHOUTING = {
    "sqlite": [
        """CREATE TRIGGER shouting AFTER INSERT ON "Employees"
           BEGIN UPDATE "Employees" SET "Name" = NEW."Name" || '!' WHERE "Login" = NEW."Login"; END"""
    ],
    "postgresql": [
        """CREATE OR REPLACE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN NEW."Name" := NEW."Name" || '!'; RETURN NEW; END $$""",
        'CREATE TRIGGER shouting BEFORE INSERT ON "Employees" FOR EACH ROW EXECUTE FUNCTION shout()',
    ],
    "mariadb": [
        "CREATE TRIGGER shouting BEFORE INSERT ON `Employees` FOR EACH ROW SET NEW.`Name` = concat(NEW.`Name`, '!')"
    ],
}


async def test_a_value_that_reads_back_as_another_is_undone_and_told(employees, connector):
    employees.execute(*SHOUTING[employees.database])
    with pytest.raises(InvalidValue, match="reads back as another value") as refused:
        await connector.export(Add({"Login": "anna", "Name": "Anna"}))
    assert refused.value.attribute == "Name"
    assert employees.execute('SELECT count(*) FROM "Employees"')[0][0] == 0


async def test_an_anchor_that_the_database_makes_is_found_by_the_other_values(made):
    first = await made.export(Add({"name": "x", "team": "red"}))
    second = await made.export(Add({"name": "y", "team": "red"}))
    assert len({first.entry.anchor, second.entry.anchor}) == 2
    assert (await made.read(second.entry.anchor)).values["name"] == "y"


async def test_an_anchor_that_cannot_be_told_from_others_is_refused_and_undone(made, platform):
    await made.export(Add({"name": "x", "team": "red"}))
    with pytest.raises(WrongRowCount, match=r"2 users have the values .* exports\.create"):
        await made.export(Add({"name": "x", "team": "red"}))
    assert platform.execute('SELECT count(*) FROM "Made"')[0][0] == 1


async def test_a_unique_index_that_may_be_partial_enforces_no_anchor(platform):
    """psqlODBC says of a partial index all that it says of a whole one."""
    platform.only("postgresql")
    platform.execute(
        'CREATE TABLE "Half" (login varchar(20) NOT NULL)',
        "CREATE UNIQUE INDEX half ON \"Half\" (login) WHERE login <> 'anybody'",
    )
    connector = platform.open(table="Half", anchor="login", column={})
    with pytest.raises(ConfigurationError, match="does not keep it unique"):
        await connector.describe()
    await connector.close()


async def test_a_lookup_finds_nobody_else_whatever_the_collation_thinks(employees, connector):
    await connector.export(Add({"Login": "zoe", "Name": "Zoe"}))
    assert (await connector.search(Query(Compare("Name", Comparator.EQ, "ZOE")))).total == 1
    for other in ("zoé", "zoe "):
        page = await connector.search(Query(Compare("Name", Comparator.EQ, other)))
        assert (page.total, page.entries) == (0, ())


async def test_pages_are_right_where_the_database_cuts_none(filled, connector, monkeypatch):
    monkeypatch.setattr(datasource, "PAGES", {})
    pages = [await connector.search(Query(offset=offset, limit=2)) for offset in (0, 2, 4)]
    assert [[entry.anchor for entry in page.entries] for page in pages] == [["anna", "bob"], ["carl"], []]
    assert [page.total for page in pages] == [3, 3, 3]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
async def test_a_file_dsn_names_the_data_source(employees, tmp_path, encoding):
    driver = ODBC_DRIVERS[employees.database]
    keywords = {"DRIVER": driver}
    if employees.server is None:
        keywords["DATABASE"] = str(employees.file)
    else:
        keywords |= {"SERVER": "127.0.0.1", "PORT": str(employees.server.port), "DATABASE": employees.server_database}
    text = "[ODBC]\r\n" + "".join(f"{key}={value}\r\n" for key, value in keywords.items())
    (tmp_path / "hr.dsn").write_bytes(text.encode(encoding))
    connector = employees.open(database=f"odbc://scim@/?filedsn={tmp_path / 'hr.dsn'}")
    assert (await connector.export(Add({"Login": "anna", "Name": "x"}))).entry.anchor == "anna"
    await connector.close()


async def test_a_dsn_names_the_data_source(employees, tmp_path, monkeypatch):
    driver, name = ODBC_DRIVERS[employees.database], f"people-{employees.database}"
    place = f"Database={employees.server_database or employees.file}\n"
    if employees.server is not None:
        place += f"Servername=127.0.0.1\nServer=127.0.0.1\nPort={employees.server.port}\n"
    (tmp_path / "odbc.ini").write_text(f"[{name}]\nDriver={driver}\n{place}\n")
    monkeypatch.setenv("ODBCINI", str(tmp_path / "odbc.ini"))
    connector = employees.open(database=f"odbc://scim@/?dsn={name}")
    assert (await connector.export(Add({"Login": "anna", "Name": "x"}))).entry.anchor == "anna"
    await connector.close()


async def test_check_says_what_odbc_does_not_tell(employees, connector):
    by_subject = {finding.subject: finding for finding in await connector.check()}
    assert "ODBC does not tell" in by_subject["privileges"].fact


async def test_check_names_the_database_that_more_is_known_of(employees, connector):
    (found,) = [one for one in await connector.check() if one.level is Level.WARNING and one.subject == "database"]
    assert employees.database in found.fact.lower()
    assert f"{employees.database}+pyodbc://" in found.mend
    known = employees.open(database=employees.url.replace("odbc://", f"{employees.database}+pyodbc://"))
    try:
        assert not [one for one in await known.check() if one.level is Level.WARNING and one.subject == "database"]
    finally:
        await known.close()


def test_a_url_that_names_no_data_source_says_how_to(platform):
    with pytest.raises(ConfigurationError, match=r"\?dsn= .* \?filedsn= .* \?driver="):
        platform.open(database="odbc://scim@db/hr")


@pytest.mark.parametrize("table", ["select", "Größe der Leute"])
async def test_any_name_of_a_table_works(platform, table):
    platform.execute(f'DROP TABLE IF EXISTS "{table}"', f'CREATE TABLE "{table}" ("from" varchar(9) PRIMARY KEY)')
    connector = platform.open(table=table, anchor="from", column={})
    assert (await connector.export(Add({"from": "x"}))).entry.anchor == "x"
    await connector.close()


async def test_whom_a_snapshot_passed_over_is_looked_for_before_being_called_gone(people, tmp_path):
    """Without one moment for all rows, a row that moves in an index meanwhile may be met nowhere."""
    people.only("postgresql")  # SQLite locks the file, and MariaDB reads as of one moment by itself

    def run(progress=lambda _: None):
        with (
            ImportState(tmp_path / "state") as state,
            open_importer("HR", people.settings(accept_unenforced_anchor=True)) as importer,
        ):
            return imports.run(importer, state, imports.Request("snapshot", tmp_path / "out"), progress)

    assert run().adds == 20
    people.execute("""DELETE FROM "Employees" WHERE "Login" IN ('user7', 'user8')""")
    comes_back = [
        """INSERT INTO "Employees" ("Login", "Name", "Number", "Salary", "Hired")
           VALUES ('user7', 'Name 7', 7, 10.50, '2026-01-07 12:00:00')"""
    ]
    found = run(lambda _: people.execute(comes_back.pop()) if comes_back else None)
    assert (found.read, found.deletes, found.modifies) == (19, 1, 0)
    assert [json.loads(line)["anchor"] for line in (tmp_path / "out").read_text().splitlines()] == ["user8"]


def test_a_look_at_some_rows_does_not_ask_for_all_of_them(people):
    """psqlODBC fetches everything before it hands out the first row."""
    said = []
    event.listen(Engine, "before_cursor_execute", hear := lambda *spoken: said.append(spoken[2]))
    try:
        survey = survey_table(people.url, people.password, table="Employees")
    finally:
        event.remove(Engine, "before_cursor_execute", hear)
    assert survey.samples["Login"].rows == 20
    (sampled,) = [one for one in said if "Salary" in one]
    assert "FETCH FIRST" in sampled or "LIMIT" in sampled


@pytest.mark.parametrize("state", ["40003", "HYT00"])
async def test_a_commit_of_which_the_driver_does_not_know_is_in_doubt_and_made_once(employees, state):
    """40003 is "statement completion unknown"; HYT00 at a commit is the driver's patience, not the database's."""
    import pyodbc

    connector = employees.open()
    await connector.describe()
    commits = []

    def unknown(_):
        commits.append(state)
        raise DBAPIError("COMMIT", {}, pyodbc.Error(state, f"[{state}] [Driver] nobody knows (0) (SQLEndTran)"))

    event.listen(connector._writing, "commit", unknown)
    with pytest.raises(InDoubt):
        await connector.export(Add({"Login": "anna", "Name": "Anna"}))
    assert commits == [state]
    await connector.close()


ROUNDING = {
    "sqlite": ("INTEGER PRIMARY KEY", "real", "clob"),
    "postgresql": ("serial PRIMARY KEY", "real", "text"),
    "mariadb": ("int AUTO_INCREMENT PRIMARY KEY", "float", "longtext"),
}


@pytest.fixture
async def rounding(platform):
    key, single, long = ROUNDING[platform.database]
    made = f"CREATE TABLE rounding (id {key}, login varchar(20), share {single}, notes {long})"
    platform.execute("DROP TABLE IF EXISTS rounding", made)
    opened = platform.open(table="rounding", anchor="id", column={})
    yield opened
    await opened.close()


async def test_a_number_that_the_database_gives_out_is_found_where_others_are_rounded(rounding):
    """MariaDB's FLOAT is equal to no number that was written into it."""
    made = (await rounding.export(Add({"login": "anna", "share": Decimal("0.1")}))).entry
    assert made.values["share"] == Decimal("0.1")
    assert (await rounding.read(made.anchor)).values["login"] == "anna"


async def test_text_without_a_limit_is_taken(rounding):
    """MariaDB's driver says that a LONGTEXT has -1 characters at most, and loses letters of wide text in pieces."""
    text = "é" * 5_000
    assert (await rounding.export(Add({"login": "anna", "notes": text}))).entry.values["notes"] == text


async def test_a_value_that_nobody_has_afterwards_is_named_as_the_reason(platform, rounding):
    platform.only("sqlite")
    platform.execute(
        "CREATE TRIGGER shout AFTER INSERT ON rounding BEGIN UPDATE rounding SET login = upper(login); END"
    )
    with pytest.raises(WrongRowCount, match="keeps one of them otherwise"):
        await rounding.export(Add({"login": "anna"}))
    assert platform.execute("SELECT count(*) FROM rounding")[0][0] == 0


async def test_a_filter_that_the_data_source_does_not_understand_is_refused_and_no_fault_of_ours(platform):
    platform.only("postgresql", "mariadb")
    kind = "uuid"
    if platform.database == "postgresql":
        kind = "mood"
        platform.execute("DROP TYPE IF EXISTS mood CASCADE", "CREATE TYPE mood AS ENUM ('glad')")
    platform.execute("DROP TABLE IF EXISTS odd", f"CREATE TABLE odd (id int PRIMARY KEY, kind {kind})")
    connector = platform.open(table="odd", anchor="id", column={})
    try:
        with pytest.raises(InvalidValue, match="refuses to filter or sort by this"):
            await connector.search(Query(Compare("kind", Comparator.CO, "la")))
        assert (await connector.search(Query())).total == 0
    finally:
        await connector.close()
