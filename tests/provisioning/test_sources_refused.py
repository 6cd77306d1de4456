"""A query that cannot serve says why, in words that repeat no value of a user."""

from __future__ import annotations

import sqlite3

import pytest
import sqlalchemy as sa

from connector_host.databases.queries import nested
from connector_host.provisioning.checking import check_job
from connector_host.provisioning.errors import SourceFailed
from connector_host.provisioning.settings import JobSettings, SqlSettings
from connector_host.provisioning.sources.opening import open_source
from tests.provisioning.test_sources import sql_source, users_of
from tests.servers import PASSWORD

TABLE = (
    "CREATE TABLE staff (id INTEGER PRIMARY KEY, name VARCHAR(20), version INTEGER, boss INTEGER)",
    "INSERT INTO staff VALUES (1, 'Ada', 1, NULL), (2, 'Bo', 2, 1)",
)


@pytest.fixture(params=["sqlite", "postgresql", "mysql"])
def place(request, tmp_path):
    """The URL of a table of staff in each of the databases."""
    if request.param == "sqlite":
        (tmp_path / "hr.sqlite").touch()
        url = f"sqlite:///{tmp_path / 'hr.sqlite'}"
    else:
        kind, driver = {"postgresql": ("postgresql", "psycopg"), "mysql": ("mariadb", "pymysql")}[request.param]
        server = request.getfixturevalue(f"{kind}_server")
        where = (server.user, PASSWORD, server.host, server.port, server.database())
        url = sa.URL.create(f"{request.param}+{driver}", *where).render_as_string(hide_password=False)
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        for statement in TABLE:
            connection.exec_driver_sql(statement)
    engine.dispose()
    return url


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"query": "SELECT id FROM nowhere"}, "refused the query: .*nowhere"),
        ({"query": "SELECT id, wage FROM staff"}, "refused the query: .*wage"),
        ({"query": "SELECT id FORM staff"}, r"refused the query: .*(staff|FORM)"),
        ({"query": "SELECT twist(id) AS id FROM staff"}, "refused the query: .*twist"),
        ({"key": "Id"}, "no column Id: its columns are id, name, version, boss"),
        ({"mark": "changed"}, "no column changed: its columns are id, name, version, boss"),
        ({"query": "SELECT a.id, b.id FROM staff a, staff b"}, "several columns id"),
    ],
    ids=str,
)
async def test_a_query_that_cannot_serve_says_why(place, changes, reason):
    source = sql_source(place, **changes)
    with pytest.raises(SourceFailed, match=reason):
        await users_of(source)
    await source.close()


async def test_words_about_rows_are_not_passed_on(postgresql_url):
    source = sql_source(
        postgresql_url, query="SELECT 1 AS id, CAST(name AS integer) AS n FROM (VALUES ('Ada')) t(name)"
    )
    with pytest.raises(SourceFailed, match=r"cannot convert or compute with \(code 22P02\)") as caught:
        await users_of(source)
    assert "Ada" not in str(caught.value)
    await source.close()


@pytest.mark.parametrize("place", ["postgresql", "mysql"], indirect=True)
async def test_a_login_that_is_refused_is_told_from_a_server_that_is_not_there(place):
    url = sa.make_url(place)
    for wrong, reason in (
        (url.set(password="no"), "does not accept the login"),
        (url.set(port=1), "cannot be reached"),
    ):
        source = sql_source(wrong.render_as_string(hide_password=False))
        with pytest.raises(SourceFailed, match=reason):
            await source.attributes()
        await source.close()


async def test_a_file_that_is_no_database_is_named_so(tmp_path):
    (tmp_path / "hr.sqlite").write_text("no database, but long enough to be looked at" * 40)
    source = sql_source(f"sqlite:///{tmp_path / 'hr.sqlite'}")
    with pytest.raises(SourceFailed, match=r"cannot be reached, or broke off \(code 26\)"):
        await source.attributes()
    await source.close()


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("DELETE FROM staff RETURNING id", "is no SELECT"),
        ("CREATE TABLE copy (id INTEGER)", "is no SELECT"),
        ("SELECT id FROM staff; DELETE FROM staff", "several statements"),
        ("SELECT id FROM staff WHERE name = :name", "holds a parameter"),
        ("SELECT id FROM staff FOR UPDATE", "locks the rows"),
    ],
)
def test_a_query_that_does_more_than_read_is_refused_before_it_runs(query, reason):
    with pytest.raises(ValueError, match=reason):
        SqlSettings(type="sql", database="postgresql+psycopg://x@db/hr", query=query, key="id")


def test_a_query_that_the_grammar_cannot_read_is_left_to_the_database():
    query = "SELECT id FROM staff SOMEHOW ((SAMPLED 10))"
    assert SqlSettings(type="sql", database="duckdb:///x", query=query, key="id").query == query


