"""A SQL query as the place where the users live: read like a table, written by the administrator's own statements."""

from __future__ import annotations

import asyncio
import json

import pytest
from pydantic import ValidationError

from connector_host.connectors.contract import Add, AttributeType, Comparator, Compare, Delete, Modify, Present, Query
from connector_host.connectors.errors import Conflict, Denied, NotFound
from connector_host.connectors.registry import (
    change_log,
    grants,
    open_connector,
    open_importer,
    probe,
    rehearse,
    survey_query,
)
from connector_host.errors import ConfigurationError, Level
from connector_host.runs import imports
from connector_host.runs.imports import Request
from connector_host.runs.state import ImportState
from connector_host.settings import SqlSettings

ROWS = """
    SELECT p.login, p.name, p.hired, c.email, p.name || ': "' || c.email || '"' AS title -- with a : and a ?
    FROM person AS p LEFT JOIN contact AS c ON c.login = p.login -- 100 % of the users
"""
"""A join with a column that no table has, and all that a driver could take for a parameter."""

EXPORTS = {
    "create": [
        "INSERT INTO person (login, name) VALUES (:login, :name)",
        "INSERT INTO contact (login, email) VALUES (:login, :email)",
    ],
    "update": [
        "UPDATE person SET name = :name WHERE login = :login",
        "UPDATE contact SET email = :email WHERE login = :login",
    ],
    "delete": ["DELETE FROM contact WHERE login = :login", "DELETE FROM person WHERE login = :login"],
}


def spelled(platform, query):
    """Return a query in the words of the database: MariaDB takes || for OR."""
    return (
        query.replace("p.name || ': \"' || c.email || '\"'", "concat(p.name, ': \"', c.email, '\"')")
        if (platform.database == "mariadb")
        else query
    )


@pytest.fixture
def people(platform):
    """Two tables, and what opens a connector over a query of them."""
    platform.execute(
        "DROP VIEW IF EXISTS joined",
        "DROP TABLE IF EXISTS contact",
        "DROP TABLE IF EXISTS person",
        "CREATE TABLE person (login varchar(20) NOT NULL UNIQUE, name varchar(20), hired date, version int)",
        "CREATE TABLE contact (login varchar(20) NOT NULL UNIQUE, email varchar(40) UNIQUE)",
    )
    return platform


def settings_of(people, query=ROWS, **changes):
    given = {
        "table": None,
        "query": spelled(people, query),
        "anchor": "login",
        "accept_unenforced_anchor": True,
        "exports": EXPORTS,
        **changes,
    }
    return people.settings(**given)


@pytest.fixture
async def connector(people):
    opened = open_connector("HR", settings_of(people))
    yield opened
    await opened.close()


def filled(people):
    people.execute(
        "INSERT INTO person (login, name, hired) VALUES ('anna', 'Anna', '2020-01-02'), ('bob', 'Bob', NULL), "
        "('carl', 'anna', '2021-01-02'), ('dora', NULL, NULL)",
        "INSERT INTO contact (login, email) VALUES ('anna', 'a@x.org'), ('carl', 'c@x.org')",
    )


def logins(page):
    return [entry.anchor for entry in page.entries]


async def test_the_rows_of_a_query_are_users(people, connector):
    filled(people)
    anna = await connector.read("anna")
    assert anna.values["title"] == 'Anna: "a@x.org"'
    assert anna.values["hired"].date().isoformat() == "2020-01-02"
    assert (await connector.read("bob")).values["email"] is None
    assert await connector.read("ANNA") is None
    assert await connector.read("nobody") is None


async def test_columns_of_a_query_may_have_any_name(people):
    # SQLite's ODBC driver tells a name with what lies behind it in memory, which is no text now and then.
    query = 'SELECT login, name AS "Größe €", \'short\' AS "ß" FROM person'
    exports = {kind: ["DELETE FROM person WHERE login = :login"] for kind in EXPORTS}
    connector = open_connector("HR", settings_of(people, query, exports=exports))
    people.execute("INSERT INTO person (login, name) VALUES ('anna', 'Anna')")
    try:
        for _ in range(50):
            page = await connector.search(Query(Compare("Größe €", Comparator.EQ, "Anna")))
            assert [entry.values for entry in page.entries] == [{"login": "anna", "Größe €": "Anna", "ß": "short"}]
    finally:
        await connector.close()


