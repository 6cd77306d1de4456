"""Every statement that the connector can say to a database that cannot be run here, word for word.

The words stand in compiled/DATABASE.sql. After a change that is meant, `UPDATE_COMPILED=1 pytest` writes them anew:
read what differs before you commit it.
"""

from __future__ import annotations

import os
from decimal import Decimal
from itertools import product
from pathlib import Path

import pytest
import sqlalchemy as sa

from connector_host.connectors.contract import AllOf, Comparator, Compare, Not, Present, Query
from connector_host.connectors.sql import (
    bulk,
    changelog,
    conditions,
    db2,
    discovery,
    doubles,
    engines,
    exports,
    guarding,
    lineage,
    logtables,
    mssql,
    predicates,
    privileges,
    queries,
    reading_rights,
    resulting,
    rowversions,
    scripted,
    shapes,
    sources,
    tracking,
)
from connector_host.connectors.sql.codecs import codec_for
from connector_host.connectors.sql.columns import Family, Neighbours
from connector_host.connectors.sql.databases.oracle import ORACLE
from connector_host.connectors.sql.dialects import dialect_of
from connector_host.connectors.survey import Relation
from connector_host.settings import SqlSettings
from tests.connectors import catalogues

URLS = {
    "mssql": "mssql://scim@db/hr",
    "oracle": "oracle://scim@db/hr",
    "db2": "db2://scim@db:50000/HR",
    "mysql": "mysql://scim@db/hr",
}
GOLDEN = Path(__file__).parent / "compiled"


class Described:
    """One database: its facts, SQLAlchemy's dialect for it, and the table of employees as its catalogue tells it."""

    def __init__(self, name):
        url = engines.parse_url(URLS[name], "x")
        self.name, self.dialect = name, dialect_of(url)
        self.sql = engines.open_engine(url, size=1, statement_s=5).dialect
        if name == "mssql":
            self.sql.server_version_info = (16, 0)
            self.sql._supports_offset_fetch = self.sql.deprecate_large_types = True
        if name == "oracle":
            self.sql.server_version_info = (19,)
        if name == "mysql":
            self.sql.server_version_info, self.sql._support_float_cast = (8, 4, 0), True

    def shape(self, anchor, triggers=0):
        rows = catalogues.ROWS[self.name]
        made, login = catalogues.NAMES[self.name]
        keys = (discovery.Key("PK", (made,), primary=True), discovery.Key("UQ", (login,), primary=False))
        columns = tuple(discovery._column(row, self.dialect, keys, []) for row in rows)
        facts = discovery.TableFacts(Relation("Employees", None, "table"), columns, keys, {}, triggers)
        settings = SqlSettings(database=URLS[self.name], table="Employees", anchor=anchor, schema="HR")
        return shapes.build(facts, settings, self.dialect, None)

    def compiled(self, statement):
        compiled = statement.compile(dialect=self.sql)
        bound = compiled.positiontup if compiled.positional else sorted(compiled.params)
        return f"{' '.join(str(compiled).split())}\n    {', '.join(bound)}"

    @property
    def connection(self):
        """What statements that are only printed ask of a connection: how names are quoted."""
        return type("Connection", (), {"dialect": self.sql})


def spoken(database):
    """Return every statement by what it is for."""
    made, login = catalogues.NAMES[database.name]
    shape, numbered = database.shape(login), database.shape(made)
    said = {
        "read one": queries._by_keys(shape, 1, locked=False),
        "read two": queries._by_keys(shape, 2, locked=False),
        "read by number": queries._by_keys(numbered, 1, locked=False),
        "read and lock": queries._by_keys(shape, 1, locked=True),
        "insert one": bulk._insertion(shape, (login, "Name"), 1),
        "update": bulk._updating(shape, ("Name", "Hired")),
        "delete": sa.delete(shape.table).where(predicates.is_anchor(shape, "key_")),
        "page": queries._select(shape, Query(), AllOf(())),
        "page with an offset": queries._select(shape, Query(offset=20), AllOf(())),
        "page after an anchor": queries._select(shape, Query(after="x"), AllOf(())),
        "page sorted by text": queries._select(shape, Query(sort_by="Name", descending=True), AllOf(())),
        "count": queries._count(shape, Present("Name")),
        "is the anchor taken": guarding.taken(shape, "x"),
        "double": doubles._looking(shape, shape.columns[login], 2),
        "log": changelog.page_of(shape, 5, 7, by_stamp=False),
        "end of the log": changelog.end_of(shape),
        "both ends of the log": changelog.ends_of(shape),
        "time of a row of the log": changelog.moment_of(shape, 7),
    }
    if database.dialect.row_versions:
        said["horizon"] = rowversions.asking(shape)
        said["stamped since"] = rowversions.selecting(shape, "Version")
        said["stamped log"] = changelog.page_of(shape, 5, 7, by_stamp=True)
    if database.dialect.multirow_insert:
        said["insert two"] = bulk._insertion(shape, (login, "Name"), 2)
    for name in shape.columns:
        said[f"filled {name}"] = where(shape, Present(name))
    for name, comparator in catalogues.COMPARISONS:
        said[f"{name} {comparator.value}"] = where(shape, Compare(name, comparator, "x"))
    said["not"] = where(shape, Not(Compare("Number", Comparator.EQ, 1)))
    found = {purpose: database.compiled(statement) for purpose, statement in said.items()}
    found |= of_made_anchors(database, numbered, login, made)
    found |= of_query(database, login)
    found["lock for an anchor that nothing enforces"] = locking(database, shape)
    for remove in (False, True):
        found["change log " + ("away" if remove else "made")] = "\n".join(
            logtables.statements(database.connection, shape, remove=remove)
        )
    if "tracking" in database.dialect.catalogue:
        found |= of_tracking(database, numbered, shape)
    settings = SqlSettings(database=URLS[database.name], table="Employees", anchor=login, schema="HR", columns=["Name"])
    narrow = shapes.build(shape.facts, settings, database.dialect, None)
    found["grants"] = "\n".join(privileges.grants(database.connection, narrow, settings, "scim"))
    return found


