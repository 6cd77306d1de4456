"""Values are taken where their meaning is certain, and refused with attribute and expected type where it is not."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from connector_host.connectors.contract import Attribute, AttributeType
from connector_host.connectors.errors import InvalidValue
from connector_host.scim.coercion import coerce
from connector_host.scim.flows import Slot

MOMENT = datetime(2026, 11, 23, 8, 30, tzinfo=UTC)


def slot(kind, **facts):
    return Slot(Attribute("Column", AttributeType(kind), **facts), "path.to", "to", AttributeType(kind))


@pytest.mark.parametrize(
    ("kind", "raw", "value"),
    [
        ("boolean", True, True),
        ("boolean", "True", True),
        ("boolean", "FALSE", False),
        ("boolean", "false", False),
        ("boolean", 1, True),
        ("boolean", "0", False),
        ("boolean", Decimal("1.0"), True),
        ("integer", 5, 5),
        ("integer", "5", 5),
        ("integer", " -5 ", -5),
        ("integer", "5e2", 500),
        ("integer", Decimal("5E+2"), 500),
        ("integer", "5.0", 5),
        ("integer", True, 1),
        ("integer", "False", 0),
        ("decimal", "1.50", Decimal("1.50")),
        ("decimal", 3, Decimal(3)),
        ("decimal", "1e-3", Decimal("0.001")),
        ("dateTime", "2026-11-23T08:30:00Z", MOMENT),
        ("dateTime", "2026-11-23T10:30:00+02:00", MOMENT),
        ("dateTime", "2026-11-23T03:00:00-0530", MOMENT),
        ("dateTime", "2026-11-23T08:30:00", MOMENT),
        ("dateTime", "2026-11-23T08:30:00.0000009Z", MOMENT),
        ("dateTime", "2026-11-23", datetime(2026, 11, 23, tzinfo=UTC)),
        ("string", "x", "x"),
        ("string", 5, "5"),
        ("string", True, "true"),
        ("string", Decimal("1.50"), "1.50"),
        ("string", ["x"], "x"),
        ("string", {"value": "x"}, "x"),
        ("string", [{"value": "x"}], "x"),
        ("string", None, None),
        ("string", "", None),
        ("integer", [], None),
        ("boolean", {"value": None}, None),
    ],
)
def test_what_directories_still_send_is_understood(kind, raw, value):
    coerced = coerce(slot(kind), raw)
    assert coerced == value
    assert type(coerced) is type(value)


@pytest.mark.parametrize(
    ("kind", "raw", "expected"),
    [
        ("boolean", "yes", "true or false"),
        ("boolean", 2, "true or false"),
        ("boolean", {"x": 1}, "true or false"),
        ("integer", "five", "whole number"),
        ("integer", "1abc", "whole number"),
        ("integer", "5.5", "whole number"),
        ("integer", "1e99999", "whole number"),
        ("integer", "9" * 5_000, "whole number"),
        ("decimal", "NaN", "number"),
        ("decimal", "Infinity", "number"),
        ("decimal", True, "number"),
        ("dateTime", "yesterday", "date and time"),
        ("dateTime", "2026-13-01", "date and time"),
        ("dateTime", "0001-01-01T00:00:00+14:00", "date and time"),
        ("dateTime", 5, "date and time"),
        ("string", {"a": "b"}, "text"),
        ("string", "a\x00b", "NUL"),
    ],
)
def test_what_cannot_be_the_type_is_refused_with_attribute_and_expected_type(kind, raw, expected):
    with pytest.raises(InvalidValue, match=rf"^path\.to: .*{expected}"):
        coerce(slot(kind), raw)


def test_text_longer_than_the_column_is_refused_with_the_limit():
    assert coerce(slot("string", max_length=5), "12345") == "12345"
    with pytest.raises(InvalidValue, match="at most 5 characters, got 6"):
        coerce(slot("string", max_length=5), "123456")


def test_a_value_outside_the_choices_is_refused_with_the_choices():
    with pytest.raises(InvalidValue, match="one of A, I"):
        coerce(slot("string", canonical_values=("A", "I")), "X")
    with pytest.raises(InvalidValue, match="one of A, I"):
        coerce(slot("string", canonical_values=("A", "I"), max_length=1), "longer")


def test_a_choice_is_stored_as_the_connected_system_spells_it_unless_case_matters():
    assert coerce(slot("string", canonical_values=("Active",)), "active") == "Active"
    with pytest.raises(InvalidValue):
        coerce(slot("string", canonical_values=("Active",), case_exact=True), "active")


def test_the_value_itself_is_never_in_the_error():
    with pytest.raises(InvalidValue) as refused:
        coerce(slot("integer"), "secret-value")
    assert "secret" not in str(refused.value)