async def test_a_query_is_filtered_sorted_and_paged_by_the_database(people, connector):
    filled(people)
    named = Compare("name", Comparator.EQ, "ANNA")
    assert logins(await connector.search(Query(named))) == ["anna", "carl"]
    assert logins(await connector.search(Query(Compare("title", Comparator.CO, "C@X")))) == ["carl"]
    assert logins(await connector.search(Query(Present("email"), sort_by="title", descending=True))) == ["carl", "anna"]
    page = await connector.search(Query(limit=2, offset=1))
    assert (logins(page), page.total) == (["bob", "carl"], 4)
    assert logins(await connector.search(Query(limit=2, after="bob"))) == ["carl", "dora"]
    assert (await connector.search(Query(named, limit=0))).total == 2


async def test_columns_keep_what_their_tables_say_of_them(connector):
    attributes = {attribute.name: attribute for attribute in (await connector.describe()).attributes}
    assert list(attributes) == ["login", "name", "hired", "email", "title"]
    assert attributes["email"].max_length == 40
    assert attributes["hired"].type is AttributeType.DATE_TIME
    assert not attributes["login"].required
    assert not attributes["email"].unique


TYPED = "SELECT p.login, count(c.login) AS mails, cast(max(p.name) AS {text}) AS name, {moment} AS seen, "
TYPED += "cast(max(p.version) AS {number}) AS pay FROM person AS p "
TYPED += "LEFT JOIN contact AS c ON c.login = p.login GROUP BY p.login"


async def test_what_no_table_tells_the_database_or_the_configuration_does(people):
    text = "char(20)" if people.database == "mariadb" else "text"
    number = "int" if people.database == "sqlite" else "decimal(9, 2)"
    filled(people)
    people.execute("UPDATE person SET version = 7")
    query = TYPED.format(text=text, number=number, moment="max(p.hired)")
    stated = {"seen": {"type": "date"}} if people.database == "sqlite" else {}
    connector = open_connector("HR", settings_of(people, query, column=stated, exports=EXPORTS_OF_NAME))
    types = {attribute.name: attribute.type for attribute in (await connector.describe()).attributes}
    assert (types["mails"], types["name"]) == (AttributeType.INTEGER, AttributeType.STRING)
    assert types["seen"] is AttributeType.DATE_TIME
    anna = await connector.read("anna")
    assert (anna.values["mails"], anna.values["name"]) == (1, "Anna")
    assert (anna.values["seen"].date().isoformat(), anna.values["pay"]) == ("2020-01-02", 7)
    assert logins(await connector.search(Query(Compare("mails", Comparator.LT, 1)))) == ["bob", "dora"]
    await connector.close()


EXPORTS_OF_NAME = {
    "create": ["INSERT INTO person (login, name) VALUES (:login, :name)"],
    "update": ["UPDATE person SET name = :name WHERE login = :login"],
    "delete": ["DELETE FROM person WHERE login = :login"],
}


async def test_a_column_without_a_type_is_left_out_with_the_mend(people):
    people.only("sqlite")
    connector = open_connector(
        "HR", settings_of(people, "SELECT login, name, max(hired, '') AS odd FROM person", exports=EXPORTS_OF_NAME)
    )
    assert "odd" not in [attribute.name for attribute in (await connector.describe()).attributes]
    said = [finding.fact for finding in await connector.check() if finding.subject == "odd"]
    assert said == [
        'The column is left out: the database does not tell its type; state it: column."odd".type = "text".'
    ]
    await connector.close()


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM person",
        "SELECT p.*, c.email FROM person p JOIN contact c ON c.login = p.login;",
        "SELECT login, name FROM person UNION SELECT login, email FROM contact WHERE login = 'nobody'",
        "WITH old AS (SELECT login, name FROM person) SELECT login, name FROM old ; -- the end",
        "SELECT login, name FROM person ORDER BY name LIMIT 3",
        "(SELECT login, name FROM person)",
    ],
)
async def test_any_plain_select_is_a_source(people, query):
    filled(people)
    email = "SELECT p.*" in query
    connector = open_connector("HR", settings_of(people, query, exports=EXPORTS if email else EXPORTS_OF_NAME))
    assert (await connector.read("anna")).values["name"] in ("Anna", "a@x.org")
    await connector.close()


