"""Scoping filters decide who is in scope as Microsoft's operators do, and name what they cannot use."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from connector_host.errors import ConfigurationError
from connector_host.provisioning.errors import Refused
from connector_host.provisioning.expressions.signatures import Kind
from connector_host.provisioning.scoping import check_scope, check_switches, judge
from connector_host.provisioning.settings import ClauseSettings, FilterSettings
from tests.provisioning.jobs import job


def scoped(*filters, **user):
    return judge(job(scope=[{"clauses": list(clauses)} for clauses in filters]), user).wanted


def clause(attribute, operator, value=None):
    return {"attribute": attribute, "operator": operator} | ({} if value is None else {"value": value})


@pytest.mark.parametrize(
    ("operator", "value", "given", "expected"),
    [
        ("EQUALS", "Sales", "Sales", True),
        ("EQUALS", "Sales", "sales", False),
        ("EQUALS", True, True, True),
        ("EQUALS", True, "true", True),
        ("EQUALS", False, "FALSE", True),
        ("EQUALS", False, "no", False),
        ("EQUALS", "1", True, False),
        ("NOT EQUALS", True, "true", False),
        ("NOT EQUALS", True, False, True),
        ("EQUALS", 5, 5.0, True),
        ("NOT EQUALS", "Sales", "sales", True),
        ("NOT EQUALS", "Sales", "Sales", False),
        ("ENDS_WITH", ".org", "a.org", True),
        ("ENDS_WITH", ".org", "a.ORG", False),
        ("Includes", "ale", "Sales", True),
        ("Includes", "ALE", "Sales", False),
        ("Greater_Than", "5", "10", True),
        ("Greater_Than", "5", 5, False),
        ("Greater_Than", "5", "many", False),
        ("Greater_Than", "5", "1e1000000", False),
        ("Greater_Than", "5", "1e-1000000", False),
        ("&", 2, "9e999999999", False),
        ("Greater_Than_OR_EQUALS", 5, "5", True),
        ("Greater_Than_OR_EQUALS", 5, "4", False),
        ("&", 2, 514, True),
        ("&", 2, 512, False),
        ("&", 3, 513, False),
        ("!&", 2, 512, True),
        ("!&", 2, 514, False),
        ("REGEX MATCH", "([1-9][0-9])", "42", True),
        ("REGEX MATCH", "([1-9][0-9])", "142", False),
        ("REGEX MATCH", "s.*", "Sales", False),
        ("NOT REGEX MATCH", "S.*", "Research", True),
        ("NOT REGEX MATCH", "S.*", "Sales", False),
        ("IS TRUE", None, "true", True),
        ("IS TRUE", None, "x", False),
        ("IS FALSE", None, False, True),
        ("IS FALSE", None, "True", False),
        ("IS NOT NULL", None, "x", True),
        ("IS NOT NULL", None, ("x", "y"), True),
        ("IS NULL", None, "x", False),
        ("IS NULL", None, None, True),
        ("IS NULL", None, "", True),
    ],
)
def test_each_operator(operator, value, given, expected):
    assert scoped([clause("a", operator, value)], a=given) is expected


@pytest.mark.parametrize(
    ("operator", "value"),
    [
        ("NOT EQUALS", "x"),
        ("NOT REGEX MATCH", "x"),
        ("!&", 1),
        ("IS NOT NULL", None),
        ("IS FALSE", None),
        ("Includes", ""),
    ],
)
@pytest.mark.parametrize("empty", [None, ""])
def test_a_clause_about_nothing_is_false(operator, value, empty):
    assert not scoped([clause("a", operator, value)], a=empty)


def test_all_clauses_of_a_filter_and_any_of_the_filters():
    filters = [clause("a", "EQUALS", "1"), clause("b", "EQUALS", "2")], [clause("c", "EQUALS", "3")]
    assert scoped(*filters, a="1", b="2")
    assert scoped(*filters, c="3")
    assert not scoped(*filters, a="1", b="x")


def test_assigned_only_needs_an_assignment_that_is_not_false():
    settings = job(assignment="assigned", assigned_attribute="vpn")
    assert judge(settings, {"vpn": "yes"}).wanted
    assert judge(settings, {"vpn": ("role",)}).wanted
    assert judge(settings, {"vpn": "false"}).reason == "the user is not assigned"
    assert judge(settings, {}).leaves


def test_a_user_whom_the_source_says_nothing_about_is_not_disabled():
    assert judge(job(enabled_attribute="accountEnabled"), {}).wanted


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("", "active is empty"),
        (None, "active is empty"),
        ("Y", "active is neither true nor false"),
        ("active", "neither true nor false"),
        (("true",), "neither true nor false"),
        (datetime(2026, 1, 1, tzinfo=UTC), "neither true nor false"),
    ],
)
def test_a_user_of_whom_nobody_can_tell_whether_it_is_disabled_is_refused(value, words):
    with pytest.raises(Refused, match=words) as refused:
        judge(job(enabled_attribute="active"), {"active": value})
    assert refused.value.code == "ImportSkipped"


@pytest.mark.parametrize(("value", "wanted"), [(" TRUE ", True), ("False", False), ("1", True), (0, False)])
def test_truth_is_spelled_as_files_and_databases_do(value, wanted):
    assert judge(job(enabled_attribute="active"), {"active": value}).wanted is wanted


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"enabled_attribute": "enabeld"}, "enabled_attribute: enabeld"),
        ({"assignment": "assigned", "assigned_attribute": "vnp"}, "assigned_attribute: vnp"),
    ],
)
def test_a_switch_that_is_no_attribute_of_the_source_is_named(changes, named):
    check_switches(job(**changes), None)
    with pytest.raises(ConfigurationError, match=named):
        check_switches(job(**changes), {"enabled": Kind.TEXT, "vpn": Kind.TEXT})


def test_a_disabled_user_is_kept_out_whatever_the_scope():
    found = judge(job(enabled_attribute="accountEnabled"), {"accountEnabled": "False"})
    assert (found.wanted, found.leaves) == (False, False)


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (clause("appRoleAssignments", "IS NOT NULL"), "role assignments"),
        (clause("userType", "EQUALS", "Guest"), "userType: Microsoft"),
        (clause("manager", "IS NOT NULL"), "reference"),
        (clause("Manager.displayName", "IS NOT NULL"), "reference"),
        (clause("urn:x:2.0:User:manager.value", "IS NOT NULL"), "reference"),
        (clause("boss", "IS NOT NULL"), "reference to another object"),
        (clause("hired", "EQUALS", "x"), "dates"),
        (clause("mails", "EQUALS", "x"), "several"),
        (clause("level", "Greater_Than", "high"), "integers only"),
        (clause("level", "REGEX MATCH", "("), "regular expression"),
        (clause("nope", "IS NULL"), "no such attribute"),
    ],
)
def test_what_a_filter_cannot_use_is_named_with_the_reason(one, reason):
    filters = [FilterSettings(clauses=(ClauseSettings(**one),))]
    with pytest.raises(ConfigurationError, match=reason):
        check_scope(filters, {"hired": Kind.DATE, "mails": Kind.MANY, "level": Kind.TEXT, "boss": Kind.REFERENCE})


def test_what_is_known_of_some_attributes_is_heeded_where_not_all_are_known():
    filters = [FilterSettings(clauses=(ClauseSettings(**clause("hired", "EQUALS", "x")),))]
    check_scope(filters, None, {})
    with pytest.raises(ConfigurationError, match="hired: dates"):
        check_scope(filters, None, {"hired": Kind.DATE})


@pytest.mark.parametrize("one", [clause("a", "EQUALS"), clause("a", "IS NULL", "x"), clause("a", "LIKE", "x")])
def test_a_clause_has_a_value_exactly_where_its_operator_takes_one(one):
    with pytest.raises(ValidationError):
        ClauseSettings(**one)
