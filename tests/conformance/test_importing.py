"""Imports, alike on every database and driver: full, by snapshot and by watermark, each exactly once."""

from __future__ import annotations

import csv
import json
import sqlite3
from contextlib import contextmanager
from dataclasses import replace

import pytest

from connector_host.connectors.registry import change_log, open_importer
from connector_host.errors import ConfigurationError
from connector_host.runs import imports
from connector_host.runs.imports import Request, TooManyDeletions
from connector_host.runs.state import ImportState


@pytest.fixture
def people(employees):
    employees.execute(
        *(
            f"""INSERT INTO "Employees" ("Login", "Name", "Number", "Salary", "Hired")
                VALUES ('user{number}', 'Name {number}', {number}, 10.50, '2026-01-{number:02d} 12:00:00')"""
            for number in range(1, 21)
        )
    )
    return employees


@pytest.fixture
def imported(people, tmp_path):
    """A function that runs one import and returns what was delivered."""

    def run(profile="full", column=None, **changes):
        request = replace(Request(profile, tmp_path / "out"), **changes)
        with (
            ImportState(tmp_path / "state") as state,
            open_importer("HR", people.settings(accept_unenforced_anchor=True, column=column or {})) as importer,
        ):
            imports.run(importer, state, request)
        lines = (tmp_path / "out").read_text().splitlines()
        return [json.loads(line) for line in lines] if request.form == "ndjson" else []

    return run


async def test_a_full_import_delivers_every_row_with_every_attribute(people, imported):
    found = imported()
    assert len(found) == 20
    assert {row["change"] for row in found} == {"add"}
    first = next(row for row in found if row["anchor"] == "user1")
    # SQLite keeps no zeros after the point.
    assert first["values"]["Salary"] == ("10.5" if people.database == "sqlite" else "10.50")
    assert first["values"]["Hired"] == "2026-01-01T12:00:00Z"
    assert first["values"]["Active"] is True
    assert first["values"]["Email"] is None
    assert "Photo" not in first["values"]


async def test_who_reads_the_output_slowly_does_not_lose_the_connection(people):
    people.only("postgresql", "mariadb")
    asked = {"postgresql": "SHOW idle_in_transaction_session_timeout", "mariadb": "SELECT @@net_write_timeout"}
    with open_importer("HR", people.settings()) as importer:
        patience = importer._connection.exec_driver_sql(asked[people.database]).scalar()
    assert str(patience) == {"postgresql": "1h", "mariadb": "3600"}[people.database]


async def test_a_snapshot_sees_what_is_new_different_or_gone_and_nothing_twice(people, imported):
    assert len(imported("snapshot")) == 20
    assert imported("snapshot") == []
    people.execute(
        """UPDATE "Employees" SET "Name" = 'Other' WHERE "Login" = 'user1'""",
        """DELETE FROM "Employees" WHERE "Login" = 'user2'""",
        """INSERT INTO "Employees" ("Login", "Name") VALUES ('newer', 'x')""",
    )
    found = {row["anchor"]: row for row in imported("snapshot")}
    assert {anchor: row["change"] for anchor, row in found.items()} == {
        "user1": "modify",
        "user2": "delete",
        "newer": "add",
    }
    assert found["user1"]["values"]["Name"] == "Other"
    assert imported("snapshot") == []


async def test_a_table_that_lost_most_rows_is_not_called_deleted(people, imported):
    imported("snapshot")
    people.execute("""DELETE FROM "Employees" WHERE "Number" > 3""")
    with pytest.raises(TooManyDeletions, match="17 of 20"):
        imported("snapshot")
    assert len(imported("snapshot", accept_deletions=True)) == 17


@pytest.mark.parametrize("mark", ["Hired", "Number"])
async def test_a_watermark_reads_what_came_later_and_repeats_nothing(people, imported, mark):
    assert len(imported("watermark", watermark=mark, overlap=1)) == 20
    assert imported("watermark", watermark=mark, overlap=1) == []
    people.execute("""INSERT INTO "Employees" ("Login", "Name", "Number", "Hired")
                      VALUES ('late', 'x', 21, '2026-01-21 12:00:00')""")
    assert [row["anchor"] for row in imported("watermark", watermark=mark, overlap=1)] == ["late"]


