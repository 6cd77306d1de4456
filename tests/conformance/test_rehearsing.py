"""Dry runs that do not lie, and the least rights that a mapping needs, on every database and driver."""

from __future__ import annotations

import pytest
from sqlalchemy import event

from connector_host.connectors.contract import Add, Delete, Modify
from connector_host.connectors.errors import Conflict, ConnectorError, NotFound
from connector_host.connectors.registry import change_log, grants, rehearse
from connector_host.connectors.sql.engines import open_engine, parse_url
from connector_host.errors import Level

ANNA = Add({"Login": "anna", "Name": "Anna"})


def count(platform):
    return platform.execute('SELECT count(*) FROM "Employees"')[0][0]


async def test_a_creation_is_executed_shown_and_undone(employees):
    found = rehearse(employees.settings(), ANNA)
    assert found.executed
    assert found.outcome.entry.values["Shout"] == "ANNA"
    insertion = next(one for one in found.statements if one.text.startswith("INSERT"))
    assert "Anna" in insertion.parameters.values()
    assert count(employees) == 0


async def test_what_the_database_would_refuse_is_refused_in_the_rehearsal(employees):
    employees.execute("""INSERT INTO "Employees" ("Login", "Name") VALUES ('anna', 'x')""")
    found = rehearse(employees.settings(), ANNA)
    assert found.outcome is None
    assert isinstance(found.error, Conflict)
    assert found.error.attributes == ("Login",)


async def test_changes_and_deletions_are_rehearsed_too(employees):
    employees.execute("""INSERT INTO "Employees" ("Login", "Name") VALUES ('anna', 'Anna')""")
    changed = rehearse(employees.settings(), Modify("anna", lambda _: {"Name": "Anne"}))
    assert changed.outcome.entry.values["Name"] == "Anne"
    assert not rehearse(employees.settings(), Modify("anna", lambda _: {"Name": "Anna"})).outcome.written
    assert rehearse(employees.settings(), Delete("anna")).outcome.written
    assert isinstance(rehearse(employees.settings(), Delete("bob")).error, NotFound)
    assert employees.execute('SELECT "Name" FROM "Employees"')[0][0] == "Anna"


async def test_a_constraint_that_is_looked_at_only_on_commit_is_looked_at(employees):
    employees.only("postgresql")
    employees.execute(
        'ALTER TABLE "Employees" ADD CONSTRAINT late UNIQUE ("Number") DEFERRABLE INITIALLY DEFERRED',
        """INSERT INTO "Employees" ("Login", "Name", "Number") VALUES ('bob', 'Bob', 7)""",
    )
    found = rehearse(employees.settings(), Add({**ANNA.values, "Number": 7}))
    assert isinstance(found.error, Conflict)
    assert found.error.attributes == ("Number",)


async def test_where_a_rollback_undoes_nothing_nothing_is_executed(employees):
    employees.only("mariadb")
    employees.execute('ALTER TABLE "Employees" ENGINE = MyISAM')
    found = rehearse(employees.settings(), ANNA)
    assert not found.executed
    assert found.outcome is None
    assert "cannot undo" in found.remark
    (insertion,) = found.statements
    assert insertion.text.startswith("INSERT INTO")
    assert insertion.parameters["Name"] == "Anna"
    assert count(employees) == 0


async def test_a_dry_run_says_what_the_writer_says(employees, connector):
    """Not statements of its own that mean the same: the very ones."""
    heard = []
    await connector.describe()
    event.listen(connector._writing, "before_cursor_execute", lambda *spoken: heard.append(spoken[2]))
    found = await connector.rehearse(ANNA)
    await connector.export(ANNA)
    assert [one.text for one in found.statements] == [said for said in heard if not said.startswith("BEGIN")]


async def test_parameters_are_named_by_their_columns(employees):
    employees.execute("""INSERT INTO "Employees" ("Login", "Name") VALUES ('bob', 'x')""")
    creating = rehearse(employees.settings(), ANNA)
    insertion = next(one for one in creating.statements if one.text.startswith("INSERT"))
    assert insertion.parameters == {"Login": "anna", "Name": "Anna"}
    changing = rehearse(employees.settings(), Modify("bob", lambda _: {"Name": "Bob"}))
    update = next(one for one in changing.statements if one.text.startswith("UPDATE"))
    assert update.parameters["Name"] == "Bob"


async def test_a_dry_run_leaves_nothing_locked(employees, connector):
    await connector.export(ANNA)
    await connector.rehearse(Modify("anna", lambda _: {"Name": "x"}))
    assert (await connector.export(Modify("anna", lambda _: {"Name": "y"}))).written


CREATE = 'INSERT INTO "Employees" ("Login", "Name") VALUES (:Login, :Name)'
COMMITS = {
    "sqlite": [CREATE, "COMMIT"],
    "postgresql": [CREATE, "COMMIT"],
    "mariadb": [CREATE, "CREATE TABLE by_the_way (x int)"],
}