REFUSED = {
    "SELECT login AS name, name FROM person": "several columns name",
    "SELECT p.login, c.* FROM person AS p JOIN contact AS c ON c.login = p.login": "several columns login|refuses it",
    "SELECT login, upper(name) FROM person": "no name for its column 2",
    "SELECT login FROM person ORDER BY login": "ORDER BY",
    "SELECT login FROM person LIMIT 3": "chance",
    "SELECT login FROM person WHERE name = :name": "parameter",
    "SELECT login FROM person WHERE name = ?": r"a \?",
    "SELECT login FROM person; SELECT name FROM person": "several statements",
    "DELETE FROM person": "is no SELECT",
    "": "is no SELECT",
    "SELECT login FROM": "cannot be read",
    "SELECT nothing FROM person": "refuses it",
    "SELECT login FROM nowhere": "refuses it",
}


@pytest.mark.parametrize("query", REFUSED)
async def test_a_query_that_is_no_source_is_refused_with_the_reason(people, query):
    connector = open_connector("HR", settings_of(people, query, exports=EXPORTS_OF_NAME))
    with pytest.raises(ConfigurationError, match=f"^query: .*({REFUSED[query]})"):
        await connector.describe()
    said = [finding for finding in await connector.check() if finding.level is Level.FAILURE]
    assert [finding.subject for finding in said] == ["query"]
    await connector.close()


async def test_another_case_of_the_anchor_is_refused_by_name(people):
    connector = open_connector("HR", settings_of(people, anchor="Login"))
    with pytest.raises(ConfigurationError, match=r"anchor: the query has no column Login\. Did you mean login"):
        await connector.describe()
    await connector.close()


async def test_a_query_that_changes_something_is_refused_by_the_database(people):
    people.only("postgresql", "mariadb")
    if people.database == "postgresql":
        people.execute(
            "CREATE OR REPLACE FUNCTION busy(a text) RETURNS text LANGUAGE plpgsql AS "
            "$$ BEGIN UPDATE person SET name = 'changed'; RETURN a; END $$"
        )
    else:
        people.execute(
            "DROP FUNCTION IF EXISTS busy",
            "CREATE FUNCTION busy(a varchar(20)) RETURNS varchar(20) MODIFIES SQL DATA "
            "BEGIN UPDATE contact SET email = 'changed'; RETURN a; END",
        )
    filled(people)
    query = "SELECT login, busy(name) AS name FROM person"
    connector = open_connector("HR", settings_of(people, query, exports=EXPORTS_OF_NAME))
    with pytest.raises(Exception, match=r"read-only|calls changes something"):
        await connector.read("anna")
    assert people.execute("SELECT count(*) FROM contact WHERE email = 'changed'")[0][0] == 0
    assert people.execute("SELECT count(*) FROM person WHERE name = 'changed'")[0][0] == 0
    await connector.close()


# ── exports ───────────────────────────────────────────────────────────────────────────────────────────────────────

ANNA = Add({"login": "anna", "name": "Anna", "email": "a@x.org"})


async def test_a_query_is_written_by_statements_of_ones_own(people, connector):
    created = await connector.export(ANNA)
    assert created.entry.values["title"] == 'Anna: "a@x.org"'
    changed = await connector.export(Modify("anna", lambda _: {"email": "b@x.org"}))
    assert changed.entry.values["title"] == 'Anna: "b@x.org"'
    await connector.export(Delete("anna"))
    assert people.execute("SELECT count(*) FROM contact")[0][0] == 0
    with pytest.raises(NotFound):
        await connector.export(Modify("anna", lambda _: {"email": "b@x.org"}))


