"""A filter becomes the condition that it means, in the columns' own types, or is refused with the place."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from scim2_models import ScimFilter

from connector_host.connectors.contract import (
    EVERYTHING,
    NOTHING,
    AllOf,
    AnyOf,
    Attribute,
    AttributeType,
    Comparator,
    Compare,
    Not,
    ObjectType,
    Present,
)
from connector_host.scim.compilation import compile_flows
from connector_host.scim.errors import ScimError
from connector_host.scim.filter_syntax import parse
from connector_host.scim.filters import read_filter
from connector_host.settings import LimitSettings
from tests.scim.employees import BARBARA, CORE, ECMA, ENTERPRISE, FLOWS

EQ = Comparator.EQ
NE_X = Compare("HomeEmail", Comparator.NE, "x")


def condition(text):
    return read_filter(FLOWS, text, LimitSettings())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('userName eq "x"', Compare("Login", EQ, "x")),
        ('USERNAME Eq "x"', Compare("Login", EQ, "x")),
        (f'{CORE}:userName eq "x"', Compare("Login", EQ, "x")),
        (f'{ECMA.lower()}:badge ge "5"', Compare("Badge", Comparator.GE, 5)),
        (f"{ECMA}:Salary lt 1.5e1", Compare("Salary", Comparator.LT, Decimal(15))),
        (f'{ECMA}:HiredAt eq "2026-01-02T05:04:05+02:00"', Compare("HiredAt", EQ, BARBARA.values["HiredAt"])),
        ('active eq "True"', Compare("Enabled", EQ, value=True)),
        ("active ne false", Compare("Enabled", Comparator.NE, value=False)),
        ('id eq "bjensen"', Compare("Login", EQ, "bjensen")),
        ("id pr", EVERYTHING),
        ("userName pr", Present("Login")),
        ("name pr", AnyOf((Present("FirstName"), Present("LastName")))),
        ("name.givenName eq null", Not(Present("FirstName"))),
        ('name.givenName ne ""', Present("FirstName")),
        ('emails co "x"', AnyOf((Compare("Email", Comparator.CO, "x"), Compare("HomeEmail", Comparator.CO, "x")))),
        (
            'emails.value sw "x"',
            AnyOf((Compare("Email", Comparator.SW, "x"), Compare("HomeEmail", Comparator.SW, "x"))),
        ),
        ('emails[type eq "work" and value ew "x"]', AllOf((Present("Email"), Compare("Email", Comparator.EW, "x")))),
        ('emails[type eq "work"].value eq "x"', AllOf((Present("Email"), Compare("Email", EQ, "x")))),
        ('emails.type eq "home"', Present("HomeEmail")),
        ("emails.type pr", AnyOf((Present("Email"), Present("HomeEmail")))),
        ("emails pr", AnyOf((Present("Email"), Present("HomeEmail")))),
        ("emails[value pr]", AnyOf((Present("Email"), Present("HomeEmail")))),
        ('emails[type pr and type ne "home"]', Present("Email")),
        ("emails[display pr]", NOTHING),
        ("emails eq null", Not(AnyOf((Present("Email"), Present("HomeEmail"))))),
        ('emails.value eq ""', Not(AnyOf((Present("Email"), Present("HomeEmail"))))),
        ("emails.type eq null", Not(AnyOf((Present("Email"), Present("HomeEmail"))))),
        ("emails.display eq null", NOTHING),
        ("emails ne null", AnyOf((Present("Email"), Present("HomeEmail")))),
        (
            'emails.value ne "x"',
            AnyOf(
                (
                    AllOf((Present("Email"), Compare("Email", Comparator.NE, "x"))),
                    AllOf((Present("HomeEmail"), NE_X)),
                )
            ),
        ),
        ('emails[primary eq true].value eq "x"', AllOf((Present("Email"), Compare("Email", EQ, "x")))),
        ('emails[primary eq "True" and value eq "x"]', AllOf((Present("Email"), Compare("Email", EQ, "x")))),
        (f"{ECMA}:Badge gt 5.5", Compare("Badge", Comparator.GT, Decimal("5.5"))),
        (f'{ECMA}:Badge le "5e0"', Compare("Badge", Comparator.LE, 5)),
        (f"{ECMA}:Badge eq 5.5", NOTHING),
        (f"{ECMA}:Badge ne 5.5", EVERYTHING),
        ('emails[display eq "x"]', NOTHING),
        ('emails[type eq "home" and value ne "x"]', AllOf((Present("HomeEmail"), NE_X))),
        ('emails[type eq "work" and (value pr or type eq "fax")]', Present("Email")),
        ('addresses[type eq "work"]', NOTHING),
        (f"{ENTERPRISE} pr", Present("Department")),
        ("meta.resourceType pr", EVERYTHING),
        ("PLACEHOLDER pr", NOTHING),
        ('title co ""', NOTHING),
        ('name.familyName co ""', Present("LastName")),
        (f'schemas ne "{ENTERPRISE}"', Not(Present("Department"))),
        ('schemas sw "urn:ietf"', EVERYTHING),
        (f'{ECMA}:Badge ne "many"', EVERYTHING),
        ('emails[type eq "fax"]', NOTHING),
        ('meta.resourceType eq "user"', EVERYTHING),
        ('meta.resourceType eq "Group"', NOTHING),
        ('meta.lastModified gt "2011-05-13T04:42:34Z"', NOTHING),
        (f'schemas eq "{ENTERPRISE}"', Present("Department")),
        (f'schemas eq "{CORE}"', EVERYTHING),
        ("userName eq jyoung", Compare("Login", EQ, "jyoung")),
        (
            "userName eq a@b.c and active eq true",
            AllOf((Compare("Login", EQ, "a@b.c"), Compare("Enabled", EQ, value=True))),
        ),
        ('PLACEHOLDER eq "8646d011"', NOTHING),
        ('externalId eq "x"', NOTHING),
        ('password eq "x"', NOTHING),
        (f'{ECMA}:password sw "x"', NOTHING),
        ('not (PLACEHOLDER eq "x")', EVERYTHING),
        (f'{ECMA}:Badge eq "1abc"', NOTHING),
        ('active eq "perhaps"', NOTHING),
        (f'{ECMA}:Grade sw "jun"', Compare("Grade", Comparator.SW, "jun")),
        (
            'userName eq "a" or userName eq "b" and not (active eq true)',
            AnyOf(
                (
                    Compare("Login", EQ, "a"),
                    AllOf((Compare("Login", EQ, "b"), Not(Compare("Enabled", EQ, value=True)))),
                )
            ),
        ),
        ('userName eq "a\\"b % _ \\\\"', Compare("Login", EQ, 'a"b % _ \\')),
    ],
)
def test_a_filter_means_this_condition(text, expected):
    assert condition(text) == expected


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "column 1"),
        ("userName", "column 9"),
        ('userName eq "x', "column 13"),
        ('userName is "x"', "column 10"),
        ('userName eq "x" and', "column 20"),
        ('(userName eq "x"', "column 17"),
        ('userName eq "x")', "column 16"),
        ("userName sw O", "column 13"),
        ("active gt true", "active"),
        ('active co "t"', "active"),
        (f'{ECMA}:Badge co "5"', "Badge"),
        (f'{ECMA}:Badge gt "many"', "Badge"),
        (f'{ECMA}:Badge gt "many"', "column 1"),
        (f'userName eq "{ECMA}:Badge" and not ({ECMA.lower()}:badge gt "many")', "column 88"),
        (f'{ECMA}:Badge gt 1 or {ECMA}:Badge gt "many"', "column 73"),
        ('emails eq "x" or emails.value gt null or emails gt null', "column 18"),
        ('emails eq "x" or emails[value gt null]', "column 18"),
        (f"{ECMA}:Badge gt 1e999", "column 68"),
        ("userName gt null", "userName"),
        ('name eq "x"', "name"),
        (f'{ENTERPRISE} eq "x"', "parts"),
        ('emails[type eq "work" and value gt null]', "emails"),
        ('userName[type eq "x"]', "userName"),
        ("not (" * 40 + "userName pr" + ")" * 40, "32"),
    ],
)
def test_a_filter_that_cannot_be_carried_out_is_refused_with_the_place(text, place):
    with pytest.raises(ScimError) as refused:
        condition(text)
    assert (refused.value.status, refused.value.scim_type) == (400, "invalidFilter")
    assert place in refused.value.detail


def test_a_filter_longer_than_the_limit_is_refused():
    with pytest.raises(ScimError, match="longer than 64"):
        read_filter(FLOWS, "userName eq " + "x" * 64, LimitSettings(filter_chars=64))


def test_literals_of_one_shape_of_filter_do_not_mix():
    for name, other in (("a", "b"), ("b", "a"), ("1", "0"), ('"', "\\")):
        text = f"userName eq {json.dumps(name)} and name.familyName ne {json.dumps(other)} and {ECMA}:Badge gt 1"
        first, second, _ = condition(text).conditions
        assert (first.value, second.value) == (name, other)


@pytest.mark.parametrize("text", ['userName eq "\\x"', 'userName eq "a\nb"', 'userName eq "a" "b"', '"a" eq "b"', '"'])
def test_a_literal_that_json_does_not_know_is_a_mistake_with_its_place(text):
    with pytest.raises(ScimError, match="column") as refused:
        condition(text)
    assert refused.value.scim_type == "invalidFilter"


@pytest.mark.parametrize("text", [f"{ECMA}:Badge gt 1e999", 'active gt "4711"', f'{ECMA}:HiredAt gt "4711"'])
def test_a_refusal_repeats_no_value(text):
    with pytest.raises(ScimError) as refused:
        condition(text)
    assert "999" not in refused.value.detail
    assert "4711" not in refused.value.detail


def test_an_id_that_is_a_number_is_compared_as_one_and_with_no_other_text():
    thing = ObjectType("User", "Id", (Attribute("Id", AttributeType.INTEGER, nullable=False),))
    flows = compile_flows(thing, {"Id": "userName"})
    for text, expected in (
        ('id gt "x"', NOTHING),
        ('id eq "x"', NOTHING),
        ('id ne "x"', EVERYTHING),
        ('id gt "5"', Compare("Id", Comparator.GT, 5)),
        ('userName lt "x"', NOTHING),
    ):
        assert read_filter(flows, text, LimitSettings()) == expected
    with pytest.raises(ScimError, match=r"id: sw compares text.*column 13"):
        read_filter(flows, 'id pr and   id sw "1"', LimitSettings())


def test_a_long_number_keeps_every_digit():
    """The grammar's floats keep 15 to 17 digits; a column may have 38."""
    long = "12345678901234567890123456789012345678.5"
    assert condition(f'{ECMA}:Salary eq {long} and userName eq "{long}"') == AllOf(
        (Compare("Salary", EQ, Decimal(long)), Compare("Login", EQ, long))
    )


@pytest.mark.parametrize(
    "text",
    [
        'userName eq "a.b@example.org"',
        'userName eq "0"',
        'userName eq ""',
        'userName EQ "x"',
        'userName  eq "x"',
        'name.familyName eq "ü\u2028"',
        'emails.value eq "a) or (b"',
        'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department eq "Sales"',
        'userName eq "a\\"b"',
        'userName eq "a" or title eq "b"',
        'emails[type eq "work"].value eq "x"',
    ],
)
def test_a_filter_is_read_as_the_grammar_reads_it_with_every_literal_in_its_place(text):
    for _ in range(2):  # the second time from what was kept
        assert parse(text) == ScimFilter(text).ast