async def test_statements_that_would_commit_by_themselves_are_only_shown(employees):
    create = [employees.spelled(statement) for statement in COMMITS[employees.database]]
    found = rehearse(employees.settings(exports={"create": create}), ANNA)
    assert not found.executed
    assert "exports.create[1]" in found.remark
    assert [tuple(one.parameters) for one in found.statements] == [("Login", "Name"), ()]
    assert count(employees) == 0


@pytest.mark.parametrize(
    ("body", "executed"),
    [
        ("INSERT INTO `Employees` (`Login`, `Name`) VALUES (a, b);", True),
        ("INSERT INTO `Employees` (`Login`, `Name`) VALUES (a, b); COMMIT;", False),
        ("CREATE TEMPORARY TABLE t1 (x int); INSERT INTO `Employees` (`Login`, `Name`) VALUES (a, 'COMMIT');", True),
        ("CALL add_it(a, b);", False),
    ],
)
async def test_a_procedure_that_commits_is_not_called_in_a_dry_run(employees, body, executed):
    employees.only("mariadb")
    inner = "INSERT INTO `Employees` (`Login`, `Name`) VALUES (a, b); TRUNCATE TABLE `Employees`;"
    employees.execute(
        f"CREATE OR REPLACE PROCEDURE add_it(a text, b text) BEGIN {inner} END",
        f"CREATE OR REPLACE PROCEDURE add_user(a text, b text) BEGIN {body} END",
    )
    found = rehearse(employees.settings(exports={"create": ["CALL add_user(:Login, :Name)"]}), ANNA)
    assert found.executed is executed
    assert ("commits by itself" in found.remark) is not executed
    assert (found.outcome is not None) is executed
    assert count(employees) == 0


@pytest.fixture
def least(employees):
    """A login that was given what `grants` prints, for a mapping of a few columns, and nothing else."""
    employees.only("postgresql", "mariadb")
    password = "PASSWORD 'least'" if employees.database == "postgresql" else "IDENTIFIED BY 'least'"
    if employees.database == "postgresql" and employees.execute("SELECT 1 FROM pg_roles WHERE rolname = 'least'"):
        employees.execute("DROP OWNED BY least")
    employees.execute("DROP USER IF EXISTS least", f"CREATE USER least {password}")
    yield employees
    employees.execute(*(["DROP OWNED BY least"] if employees.database == "postgresql" else []), "DROP USER least")


@pytest.mark.parametrize("columns", [None, ["Login", "Name", "Email", "Shout"]])
async def test_the_printed_grants_are_enough_and_no_more(least, columns):
    settings = least.settings(columns=columns)
    connection = least.connect()
    cursor = connection.cursor()
    for statement in grants(settings, "least"):
        cursor.execute(statement)
    connection.close()
    connector = least.open(database=least.url.replace("scim@", "least@"), password="least", columns=columns)
    assert (await connector.export(ANNA)).entry.anchor == "anna"
    assert (await connector.export(Modify("anna", lambda _: {"Name": "Anne"}))).written
    assert (await connector.export(Delete("anna"))).written
    findings = [finding for finding in await connector.check() if finding.subject == "privileges"]
    assert [finding.level for finding in findings] == [Level.OK]
    await connector.close()


async def test_reading_a_change_log_is_granted_where_there_is_one(least):
    settings = least.settings()
    assert not [one for one in grants(settings, "least") if "_changes" in one]
    least.execute(*change_log(settings))
    try:
        least.execute(*grants(settings, "least"))
        engine = open_engine(parse_url(least.url.replace("scim@", "least@"), "least"), size=1, statement_s=5)
        with engine.connect() as connection:
            log = least.spelled('"Employees_changes"')
            assert connection.exec_driver_sql(f"SELECT count(*) FROM {log}").scalar_one() == 0
        engine.dispose()
    finally:
        least.execute(*change_log(settings, remove=True))


async def test_a_login_that_may_do_everything_is_told_of(employees, connector):
    employees.only("postgresql", "mariadb")
    findings = [finding for finding in await connector.check() if finding.subject == "privileges"]
    assert Level.WARNING in {finding.level for finding in findings}


async def test_names_in_grants_are_quoted(platform):
    platform.only("postgresql", "mariadb")
    platform.execute('DROP TABLE IF EXISTS "x y"', 'CREATE TABLE "x y" (id int PRIMARY KEY)')
    statements = grants(platform.settings(table="x y", anchor="id"), "o'\"`brien")
    quoted = '"o\'""`brien"' if platform.database == "postgresql" else "'o''\"`brien'"
    assert quoted in statements[-1]
    assert platform.spelled('"x y"') in statements[-1]


async def test_a_rehearsal_raises_only_where_there_is_nothing_to_rehearse_on(employees):
    with pytest.raises((ConnectorError, Exception), match="there is no"):
        rehearse(employees.settings(table="Nowhere"), ANNA)