async def test_an_anchor_is_created_once_though_no_key_keeps_it_so(people, connector):
    people.execute("DROP TABLE person", "CREATE TABLE person (login varchar(20), name varchar(20), hired date)")
    other = open_connector("HR", settings_of(people))
    exports = {"create": ["INSERT INTO person (login, name) VALUES (:login, :name)"]}
    others = [open_connector("HR", settings_of(people, exports=EXPORTS | exports)) for _ in range(2)]
    both = await asyncio.gather(
        *(one.export(Add({"login": "anna", "name": "x"})) for one in others), return_exceptions=True
    )
    assert sorted(type(one).__name__ for one in both) == ["Conflict", "Exported"], both
    with pytest.raises(Conflict):
        await other.export(Add({"login": "anna", "name": "x"}))
    await asyncio.gather(*(one.close() for one in (*others, other)))


EXPORTS_OF_VERSION = {
    "create": ["INSERT INTO person (login) VALUES (:login)"],
    "update": ["UPDATE person SET version = :version WHERE login = :login"],
    "delete": ["DELETE FROM person WHERE login = :login"],
}


async def test_two_changes_of_one_user_from_two_hosts_wait_for_each_other(people):
    """Each adds one to what it read: with no lock around it, one of them would be lost."""
    people.only("postgresql", "mariadb")
    filled(people)
    people.execute("UPDATE person SET version = 0")
    query = "SELECT login, version FROM person"
    hosts = [open_connector("HR", settings_of(people, query, exports=EXPORTS_OF_VERSION)) for _ in range(2)]
    more = Modify("anna", lambda entry: {"version": entry.values["version"] + 1})
    await asyncio.gather(*(host.export(more) for host in hosts for _ in range(20)))
    assert people.execute("SELECT version FROM person WHERE login = 'anna'")[0][0] == 40
    await asyncio.gather(*(host.close() for host in hosts))


def test_a_query_is_rehearsed_and_leaves_nothing(people):
    found = rehearse(settings_of(people), ANNA)
    assert found.outcome.entry.values["title"] == 'Anna: "a@x.org"'
    assert people.execute("SELECT count(*) FROM person")[0][0] == 0


def test_a_query_is_probed_by_its_own_statements(people):
    filled(people)
    found = probe("HR", settings_of(people))
    assert any(finding.subject == "name" and "survives" in finding.fact for finding in found)
    assert people.execute("SELECT name FROM person WHERE login = 'anna'")[0][0] == "Anna"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"query": None}, "give one of table and query"),
        ({"table": "person"}, "give one of table and query"),
        ({"schema": "public"}, "schema goes with table"),
        ({"accept_unenforced_anchor": False}, "accept_unenforced_anchor = true"),
        ({"exports": {}}, "exports.create and exports.update and exports.delete"),
        ({"exports": {**EXPORTS, "delete": []}}, "in exports.delete"),
        ({"table": "person", "query": None, "column": {"name": {"type": "text"}}}, "column.name.type goes with query"),
    ],
)
def test_what_does_not_go_with_a_query_is_refused_when_it_is_read(changes, words):
    given = {
        "database": "sqlite:///x",
        "query": ROWS,
        "anchor": "login",
        "accept_unenforced_anchor": True,
        "exports": EXPORTS,
        **changes,
    }
    with pytest.raises(ValidationError, match=words):
        SqlSettings.model_validate(given)


# ── imports and tools ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_query_is_imported_whole_and_in_order(people):
    filled(people)
    with open_importer("HR", settings_of(people)) as importer:
        names = [attribute.name for attribute in importer.object_type.attributes]
        rows = [row for batch in importer.batches(Present("email"), sort_by="hired") for row in batch]
    assert [row[names.index("login")] for row in rows] == ["anna", "carl"]