@pytest.mark.parametrize(
    ("database", "query", "inner"),
    [
        ("mssql", "SELECT a FROM t ORDER BY a", "SELECT a FROM t"),
        ("mssql", "SELECT é, 'ü;' b FROM t ORDER\n BY é ; -- x", "SELECT é, 'ü;' b FROM t"),
        ("mssql", "SELECT a FROM t UNION SELECT b FROM u ORDER BY 1", "SELECT a FROM t UNION SELECT b FROM u"),
        ("mssql", "SELECT TOP 5 a FROM t ORDER BY a;", "SELECT TOP 5 a FROM t ORDER BY a"),
        ("mssql", "SELECT a FROM t ORDER BY a OFFSET 2 ROWS", "SELECT a FROM t ORDER BY a OFFSET 2 ROWS"),
        ("mysql", "SELECT a FROM t ORDER BY a LIMIT 3;;", "SELECT a FROM t ORDER BY a LIMIT 3"),
        ("postgresql", "SELECT DISTINCT ON (a) a FROM t ORDER BY a", "SELECT DISTINCT ON (a) a FROM t ORDER BY a"),
        ("postgresql", "SELECT f(a ORDER BY a) FROM t", "SELECT f(a ORDER BY a) FROM t"),
        ("sqlite", "SELECT a FROM (SELECT a FROM t ORDER BY a)", "SELECT a FROM (SELECT a FROM t ORDER BY a)"),
        (
            "oracle",
            "SELECT a FROM t ORDER BY a FETCH FIRST 1 ROWS ONLY",
            "SELECT a FROM t ORDER BY a FETCH FIRST 1 ROWS ONLY",
        ),
        ("informix", "SELECT FIRST 9 a FROM t ORDER BY a;", "SELECT FIRST 9 a FROM t ORDER BY a"),
    ],
)
def test_within_another_a_query_has_no_end_and_no_order_that_says_nothing(database, query, inner):
    assert nested(query, database) == inner


def test_a_query_that_cannot_stand_within_another_is_refused_where_that_is_so():
    query = "WITH p AS (SELECT id FROM staff) SELECT id FROM p"
    SqlSettings(type="sql", database="sqlite:///x", query=query, key="id")
    with pytest.raises(ValueError, match="holds WITH"):
        SqlSettings(type="sql", database="mssql+pyodbc://x@db/hr", query=query, key="id")


async def test_what_changes_something_unseen_is_refused_by_the_database(postgresql_url):
    engine = sa.create_engine(postgresql_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE seen (id INTEGER)")
        connection.exec_driver_sql(
            "CREATE FUNCTION note() RETURNS integer LANGUAGE sql AS 'INSERT INTO seen VALUES (1) RETURNING id'"
        )
    engine.dispose()
    source = sql_source(postgresql_url, query="SELECT note() AS id")
    with pytest.raises(SourceFailed, match="would change something"):
        await users_of(source)
    await source.close()


async def test_every_database_is_told_to_change_nothing(place):
    source = sql_source(place)
    with source._engine.connect() as connection, pytest.raises(sa.exc.DBAPIError, match=r"(?i)read-?\s?only"):
        connection.exec_driver_sql("DELETE FROM staff")
    await source.close()


async def test_colons_in_a_query_are_no_parameters(postgresql_url):
    query = "SELECT '1'::text AS id, 'a :b' AS name WHERE 'x' ~ '[[:alpha:]]'"
    source = sql_source(postgresql_url, query=query)
    assert [user.values["name"] for user in (await users_of(source))[0]] == ["a :b"]
    assert (await source.fetch("1")).values["name"] == "a :b"
    await source.close()


def test_a_driver_that_is_not_there_is_named():
    with pytest.raises(SourceFailed, match="is not installed"):
        open_source(SqlSettings(type="sql", database="mysql+absent://x@db/hr", query="SELECT 1 AS id", key="id"))


async def test_check_says_what_to_do_about_the_query(tmp_path):
    sqlite3.connect(tmp_path / "hr.sqlite").close()
    source = {
        "type": "sql", "database": f"sqlite:///{tmp_path / 'hr.sqlite'}", "query": "SELECT id FROM gone", "key": "id",
    }  # fmt: skip
    mapping = {"target": "userName", "source": "id", "match": 1}
    target = {"url": "https://localhost:1/scim", "token": "x"}
    job = JobSettings.model_validate({"source": source, "target": target, "mappings": [mapping]})
    told = next(one for one in await check_job(job) if one.subject == "source")
    assert (told.fact, "`query`" in told.mend) == ("the database refused the query: no such table: gone.", True)
