"""What a query in place of a table may be, by the grammar of each database."""

from __future__ import annotations

import pytest

from connector_host.connectors.sql import lineage
from connector_host.connectors.sql.selecting import Named, read
from connector_host.errors import ConfigurationError

REFUSED = [
    ("postgresql", "WITH gone AS (DELETE FROM person RETURNING *) SELECT * FROM gone", "holds DELETE"),
    ("postgresql", "WITH new AS (INSERT INTO person VALUES (1) RETURNING *) SELECT * FROM new", "holds INSERT"),
    ("postgresql", "SELECT login INTO copy FROM person", "INTO"),
    ("postgresql", "SELECT login FROM person FOR UPDATE", "locks"),
    ("postgresql", "SELECT login FROM (SELECT login FROM person FOR SHARE) AS p", "locks"),
    ("postgresql", "SELECT login FROM person WHERE facts ? 'x'", "jsonb_exists"),
    ("postgresql", "SELECT login FROM person WHERE login = $1", "parameter"),
    ("postgresql", "EXPLAIN SELECT login FROM person", "is no SELECT"),
    ("postgresql", "CALL add_person('x')", "is no SELECT"),
    ("postgresql", "VALUES (1, 2)", "is no SELECT"),
    ("postgresql", "-- nothing", "is no SELECT"),
    ("postgresql", "SELECT", "selects no column"),
    ("mysql", "SELECT login /*! , secret */ FROM person", r"/\*! … \*/"),
    ("mysql", "SELECT login /*M!100100 , secret */ FROM person", r"/\*! … \*/"),
    ("mysql", "SELECT login INTO OUTFILE '/tmp/x' FROM person", "cannot be read"),
    ("mysql", "SELECT @n := @n + 1 AS login FROM person", "parameter or variable"),
    ("mssql", "SELECT Login FROM Person WITH (UPDLOCK)", "locks"),
    ("mssql", "SELECT Login FROM Person FOR XML AUTO", "FOR XML"),
    ("mssql", "WITH p AS (SELECT Login FROM Person) SELECT Login FROM p", "does not take where the query is to stand"),
    ("mssql", "SELECT NEXT VALUE FOR numbers AS Id", "sequence"),
    ("mssql", "SELECT Login FROM Person WHERE Login = @login", "parameter or variable"),
    ("oracle", "SELECT login FROM person WHERE login = :login", "parameter"),
    ("db2", "SELECT login FROM FINAL TABLE (INSERT INTO person VALUES (1))", "cannot be read"),
]


@pytest.mark.parametrize(("database", "query", "words"), REFUSED)
def test_what_does_more_than_read_is_refused_by_name(database, query, words):
    with pytest.raises(ConfigurationError, match=f"^query: .*{words}") as refused:
        read(query, database)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("database", "query", "sent"),
    [
        ("postgresql", "SELECT a::text AS a, 'x;--' AS b FROM t; -- end", "SELECT a::text AS a, 'x;--' AS b FROM t"),
        ("mysql", "SELECT `a b` FROM t # the ? end", "SELECT `a b` FROM t"),
        ("oracle", "SELECT /*+ FULL(t) */ a /* b */ FROM t", "SELECT /*+ FULL(t) */ a FROM t"),
        (
            "mssql",
            "SELECT TOP 3 [a] FROM t WITH (NOLOCK) ORDER BY [a]",
            "SELECT TOP 3 [a] FROM t WITH (NOLOCK) ORDER BY [a]",
        ),
        ("odbc", "  SELECT a FROM t\n", "SELECT a FROM t"),
    ],
)
def test_a_query_is_sent_as_it_is_written_without_comments(database, query, sent):
    assert read(query, database).text == sent


@pytest.mark.parametrize(
    ("database", "names"),
    [
        ("postgresql", [Named("person", None), Named("Team", "hr")]),
        ("oracle", [Named("PERSON", None), Named("Team", "HR")]),
        ("mssql", [Named("Person", None), Named("Team", "HR")]),
    ],
)
def test_names_without_quotes_are_taken_as_the_database_keeps_them(database, names):
    query = 'SELECT a.x FROM Person a JOIN HR."Team" b ON a.x = b.x WHERE EXISTS (SELECT 1 FROM Person)'
    assert list(read(query, database).reads) == names


def test_what_with_defines_is_no_table():
    query = "WITH p AS (SELECT x FROM person) SELECT p.x, q.y FROM p JOIN other.p AS q ON true, unnest(q.z) AS z"
    assert set(read(query, "postgresql").reads) == {Named("person", None), Named("p", "other")}


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM a NATURAL JOIN a AS b",
        "SELECT * FROM a JOIN a AS b USING (x)",
        "SELECT * FROM unknown",
        "WITH RECURSIVE r AS (SELECT x FROM a UNION SELECT x FROM r) SELECT * FROM r",
        "SELECT s.* FROM (SELECT x FROM a) AS s(y)",
    ],
)
def test_a_star_that_cannot_be_followed_is_not_guessed(query):
    class Facts:
        columns = ()

    found = {Named("a", None): Facts()}
    assert lineage.columns_of(read(query, "postgresql"), "postgresql", found.get) is None
