"""What can be written, what is refused before SQL, and what an answer says, alike on every database and driver."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from connector_host.connectors.contract import Add, Delete, Modify, Refusal, RefusalKind
from connector_host.connectors.errors import Conflict, Immutable, InvalidValue, NotFound, RefusedExport

ANNA = {"Login": "anna", "Name": "Anna"}
MOMENT = datetime(2026, 11, 23, 17, 30, tzinfo=UTC)


def change(**values):
    return lambda _: values


async def test_a_creation_is_answered_with_the_row_as_it_is_stored(connector, employees):
    done = await connector.export(Add(ANNA))
    assert done.written
    assert done.entry.anchor == "anna"
    assert done.entry.values["Status"] == "new"
    assert done.entry.values["Active"] is True
    assert done.entry.values["Shout"] == "ANNA"
    assert await connector.read("anna") == done.entry
    assert employees.execute('SELECT "Name" FROM "Employees"')[0][0] == "Anna"


@pytest.mark.parametrize(
    ("attribute", "value", "kept"),
    [
        ("Name", "Ünïcødé 🙂 'quoted\" \\ % _ ;--", None),
        ("Name", "  blanks around  ", None),
        ("Name", "x" * 40, None),
        ("Name", "🙂" * 40, None),
        ("Number", -(2**31), None),
        ("Number", 2**31 - 1, None),
        ("Salary", Decimal("12345678.91"), None),
        ("Salary", Decimal("-0.01"), None),
        ("Salary", Decimal(7), None),
        ("Active", False, None),
        ("Active", True, None),
        ("Hired", MOMENT, None),
        ("Hired", MOMENT.replace(microsecond=123_000), None),
        ("Hired", MOMENT.astimezone(timezone(timedelta(hours=-8))), MOMENT),
        ("Hired", datetime(1969, 7, 20, 20, 17, 40, tzinfo=UTC), None),
        ("Born", datetime(1990, 1, 2, tzinfo=UTC), None),
        ("Born", datetime(1990, 1, 2, tzinfo=timezone(timedelta(hours=14))), datetime(1990, 1, 2, tzinfo=UTC)),
        ("Guid", "6f9619ff-8b86-d011-b42d-00c04fc964ff", None),
        ("Guid", "6F9619FF-8B86-D011-B42D-00C04FC964FF", "6f9619ff-8b86-d011-b42d-00c04fc964ff"),
        ("Status", "known", None),
    ],
    ids=repr,
)
async def test_a_value_survives_the_round_trip(connector, attribute, value, kept):
    kept = value if kept is None else kept
    created = await connector.export(Add({**ANNA, attribute: value}))
    assert created.entry.values[attribute] == kept
    assert (await connector.read("anna")).values[attribute] == kept
    again = await connector.export(Modify("anna", change(**{attribute: value})))
    assert not again.written


async def test_microseconds_survive_where_the_database_keeps_them(connector, employees):
    moment = MOMENT.replace(microsecond=123_456)
    done = await connector.export(Add({**ANNA, "Hired": moment}))
    assert done.entry.values["Hired"] == moment
    kept = employees.execute('SELECT "Hired" FROM "Employees"')[0][0]
    assert str(kept).startswith("2026-11-23 17:30:00.123456")


@pytest.mark.parametrize(
    ("attribute", "value", "reason"),
    [
        ("Name", "x" * 41, "at most 40 characters"),
        ("Login", "x" * 21, "at most 20 characters"),
        ("Name", "a\0b", "NUL"),
        ("Name", "\ud83d", "surrogate"),
        ("Name", 5, "text"),
        ("Number", 2**63, "whole number"),
        ("Number", True, "whole number"),
        ("Number", "5", "whole number"),
        ("Salary", Decimal("0.001"), "2 of them after the point"),
        ("Salary", Decimal(10) ** 8, "10 digits"),
        ("Salary", Decimal("NaN"), "number"),
        ("Active", 1, "true or false"),
        ("Active", "true", "true or false"),
        ("Hired", "2024-01-01", "date and time"),
        ("Hired", datetime(2024, 1, 1), "zone"),  # noqa: DTZ001 - a moment without a zone is the point
        ("Born", MOMENT, "midnight"),
        ("Guid", "6f9619ff", "UUID"),
        ("Status", "old", "new, known"),
        ("Nothing", "x", "no such attribute"),
    ],
    ids=repr,
)
async def test_a_value_that_does_not_fit_is_refused_by_name_and_limit(connector, employees, attribute, value, reason):
    with pytest.raises(InvalidValue, match=reason) as refused:
        await connector.export(Add({**ANNA, attribute: value}))
    assert refused.value.attribute == attribute
    assert employees.execute('SELECT count(*) FROM "Employees"')[0][0] == 0


async def test_a_number_beyond_the_columns_type_is_refused(connector, employees):
    employees.only("postgresql", "mariadb")
    with pytest.raises(InvalidValue, match="from -2147483648 to 2147483647"):
        await connector.export(Add({**ANNA, "Number": 2**31}))


async def test_a_required_column_without_a_value_is_named(connector):
    with pytest.raises(InvalidValue, match="is required") as refused:
        await connector.export(Add({"Login": "anna"}))
    assert refused.value.attribute == "Name"


async def test_what_a_creation_leaves_out_has_its_default_and_an_explicit_null_has_not(connector):
    done = await connector.export(Add({**ANNA, "Email": None}))
    assert done.entry.values["Status"] == "new"
    assert done.entry.values["Email"] is None
    with pytest.raises(InvalidValue, match="takes no null") as refused:
        await connector.export(Add({**ANNA, "Login": "bert", "Status": None}))
    assert refused.value.attribute == "Status"


async def test_a_computed_column_is_refused(connector):
    with pytest.raises(Immutable) as refused:
        await connector.export(Add({**ANNA, "Shout": "x"}))
    assert refused.value.attribute == "Shout"


@pytest.mark.parametrize(
    ("second", "attribute"),
    [({"Login": "anna", "Name": "x"}, "Login"), ({"Login": "bob", "Name": "x", "Email": "a@x.org"}, "Email")],
)
async def test_a_second_holder_of_a_unique_value_is_refused_by_attribute(connector, second, attribute):
    await connector.export(Add({**ANNA, "Email": "a@x.org"}))
    with pytest.raises(Conflict) as refused:
        await connector.export(Add(second))
    assert refused.value.attributes == (attribute,)


async def test_a_change_writes_only_what_differs(connector, employees):
    await connector.export(Add({**ANNA, "Number": 1}))
    done = await connector.export(Modify("anna", change(Name="Anne", Number=1)))
    assert done.written
    assert done.entry.values["Name"] == "Anne"
    assert done.entry.values["Shout"] == "ANNE"
    assert employees.execute('SELECT "Name", "Number" FROM "Employees"')[0][1] == 1


async def test_a_change_that_changes_nothing_is_no_write(connector):
    first = await connector.export(Add({**ANNA, "Number": 1, "Salary": Decimal("1.50")}))
    done = await connector.export(Modify("anna", lambda entry: dict(entry.values)))
    assert not done.written
    assert done.entry == first.entry


async def test_a_value_is_cleared_by_an_explicit_null(connector):
    await connector.export(Add({**ANNA, "Email": "a@x.org", "Number": 5, "Hired": MOMENT}))
    done = await connector.export(Modify("anna", change(Email=None, Number=None, Hired=None)))
    assert (done.entry.values["Email"], done.entry.values["Number"], done.entry.values["Hired"]) == (None, None, None)


async def test_a_required_value_cannot_be_cleared(connector):
    await connector.export(Add(ANNA))
    with pytest.raises(InvalidValue, match="cannot be removed"):
        await connector.export(Modify("anna", change(Name=None)))


async def test_changing_the_anchor_is_refused(connector):
    await connector.export(Add(ANNA))
    with pytest.raises(Immutable):
        await connector.export(Modify("anna", change(Login="anne")))
    assert (await connector.read("anna")).values["Name"] == "Anna"


async def test_changing_the_case_of_the_anchor_is_refused(connector):
    await connector.export(Add(ANNA))
    with pytest.raises(Immutable):
        await connector.export(Modify("anna", change(Login="Anna")))


async def test_a_computed_column_may_be_repeated_but_not_changed(connector):
    await connector.export(Add(ANNA))
    assert not (await connector.export(Modify("anna", change(Shout="ANNA")))).written
    with pytest.raises(Immutable):
        await connector.export(Modify("anna", change(Shout="x")))


async def test_an_error_of_the_revision_reaches_its_caller_with_nothing_written(connector):
    await connector.export(Add(ANNA))

    def refuse(_):
        raise LookupError("not this one")

    with pytest.raises(LookupError, match="not this one"):
        await connector.export(Modify("anna", refuse))
    with pytest.raises(LookupError, match="not this one"):
        await connector.export(Delete("anna", guard=refuse))
    assert await connector.read("anna") is not None


async def test_a_deletion_answers_with_the_row_as_it_was(connector, employees):
    created = await connector.export(Add(ANNA))
    done = await connector.export(Delete("anna"))
    assert done.entry == created.entry
    assert employees.execute('SELECT count(*) FROM "Employees"')[0][0] == 0


@pytest.mark.parametrize("anchor", ["nobody", "ANNA", "anna ", "1anna", "", "a\0", "\udfff", "0"])
async def test_only_the_exact_anchor_is_changed_or_deleted(connector, anchor):
    await connector.export(Add(ANNA))
    with pytest.raises(NotFound):
        await connector.export(Modify(anchor, change(Name="x")))
    with pytest.raises(NotFound):
        await connector.export(Delete(anchor))
    assert (await connector.read("anna")).values["Name"] == "Anna"


async def test_one_bad_export_of_many_fails_alone(connector, employees):
    exports = [Add({"Login": f"user{number}", "Name": "x", "Email": f"{number % 20}@x.org"}) for number in range(40)]
    outcomes = await asyncio.gather(*(connector.export(export) for export in exports), return_exceptions=True)
    stored = [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]
    refused = [outcome for outcome in outcomes if isinstance(outcome, Conflict)]
    assert (len(stored), len(refused)) == (20, 20)
    assert {outcome.attributes for outcome in refused} == {("Email",)}
    assert employees.execute('SELECT count(*) FROM "Employees"')[0][0] == 20


async def test_changes_of_one_user_run_in_the_order_in_which_they_came(connector):
    await connector.export(Add({**ANNA, "Number": 0}))
    await asyncio.gather(
        *(
            connector.export(Modify("anna", lambda entry: {"Number": entry.values["Number"] + 1, "Name": "x"}))
            for _ in range(50)
        )
    )
    assert (await connector.read("anna")).values["Number"] == 50


MANAGER = Refusal(RefusalKind.REFERENCE, "manager", "is a reference.")


async def test_a_refused_class_stops_the_export_before_sql(connector):
    with pytest.raises(RefusedExport) as refused:
        await connector.export(Add(ANNA, refusals=(MANAGER,)))
    assert refused.value.refusals == (MANAGER,)
    assert await connector.read("anna") is None


async def test_a_class_that_may_be_dropped_is_left_out_and_told(employees):
    connector = employees.open(refusals={"reference": "drop"})
    done = await connector.export(Add(ANNA, refusals=(MANAGER,)))
    assert done.dropped == (MANAGER,)
    assert done.entry.anchor == "anna"
    await connector.close()


async def test_many_changed_at_once_each_get_their_own_values(connector, employees):
    names = [f"user{number}" for number in range(70)]
    await asyncio.gather(*(connector.export(Add({"Login": name, "Name": "x", "Number": 1})) for name in names))
    texts = [f"Ünï {number} 'q' %s :x" if number % 7 else None for number in range(70)]
    changes = [
        {"Email": text} if number % 2 else {"Email": text, "Name": f"N{number}"} for number, text in enumerate(texts)
    ]
    done = await asyncio.gather(
        *(connector.export(Modify(n, change(**c))) for n, c in zip(names, changes, strict=True))
    )
    assert [one.entry.values["Email"] for one in done] == texts
    assert [one.entry.values["Name"] for one in done] == ["x" if n % 2 else f"N{n}" for n in range(70)]
    assert [one.entry for one in done] == list(await asyncio.gather(*map(connector.read, names)))
    outcomes = await asyncio.gather(
        *(connector.export(Delete(name)) for name in [*names, "nobody"]), return_exceptions=True
    )
    assert isinstance(outcomes.pop(), NotFound)
    assert all(one.written for one in outcomes)
    assert employees.execute('SELECT count(*) FROM "Employees"')[0][0] == 0
