"""Regular expressions mean what .NET means by them (Microsoft: character classes in .NET regular expressions)."""

from __future__ import annotations

import pytest

from connector_host.provisioning.errors import ExpressionError
from connector_host.provisioning.expressions.patterns import compiled

LETTERS = "abcdmxAB19_-+,[]"


@pytest.mark.parametrize(
    ("pattern", "members"),
    [
        ("[a-z-[aeiou]]", "bcdmx"),
        ("[a-z-[c-w-[m]]]", "abmx"),
        (r"[\w-[\d_]]", "abcdmxAB"),
        (r"[\p{L}-[a]]", "bcdmxAB"),
        ("[^a-z-[A1]]", "B9_-+,[]"),
        ("[a-d-[^b]]", "b"),
        ("[ab-[a]]", "b"),
        ("[]a-[a]]", "]"),
        ("(?i)[a-z-[aeiou]]", "bcdmxB"),
        (r"(?:x|\[[a-z-[b]])", "x"),
        ("(?#[a-[)x", "x"),
    ],
)
def test_a_class_is_taken_from_another_as_in_net(pattern, members):
    assert "".join(letter for letter in LETTERS if compiled(pattern).fullmatch(letter)) == members


@pytest.mark.parametrize(
    ("pattern", "text"), [("[-[a]]", "-]"), (r"[a\-[b]]", "[]"), ("[+--[a]]", ",]"), ("[a-z]-[b]", "x-b")]
)
def test_what_only_looks_like_it_is_none(pattern, text):
    assert compiled(pattern).fullmatch(text)


@pytest.mark.parametrize("pattern", ["[a-[b]c]", "[a-[b]", "[a-" * 300])
def test_a_subtraction_that_does_not_end_its_class_is_refused(pattern):
    with pytest.raises(ExpressionError, match="to be last in a class"):
        compiled(pattern)


def test_groups_keep_their_numbers_and_repetition_its_subject():
    assert compiled("(x)([a-z-[aeiou]]+)(.*)").sub(r"\3\2\1", "xbcdex") == "exbcdx"
