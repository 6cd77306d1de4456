"""Sources hand over keys, values and changes: files and SQL."""

from __future__ import annotations

import sqlite3
import tracemalloc
from datetime import UTC, date, datetime, time
from decimal import Decimal
from urllib.parse import quote
from uuid import UUID

import pytest
import sqlalchemy as sa

from connector_host.provisioning.errors import MarkTooOld, SourceFailed
from connector_host.provisioning.expressions.signatures import Kind
from connector_host.provisioning.settings import CsvSettings, NdjsonSettings, SqlSettings
from connector_host.provisioning.sources.files import CELL_CHARS_MAX
from connector_host.provisioning.sources.opening import open_source
from connector_host.provisioning.sources.sql import _unwritten, _written


async def users_of(source, mark=None):
    users, last = [], None
    async for batch in source.read(mark):
        users += batch.users
        last = batch.mark or last
    return users, last


def csv_source(path, **changes):
    return open_source(CsvSettings.model_validate({"type": "csv", "path": path, "key": "id"} | changes))


async def test_a_csv_file_gives_its_columns_and_rows(tmp_path):
    path = tmp_path / "people.csv"
    path.write_text('\ufeffid;name;groups\n1;"A;B\n2";x|y\n\n2;C;\n', encoding="utf-8")
    source = csv_source(path, delimiter=";", many_delimiter="|")
    assert set(await source.attributes()) == {"id", "name", "groups"}
    users, _ = await users_of(source)
    assert [(user.key, user.values["name"], user.values["groups"]) for user in users] == [
        ("1", "A;B\n2", ("x", "y")),
        ("2", "C", None),
    ]
    assert (await source.fetch("2")).values["name"] == "C"
    assert await source.fetch("9") is None


@pytest.mark.parametrize(("cell", "values"), [("x|", ("x",)), ("| y |x", ("y", "x")), ("|", None)])
async def test_empty_parts_of_a_cell_with_several_values_are_no_values(tmp_path, cell, values):
    (tmp_path / "people.csv").write_text(f"id,groups\n1,{cell}\n")
    users, _ = await users_of(csv_source(tmp_path / "people.csv", many_delimiter="|"))
    assert users[0].values["groups"] == values


async def test_a_column_that_is_there_twice_is_refused_by_name(tmp_path):
    (tmp_path / "people.csv").write_text("id,mail,name,mail\n1,a@x,A,b@x\n")
    source = csv_source(tmp_path / "people.csv")
    with pytest.raises(SourceFailed, match="more than one column mail: rename"):
        await source.attributes()
    with pytest.raises(SourceFailed, match="more than one column mail: rename"):
        await users_of(source)


async def test_columns_without_a_name_are_not_read(tmp_path):
    (tmp_path / "people.csv").write_text("id,name,,\n1,A,,x\n")
    source = csv_source(tmp_path / "people.csv")
    assert set(await source.attributes()) == {"id", "name"}
    users, _ = await users_of(source)
    assert users[0].values == {"id": "1", "name": "A"}


async def test_files_and_queries_count_their_users(tmp_path):
    table, lines, file = tmp_path / "people.csv", tmp_path / "people.ndjson", tmp_path / "db.sqlite"
    table.write_text("id,name\n1,A\n\n2,B\n")
    lines.write_text('{"id": 1}\n\n{"id": 2}\n{"id": 3}')
    with sqlite3.connect(file) as connection:
        connection.executescript("CREATE TABLE staff (id); INSERT INTO staff VALUES (1), (2), (3), (4);")
    assert await csv_source(table).count() == 2
    assert await csv_source(tmp_path / "absent.csv").count() is None
    assert await open_source(NdjsonSettings(type="ndjson", path=lines, key="id")).count() == 3
    assert await sql_source(f"sqlite:///{file}").count() == 4
    assert await sql_source(f"sqlite:///{file}", query="SELECT * FROM absent").count() is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no column id"),
        ("name\nx\n", "no column id"),
        ("id,name\n1,\ud83d\n", "utf-8"),
        (f'id,name\n1,"{"x" * CELL_CHARS_MAX}x"\n', "line 2: field larger"),
    ],
    ids=lambda text: text[:30],
)
async def test_a_file_that_is_none_of_users_fails_and_says_where(tmp_path, text, reason):
    path = tmp_path / "people.csv"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(SourceFailed, match=reason):
        await users_of(csv_source(path))


@pytest.mark.parametrize(
    ("row", "flaw"),
    [
        ("2", "line 3: 1 values, the heading has 2"),
        ("2,Smith, Ann", "line 3: 3 values, the heading has 2"),
        (",x", "line 3: the key id has no value"),
        ('2,"x"y', "line 3: ',' expected after '\"'"),
        ('2,"x\n3,y\n4,"z"y', "line 5: ',' expected"),
    ],
)
async def test_a_row_that_is_no_user_is_told_of_and_the_others_are_read(tmp_path, row, flaw):
    path = tmp_path / "people.csv"
    path.write_text(f"id,name\n1,A\n{row}\n9,Z\n")
    users, _ = await users_of(csv_source(path))
    assert [(user.key, user.values.get("name")) for user in users] == [("1", "A"), ("", None), ("9", "Z")]
    assert users[1].flaw.startswith(f"people.csv, {flaw}")


