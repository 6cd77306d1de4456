"""An expression is refused when it is saved, at the column of its first mistake, and cannot hurt when it runs."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector_host.provisioning.errors import ExpressionError
from connector_host.provisioning.expressions import compile_expression
from connector_host.provisioning.expressions.catalogue import FUNCTIONS
from connector_host.provisioning.expressions.signatures import Kind


def failure_of(text, user):
    """Return what goes wrong, if it is an ExpressionError; anything else fails the test."""
    try:
        compile_expression(text).evaluate(user)
    except ExpressionError as failure:
        return failure
    return None


@pytest.mark.parametrize(
    ("text", "column", "reason"),
    [
        ("", 1, "empty"),
        ("Append([a], ", 13, "too early"),
        ("Append([a]", 11, "too early"),
        ('Append([a], "x', 13, "quotation mark"),
        ("Append([a, 1)", 8, "closing bracket"),
        ("Append([a] [b])", 12, "attribute"),
        ("append([a], [b])", 1, "did you mean Append"),
        ("Nothing()", 1, "no function"),
        ("Append([a])", 1, r"takes \(source, suffix\)"),
        ("Append([a], , )", 1, "suffix is empty"),
        ("Guid([a])", 1, "takes"),
        ("Append(a, [b])", 8, r"write \[a\]"),
        (r'Append("a\d", [b])', 10, "no escape"),
        ('Left([a], "x")', 11, "a number"),
        ('Left(Split([a], ","), 1)', 6, "takes text, this is several values"),
        ('DateAdd("x", 1, Now())', 9, "interval"),
        ('DateDiff("d", Now(), "soon")', 22, "no date"),
        ('Replace([a], , "(", , "x", , )', 16, "regular expression"),
        ('Replace([a], , "[a-z-[b]c]", , "x", , )', 16, "subtracts at position 5"),
        ('Replace([a], , "(?<g>x)", "h", "x", , )', 16, "group"),
        ('FormatDateTime([a], "Never", "yyyy", "yyyy")', 21, "DateTimeStyles"),
        ('FormatDateTime([a], , "yyyy", "")', 31, "date format"),
        ('FormatDateTime([a], , "yyyy")', 1, "outputFormat"),
        ("Item([a], 0)", 11, "from 1"),
        ('Switch([a], "d", "k")', 1, "pairs"),
        ('Append(SelectUniqueValue("a", "b"), "c")', 8, "nested"),
        ('SelectUniqueValue("a")', 1, "2 rules"),
        ("[a] = [b] = [c]", 11, "not expected"),
        ("Left([a], " + "1" * 5_000 + ")", 11, "digits"),
        ("Append([ ], [b])", 8, "attribute"),
        ('CDate("0001-01-01T00:00:00+14:00")', 7, "no such date"),
    ],
)
def test_a_mistake_is_named_with_its_column(text, column, reason):
    with pytest.raises(ExpressionError, match=reason) as caught:
        compile_expression(text)
    assert caught.value.column == column


def test_an_attribute_that_the_source_does_not_have_is_named_with_the_nearest_one():
    with pytest.raises(ExpressionError, match="did you mean givenName") as caught:
        compile_expression("Append([GivenNames], [sn])", attributes={"givenName": Kind.TEXT, "sn": Kind.TEXT})
    assert caught.value.column == 8


def test_ten_thousand_characters_are_allowed_and_one_more_is_not():
    fits = 'Append("' + "x" * (10_000 - 14) + '","")'
    assert compile_expression(fits + " " * (10_000 - len(fits))).evaluate({}) == "x" * (10_000 - 14)
    with pytest.raises(ExpressionError, match="10000 characters"):
        compile_expression(fits + " " * (10_001 - len(fits)))


def test_the_attributes_and_the_redaction_are_known_before_there_is_a_user():
    expression = compile_expression("IIF([a] = [b], Redact([c]), Now())")
    assert expression.attributes == {"a", "b", "c"}
    assert expression.redacted
    assert not compile_expression("Now()").redacted


@pytest.mark.parametrize(
    ("text", "result"), [("Guid(, )", 36), ('Left("abc", 2, , )', 2), ('IIF(1 = 1, "ab", "c", )', 2)]
)
def test_empty_arguments_beyond_the_last_change_nothing(text, result):
    assert len(compile_expression(text).evaluate({})) == result


def test_escapes_give_backslash_and_quotation_mark():
    assert compile_expression(r'Append("Company name: \"Contoso\"", "\\")').evaluate({}) == 'Company name: "Contoso"\\'


def test_deep_nesting_is_refused_not_a_crash():
    with pytest.raises(ExpressionError, match="deep"):
        compile_expression("Not(" * 1_900 + "1" + ")" * 1_900)


@pytest.mark.parametrize(
    "text",
    [
        r'Replace([a], , "(a+)+$", , "x", , )',
        r'Replace([a], , "^(([a-z])+.)+[A-Z]([a-z])+$", , "x", , )',
        r'Replace([empty], , "(?<g>(a|aa)+$)", "g", , [a], )',
    ],
)
def test_a_hostile_regular_expression_is_stopped(text):
    begun = time.thread_time()
    failure = failure_of(text, {"a": "a" * 40_000 + "!", "empty": ""})
    assert failure is None or "took" in failure.reason
    assert time.thread_time() - begun < 3


@pytest.mark.parametrize("pattern", ["(a{1000}){1000}", "a{99999999}", "(" * 400 + ")" * 400, "x" * 1_001])
def test_a_regular_expression_that_is_costly_to_compile_is_refused_or_quick(pattern):
    begun = time.thread_time()
    failure = failure_of(f'Replace([a], , "{pattern}", , "x", , )', {})
    assert failure is None or failure.column == 16
    assert time.thread_time() - begun < 2


@pytest.mark.parametrize(
    "text",
    [
        'Replace([long], "a", , , [long], , )',
        'Replace([long], , "a", , [long], , )',
        'Replace([long], , "a+", , "' + "$_" * 4_000 + '", , )',
        "Join([long], [many])",
        "Append([long], [long])",
        "ConvertToUTF8Hex([long])",
    ],
)
def test_a_result_cannot_grow_without_bound(text):
    user = {"long": "a" * 60_000, "many": ("x",) * 1_000}
    with pytest.raises(ExpressionError, match="longer than 100000"):
        compile_expression(text).evaluate(user)


ENDS_OF_THE_CALENDAR = (
    datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
    datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-12))),
)
VALUES = (
    st.none()
    | st.text(max_size=20)
    | st.integers()
    | st.booleans()
    | st.floats()
    | st.tuples(st.text(max_size=5), st.text(max_size=5))
    | st.tuples(st.dictionaries(st.text(max_size=2), st.none()))
    | st.sampled_from([float("nan"), Decimal("Infinity"), "0001-01-01T00:00:00+14:00", *ENDS_OF_THE_CALENDAR])
    | st.tuples(st.dictionaries(st.text(max_size=3), st.integers() | st.none(), max_size=2), st.none())
    | st.tuples(st.lists(st.text(max_size=3), max_size=2))
    | st.sampled_from(["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "1e999999", "\0", "\ud800"])
)
ARGUMENTS = st.lists(
    st.sampled_from(["[a]", "[b]", '"x"', "1", "-1", "", '"yyyy"', "Now()", '"d"', "[a] = [b]"]), max_size=7
)


@given(st.sampled_from(sorted(FUNCTIONS)), ARGUMENTS, VALUES, VALUES)
def test_no_input_makes_anything_but_a_value_or_an_expression_error(name, arguments, a, b):
    failure = failure_of(f"{name}({', '.join(arguments)})", {"a": a, "b": b})
    assert failure is None or failure.reason


@given(st.text(alphabet='AN(),[]"\\ =<>&H1', max_size=40))
def test_no_text_makes_anything_but_an_expression_or_an_expression_error(text):
    failure = failure_of(text, {})
    assert failure is None or failure.column is None or 1 <= failure.column <= len(text) + 1