async def test_a_row_that_was_committed_late_with_an_earlier_mark_is_not_missed(people, imported):
    """sql-connectors.md §3.7: a transaction that took its time lies below the last watermark."""
    imported("watermark", watermark="Hired", overlap=3600)
    people.execute("""INSERT INTO "Employees" ("Login", "Name", "Hired")
                      VALUES ('tied', 'x', '2026-01-20 12:00:00'), ('late', 'x', '2026-01-20 11:30:00')""")
    found = imported("watermark", watermark="Hired", overlap=3600)
    assert sorted(row["anchor"] for row in found) == ["late", "tied"]


@pytest.mark.parametrize(("mark", "later"), [("02:58", "02:01"), ("03:02", "02:58")])
async def test_a_change_in_the_hour_that_clocks_show_twice_is_not_missed(people, imported, tmp_path, mark, later):
    if people.database == "postgresql":
        people.execute("""ALTER TABLE "Employees" ALTER "Hired" TYPE timestamp""")
    people.execute("""DELETE FROM "Employees" """)
    insertion = """INSERT INTO "Employees" ("Login", "Name", "Hired") VALUES ('{}', 'x', '2024-10-27 {}:00')"""
    people.execute(insertion.format("early", "01:50"), insertion.format("marked", mark))
    berlin = {"watermark": "Hired", "column": {"Hired": {"zone": "Europe/Berlin"}}}
    assert len(imported("watermark", **berlin)) == 2
    people.execute(insertion.format("later", later))
    assert [row["anchor"] for row in imported("watermark", **berlin)] == ["later"]
    assert read_last(tmp_path) == 2, "an hour more, and not the table"


async def test_a_row_that_is_dated_far_ahead_hides_no_later_change(people, imported):
    people.execute("""UPDATE "Employees" SET "Hired" = '9999-12-30 00:00:00' WHERE "Login" = 'user1'""")
    imported("watermark", watermark="Hired")
    people.execute("""INSERT INTO "Employees" ("Login", "Name", "Hired") VALUES ('late', 'x', '2999-01-01 12:00:00')""")
    assert [row["anchor"] for row in imported("watermark", watermark="Hired")] == ["late"]


async def test_a_number_that_is_far_ahead_hides_no_later_change(people, imported, tmp_path):
    numbered = ", ".join(f"('more{number}', 'x', {number})" for number in range(21, 201))
    people.execute(
        f"""INSERT INTO "Employees" ("Login", "Name", "Number") VALUES {numbered}""",
        """UPDATE "Employees" SET "Number" = 2000000000 WHERE "Login" = 'user1'""",
    )
    imported("watermark", watermark="Number", overlap=1)
    people.execute("""INSERT INTO "Employees" ("Login", "Name", "Number") VALUES ('late', 'x', 201)""")
    assert [row["anchor"] for row in imported("watermark", watermark="Number", overlap=1)] == ["late"]
    assert read_last(tmp_path) < 110, "the highest hundred, and not the table"


@pytest.mark.parametrize("mark", ["Hired", "Number"])
async def test_a_row_without_a_mark_is_looked_at_each_time(people, imported, mark):
    imported("watermark", watermark=mark, overlap=1)
    people.execute("""INSERT INTO "Employees" ("Login", "Name") VALUES ('unmarked', 'x')""")
    assert [row["anchor"] for row in imported("watermark", watermark=mark, overlap=1)] == ["unmarked"]
    assert imported("watermark", watermark=mark, overlap=1) == []


async def test_a_text_can_be_no_watermark(imported):
    with pytest.raises(ConfigurationError, match="can be no watermark"):
        imported("watermark", watermark="Name")


