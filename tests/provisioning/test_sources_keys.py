"""A row is found by the text that its key became, whatever the database would write: who is not found is gone."""

from __future__ import annotations

from decimal import Decimal

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mssql

from connector_host.provisioning.expressions.signatures import Kind
from connector_host.provisioning.sources.keys import conditions
from tests.provisioning.test_sources import sql_source, users_of
from tests.servers import PASSWORD

KEYS = {
    "sqlite": ["TEXT 'a '", "REAL 1", "BLOB x'01ff'", "REAL 1e300", "DATETIME '2020-01-01'", "INTEGER 7"],
    "postgresql": [
        "CHAR(5) 'ab'", "VARCHAR(9) 'a '", "FLOAT 1", "NUMERIC(9,2) 1.5", r"BYTEA '\x01ff'", "BIGINT 5000000000",
        "TIMESTAMP '2020-01-01'", "TIMESTAMPTZ '2020-01-01 05:00+05'", "DATE '2020-01-01'", "TIME '10:00'",
        "BOOLEAN true", "UUID '00000000-0000-0000-0000-00000000000A'",
    ],
    "mysql": [
        "CHAR(5) 'ab'", "VARCHAR(9) 'a '", "FLOAT 1", "DECIMAL(9,2) 1.5", "BINARY(3) x'01ff00'", "BIGINT 5000000000",
        "DATETIME '2020-01-01'", "DATE '2020-01-01'",
    ],
}  # fmt: skip


@pytest.fixture
def place(request, tmp_path):
    """An empty database of the kind that is asked for."""
    if request.param == "sqlite":
        (tmp_path / "hr.sqlite").touch()
        return f"sqlite:///{tmp_path / 'hr.sqlite'}"
    kind, driver = {"postgresql": ("postgresql", "psycopg"), "mysql": ("mariadb", "pymysql")}[request.param]
    server = request.getfixturevalue(f"{kind}_server")
    where = (server.user, PASSWORD, server.host, server.port, server.database())
    return sa.URL.create(f"{request.param}+{driver}", *where).render_as_string(hide_password=False)


def run(url, *statements):
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()


@pytest.mark.parametrize("place", list(KEYS), indirect=True)
async def test_whoever_is_read_is_found_by_its_key(place):
    keys = KEYS[place.partition(":")[0].partition("+")[0]]
    types = [key.partition(" ") for key in keys]
    run(place, *(f"CREATE TABLE t{n} (id {kind})" for n, (kind, _, _) in enumerate(types)))
    run(place, *(f"INSERT INTO t{n} VALUES ({value})" for n, (_, _, value) in enumerate(types)))
    lost = []
    for number, key in enumerate(keys):
        source = sql_source(place, query=f"SELECT * FROM t{number}")
        (user,), _ = await users_of(source)
        if await source.fetch(user.key) != user or await source.fetch("nobody") is not None:
            lost.append(key)
        await source.close()
    assert lost == []


@pytest.mark.parametrize("place", list(KEYS), indirect=True)
async def test_a_query_with_an_order_and_a_comment_after_its_end_is_read_counted_and_asked_for_a_key(place):
    run(place, "CREATE TABLE staff (id VARCHAR(9))", "INSERT INTO staff VALUES ('b'), ('ä'), ('a')")
    source = sql_source(place, query="SELECT id FROM staff ORDER BY id DESC ; -- all of them; yes\n")
    users, _ = await users_of(source)
    assert {user.key for user in users} == {"a", "b", "ä"}
    assert await source.count() == 3
    assert (await source.fetch("ä")).key == "ä"
    assert await source.lacks("c")
    await source.close()


def test_sql_server_compares_keys_as_letters_of_every_script():
    text = next(conditions(sa.column("id"), "Ж", "Ж")).compile(dialect=mssql.dialect())
    assert "CAST(id AS NVARCHAR(max))" in str(text)


