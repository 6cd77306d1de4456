"""A selector means the same in a key as in a path: the values that it selects, and never another one."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from connector_host.connectors.contract import RefusalKind
from connector_host.connectors.errors import Immutable, InvalidValue
from connector_host.scim.errors import ScimError
from connector_host.scim.patches import read_patch
from connector_host.scim.resources import read_create, read_replacement
from tests.scim.employees import BARBARA, CORE, FLOWS

BOTH = replace(BARBARA, values={**BARBARA.values, "Email": "w@x", "HomeEmail": "h@x"})
USER = {"userName": "anna", "name": {"givenName": "Anna"}}
ONLY_W = 'emails[value eq "w@x"]'
NOBODY = 'emails[value eq "nobody"]'


def read(operation):
    return read_patch(FLOWS, {"Operations": [operation]}, operations_max=10)


def dialects(key, value):
    """The same, said by path, by key, and by a key inside of its schema."""
    yield {"op": "replace", "path": key, "value": value}
    yield {"op": "Replace", "value": {key: value}}
    yield {"op": "add", "value": {CORE: {key: value}}}


@pytest.mark.parametrize(
    ("key", "value", "written"),
    [
        (f"{ONLY_W}.value", "NEW", {"Email": "NEW"}),
        (f"{ONLY_W}.value", None, {"Email": None}),
        (ONLY_W, {"value": "NEW"}, {"Email": "NEW"}),
        (ONLY_W, "NEW", {"Email": "NEW"}),
        ('emails[not (type eq "home") and value pr].value', "NEW", {"Email": "NEW"}),
        ('emails[type eq "home"].value', "NEW", {"HomeEmail": "NEW"}),
        ("emails[primary eq true].value", "NEW", {"Email": "NEW"}),
        ('emails[primary eq "True" and value eq "w@x"].value', "NEW", {"Email": "NEW"}),
        ('emails[type eq "work"]', {"TYPE": "Work", "value": "NEW"}, {"Email": "NEW"}),
        ('emails[type eq "work"].type', "WORK", {}),
        (f"{ONLY_W}.display", "without a column", {}),
        (f"{ONLY_W}.type", "work", {}),
    ],
)
def test_only_the_selected_value_is_written(key, value, written):
    for operation in dialects(key, value):
        change = read(operation)
        assert change.refusals == ()
        assert change.revise(BOTH) == written, operation


@pytest.mark.parametrize("value", ["NEW", None])
def test_a_filter_that_selects_nothing_has_no_target_wherever_it_stands(value):
    for operation in dialects(f"{NOBODY}.value", value):
        with pytest.raises(ScimError) as refused:
            read(operation).revise(BOTH)
        assert refused.value.scim_type == "noTarget"


@pytest.mark.parametrize("key", [f"{ONLY_W}.value", ONLY_W, "emails.value"])
def test_a_new_or_replaced_user_has_no_values_to_choose_from(key):
    for reader in (read_create, read_replacement):
        with pytest.raises(InvalidValue, match="emails"):
            reader(FLOWS, {**USER, key: "a@x"})
        assert "Email" not in reader(FLOWS, {**USER, key: None}).values


OTHER = 'emails[type eq "SECRETTYPE"]'


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        (f"{OTHER}.value", "o", {"emails.value"}),
        (OTHER, {"value": "o"}, {"emails"}),
        (OTHER, [{"value": "o"}], {"emails"}),
        (f"{OTHER}.password", "o", {"emails.password"}),
        (OTHER, {"value": "o", "password": "x", "$ref": "q"}, {"emails", "emails.password", "emails.$ref"}),
    ],
)
def test_a_value_without_a_column_is_refused_and_looked_into(key, value, named):
    said = [read(operation) for operation in dialects(key, value)]
    said.append(read_create(FLOWS, {**USER, key: value}))
    said.append(read_replacement(FLOWS, {**USER, key: value}))
    for one in said:
        assert {refusal.attribute for refusal in one.refusals} == named
        assert one.refusals[0].kind is RefusalKind.MULTI_VALUED


@pytest.mark.parametrize("value", [None, "", [], {"type": "SECRETTYPE"}, {"value": ""}])
def test_an_empty_value_without_a_column_is_passed_over(value):
    for operation in dialects(OTHER, value):
        assert read(operation).refusals == ()


def test_the_type_of_a_selected_value_never_changes():
    for key in ('emails[type eq "work"].type', f"{ONLY_W}.type"):
        for operation in dialects(key, "home"):
            with pytest.raises(Immutable, match=r"emails\.type"):
                read(operation).revise(BOTH)
    with pytest.raises(Immutable, match=r"emails\.type"):
        read({"op": "remove", "path": 'emails[type eq "work"].type'})


def test_a_value_of_another_type_than_the_selected_one_is_refused():
    for key in ('emails[type eq "work"]', ONLY_W):
        for operation in dialects(key, {"type": "home", "value": "moved@x"}):
            with pytest.raises(InvalidValue, match="another type"):
                read(operation).revise(BOTH)


@pytest.mark.parametrize(
    ("path", "value", "written"),
    [
        ("emails", [{"type": "work", "value": "OTHER@x"}], {}),
        ("emails", [{"type": "work", "value": "W@X"}], {"Email": None}),
        ("emails", {"type": "home"}, {"HomeEmail": None}),
        ("emails", "h@x", {"HomeEmail": None}),
        ("emails", ["h@x", {"value": "w@x", "display": "no column"}], {"Email": None, "HomeEmail": None}),
        ("emails", [{"display": "no column"}], {}),
        ("emails", [{"type": "fax", "value": "w@x"}], {}),
        ("emails", [{"value": "w@x", "primary": True}], {"Email": None}),
        ("emails", [], {"Email": None, "HomeEmail": None}),
        ("emails", [{"value": ""}], {"Email": None, "HomeEmail": None}),
        ("name.familyName", "stray", {"LastName": None}),
        ('emails[type eq "work"].value', "stray", {"Email": None}),
    ],
)
def test_remove_takes_the_values_that_are_named(path, value, written):
    assert read({"op": "Remove", "path": path, "value": value}).revise(BOTH) == written


@pytest.mark.parametrize(
    "value", ["a@x", ["a@x"], [{"value": "a@x", "primary": True}], {"value": "a@x"}, [{"value": "a@x", "type": ""}]]
)
def test_one_value_without_a_type_goes_to_the_first_column(value):
    add = read_create(FLOWS, {**USER, "emails": value})
    assert add.refusals == ()
    assert (add.values["Email"], add.values.get("HomeEmail")) == ("a@x", None)


@pytest.mark.parametrize("value", [["a@x", "b@x"], ["a@x", {"type": "work", "value": "b@x"}]])
def test_several_values_without_a_type_have_no_columns(value):
    assert read_create(FLOWS, {**USER, "emails": value}).refusals


def test_more_values_than_any_table_has_columns_are_not_removed_at_once():
    with pytest.raises(ScimError) as refused:
        read({"op": "remove", "path": "emails", "value": ["a"] * 5_001})
    assert refused.value.scim_type == "invalidSyntax"