async def test_rows_of_empty_cells_are_nobody(tmp_path):
    (tmp_path / "people.csv").write_text('id,name\n1,A\n,\n"",""\n,,,\n9,Z\n')
    users, _ = await users_of(csv_source(tmp_path / "people.csv"))
    assert [(user.key, user.flaw) for user in users] == [("1", ""), ("9", "")]


async def test_a_value_without_an_end_is_told_of(tmp_path):
    (tmp_path / "people.csv").write_text('id,name\n1,A\n2,"x\n3,C\n')
    users, _ = await users_of(csv_source(tmp_path / "people.csv"))
    assert [(user.key, user.flaw) for user in users] == [("1", ""), ("", "people.csv, line 4: unexpected end of data.")]


@pytest.mark.parametrize("rows", [range(700), range(900)])
async def test_a_file_that_is_written_while_it_is_read_fails(tmp_path, rows):
    path = tmp_path / "people.csv"
    path.write_text("\n".join(["id", *map(str, range(800))]) + "\n")
    reading = csv_source(path).read(None)
    assert len((await anext(reading)).users) == 250
    path.write_text("\n".join(["id", *map(str, rows)]) + "\n")
    with pytest.raises(SourceFailed, match="changed while it was read"):
        async for _ in reading:
            pass


async def test_a_file_that_another_takes_the_place_of_is_read_to_its_end(tmp_path):
    path, other = tmp_path / "people.csv", tmp_path / "people.new"
    path.write_text("\n".join(["id", *map(str, range(800))]) + "\n")
    other.write_text("id\n1\n")
    reading = csv_source(path).read(None)
    count = len((await anext(reading)).users)
    other.rename(path)
    async for batch in reading:
        count += len(batch.users)
    assert count == 800


async def test_a_file_that_is_not_there_fails(tmp_path):
    with pytest.raises(SourceFailed, match="cannot be read"):
        await users_of(csv_source(tmp_path / "nowhere.csv"))


async def test_ndjson_objects_flatten_into_paths(tmp_path):
    path = tmp_path / "people.ndjson"
    path.write_text('{"id": 7, "name": {"givenName": "A"}, "mails": ["x", "y"], "on": true}\n\n{"id": "8"}\n')
    source = open_source(NdjsonSettings.model_validate({"type": "ndjson", "path": path, "key": "id"}))
    assert await source.attributes() is None
    users, _ = await users_of(source)
    assert users[0].values == {"id": 7, "name.givenName": "A", "mails": ("x", "y"), "on": True}
    assert [user.key for user in users] == ["7", "8"]


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[1]",
        '{"name": "no key"}',
        '{"id": ["1"]}',
        '{"id": "\\ud800"}',
        f'{{"id": {"9" * 5_000}}}',
        '{"id": 1, "a": ' + "[" * 70 + "]" * 70 + "}",
        '{"a":' * 100_000 + "1" + "}" * 100_000,
    ],
    ids=lambda text: text[:30],
)
async def test_a_line_that_is_no_user_is_told_of_and_the_others_are_read(tmp_path, text):
    path = tmp_path / "people.ndjson"
    path.write_text(text + '\n{"id": 2}\n')
    users, _ = await users_of(open_source(NdjsonSettings.model_validate({"type": "ndjson", "path": path, "key": "id"})))
    assert [(user.key, user.values) for user in users] == [("", {}), ("2", {"id": 2})]
    assert users[0].flaw.startswith("people.ndjson, line 1: ")


async def test_a_line_with_half_a_character_in_it_still_tells_whose_it_is(tmp_path):
    path = tmp_path / "people.ndjson"
    path.write_text('{"id": "1", "name": "\\ud83d\\ude00"}\n{"id": "2", "name": "\\ud83d"}\n')
    users, _ = await users_of(open_source(NdjsonSettings.model_validate({"type": "ndjson", "path": path, "key": "id"})))
    assert [(user.key, user.values.get("name")) for user in users] == [("1", "\N{GRINNING FACE}"), ("2", None)]
    assert "line 2: half of a surrogate pair" in users[1].flaw


async def test_reading_a_large_file_does_not_fill_the_memory(tmp_path):
    path = tmp_path / "people.csv"
    with path.open("w") as file:
        file.write("id,name\n")
        file.writelines(f"{n},{'x' * 200}\n" for n in range(100_000))
    count = 0
    tracemalloc.start()
    async for batch in csv_source(path).read(None):
        count += len(batch.users)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 100_000
    assert peak < 5_000_000


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "hr.sqlite"
    with sqlite3.connect(path) as connection:
        connection.executescript(
            "CREATE TABLE staff (id INTEGER PRIMARY KEY, name TEXT, version INTEGER, hired DATE);"
            "INSERT INTO staff VALUES (1, 'Ada', 1, '2020-01-01'), (2, 'Bo', 2, NULL), (3, 'Cy', 3, NULL);"
        )
    connection.close()

    def run(sql):
        with sqlite3.connect(path) as connection:
            connection.execute(sql)
        connection.close()

    run.url = f"sqlite:///{path}"
    return run