@pytest.mark.parametrize("place", ["mysql"], indirect=True)
async def test_a_capital_letter_is_another_key_where_the_database_takes_it_for_the_same(place):
    run(place, "CREATE TABLE staff (id VARCHAR(9) COLLATE utf8mb4_bin)", "INSERT INTO staff VALUES ('ABC'), ('abc')")
    source = sql_source(place)
    assert (await source.fetch("abc")).values == {"id": "abc"}
    assert await source.fetch("Abc") is None
    await source.close()


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
async def test_one_row_does_not_move_the_mark(place):
    run(place, "CREATE TABLE staff (id INTEGER, version INTEGER)", "INSERT INTO staff VALUES (1, 1), (2, 2)")
    source = sql_source(place, mark="version")
    reading = source.read("number:1")
    await anext(reading)
    run(place, "INSERT INTO staff VALUES (3, 9)")
    await source.fetch("3")
    assert [batch.mark async for batch in reading] == ["number:2"]
    await source.close()


@pytest.mark.parametrize("place", ["sqlite", "postgresql"], indirect=True)
async def test_a_row_without_a_key_hides_no_other_row_and_may_be_anybody(place):
    blob, value = ("BLOB", "x'01ff'") if "sqlite" in place else ("BYTEA", r"'\x01ff'")
    run(
        place,
        f"CREATE TABLE staff (id {blob})",
        "INSERT INTO staff VALUES (NULL)",
        f"INSERT INTO staff VALUES ({value})",
    )
    source = sql_source(place)
    assert (await source.fetch("01ff")).key == "01ff"
    assert [await source.lacks(key) for key in ("01ff", "02ff")] == [False, False]
    run(place, "DELETE FROM staff WHERE id IS NULL")
    assert [await source.lacks(key) for key in ("01ff", "02ff")] == [False, True]
    await source.close()


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
async def test_a_query_that_ends_in_a_comment_finds_and_counts(place):
    run(place, "CREATE TABLE staff (id TEXT, version INTEGER)", "INSERT INTO staff VALUES ('a', 1)")
    source = sql_source(place, query="SELECT * FROM staff -- all of them", mark="version")
    assert ((await source.fetch("a")).key, await source.count()) == ("a", 1)
    assert len((await users_of(source, "number:1"))[0]) == 1
    await source.close()


@pytest.mark.parametrize("place", ["mysql"], indirect=True)
async def test_days_of_no_month_are_read_over_odbc_too(place):
    run(
        place,
        "CREATE TABLE staff (id DECIMAL(9,2), born DATE, clock TIME, name VARCHAR(9))",
        "INSERT IGNORE INTO staff VALUES (1, '2020-00-00', '-25:00:00', 'Ж')",
    )
    native = sa.make_url(place)
    query = {"driver": "MariaDB Unicode", "port": str(native.port)}
    url = native._replace(drivername="mariadb+pyodbc", port=None, query=query)
    source = sql_source(url.render_as_string(hide_password=False))
    assert [(await source.attributes())[name] for name in ("born", "name")] == [Kind.DATE, Kind.ANY]
    (user,), _ = await users_of(source)
    assert user.values == {"id": Decimal("1.00"), "born": "2020-00-00", "clock": "-25:00:00", "name": "Ж"}
    assert await source.fetch("1.00") == user
    await source.close()


@pytest.mark.parametrize("place", ["postgresql"], indirect=True)
@pytest.mark.parametrize(
    ("style", "kind", "even", "odd"),
    [
        ("ISO", "date", "2020-01-01", ["infinity", "0044-03-15 BC", "20000-01-01"]),
        ("ISO", "time", "10:30:00", ["24:00:00"]),
        ("ISO", "timestamp", "2020-01-01 00:00:00", ["-infinity", "20000-01-01 00:00:00"]),
        ("ISO", "timestamptz", "2020-01-01 05:00:00+05", ["infinity", "-infinity"]),
        ("German, DMY", "date", "01.02.2020", ["infinity", "15.03.0044 BC"]),
        ("German, DMY", "timestamp", "01.02.2020 00:00:00", ["infinity"]),
        ("ISO", "timetz", "10:30:00+02", ["24:00:00+02"]),
    ],
)
async def test_a_moment_that_python_has_none_of_is_absent_and_a_key_all_the_same(place, style, kind, even, odd):
    rows = ", ".join(f"('{text}', '{text}', '{{{text}, {even}}}')" for text in [*odd, even])
    run(place, f"ALTER DATABASE {sa.make_url(place).database} SET DateStyle = {style}")
    run(place, f"CREATE TABLE staff (id {kind}, at {kind}, several {kind}[])", f"INSERT INTO staff VALUES {rows}")
    source = sql_source(place)
    assert (await source.attributes())["at"] is Kind.DATE
    users, _ = await users_of(source)
    assert [(user.key, user.values["at"]) for user in users[:-1]] == [(text, None) for text in odd]
    assert [len(user.values["several"]) for user in users] == [1] * len(odd) + [2]
    assert users[-1].values["at"] is not None
    assert [await source.fetch(text) for text in odd] == users[:-1]
    await source.close()


