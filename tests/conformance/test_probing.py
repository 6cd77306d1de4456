"""Probes: each column proves that awkward values survive, in transactions that leave nothing behind."""

from __future__ import annotations

import pytest

from connector_host.connectors.registry import probe
from connector_host.connectors.sql import probing
from connector_host.errors import Level
from tests.conformance.platforms import ATTRIBUTES

ANNA = """INSERT INTO "Employees" ("Login", "Email", "Name", "Number") VALUES ('anna', 'a@x.org', 'Anna Secret', 7)"""

UPPER = {
    "sqlite": """CREATE TRIGGER up AFTER UPDATE ON "Employees" WHEN NEW."Name" <> upper(NEW."Name") BEGIN
        UPDATE "Employees" SET "Name" = upper("Name") WHERE "Login" = NEW."Login"; END""",
    "mariadb": 'CREATE TRIGGER up BEFORE UPDATE ON "Employees" FOR EACH ROW SET NEW."Name" = upper(NEW."Name")',
}
FUNCTION = """CREATE OR REPLACE FUNCTION up() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN NEW."Name" := upper(NEW."Name"); RETURN NEW; END $$"""
TRIGGER = 'CREATE TRIGGER up BEFORE UPDATE ON "Employees" FOR EACH ROW EXECUTE FUNCTION up()'


def probed(platform, **changes):
    """Return what is said of each column: the findings by subject."""
    said = {}
    for finding in probe("HR", platform.settings(**changes)):
        said.setdefault(finding.subject, []).append(finding)
    return said


def facts(findings):
    return " ".join(finding.fact for finding in findings)


def rows(platform):
    return [tuple(row) for row in platform.execute('SELECT * FROM "Employees"')]


async def test_each_column_is_probed_and_nothing_stays(employees):
    employees.execute(ANNA)
    before = rows(employees)
    said = probed(employees)
    assert [*said] == [*ATTRIBUTES, "probe"]
    for name in set(ATTRIBUTES) - {"Shout"}:
        (finding,) = said[name]
        assert finding.level is Level.OK, finding
        assert finding.fact.startswith("survives: "), finding
    assert "20 letters beyond ASCII" in facts(said["Login"])
    assert "blanks at both ends, the empty text" in facts(said["Email"])
    assert facts(said["Active"]) == "survives: true, false."
    assert facts(said["Shout"]) == "not probed (the database makes it)."
    assert "to a user who is there, read back and rolled back" in facts(said["probe"])
    assert rows(employees) == before


async def test_a_user_is_made_where_there_is_none_and_is_gone_afterwards(employees):
    said = probed(employees)
    assert [one for findings in said.values() for one in findings if one.level is not Level.OK] == []
    assert "a user made for it" in facts(said["probe"])
    assert rows(employees) == []


async def test_what_a_trigger_changes_is_told_without_any_value(employees):
    trigger = [FUNCTION, TRIGGER] if employees.database == "postgresql" else [UPPER[employees.database]]
    employees.execute(ANNA, *trigger)
    said = probed(employees)
    changed = next(finding for finding in said["Name"] if finding.fact.startswith("changed: "))
    assert "40 letters in both cases" in changed.fact
    assert changed.fact.endswith("(comes back in capitals).")
    assert changed.level is Level.WARNING
    assert changed.mend
    everything = " ".join(facts(findings) for findings in said.values()).lower()
    assert "secret" not in everything
    assert "triggers" in facts(said["probe"])


# Letters by chance, of which no one is a 0.
LEGACY = """CREATE TABLE "Legacy" (id int PRIMARY KEY NOT NULL, flag char(3), seen bigint, hired {naive},
    code char(10), note varchar(30) CHECK (note LIKE '0%'))"""
NAIVE = {"sqlite": "datetime", "postgresql": "timestamp(0)", "mariadb": "datetime"}


async def test_what_is_cut_refused_by_a_rule_or_meant_otherwise_is_told(platform):
    platform.execute(
        'DROP TABLE IF EXISTS "Legacy"',
        LEGACY.format(naive=NAIVE[platform.database]),
        """INSERT INTO "Legacy" (id, flag, code, note) VALUES (1, 'Y', 'c', '0')""",
    )
    column = {
        "flag": {"true": "Y", "false": "N"},
        "seen": {"epoch": "s"},
        "hired": {"zone": "Europe/Berlin"},
    }
    said = probed(platform, table="Legacy", anchor="id", column=column)
    assert facts(said["flag"]) == "survives: true, false."
    assert "cut: a moment in summer with six digits after the second (keeps 0 digits" in facts(said["seen"])
    assert "the first moment of summer time in Europe/Berlin" in facts(said["hired"])
    if platform.database != "sqlite":
        assert "(keeps 0 digits after the second)" in facts(said["hired"])
        assert "cut: blanks at both ends (loses blanks at its end)" in facts(said["code"])
    assert "refused: 30 letters in both cases" in facts(said["note"])
    assert "check constraint" in facts(said["note"])
    # None of this is a fault: the host knows it, or somebody meant it.
    assert [one for findings in said.values() for one in findings if one.level is not Level.OK] == []


