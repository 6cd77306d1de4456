"""What each dialect of PATCH says, as values to write: Entra's two, Okta's, and the RFC's own."""

from __future__ import annotations

import pytest

from connector_host.connectors.contract import RefusalKind
from connector_host.connectors.errors import Immutable, InvalidValue
from connector_host.scim.errors import ScimError
from connector_host.scim.patches import read_patch
from tests.scim.employees import BARBARA, CORE, ECMA, ENTERPRISE, FLOWS


def patch(*operations):
    return read_patch(FLOWS, {"Operations": list(operations)}, operations_max=10)


def written(*operations):
    read = patch(*operations)
    assert read.refusals == ()
    return read.revise(BARBARA)


@pytest.mark.parametrize(
    ("operation", "values"),
    [
        # Entra, without its flag: capitals, text for booleans (learn.microsoft.com: SCIM compatibility)
        ({"op": "Replace", "path": "active", "value": "False"}, {"Enabled": False}),
        ({"op": "Add", "path": "name.familyName", "value": "Gtfd"}, {"LastName": "Gtfd"}),
        ({"op": "Replace", "path": 'emails[type eq "work"].value', "value": "t@x"}, {"Email": "t@x"}),
        ({"op": "Add", "path": 'emails[type eq "home"].value', "value": "h@x"}, {"HomeEmail": "h@x"}),
        ({"op": "Replace", "path": f"{ENTERPRISE}:department", "value": "Eqpj"}, {"Department": "Eqpj"}),
        ({"op": "Replace", "path": f"{ECMA}:Badge", "value": "5e1"}, {"Badge": 50}),
        ({"op": "Remove", "path": "name.familyName", "value": "stray"}, {"LastName": None}),
        ({"op": "Replace", "path": "name.familyName", "value": ""}, {"LastName": None}),
        ({"op": "Replace", "path": "name.familyName", "value": [{"value": "Only"}]}, {"LastName": "Only"}),
        # Entra with aadOptscim062020: dotted and URN keys without a path
        (
            {
                "op": "replace",
                "value": {"name.givenName": "K", "name.familyName": "U", f"{ENTERPRISE}:department": "A"},
            },
            {"FirstName": "K", "LastName": "U", "Department": "A"},
        ),
        # Okta
        ({"op": "replace", "value": {"active": False}}, {"Enabled": False}),
        # RFC 7644 §3.5.2
        ({"op": "add", "value": {"name": {"familyName": "J"}}}, {"LastName": "J"}),
        ({"op": "replace", "path": "name", "value": {"familyName": "J"}}, {"LastName": "J"}),
        (
            {"op": "replace", "path": "emails", "value": [{"type": "home", "value": "h"}]},
            {"Email": None, "HomeEmail": "h"},
        ),
        ({"op": "add", "path": "emails", "value": [{"type": "home", "value": "h"}]}, {"HomeEmail": "h"}),
        ({"op": "add", "path": "emails", "value": {"type": "home", "value": "h"}}, {"HomeEmail": "h"}),
        ({"op": "replace", "path": 'emails[type eq "work"]', "value": {"value": "w"}}, {"Email": "w"}),
        ({"op": "replace", "path": 'emails[value ew "example.org"].value', "value": "w"}, {"Email": "w"}),
        ({"op": "replace", "path": 'emails[not (type eq "home") and value pr].value', "value": "w"}, {"Email": "w"}),
        ({"op": "remove", "path": 'emails[type eq "work"]'}, {"Email": None}),
        ({"op": "remove", "path": 'emails[value eq "nobody@x"]'}, {}),
        ({"op": "remove", "path": "emails"}, {"Email": None}),
        # errata 7122: a comparison is a selection, too
        ({"op": "remove", "path": 'emails.type eq "work"'}, {"Email": None}),
        ({"op": "remove", "path": "emails.value pr"}, {"Email": None}),
        ({"op": "remove", "path": 'emails eq "bjensen@example.org"'}, {"Email": None}),
        ({"op": "replace", "path": "emails.value", "value": "w"}, {"Email": "w"}),
        ({"op": "remove", "path": ENTERPRISE}, {"Department": None}),
        ({"op": "replace", "path": ENTERPRISE, "value": {"department": "D"}}, {"Department": "D"}),
        ({"op": "add", "value": {ENTERPRISE.lower(): {"DEPARTMENT": "D"}}}, {"Department": "D"}),
        # sloppy, but certain
        ({"OP": "REPLACE", "Path": f"{CORE}:NAME.FAMILYNAME", "Value": "J"}, {"LastName": "J"}),
        ({"op": "replace", "value": {"schemas": [CORE], "meta": {}, "id": "bjensen", "title": "x"}}, {}),
        ({"op": "replace", "path": 'addresses[type eq "work"].country', "value": "x"}, {}),
        ({"op": "add", "path": "urn:contoso:2.0:User:unknown", "value": "x"}, {}),
        (
            {
                "op": "replace",
                "path": "urn:ietf:params:scim:schemas:extension:enterprise:2.0User:department",
                "value": "D",
            },
            {"Department": "D"},
        ),
    ],
)
def test_every_dialect_is_understood(operation, values):
    assert written(operation) == values


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "replace", "path": "userName", "value": "bjensen"},
        {"op": "replace", "path": "active", "value": "TRUE"},
        {"op": "replace", "path": f"{ECMA}:HiredAt", "value": "2026-01-02T05:04:05+02:00"},
        {"op": "replace", "path": f"{ECMA}:Salary", "value": "1.05e1"},
        {"op": "remove", "path": 'emails[type eq "home"].value'},
    ],
)
def test_what_is_so_already_is_not_written(operation):
    assert written(operation) == {}