def test_imports_of_a_query_follow_what_changes(people, tmp_path):
    filled(people)
    people.execute("UPDATE person SET version = CASE login WHEN 'carl' THEN 5 ELSE 1 END")
    query = "SELECT p.login, p.version, c.email FROM person AS p LEFT JOIN contact AS c ON c.login = p.login"

    def run(profile, **changes):
        request = Request(profile, tmp_path / "out", **changes)
        settings = settings_of(people, query, exports=EXPORTS_OF_VERSION)
        with ImportState(tmp_path / profile) as state, open_importer("HR", settings) as importer:
            imports.run(importer, state, request)
        lines = [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()]
        return sorted((line["change"], line["anchor"]) for line in lines)

    marked = {"watermark": "version", "overlap": 0}
    assert len(run("full")) == len(run("snapshot")) == len(run("watermark", **marked)) == 4
    people.execute(
        "UPDATE contact SET email = 'b@x.org' WHERE login = 'anna'", "DELETE FROM person WHERE login = 'bob'"
    )
    people.execute("UPDATE person SET version = 6 WHERE login = 'carl'")
    assert run("snapshot", accept_deletions=True) == [("delete", "bob"), ("modify", "anna"), ("modify", "carl")]
    # So few rows are all read again, and anna is no more what her digest says, though her version is the same.
    assert run("watermark", **marked) == [("modify", "anna"), ("modify", "carl")]


def test_a_change_log_of_a_query_is_refused_by_name(people):
    with open_importer("HR", settings_of(people)) as importer, pytest.raises(ConfigurationError, match=r"^query: "):
        importer.change_log()
    with pytest.raises(ConfigurationError, match=r"^query: .*snapshot or watermark"):
        change_log(settings_of(people))


def test_discovery_tells_what_a_query_gives(people):
    found = survey_query(settings_of(people))
    assert found.relation.kind == "query"
    assert [column.name for column in found.columns] == ["login", "name", "hired", "email", "title"]
    assert "accept_unenforced_anchor" in found.refusal


async def test_check_finds_a_query_good_and_says_what_nobody_looked_at(people, connector):
    findings = await connector.check()
    assert [finding.subject for finding in findings if finding.level is Level.FAILURE] == []
    warned = [finding for finding in findings if finding.level is Level.WARNING]
    assert warned[0].mend.startswith("A query has no keys")
    assert {finding.subject for finding in warned} <= {"anchor", "login"}
    assert "exports" in [finding.subject for finding in findings]


async def test_check_finds_an_anchor_that_comes_twice(people):
    filled(people)
    people.execute("DROP TABLE contact", "CREATE TABLE contact (login varchar(20), email varchar(40))")
    people.execute("INSERT INTO contact VALUES ('anna', '1'), ('anna', '2')")
    connector = open_connector("HR", settings_of(people))
    with pytest.raises(ConfigurationError, match="1 rows repeat the anchor"):
        await connector.describe()
    assert "anchor" in [finding.subject for finding in await connector.check() if finding.level is Level.FAILURE]
    await connector.close()


async def test_granted_rights_let_a_login_read_a_query(people, poor):
    people.execute("CREATE VIEW joined AS SELECT login, email FROM contact")
    query = "WITH c AS (SELECT * FROM joined) SELECT p.login, p.name, c.email FROM person p JOIN c ON c.login = p.login"
    told = {"table": None, "query": query, "accept_unenforced_anchor": True, "anchor": "login", "exports": EXPORTS}
    people.execute("GRANT SELECT ON contact TO poor")  # MariaDB lets nobody in who has no right at all
    connector = poor(**told)
    with pytest.raises(Denied):
        await connector.describe()
    failed = [finding.fact for finding in await connector.check() if finding.level is Level.FAILURE]
    assert failed == ["The login may not read all that the query names."]
    people.execute(*grants(settings_of(people, query), "poor"))
    assert (await connector.describe()).anchor == "login"
    await connector.close()