async def test_letters_that_a_character_set_lacks_are_refused_with_the_mend(employees):
    employees.only("mariadb")
    employees.execute('ALTER TABLE "Employees" MODIFY "Name" varchar(40) CHARACTER SET latin1 NOT NULL', ANNA)
    refused = next(finding for finding in probed(employees)["Name"] if finding.fact.startswith("refused: "))
    assert "signs of four bytes" in refused.fact
    assert refused.level is Level.WARNING
    assert "character set" in refused.mend


async def test_a_foreign_key_leaves_its_column_unprobed_and_the_others_not(platform):
    platform.execute(
        'DROP TABLE IF EXISTS "Legacy"',
        'DROP TABLE IF EXISTS "Staff"',
        'DROP TABLE IF EXISTS "Rooms"',
        'CREATE TABLE "Rooms" (id int PRIMARY KEY NOT NULL)',
        'CREATE TABLE "Staff" (id int PRIMARY KEY NOT NULL, name varchar(20), room int NOT NULL, '
        'FOREIGN KEY (room) REFERENCES "Rooms" (id))',
        'INSERT INTO "Rooms" (id) VALUES (5)',
        "INSERT INTO \"Staff\" (id, name, room) VALUES (1, 'a', 5)",
    )
    said = probed(platform, table="Staff", anchor="id")
    assert facts(said["name"]).startswith("survives: ")
    assert facts(said["id"]).startswith("survives: ")  # in a copy of the user who is there, room and all
    if platform.database != "sqlite":  # which minds foreign keys only where it is told to
        assert facts(said["room"]).startswith("not probed: ")
        assert "tied to" in facts(said["room"])
        platform.execute('DELETE FROM "Staff"')
        assert "there is no user to try on, and none could be made" in facts(
            probed(platform, table="Staff", anchor="id")["probe"]
        )


async def test_a_login_without_the_right_is_told_so(employees, poor):
    employees.execute(ANNA, 'GRANT SELECT, UPDATE ("Number") ON "Employees" TO poor')
    url = employees.url.replace("scim@", "poor@")
    said = probed(employees, database=url, password="poor")
    assert facts(said["Number"]).startswith("survives: ")
    for name in ("Login", "Name"):
        (finding,) = said[name]
        assert finding.fact == "not probed (the login may not write it)."
        assert "connector-host grants" in finding.mend


COMMITS = ['UPDATE "Employees" SET "Name" = :Name WHERE "Login" = :Login', "COMMIT"]


async def test_nothing_is_written_where_statements_commit_by_themselves(employees):
    employees.execute(ANNA)
    before = rows(employees)
    statements = [employees.spelled(statement) for statement in COMMITS]
    (finding,) = probed(employees, exports={"update": statements})["probe"]
    assert finding.fact.startswith("Not probed, since a rollback would not undo it: exports.update[1]")
    assert finding.level is Level.WARNING
    assert rows(employees) == before


async def test_nothing_is_written_where_the_driver_commits_each_statement(employees):
    employees.only("mariadb")
    if employees.driver != "native":
        pytest.skip("over ODBC the URL cannot say so")
    employees.execute(ANNA)
    before = rows(employees)
    url = f"{employees.url}{'&' if '?' in employees.url else '?'}autocommit=1"
    (finding,) = probed(employees, database=url)["probe"]
    assert "commits each statement by itself" in finding.fact
    assert rows(employees) == before


async def test_a_value_that_stays_after_all_ends_the_probe(employees, monkeypatch):
    """A trigger of another engine, or a driver that lies: the look after the rollback does not take its word."""
    employees.execute(ANNA)
    monkeypatch.setattr("sqlalchemy.Connection.rollback", lambda connection: connection.commit())
    with pytest.raises(probing.Stayed, match="in the table nevertheless"):
        probed(employees)


async def test_a_number_that_the_database_would_make_is_probed_where_it_may_be_given(platform):
    kind = {"sqlite": "INTEGER", "postgresql": "serial", "mariadb": "int AUTO_INCREMENT"}[platform.database]
    made = f'CREATE TABLE "Counted" (id {kind} PRIMARY KEY, login varchar(20) NOT NULL UNIQUE)'
    platform.execute('DROP TABLE IF EXISTS "Counted"', made)
    said = probed(platform, table="Counted", anchor="login", column={})
    (finding,) = said["id"]
    assert (finding.level, finding.fact[:10]) == (Level.OK, "survives: "), finding