QUERY = "SELECT e.*, 'a:b%?' AS Word FROM Employees AS e /* all */ JOIN Other.Teams AS t ON t.Lead = e.Id;"


def of_query(database, login):
    """Return what is said where the users live in a query."""
    query = QUERY.replace(" AS e", " e").replace(" AS t", " t") if database.name == "oracle" else QUERY
    settings = SqlSettings(
        database=URLS[database.name],
        query=query,
        anchor=login,
        accept_unenforced_anchor=True,
        exports={"create": ["CALL c(:Name)"], "update": ["CALL u(:Name)"], "delete": ["CALL d(:Name)"]},
    )
    selection = sources.selection_of(settings, database.name)
    read = [lineage.as_read(column, column.facts.name) for column in database.shape(login).facts.columns]
    columns = tuple(discovery.finished(column.facts, column.kind, database.dialect) for column in read)
    behind = tuple(Relation(named.name, named.schema, "table") for named in selection.reads)
    facts = discovery.TableFacts(Relation(settings.place, None, "query"), columns, (), {}, 0, behind=behind)
    shape = shapes.build(facts, settings, database.dialect, None)
    said = {
        "query: read one": queries._by_keys(shape, 1, locked=False),
        "query: page with an offset": queries._select(shape, Query(offset=20, sort_by="Name"), AllOf(())),
        "query: filter": queries._select(shape, Query(), Compare("Name", Comparator.EQ, "x")),
        "query: count": queries._count(shape, Present("Name")),
        "query: is the anchor taken": guarding.taken(shape, "x"),
    }
    if database.name == "mysql":
        said["query: types"] = resulting.nothing_of(selection, ["Word"], "collation")
    found = {purpose: database.compiled(statement) for purpose, statement in said.items()}
    heard = []
    connection = Heard(database.sql, heard)
    if database.name in guarding.LOCKING:
        guarding.hold(connection, shape)
        found["query: lock"] = "\n".join(heard)
    connection = type("Told", (), {"dialect": database.sql, "scalar": lambda *_: "HR"})()
    found["query: grants"] = "\n".join(reading_rights.grants(connection, database.dialect, selection.reads, "scim"))
    return found


class Heard:
    """A connection that notes what is said, and answers that TEAMS is a view of two tables, and nothing of others."""

    def __init__(self, dialect, heard):
        self.dialect, self.exec_driver_sql = dialect, heard.append

    def execute(self, _, names):
        tables = ["MEMBER", "TEAM"] if names["table"] == "TEAMS" else []
        rows = [{"name": table, "schema_name": "OWN     "} for table in tables]
        return type("Answer", (), {"mappings": lambda _: rows})()


def of_tracking(database, shape, by_text):
    settings = SqlSettings(database=URLS[database.name], table="Employees", anchor="Id", schema="HR")
    return {
        "versions of tracked changes": database.compiled(tracking.versions(7)),
        "tracked changes": database.compiled(tracking.page_of(database.sql, shape, later=False)),
        "more tracked changes": database.compiled(tracking.page_of(database.sql, shape, later=True)),
        "more tracked changes by text": database.compiled(tracking.page_of(database.sql, by_text, later=True)),
        "change tracking on": "\n".join(tracking.statements(database.connection, shape, remove=False)),
        "change tracking off": "\n".join(tracking.statements(database.connection, shape, remove=True)),
        "grants where changes are tracked": "\n".join(
            privileges.grants(database.connection, shape, settings, "scim", tracked=True)
        ),
    }