@pytest.mark.parametrize("question", ["attributes", "read", "fetch"])
async def test_a_database_that_is_not_there_is_named_and_not_made(tmp_path, question):
    path = tmp_path / "a #1%20.sqlite"
    source = sql_source(f"sqlite:///{quote(str(path))}")
    asked = {"attributes": source.attributes, "read": lambda: users_of(source), "fetch": lambda: source.fetch("1")}
    with pytest.raises(SourceFailed, match=rf"{path.name} of the source is not there"):
        await asked[question]()
    await source.close()
    assert not list(tmp_path.iterdir())


async def test_a_database_with_odd_letters_in_its_name_is_read(tmp_path):
    path = tmp_path / "a #1%20.sqlite"
    with sqlite3.connect(path) as connection:
        connection.executescript("CREATE TABLE staff (id); INSERT INTO staff VALUES (1);")
    connection.close()
    users, _ = await users_of(sql_source(f"sqlite:///{quote(str(path))}"))
    assert [user.key for user in users] == ["1"]


def sql_source(url, **changes):
    parts = sa.make_url(url)
    document = {
        "type": "sql",
        "database": parts._replace(password=None).render_as_string(),
        "secret": parts.password,
        "query": "SELECT * FROM staff;",
        "key": "id",
    } | changes
    return open_source(SqlSettings.model_validate(document))


async def test_a_query_gives_its_columns_and_rows(database):
    source = sql_source(database.url)
    assert await source.attributes() == dict.fromkeys(("id", "name", "version", "hired"), Kind.ANY)
    users, mark = await users_of(source)
    assert (users[0].key, users[0].values["name"], users[0].values["hired"], mark) == ("1", "Ada", "2020-01-01", None)
    assert (await source.fetch("2")).values["name"] == "Bo"
    assert await source.fetch("nobody") is None
    await source.close()


@pytest.mark.parametrize(
    "mark",
    [
        date(2026, 11, 23),
        time(12, 30),
        1.5,
        7,
        Decimal("7.25"),
        "b",
        b"\x01\x02",
        UUID(int=7),
        datetime(2026, 11, 23, tzinfo=UTC),
    ],
    ids=lambda mark: type(mark).__name__,
)
def test_a_mark_comes_back_as_what_the_column_holds(mark):
    assert _unwritten(_written(mark)) == mark


def test_a_mark_of_a_type_without_an_order_is_refused_by_name():
    with pytest.raises(SourceFailed, match="dict"):
        _written({})


async def test_marks_that_cannot_be_compared_mean_reading_all_again(database):
    database("UPDATE staff SET version = 'x' WHERE id = 3")
    source = sql_source(database.url, mark="version")
    with pytest.raises(MarkTooOld, match="version"):
        await users_of(source)
    await source.close()


async def test_a_mark_column_gives_what_has_changed_and_nothing_is_lost_at_the_edge(database):
    source = sql_source(database.url, mark="version")
    users, mark = await users_of(source)
    assert len(users) == 3
    database("UPDATE staff SET name = 'Ada2', version = 4 WHERE id = 1")
    database("INSERT INTO staff VALUES (9, 'Same', 3, NULL)")
    changed, later = await users_of(source, mark)
    assert sorted(user.key for user in changed) == ["1", "3", "9"]
    again, _ = await users_of(source, later)
    assert [user.key for user in again] == ["1"]
    await source.close()


async def test_a_row_without_a_key_is_told_of_and_the_others_are_read(database):
    source = sql_source(database.url, key="hired")
    users, _ = await users_of(source)
    assert [user.key for user in users] == ["2020-01-01", "", ""]
    assert "row 2 of the query: the key hired has no value" in users[1].flaw
    await source.close()


async def test_a_query_of_postgresql_streams_and_keeps_its_types(postgresql_url):

    engine = sa.create_engine(postgresql_url)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TABLE staff AS SELECT n AS id, 'N' || n AS name, now() AS changed, true AS active, 1.50 AS rate,"
            " ARRAY['a', 'b'] AS tags FROM generate_series(1, 1000) n"
        )
    engine.dispose()
    source = sql_source(postgresql_url, mark="changed")
    users, mark = await users_of(source)
    assert len(users) == 1_000
    assert (users[0].values["active"], str(users[0].values["rate"]), users[0].values["tags"]) == (
        True,
        "1.50",
        ("a", "b"),
    )
    changed, _ = await users_of(source, mark)
    assert len(changed) == 1_000
    await source.close()