async def test_what_was_not_delivered_is_found_again(people, imported, tmp_path, monkeypatch):
    def cut(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(imports, "_deletions", cut)
    with pytest.raises(KeyboardInterrupt):
        imported("snapshot")
    assert not (tmp_path / "out").exists()
    monkeypatch.undo()
    assert len(imported("snapshot")) == 20
    with ImportState(tmp_path / "state") as state:
        assert [(run.counts.adds, run.error) for run in state.history()] == [(20, None), (20, "KeyboardInterrupt")]


async def test_the_state_holds_no_values(people, imported, tmp_path):
    imported("snapshot")
    content = (tmp_path / "state").read_bytes()
    assert b"user1" in content
    assert b"Name 1" not in content
    with sqlite3.connect(tmp_path / "state") as file:
        assert len(file.execute("SELECT value FROM secret").fetchone()[0]) == 32
    file.close()


async def test_an_import_as_csv_has_a_row_each_and_quotes_what_it_must(people, imported, tmp_path):
    people.execute("""UPDATE "Employees" SET "Name" = 'a, ''b'' c' WHERE "Login" = 'user1'""")
    imported(form="csv")
    rows = list(csv.DictReader((tmp_path / "out").read_text().splitlines()))
    assert len(rows) == 20
    first = next(row for row in rows if row["anchor"] == "user1")
    assert (first["change"], first["Name"], first["Number"]) == ("add", "a, 'b' c", "1")


def made_anew(logged):
    """Take the log away and make it again, and change user2 in between."""
    connection = logged.connect()
    for statement in change_log(logged.settings(), remove=True):
        connection.cursor().execute(statement)
    connection.cursor().execute(logged.spelled("""UPDATE "Employees" SET "Name" = 'lost' WHERE "Login" = 'user2'"""))
    for statement in change_log(logged.settings()):
        connection.cursor().execute(statement)
    connection.close()


@pytest.fixture
def logged(people):
    """The table of users with a change log, made by the statements that the product prints."""
    people.execute('DROP TABLE IF EXISTS "Employees_changes"')
    if people.database == "postgresql":
        people.execute('DROP FUNCTION IF EXISTS "Employees_changes_log"() CASCADE')
    connection = people.connect()
    for statement in change_log(people.settings()):
        connection.cursor().execute(statement)
    connection.close()
    return people


async def test_a_change_log_names_what_is_new_different_or_gone(logged, imported):
    assert len(imported("changes")) == 20
    assert imported("changes") == []
    logged.execute(
        """UPDATE "Employees" SET "Name" = 'Other' WHERE "Login" = 'user1'""",
        """DELETE FROM "Employees" WHERE "Login" = 'user2'""",
        """INSERT INTO "Employees" ("Login", "Name") VALUES ('newer', 'x')""",
    )
    found = {row["anchor"]: row for row in imported("changes")}
    assert {anchor: row["change"] for anchor, row in found.items()} == {
        "user1": "modify",
        "user2": "delete",
        "newer": "add",
    }
    assert found["user1"]["values"]["Name"] == "Other"
    assert imported("changes") == []


async def test_the_log_has_both_sides_of_a_rename_in_case_only(logged, imported):
    imported("changes")
    logged.execute("""UPDATE "Employees" SET "Login" = 'USER1' WHERE "Login" = 'user1'""")
    found = {row["anchor"]: row["change"] for row in imported("changes")}
    assert found == {"USER1": "add", "user1": "delete"}


EARLIER = {
    "sqlite": "datetime(at, '-{seconds} seconds')",
    "postgresql": "at - interval '{seconds} seconds'",
    "mariadb": "at - interval {seconds} second",
}


def set_back(logged, seconds, anchor):
    """Return what gives a row of the log an earlier time."""
    earlier = EARLIER[logged.database].format(seconds=seconds)
    return f"""UPDATE "Employees_changes" SET at = {earlier} WHERE anchor = '{anchor}'"""


def unstamp(logged):
    """Make a log of PostgreSQL what it was before its rows were stamped."""
    if logged.database == "postgresql":
        logged.execute('ALTER TABLE "Employees_changes" DROP COLUMN stamp')


@contextmanager
def open_for(logged, seconds):
    """Change user2 in a transaction that began so long ago, and commit after what happens in the block."""
    connection = logged.connect()
    for statement in (
        # Else MariaDB locks the end of the log.
        "SET TRANSACTION ISOLATION LEVEL READ COMMITTED",
        "BEGIN",
        """UPDATE "Employees" SET "Name" = 'slow' WHERE "Login" = 'user2'""",
        set_back(logged, seconds, "user2"),
    ):
        connection.cursor().execute(logged.spelled(statement))
    yield
    connection.cursor().execute("COMMIT")
    connection.close()


async def test_a_change_that_was_committed_late_is_found_in_a_log_by_its_time(logged, imported):
    logged.only("postgresql", "mariadb")
    unstamp(logged)
    imported("changes")
    with open_for(logged, 60):
        logged.execute("""UPDATE "Employees" SET "Name" = 'quick' WHERE "Login" = 'user3'""")
        assert [row["anchor"] for row in imported("changes")] == ["user3"]
    assert imported("changes", overlap=1) == []
    assert [row["anchor"] for row in imported("changes", overlap=300)] == ["user2"]


async def test_a_change_that_was_written_down_after_the_clock_was_set_back_is_found_in_the_log(logged, imported):
    unstamp(logged)
    logged.execute("""UPDATE "Employees" SET "Name" = 'first' WHERE "Login" = 'user1'""")
    imported("changes")
    logged.execute(
        """UPDATE "Employees" SET "Name" = 'late' WHERE "Login" = 'user2'""", set_back(logged, 3600, "user2")
    )
    assert [row["anchor"] for row in imported("changes")] == ["user2"]


async def test_a_change_that_was_open_for_longer_than_any_overlap_is_found_in_a_stamped_log(logged, imported):
    logged.only("postgresql")
    imported("changes")
    logged.execute("""UPDATE "Employees" SET "Name" = 'first' WHERE "Login" = 'user1'""")
    imported("changes")
    with open_for(logged, 3600):
        logged.execute("""UPDATE "Employees" SET "Name" = 'quick' WHERE "Login" = 'user3'""")
        assert [row["anchor"] for row in imported("changes")] == ["user3"]
    assert [row["anchor"] for row in imported("changes")] == ["user2"]
    assert imported("changes") == []


async def test_a_log_that_was_made_before_is_stamped_by_what_is_printed(logged, imported, tmp_path):
    logged.only("postgresql")
    unstamp(logged)
    logged.execute("""UPDATE "Employees" SET "Name" = 'first' WHERE "Number" < 9""")
    imported("changes")
    logged.execute(*change_log(logged.settings())[1:3])
    logged.execute("""UPDATE "Employees" SET "Name" = 'next' WHERE "Login" = 'user2'""")
    assert [row["anchor"] for row in imported("changes")] == ["user2"]
    logged.execute("""UPDATE "Employees" SET "Name" = 'last' WHERE "Login" = 'user3'""")
    assert [row["anchor"] for row in imported("changes")] == ["user3"]
    assert read_last(tmp_path) == 1


async def test_an_overlap_for_a_stamped_log_is_refused(logged, imported):
    logged.only("postgresql")
    logged.execute("""UPDATE "Employees" SET "Name" = 'first' WHERE "Login" = 'user1'""")
    imported("changes")
    with pytest.raises(ConfigurationError, match="overlap: the change log has row versions"):
        imported("changes", overlap=60)


async def test_a_change_log_can_be_taken_away_again(logged, imported):
    connection = logged.connect()
    for statement in change_log(logged.settings(), remove=True):
        connection.cursor().execute(statement)
    connection.close()
    logged.execute("""DELETE FROM "Employees" WHERE "Login" = 'user2'""")
    with pytest.raises(ConfigurationError, match="has no change log"):
        imported("changes")


async def test_most_rows_gone_from_the_log_are_not_called_deleted(logged, imported):
    imported("changes")
    logged.execute("""DELETE FROM "Employees" WHERE "Number" > 3""")
    with pytest.raises(TooManyDeletions, match="17 of 20"):
        imported("changes")


def read_last(tmp_path):
    """Return how many rows the last run read."""
    with ImportState(tmp_path / "state") as state:
        return state.history(1)[0].counts.read


async def test_rows_of_the_log_that_were_read_may_be_pruned(logged, imported, tmp_path):
    logged.execute("""UPDATE "Employees" SET "Name" = 'x' WHERE "Login" = 'user1'""")
    imported("changes")
    logged.execute('DELETE FROM "Employees_changes"', """UPDATE "Employees" SET "Name" = 'y' WHERE "Login" = 'user2'""")
    assert [row["anchor"] for row in imported("changes")] == ["user2"]
    assert read_last(tmp_path) == 1


async def test_where_the_log_was_pruned_unread_the_table_itself_is_read(logged, imported, tmp_path):
    logged.execute("""UPDATE "Employees" SET "Name" = 'x' WHERE "Login" = 'user1'""")
    imported("changes")
    logged.execute(
        """UPDATE "Employees" SET "Name" = 'lost' WHERE "Login" = 'user2'""",
        """DELETE FROM "Employees" WHERE "Login" = 'user3'""",
        'DELETE FROM "Employees_changes"',
        """UPDATE "Employees" SET "Name" = 'told' WHERE "Login" = 'user4'""",
    )
    found = {row["anchor"]: row["change"] for row in imported("changes")}
    assert found == {"user2": "modify", "user3": "delete", "user4": "modify"}
    assert read_last(tmp_path) == 19
    logged.execute("""UPDATE "Employees" SET "Name" = 'next' WHERE "Login" = 'user5'""")
    assert [row["anchor"] for row in imported("changes")] == ["user5"]
    assert read_last(tmp_path) < 19


async def test_where_the_log_was_emptied_the_table_itself_is_read(logged, imported):
    logged.execute("""UPDATE "Employees" SET "Name" = 'x' WHERE "Login" = 'user1'""")
    imported("changes")
    logged.execute(
        """UPDATE "Employees" SET "Name" = 'lost' WHERE "Login" = 'user2'""", 'DELETE FROM "Employees_changes"'
    )
    assert [row["anchor"] for row in imported("changes")] == ["user2"]


async def test_a_run_by_the_log_that_is_cut_off_is_made_again(logged, imported, monkeypatch):
    imported("changes")
    logged.execute("""DELETE FROM "Employees" WHERE "Login" = 'user2'""")

    def cut(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(imports, "_refuse_too_many", cut)
    with pytest.raises(KeyboardInterrupt):
        imported("changes")
    monkeypatch.undo()
    assert [row["change"] for row in imported("changes")] == ["delete"]


async def test_where_the_log_was_made_anew_the_table_itself_is_read(logged, imported, tmp_path):
    logged.execute("""UPDATE "Employees" SET "Name" = 'x' WHERE "Number" < 9""")
    imported("changes")
    made_anew(logged)
    logged.execute("""UPDATE "Employees" SET "Name" = 'told' WHERE "Login" = 'user3'""")
    assert {row["anchor"] for row in imported("changes")} == {"user2", "user3"}
    assert read_last(tmp_path) == 20


async def test_where_the_log_was_made_anew_and_filled_beyond_its_old_end_the_table_itself_is_read(
    logged, imported, tmp_path
):
    logged.execute("""UPDATE "Employees" SET "Name" = 'x' WHERE "Login" = 'user1'""")
    imported("changes")
    made_anew(logged)
    logged.execute("""UPDATE "Employees" SET "Name" = 'told' WHERE "Number" BETWEEN 3 AND 9""")
    assert {row["anchor"] for row in imported("changes")} == {f"user{number}" for number in range(2, 10)}
    assert read_last(tmp_path) == 20
    assert imported("changes") == []
    assert read_last(tmp_path) < 20


async def test_where_the_log_was_empty_and_made_anew_the_table_itself_is_read(logged, imported):
    imported("changes")
    made_anew(logged)
    logged.execute("""UPDATE "Employees" SET "Name" = 'told' WHERE "Login" = 'user3'""")
    assert {row["anchor"] for row in imported("changes")} == {"user2", "user3"}


async def test_a_table_that_was_truncated_is_read_itself(logged, imported, tmp_path):
    logged.only("postgresql")
    imported("changes")
    logged.execute('TRUNCATE "Employees"')
    with pytest.raises(TooManyDeletions, match="20 of 20"):
        imported("changes")
    logged.execute("""INSERT INTO "Employees" ("Login", "Name") VALUES ('newer', 'x'), ('user1', 'Name 1')""")
    found = {row["anchor"]: row["change"] for row in imported("changes", accept_deletions=True)}
    assert len(found) == 21
    assert (found["newer"], found["user1"], found["user2"]) == ("add", "modify", "delete")
    logged.execute("""UPDATE "Employees" SET "Name" = 'y' WHERE "Login" = 'newer'""")
    assert [row["anchor"] for row in imported("changes")] == ["newer"]
