"""A filter finds in SQL exactly the rows that an independent evaluation finds in Python, over random tables."""

from __future__ import annotations

import operator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connector_host.connectors.contract import Query
from connector_host.scim.compilation import compile_flows
from connector_host.scim.filters import read_filter
from connector_host.settings import LimitSettings
from tests.scim.employees import ECMA
from tests.scim.tables import opened

DDL = """
CREATE TABLE Things (
  Id INTEGER PRIMARY KEY, Work VARCHAR(20), Home VARCHAR(20), Title VARCHAR(20),
  Size INTEGER, Price NUMERIC(8,2), Flag BOOLEAN, Since TIMESTAMP
)
"""
MAPPING = {
    "Work": 'emails[type eq "work"].value',
    "Home": 'emails[type eq "home"].value',
    "Title": "title",
    "Flag": "active",
}
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)

# SQLite folds the case of ASCII only, so no other letter appears in both cases here.
texts = st.text(alphabet="abAB%_\\'\"[ .é", min_size=1, max_size=4)
numbers = st.integers(-3, 3)
prices = st.decimals(-3, 3, places=2)
moments = st.integers(0, 4).map(lambda days: EPOCH + timedelta(days=days))

rows = st.lists(
    st.tuples(
        *(st.none() | st.just("") | texts for _ in range(3)),
        st.none() | numbers,
        st.none() | prices,
        st.none() | st.booleans(),
        st.none() | moments,
    ),
    max_size=6,
)

OPERATORS = {
    "eq": operator.eq,
    "ne": operator.ne,
    "co": lambda held, asked: asked in held,
    "sw": str.startswith,
    "ew": str.endswith,
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
}
ORDERED = ["eq", "ne", "gt", "ge", "lt", "le"]
PATHS = {"title": 3, "Work": 1, "Home": 2, f"{ECMA}:Size": 4, f"{ECMA}:Price": 5, "active": 6, f"{ECMA}:Since": 7}


def quoted(value):
    match value:
        case bool():
            return "true" if value else "false"
        case datetime():
            return f'"{value.isoformat()}"'
        case str():
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        case _:
            return str(value)


def compare(held, op, asked):
    """What RFC 7644 §3.4.2.2 says: text without case, and nothing is unequal to everything."""
    if held is None:
        return op == "ne"
    if isinstance(held, str):
        held, asked = held.lower(), asked.lower()
    return OPERATORS[op](held, asked)


def present(held):
    return held is not None and held != ""


def leaf(path, values, operators):
    column = PATHS[path]
    return st.tuples(st.sampled_from(operators), values).map(
        lambda pair: (f"{path} {pair[0]} {quoted(pair[1])}", lambda row: compare(row[column], *pair))
    )


def presence(path):
    column = PATHS[path]
    return st.just((f"{path} pr", lambda row: present(row[column])))


def selection(kind, column):
    """`emails[type eq "work" and value …]`: a value that is there, and holds all of it."""
    return st.tuples(st.sampled_from(list(OPERATORS)[:5]), texts).map(
        lambda pair: (
            f'emails[type eq "{kind}" and value {pair[0]} {quoted(pair[1])}]',
            lambda row: present(row[column]) and compare(row[column], *pair),
        )
    )


def anywhere(op, asked):
    """`emails co "x"`: one of the values."""
    return (
        f"emails.value {op} {quoted(asked)}",
        lambda row: any(present(held) and compare(held, op, asked) for held in row[1:3]),
    )


def emptiness(path, columns):
    """`emails eq null`: none of them; `emails ne ""`: one of them."""
    return st.tuples(st.sampled_from(["eq", "ne"]), st.sampled_from(["null", '""'])).map(
        lambda pair: (
            f"{path} {pair[0]} {pair[1]}",
            lambda row: any(present(row[column]) for column in columns) is (pair[0] == "ne"),
        )
    )


def compared_values(op, asked, other, sought):
    """`emails[value co "x" and not (value sw "y")]`: one value for which both hold."""
    return (
        f"emails[value {op} {quoted(asked)} and not (value {other} {quoted(sought)})]",
        lambda row: any(
            present(held) and compare(held, op, asked) and not compare(held, other, sought) for held in row[1:3]
        ),
    )


def primary(op, asked):
    """`emails[primary eq true].value`: the first, where none is mapped to it."""
    return (
        f"emails[primary eq true].value {op} {quoted(asked)}",
        lambda row: present(row[1]) and compare(row[1], op, asked),
    )


some = st.sampled_from(["eq", "ne", "co", "sw", "ew"])
leaves = st.one_of(
    leaf("title", texts, list(OPERATORS)),
    leaf(f"{ECMA}:Size", numbers | prices, ORDERED),
    emptiness("title", (3,)),
    emptiness("emails", (1, 2)),
    emptiness("emails.value", (1, 2)),
    emptiness('emails[type eq "home"].value', (2,)).filter(lambda pair: " ne " in pair[0]),
    st.builds(compared_values, some, texts, some, texts),
    st.builds(primary, some, texts),
    st.sampled_from(
        [(f"{path} pr", lambda row: any(map(present, row[1:3]))) for path in ("emails", "emails.value", "emails.type")]
    ),
    leaf(f"{ECMA}:Price", prices, ORDERED),
    leaf("active", st.booleans(), ["eq", "ne"]),
    leaf(f"{ECMA}:Since", moments, ORDERED),
    st.sampled_from([path for path in PATHS if path not in ("Work", "Home")]).flatmap(presence),
    selection("work", 1),
    selection("home", 2),
    st.builds(anywhere, some, texts),
    st.builds(anywhere, some, texts).map(lambda pair: (pair[0].replace(".value", "", 1), pair[1])),
    st.just(('PLACEHOLDER eq "x"', lambda _: False)),
)


def joined(word, every):
    return lambda parts: (
        f" {word} ".join(f"({text})" for text, _ in parts),
        lambda row: every(holds(row) for _, holds in parts),
    )


conditions = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=3).map(joined("and", all)),
        st.lists(inner, min_size=2, max_size=3).map(joined("OR", any)),
        inner.map(lambda part: (f"not ({part[0]})", lambda row: not part[1](row))),
    ),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    database = tmp_path_factory.mktemp("property") / "things.sqlite"
    with opened(database, DDL, table="Things", anchor="Id") as (connection, connector, run):
        yield connection, connector, compile_flows(run(connector.describe()), MAPPING), run


def stored(value):
    """What SQLite is given for a value."""
    match value:
        case datetime():
            return value.replace(tzinfo=None).isoformat(" ") + ".000000"
        case Decimal():
            return float(value)
        case _:
            return value


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(held=rows, condition=conditions)
def test_a_filter_finds_the_same_rows_in_sql_as_in_python(table, held, condition):
    connection, connector, flows, run = table
    text, holds = condition
    numbered = [(number, *row) for number, row in enumerate(held)]
    with connection:
        connection.execute("DELETE FROM Things")
        connection.executemany(
            "INSERT INTO Things VALUES (?,?,?,?,?,?,?,?)", [[stored(value) for value in row] for row in numbered]
        )
    query = Query(read_filter(flows, text, LimitSettings()))
    found = run(connector.search(query))
    assert [entry.anchor for entry in found.entries] == [str(row[0]) for row in numbered if holds(row)], text