@pytest.mark.parametrize("place", ["postgresql"], indirect=True)
async def test_keys_beside_one_that_python_has_no_moment_for_are_found(place):
    run(place, "CREATE TABLE staff (id timestamptz)", "INSERT INTO staff VALUES ('infinity'), ('2020-01-01 05:00+05')")
    source = sql_source(place)
    (endless, other), _ = await users_of(source)
    assert [await source.fetch(key) for key in ("infinity", other.key)] == [endless, other]
    await source.close()


@pytest.mark.parametrize("place", ["postgresql"], indirect=True)
@pytest.mark.parametrize(
    ("kind", "values", "last"),
    [
        ("timestamp", ("infinity", "2020-01-01", "-infinity"), "datetime:2020-01-01T00:00:00"),
        ("numeric", ("NaN", "7", "NaN"), "number:7"),
        ("float", ("NaN", "7", "Infinity"), "float:7.0"),
        ("date", ("infinity",), None),
    ],
)
async def test_a_value_that_is_no_moment_and_no_number_moves_no_mark(place, kind, values, last):
    rows = ", ".join(f"({number}, '{value}')" for number, value in enumerate(values))
    run(place, f"CREATE TABLE staff (id int, version {kind})", f"INSERT INTO staff VALUES {rows}")
    source = sql_source(place, mark="version")
    users, mark = await users_of(source)
    assert ([user.key for user in users], mark) == ([str(number) for number in range(len(values))], last)
    await source.close()


@pytest.mark.parametrize("place", ["postgresql"], indirect=True)
async def test_a_number_that_is_none_is_absent_and_a_key_all_the_same(place):
    run(
        place,
        "CREATE TABLE staff (id numeric, pay numeric, share float)",
        "INSERT INTO staff VALUES (1, 'NaN', '-Infinity'), ('NaN', '1e400', 1.5)",
    )
    source = sql_source(place)
    users, _ = await users_of(source)
    assert [(user.key, user.values["pay"], user.values["share"]) for user in users] == [
        ("1", None, None),
        ("NaN", Decimal("1e400"), 1.5),
    ]
    assert await source.fetch("NaN") == users[1]
    await source.close()


async def test_a_database_in_no_encoding_is_read(postgresql_server):
    server, name = postgresql_server, "in_no_encoding"
    server.execute(f"CREATE DATABASE {name} TEMPLATE template0 LOCALE 'C' ENCODING 'SQL_ASCII'")
    url = sa.URL.create("postgresql+psycopg", server.user, PASSWORD, server.host, server.port, name)
    run(
        url.update_query_dict({"client_encoding": "utf8"}),
        "CREATE TABLE staff (id text, name varchar(9))",
        "INSERT INTO staff VALUES ('ä', 'Zoë')",
    )
    source = sql_source(url.render_as_string(hide_password=False))
    assert set(await source.attributes()) == {"id", "name"}
    users, _ = await users_of(source)
    assert [user.values for user in users] == [{"id": "ä", "name": "Zoë"}]
    assert await source.fetch("ä") == users[0]
    await source.close()


async def test_sources_behind_a_pooler_that_shares_sessions_are_read_again_and_again(pgbouncer):
    url = sa.make_url(pgbouncer.url("transaction")).set(drivername="postgresql+psycopg", password=PASSWORD)
    run(url, "CREATE TABLE staff (id text, name varchar(9))", "INSERT INTO staff VALUES ('a', 'Ada'), ('b', 'Bo')")
    one, other = (sql_source(url.render_as_string(hide_password=False)) for _ in range(2))
    for _ in range(8):
        assert (await one.fetch("a")).values["name"] == "Ada"
        assert len((await users_of(other))[0]) == 2
        assert (await other.fetch("b")).values["name"] == "Bo"
    await one.close()
    await other.close()
