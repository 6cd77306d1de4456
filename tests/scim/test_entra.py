"""Each departure of Entra from the RFC is understood, and nothing else is taken for it."""

from __future__ import annotations

import pytest

from connector_host.scim import entra
from connector_host.scim.compilation import compile_flows
from connector_host.scim.paths import Ignored, resolve_key
from tests.scim.employees import EMPLOYEE, ENTERPRISE, FLOWS


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("urn:ietf:params:scim:schemas:extension:enterprise:2.0User", ENTERPRISE),
        ("urn:ietf:params:scim:schemas:extension:enterprise:2.0User:department", f"{ENTERPRISE}:department"),
        (f"{ENTERPRISE}:department", f"{ENTERPRISE}:department"),
        ("userName", "userName"),
    ],
)
def test_the_misspelt_urn_of_a_sample_is_mended(sent, meant):
    assert entra.mended_urn(sent) == meant


def test_the_primary_value_is_the_first_one_where_no_column_is_primary():
    emails = FLOWS.core.nodes["emails"]
    assert entra.primary_rows(emails) == emails.rows[:1]
    one = compile_flows(EMPLOYEE, {"Email": 'emails[type eq "work"].value'}).core.nodes["emails"]
    assert entra.primary_rows(one) == one.rows
    primary = {"Email": "emails[primary eq true].value", "HomeEmail": 'emails[type eq "home"].value'}
    two = compile_flows(EMPLOYEE, primary).core.nodes["emails"]
    assert [row.selector for row in entra.primary_rows(two)] == ["primary"]


def test_an_enterprise_attribute_at_top_level_is_found_and_a_core_one_is_never_taken_for_one():
    assert resolve_key(FLOWS, "Department").slot.path == f"{ENTERPRISE}:department"
    assert isinstance(resolve_key(FLOWS, "title"), Ignored)
    assert isinstance(resolve_key(compile_flows(EMPLOYEE, {}), "department"), Ignored)


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("externalId eq jyoung", 'externalId eq "jyoung"'),
        ('a eq b and c eq "d eq e"', 'a eq "b" and c eq "d eq e"'),
        ("(a EQ x@y.z)", '(a eq "x@y.z")'),
        ("a eq true and b eq 5 and c eq null and d eq -1.5", "a eq true and b eq 5 and c eq null and d eq -1.5"),
        ("a eq 5f0b and b eq truest", 'a eq "5f0b" and b eq "truest"'),
        ('a eq "never ends', 'a eq "never ends'),
    ],
)
def test_bare_values_of_eq_get_their_quotes(sent, meant):
    assert entra.with_quotes(sent) == meant


@pytest.mark.parametrize("sent", ["x", ["x"], {"value": "x"}, [{"value": "x"}], [[{"value": ["x"]}]]])
def test_the_one_value_is_found_in_its_wrapping(sent):
    assert entra.single_value(sent) == "x"


@pytest.mark.parametrize("sent", [["x", "y"], {"value": "x", "type": "work"}, [], {}, None])
def test_anything_else_stays_as_it_is(sent):
    assert entra.single_value(sent) == sent