def where(shape, condition):
    """Return the smallest statement with a condition, whose values are of no matter here."""
    statement = sa.select(sa.literal_column("1")).select_from(shape.table)
    return statement.where(predicates.to_where(condition, shape, (f"v{number}" for number in range(9))))


def of_made_anchors(database, shape, login, made):
    insertion = sa.insert(shape.table).values({login: "x"})
    match shape.dialect.generated_key:
        case "output_into":
            statement = mssql.insertion(insertion, shape.anchor.sql, database.sql, Family.INTEGER)
            return {"insert and learn the anchor": statement.text}
        case "final_table":
            return {
                f"insert and learn the anchor, {words} triggers": db2.insertion(
                    insertion, shape.anchor.sql, database.sql, has_triggers=has_triggers
                ).text
                for words, has_triggers in (("without", False), ("with", True))
            }
        case "returning":
            return {"insert and learn the anchor": database.compiled(insertion.returning(shape.anchor.sql))}
        case _:
            return {"insert and learn the anchor": database.compiled(sa.select(sa.func.last_insert_id()))}


def locking(database, shape):
    if words := guarding.LOCKING.get(database.name):
        return words.format(table=database.sql.identifier_preparer.format_table(shape.table))
    return database.compiled(guarding._about(guarding.TAKING[database.name]))


@pytest.mark.parametrize("name", URLS)
def test_each_statement_is_word_for_word_what_was_read_and_found_right(name):
    found = "\n\n".join(f"-- {purpose}\n{text}" for purpose, text in spoken(Described(name)).items()) + "\n"
    path = GOLDEN / f"{name}.sql"
    if os.environ.get("UPDATE_COMPILED"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(found, encoding="utf-8")
    assert found == path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "question"),
    [*product(URLS, ("columns", "keys", "checks", "triggers", "relations")), ("mssql", "tracking"), ("db2", "beneath")],
)
def test_the_catalogues_questions_are_compiled_with_bound_names(name, question):
    database = Described(name)
    statement = discovery._statement(database.dialect.catalogue[question])
    compiled = statement.compile(dialect=database.sql)
    assert "--" not in str(compiled)
    named = {"table", "schema"} & {key.strip('"') for key in compiled.params}
    assert named == (set() if question == "relations" else {"table", "schema"})


@pytest.mark.parametrize("name", ["oracle"])
def test_an_empty_text_is_refused_where_the_database_would_keep_null_instead(name):
    shape = Described(name).shape("Login")
    with pytest.raises(exports.InvalidValue, match="takes no empty text") as refused:
        exports.creation(shape, {"Login": "anna", "Name": ""})
    assert refused.value.attribute == "Name"
    values = []
    assert conditions.ask(Compare("Name", Comparator.EQ, ""), shape, values) == conditions.NOTHING
    assert conditions.ask(Compare("Name", Comparator.GT, ""), shape, values) == conditions.Filled("Name")
    assert values == []


@pytest.mark.parametrize("name", ["oracle", "db2"])
def test_long_text_is_compared_by_like_alone(name):
    shape = Described(name).shape("Login")
    values = []
    conditions.ask(Compare("Notes", Comparator.EQ, "50%"), shape, values)
    assert values == ["50!%"]
    with pytest.raises(conditions.InvalidValue, match="long text"):
        conditions.ask(Compare("Notes", Comparator.GT, "x"), shape, values)


def test_brackets_stand_for_themselves_in_patterns_of_sql_server():
    values = []
    conditions.ask(Compare("Name", Comparator.SW, "[a"), Described("mssql").shape("Login"), values)
    assert values == ["![a%"]


def test_a_procedures_own_names_for_its_parameters_are_left_to_sql_server():
    text = (
        "SET NOCOUNT ON; DECLARE @made int; EXEC add @login = @Login, @name=:Name, @made = @made OUTPUT; SELECT @made"
    )
    ((statement, names),) = scripted.script("exports.create", [text], ["Login", "Name"]).statements
    assert names == {"Login": "Login", "Name": "Name"}
    compiled = " ".join(str(statement.compile(dialect=Described("mssql").sql)).split())
    assert "EXEC add @login = ?, @name=?, @made = @made OUTPUT" in compiled


def test_a_number_of_oracle_is_compared_with_all_its_digits():
    column = Described("oracle").shape("Login").columns["Salary"]
    number = Decimal("12345678.91")
    assert column.codec.compared(number) == Neighbours(number, number)
    unbound = discovery._column(catalogues._oracle("Free", "NUMBER"), ORACLE, (), [])
    exact = Decimal("12345678901234567890.123")
    assert codec_for(unbound.kind, unbound.facts, ORACLE.parameters).compared(exact) == Neighbours(exact, exact)