def test_no_operations_change_nothing():
    assert written() == {}


def test_later_operations_see_what_earlier_ones_did():
    first = {"op": "add", "path": 'emails[type eq "home"].value', "value": "new@x"}
    second = {"op": "replace", "path": 'emails[value eq "new@x"].value', "value": "newer@x"}
    assert written(first, second) == {"HomeEmail": "newer@x"}


def test_an_operation_that_is_undone_by_the_next_writes_nothing():
    there = {"op": "replace", "path": "active", "value": False}
    back = {"op": "replace", "path": "active", "value": True}
    assert written(there, back) == {}


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "replace", "path": "userName", "value": "other"},
        {"op": "replace", "value": {"userName": "other"}},
        {"op": "remove", "path": "userName"},
        {"op": "replace", "path": "id", "value": "other"},
        {"op": "remove", "path": "id"},
        {"op": "replace", "path": f"{ECMA}:FullName", "value": "computed"},
    ],
)
def test_changing_the_anchor_or_what_is_computed_is_refused(operation):
    with pytest.raises(Immutable):
        patch(operation).revise(BARBARA)


def test_clearing_a_column_that_takes_no_null_is_refused_and_named():
    with pytest.raises(InvalidValue, match=r"name\.givenName.*column FirstName is NOT NULL"):
        patch({"op": "remove", "path": "name.givenName"}).revise(BARBARA)


def test_a_filter_that_selects_nothing_has_no_target():
    change = patch({"op": "replace", "path": 'emails[value eq "nobody@x"].value', "value": "y"})
    with pytest.raises(ScimError) as refused:
        change.revise(BARBARA)
    assert refused.value.scim_type == "noTarget"


@pytest.mark.parametrize(
    ("operation", "scim_type"),
    [
        ({"op": "move", "path": "active", "value": True}, "invalidSyntax"),
        ({"path": "active", "value": True}, "invalidSyntax"),
        ("replace", "invalidSyntax"),
        ({"op": "replace", "path": "emails[type eq", "value": "x"}, "invalidPath"),
        ({"op": "replace", "path": "two words", "value": "x"}, "invalidPath"),
        ({"op": "replace", "path": 5, "value": "x"}, "invalidPath"),
        ({"op": "replace", "path": 'userName[type eq "x"]', "value": "x"}, "invalidPath"),
        ({"op": "remove"}, "noTarget"),
        ({"op": "add", "path": "active"}, "invalidValue"),
        ({"op": "replace", "value": "text"}, "invalidValue"),
    ],
)
def test_what_cannot_be_understood_is_refused_with_its_type(operation, scim_type):
    with pytest.raises(ScimError) as refused:
        patch(operation)
    assert (refused.value.status, refused.value.scim_type) == (400, scim_type)


@pytest.mark.parametrize("body", [None, [], {}, {"Operations": {}}, {"Operations": "x"}])
def test_a_body_without_operations_is_refused(body):
    with pytest.raises(ScimError) as refused:
        read_patch(FLOWS, body, operations_max=10)
    assert refused.value.scim_type == "invalidSyntax"


def test_more_operations_than_allowed_are_refused():
    with pytest.raises(ScimError) as refused:
        patch(*[{"op": "replace", "path": "active", "value": True}] * 11)
    assert refused.value.status == 413


def test_a_value_that_is_one_too_many_is_refused_whatever_selects_it():
    for path in ('emails[type eq "fax"].value', 'emails[type eq "fax"]'):
        (refusal,) = patch({"op": "add", "path": path, "value": "x"}).refusals
        assert refusal.kind is RefusalKind.MULTI_VALUED
