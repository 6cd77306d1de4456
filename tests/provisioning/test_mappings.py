"""What the mappings of a job ask of the target for one user."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from pydantic import ValidationError

from connector_host.errors import ConfigurationError
from connector_host.provisioning.errors import ExpressionError
from connector_host.provisioning.expressions.signatures import Kind
from connector_host.provisioning.mappings import CLEAR, compile_mappings, desired, digests, matching, same
from connector_host.provisioning.resources import flattened, parse_path, put, value_at
from tests.provisioning.jobs import MAPPINGS, job

MATCH = MAPPINGS[0]


def wanted(*mappings, creating=False, **user):
    return desired(compile_mappings(job(mappings=[MATCH, *mappings])), {"mail": "a@x.org"} | user, creating=creating)


def test_direct_constant_and_expression_flow():
    assert wanted(
        {"target": "title", "source": "job"},
        {"target": "userType", "type": "constant", "constant": "Employee"},
        {"target": "nickName", "type": "expression", "expression": 'Append([job], "!")'},
        job="Cook",
    ) == {"userName": "a@x.org", "title": "Cook", "userType": "Employee", "nickName": "Cook!"}


@pytest.mark.parametrize("value", [None, ""])
def test_a_null_is_passed_over_and_cleared_only_where_asked_for(value):
    assert wanted({"target": "title", "source": "job"}, job=value) == {"userName": "a@x.org"}
    assert wanted({"target": "title", "source": "job", "clear_when_null": True}, job=value)["title"] is CLEAR


def test_a_default_stands_in_for_a_null_on_creation_only():
    mapping = {"target": "title", "source": "job", "default": "New", "clear_when_null": True}
    assert wanted(mapping, creating=True)["title"] == "New"
    assert wanted(mapping)["title"] is CLEAR


def test_a_mapping_without_a_source_gives_its_default_on_creation():
    mapping = {"target": "title", "type": "none", "default": "New"}
    assert wanted(mapping, creating=True)["title"] == "New"
    assert "title" not in wanted(mapping)


def test_only_on_creation_means_that():
    mapping = {"target": "title", "source": "job", "apply": "creation"}
    assert wanted(mapping, creating=True, job="Cook")["title"] == "Cook"
    assert "title" not in wanted(mapping, job="Cook")


def test_a_switch_over_an_attribute_that_did_not_change_keeps_its_value():
    mapping = {"target": "title", "type": "expression", "expression": 'Switch([company], "External", "A", "a")'}
    assert wanted(mapping, company="A", other="changed")["title"] == "a"


def test_an_attribute_that_an_expression_ignores_is_left_out():
    mapping = {"target": "title", "type": "expression", "expression": "IgnoreFlowIfNullOrEmpty([job])"}
    assert "title" not in wanted(mapping, job="")


def test_precedence_orders_the_matching_attributes():
    flows = compile_mappings(
        job(
            mappings=[
                {"target": "externalId", "source": "id", "match": 2},
                {"target": "userName", "source": "m", "match": 1},
            ]
        )
    )
    assert [flow.path.text for flow in matching(flows)] == ["userName", "externalId"]


@pytest.mark.parametrize(
    ("mappings", "reason"),
    [
        ([{"target": "title", "source": "job"}], "no mapping has match"),
        ([MATCH, MATCH], "two mappings"),
        ([MATCH, {"target": "active", "type": "constant", "constant": True}], "disable"),
        ([MATCH, {"target": "id", "source": "id"}], "by itself"),
        ([MATCH, {"target": "emails[type eq work].value", "source": "m"}], "no SCIM path"),
        ([MATCH, {"target": "title", "source": "nope"}], "no attribute nope"),
        ([MATCH, {"target": "title", "type": "expression", "expression": "Append([mail], [nope])"}], "column 16"),
        ([MATCH, {"target": "title", "type": "expression", "expression": 'SelectUniqueValue("a","b")'}], "creation"),
        ([MATCH | {"redact": True}], "redacted"),
        ([MATCH, {"target": "title", "source": "IsSoftDeleted"}], "`disable`"),
        ([MATCH, {"target": "title", "type": "expression", "expression": "Guid()"}], "another one each time"),
    ],
)
def test_a_mapping_that_could_not_work_is_refused_when_it_is_saved(mappings, reason):
    with pytest.raises(ConfigurationError, match=reason):
        compile_mappings(job(mappings=mappings), {"mail": Kind.TEXT, "id": Kind.TEXT, "m": Kind.TEXT, "job": Kind.TEXT})


@pytest.mark.parametrize(
    "mapping",
    [
        {"target": "a", "type": "direct"},
        {"target": "a", "type": "constant", "source": "x"},
        {"target": "a", "type": "none", "match": 1},
        {"target": "a", "source": "x", "expression": "Now()"},
    ],
)
def test_a_mapping_has_exactly_the_part_that_its_type_needs(mapping):
    with pytest.raises(ValidationError):
        job(mappings=[mapping])


def test_a_failing_expression_names_the_target_attribute_and_no_value():
    with pytest.raises(ExpressionError, match=r"^title: .*no date") as caught:
        wanted({"target": "title", "type": "expression", "expression": "CDate([job])"}, job="Secret")
    assert "Secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "current", "expected"),
    [
        ("5", 5, True),
        ("true", True, True),
        (True, "True", True),
        (Decimal("1.50"), 1.5, True),
        ("2020-01-01", "2020-01-01T00:00:00Z", True),
        (datetime(2020, 1, 1, tzinfo=UTC), "2020-01-01T01:00:00+01:00", True),
        ("a", "A", False),
        ("a", None, False),
        (CLEAR, None, True),
        (CLEAR, "", True),
        (CLEAR, "x", False),
        (("b", "a"), ["a", "b"], True),
        (("a",), [{"value": "a", "type": "x"}], True),
        (("a",), ["a", "b"], False),
        (({"value": "a", "type": "home"},), [{"value": "a", "type": "work"}], False),
        (({"value": "a", "type": "work"},), [{"value": "a", "type": "work", "primary": True}], True),
        (({"value": "a"}, {"value": "a", "type": "x"}), [{"value": "a", "type": "x"}, {"value": "a"}], True),
        (({"streetAddress": "Main 1"},), [{"streetAddress": "Main 2"}], False),
        (({"streetAddress": "Main 1", "region": None},), [{"StreetAddress": "Main 1", "locality": ""}], True),
        (({"value": "a", "primary": True},), [{"value": "a", "primary": "True"}], True),
    ],
)
def test_the_target_holds_a_value_whatever_type_either_side_gives_it(value, current, expected):
    assert same(value, current) is expected


def test_digests_tell_what_changed_and_depend_on_the_salt():
    before, after = {"a": "1", "b": "2"}, {"a": "1", "b": "3"}
    one, other = digests(before, b"salt"), digests(after, b"salt")
    assert [path for path in one if one[path] != other[path]] == ["b"]
    assert digests(before, b"pepper")["a"] != one["a"]


PATHS = [
    "userName",
    "name.givenName",
    'emails[type eq "work"].value',
    "emails[primary eq true].value",
    "urn:ietf:params:scim:schemas:extension:ECMA2Host:2.0:User:HireDate",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value",
]


@pytest.mark.parametrize("text", PATHS)
def test_what_is_put_at_a_path_is_found_there(text):
    resource = {}
    for number, path in enumerate(PATHS):
        put(resource, parse_path(path), number)
    assert value_at(resource, parse_path(text)) == PATHS.index(text)


def test_names_are_found_without_regard_to_case_and_core_names_without_their_urn():
    resource = {"username": "a", "URN:x:y": {"B": 1}}
    assert value_at(resource, parse_path("urn:ietf:params:scim:schemas:core:2.0:User:userName")) == "a"
    assert value_at(resource, parse_path("urn:x:y:b")) == 1


def test_a_resource_flattens_into_the_paths_that_it_was_made_of():
    resource = {"name": {"givenName": "B"}, "emails": [{"type": "work", "value": "b@x.org"}], "urn:x:User": {"a": 1}}
    flat = dict(flattened(resource))
    assert flat["name.givenName"] == "B"
    assert flat['emails[type eq "work"].value'] == "b@x.org"
    assert flat["urn:x:User:a"] == 1
