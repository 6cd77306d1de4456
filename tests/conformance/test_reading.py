"""What can be read and how it is found, alike on every database and driver."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from connector_host.connectors.contract import (
    AllOf,
    AnyOf,
    AttributeType,
    Comparator,
    Compare,
    Mutability,
    Not,
    Present,
    Query,
)
from connector_host.connectors.errors import InvalidValue
from tests.conformance.platforms import ATTRIBUTES

ROWS = (
    """INSERT INTO "Employees" ("Login", "Email", "Name", "Number", "Salary", "Active", "Hired", "Born", "Guid")
       VALUES ('anna', 'anna@x.org', 'Änna 100%_\\', 1, 10.50, {true}, '2024-02-29 12:00:00', '1990-01-02',
               '6f9619ff-8b86-d011-b42d-00c04fc964ff')""",
    """INSERT INTO "Employees" ("Login", "Email", "Name", "Number", "Active", "Status")
       VALUES ('bob', '', 'Bob', 2, {false}, 'known')""",
    """INSERT INTO "Employees" ("Login", "Name") VALUES ('carl', 'carl')""",
)


@pytest.fixture
def filled(employees):
    words = {"true": "true", "false": "false"} if employees.database == "postgresql" else {"true": "1", "false": "0"}
    rows = [row.replace("{true}", words["true"]).replace("{false}", words["false"]) for row in ROWS]
    if employees.database == "mariadb":
        rows = [row.replace("\\", "\\\\") for row in rows]
    employees.execute(*rows)
    return employees


async def found(connector, condition):
    page = await connector.search(Query(condition))
    assert page.total == len(page.entries)
    return [entry.anchor for entry in page.entries]


async def test_every_column_that_scim_can_carry_is_an_attribute(connector):
    described = await connector.describe()
    assert [attribute.name for attribute in described.attributes] == ATTRIBUTES
    assert described.anchor == "Login"


async def test_column_facts_become_attribute_facts(connector):
    by_name = (await connector.describe()).by_name
    types = {name: attribute.type for name, attribute in by_name.items()}
    assert types["Number"] is AttributeType.INTEGER
    assert types["Salary"] is AttributeType.DECIMAL
    assert types["Active"] is AttributeType.BOOLEAN
    assert types["Hired"] is types["Born"] is AttributeType.DATE_TIME
    assert types["Guid"] is AttributeType.STRING
    assert [name for name, attribute in by_name.items() if attribute.required] == ["Login", "Name"]
    assert [name for name, attribute in by_name.items() if attribute.unique] == ["Login", "Email"]
    assert by_name["Login"].max_length == 20
    assert by_name["Login"].mutability is Mutability.IMMUTABLE
    assert by_name["Shout"].mutability is Mutability.READ_ONLY
    assert by_name["Status"].canonical_values == ("new", "known")


async def test_values_come_in_the_contracts_types(filled, connector):
    entry = await connector.read("anna")
    assert entry.values == {
        "Login": "anna",
        "Email": "anna@x.org",
        "Name": "Änna 100%_\\",
        "Number": 1,
        "Salary": Decimal("10.50"),
        "Active": True,
        "Hired": datetime(2024, 2, 29, 12, tzinfo=UTC),
        "Born": datetime(1990, 1, 2, tzinfo=UTC),
        "Guid": "6f9619ff-8b86-d011-b42d-00c04fc964ff",
        "Status": "new",
        "Shout": entry.values["Shout"],
    }


@pytest.mark.parametrize("anchor", ["ANNA", "anna ", " anna", "", "nobody", "a\0b", "\ud800", "x" * 5000, "1"])
async def test_an_anchor_is_found_to_the_letter_or_not_at_all(filled, connector, anchor):
    assert await connector.read(anchor) is None


EQ, NE, CO, SW, EW = Comparator.EQ, Comparator.NE, Comparator.CO, Comparator.SW, Comparator.EW
GT, GE, LT, LE = Comparator.GT, Comparator.GE, Comparator.LT, Comparator.LE


@pytest.mark.parametrize(
    ("condition", "anchors"),
    [
        (Compare("Login", EQ, "anna"), ["anna"]),
        (Compare("Login", EQ, "ANNA"), ["anna"]),
        (Compare("Login", NE, "ANNA"), ["bob", "carl"]),
        (Compare("Email", NE, "anna@x.org"), ["bob", "carl"]),
        (Compare("Email", EQ, "ANNA@X.ORG"), ["anna"]),
        (Compare("Name", CO, "100%_"), ["anna"]),
        (Compare("Name", CO, "00_"), []),
        (Compare("Name", EW, "\\"), ["anna"]),
        (Compare("Name", SW, "B"), ["bob"]),
        (Compare("Name", SW, "b"), ["bob"]),
        (Compare("Name", EQ, "CARL"), ["carl"]),
        (Compare("Name", EQ, "carl "), []),
        (Compare("Number", EQ, 2), ["bob"]),
        (Compare("Number", GE, 1), ["anna", "bob"]),
        (Compare("Number", GT, 1), ["bob"]),
        (Compare("Number", LT, 2), ["anna"]),
        (Compare("Number", LE, 2), ["anna", "bob"]),
        (Compare("Number", NE, 2), ["anna", "carl"]),
        (Compare("Number", LT, 2**40), ["anna", "bob"]),
        (Compare("Number", GT, 2**70), []),
        (Compare("Number", GT, -(2**70)), ["anna", "bob"]),
        (Compare("Number", EQ, 2**70), []),
        (Compare("Salary", EQ, Decimal("10.5")), ["anna"]),
        (Compare("Salary", EQ, Decimal("10.501")), []),
        (Compare("Salary", GT, Decimal(10)), ["anna"]),
        (Compare("Active", EQ, value=True), ["anna", "carl"]),
        (Compare("Active", EQ, value=False), ["bob"]),
        (Compare("Hired", EQ, datetime(2024, 2, 29, 12, tzinfo=UTC)), ["anna"]),
        (Compare("Hired", GE, datetime(2024, 2, 29, 12, tzinfo=UTC)), ["anna"]),
        (Compare("Hired", GT, datetime(2024, 2, 29, 12, tzinfo=UTC)), []),
        (Compare("Born", LT, datetime(1990, 1, 3, tzinfo=UTC)), ["anna"]),
        (Compare("Guid", EQ, "6F9619FF-8B86-D011-B42D-00C04FC964FF"), ["anna"]),
        (Compare("Guid", EQ, "no uuid"), []),
        (Compare("Guid", NE, "no uuid"), ["anna", "bob", "carl"]),
        (Compare("Guid", SW, "6f9619ff"), ["anna"]),
        (Present("Email"), ["anna"]),
        (Not(Present("Email")), ["bob", "carl"]),
        (Not(Compare("Number", EQ, 1)), ["bob", "carl"]),
        (AllOf((Compare("Active", EQ, value=True), Present("Number"))), ["anna"]),
        (AnyOf((Compare("Login", EQ, "bob"), Compare("Login", EQ, "carl"))), ["bob", "carl"]),
        (AllOf(()), ["anna", "bob", "carl"]),
        (AnyOf(()), []),
        (Compare("Login", EQ, "' OR 1=1 --"), []),
        (Compare("Name", CO, "'"), []),
    ],
    ids=str,
)
async def test_a_condition_finds_what_it_says(filled, connector, condition, anchors):
    assert await found(connector, condition) == anchors


@pytest.mark.parametrize(
    "condition",
    [Compare("Number", CO, 1), Compare("Active", GT, value=True), Compare("Nothing", EQ, "x"), Present("Photo")],
    ids=str,
)
async def test_a_comparison_that_makes_no_sense_is_refused(filled, connector, condition):
    with pytest.raises(InvalidValue):
        await connector.search(Query(condition))


@pytest.mark.parametrize(
    ("query", "anchors"),
    [
        (Query(limit=2), ["anna", "bob"]),
        (Query(limit=2, offset=2), ["carl"]),
        (Query(limit=2, offset=7), []),
        (Query(limit=0), []),
        (Query(descending=True), ["carl", "bob", "anna"]),
        (Query(sort_by="Number"), ["anna", "bob", "carl"]),
        (Query(sort_by="Number", descending=True), ["carl", "bob", "anna"]),
        (Query(sort_by="Name"), ["bob", "carl", "anna"]),
        (Query(sort_by="Status"), ["bob", "anna", "carl"]),
    ],
    ids=str,
)
async def test_a_page_is_a_stretch_in_order_with_the_whole_total(filled, connector, query, anchors):
    filled.only("sqlite", "postgresql") if query.sort_by == "Name" else None
    page = await connector.search(query)
    assert [entry.anchor for entry in page.entries] == anchors
    assert page.total == 3


async def test_pages_by_keyset_go_through_all_entries_once(filled, connector):
    page = await connector.search(Query(limit=2))
    rest = await connector.search(Query(limit=2, after=page.entries[-1].anchor))
    assert [entry.anchor for entry in (*page.entries, *rest.entries)] == ["anna", "bob", "carl"]
    assert rest.total == 3
    assert (await connector.search(Query(limit=2, after="carl"))).entries == ()
    backwards = await connector.search(Query(limit=2, after="bob", descending=True))
    assert [entry.anchor for entry in backwards.entries] == ["anna"]


async def test_reads_that_wait_together_each_get_their_own_entry(filled, connector):
    anchors = ["anna", "bob", "carl", "nobody", "ANNA", "a\0"] * 30
    entries = await asyncio.gather(*(connector.read(anchor) for anchor in anchors))
    assert [entry and entry.anchor for entry in entries] == ["anna", "bob", "carl", None, None, None] * 30


async def test_searches_that_wait_together_are_each_answered_as_if_alone(filled, connector):
    names = ["anna", "ANNA", "bob", "nobody", "anna", "carl", "it's", "", "%"]
    asked = [Query(Compare("Login", Comparator.EQ, name), limit=10) for name in names]
    alone = [await connector.search(query) for query in asked]
    together = await asyncio.gather(*(connector.search(query) for query in asked))
    assert together == alone
    assert [[entry.anchor for entry in page.entries] for page in together][:4] == [["anna"], ["anna"], ["bob"], []]


async def test_searches_of_different_columns_and_sizes_may_wait_together(filled, connector):
    filled.execute("""UPDATE "Employees" SET "Name" = 'Bob' WHERE "Login" = 'carl'""")
    asked = [
        Query(Compare("Name", Comparator.EQ, "bob"), limit=10),
        Query(Compare("Name", Comparator.EQ, "bob"), limit=2),
        Query(Compare("Name", Comparator.EQ, "bob"), limit=1),
        Query(Compare("Number", Comparator.EQ, 1), limit=10),
        Query(Compare("Active", Comparator.EQ, value=False), limit=10),
        Query(Compare("Name", Comparator.EQ, "bob"), offset=1, limit=10),
        Query(Compare("Name", Comparator.NE, "bob"), limit=10),
    ]
    pages = await asyncio.gather(*(connector.search(query) for query in asked))
    assert [[entry.anchor for entry in page.entries] for page in pages] == [
        *(["bob", "carl"], ["bob", "carl"], ["bob"], ["anna"], ["bob"], ["carl"], ["anna"]),
    ]
    assert [page.total for page in pages] == [2, 2, 2, 1, 1, 2, 1]


async def test_more_reads_than_one_query_takes_are_all_answered(filled, connector):
    rows = ", ".join(f"('user{number}', 'User {number}')" for number in range(150))
    filled.execute(f'INSERT INTO "Employees" ("Login", "Name") VALUES {rows}')
    read = await asyncio.gather(*(connector.read(f"user{number}") for number in range(160)))
    assert [entry.anchor if entry else None for entry in read[:150]] == [f"user{number}" for number in range(150)]
    assert read[150:] == [None] * 10
    queries = [Query(Compare("Name", Comparator.EQ, f"user {number}"), limit=5) for number in range(150)]
    found_each = await asyncio.gather(*(connector.search(query) for query in queries))
    assert [[entry.anchor for entry in page.entries] for page in found_each] == [[f"user{n}"] for n in range(150)]
