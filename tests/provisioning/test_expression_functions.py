"""Every function of the language does what Microsoft's reference says, with its own examples where it has some."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from connector_host.provisioning.errors import ExpressionError
from connector_host.provisioning.expressions import IGNORED, Candidates, compile_expression
from connector_host.provisioning.values import to_text

NOW = datetime(2021, 8, 25, 17, 41, 18, tzinfo=UTC)

USER = {
    "upn": "John.Doe@contoso.com",
    "mail": None,
    "empty": "",
    "given": "John",
    "surname": "Doe",
    "state": "QLD",
    "title": "Product Developer",
    "street": "545 Tremont Street",
    "phone": "+91 9998887777",
    "us": "+1 (999) 888-7777",
    "many": ("a@x.org", "b@x.org", "a@x.org"),
    "flags": 514,
    "hired": "2012-03-16-07:00",
    "upper": "PABLO GONSALVES (SECOND)",
    "desilva": "PINTO-DE'SILVA",
    "role": ({"id": "1", "value": "25", "displayName": "Admin"},),
    "roles": ({"id": "1", "value": "25", "displayName": "Admin"}, {"id": "2", "displayName": "User"}),
    "enabled": True,
    "spelled": "true",
    "objects": ({"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a": 1}),
    "holes": ("x", None, "y"),
    "nested": (["x"],),
}


def run(text: str) -> object:
    result = compile_expression(text).evaluate(USER, NOW)
    return to_text(result) if isinstance(result, datetime) else result


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('Append([upn], ".test")', "John.Doe@contoso.com.test"),
        ('Append([mail], ".test")', None),
        ("Append(Mid([given], 1, 3), Mid([surname], 1, 5))", "JohDoe"),
        ('ConvertToBase64("Hello world!")', "SABlAGwAbABvACAAdwBvAHIAbABkACEA"),
        ('ConvertToUTF8Hex("Hello world!")', "48656C6C6F20776F726C6421"),
        ("CStr([enabled])", "True"),
        ("CStr([flags])", "514"),
        ('InStr("The quick brown fox","quick")', 5),
        ('InStr("repEated","e",3,vbBinaryCompare)', 7),
        ('InStr("repEated","e",3,vbTextCompare)', 4),
        ('InStr("abc","x")', 0),
        ('Left("John Doe", 3)', "Joh"),
        ('Left("John", -1)', "John"),
        ('Left("John", 0)', ""),
        ('Left("John", 99)', "John"),
        ("Left([mail], 3)", ""),
        ('Mid("John", 2, 99)', "ohn"),
        ('NormalizeDiacritics("Zoë Łukasz Ærø Straße Ğ İ ǡ")', "Zoe Lukasz AEroe Strasse G I a"),
        ('NormalizeDiacritics("Ø й")', "OE й"),
        ("PCase([upper])", "Pablo Gonsalves (Second)"),
        ('PCase([desilva]," \'-")', "Pinto-De'Silva"),
        ('PCase([desilva]," ")', "Pinto-de'silva"),
        ("Redact([upn])", "John.Doe@contoso.com"),
        ('StripSpaces(" a b  c")', "abc"),
        ('ToLower("ÄI")', "äi"),
        ('ToLower("I", "tr-TR")', "\u0131"),
        ('ToUpper("straße")', "STRAßE"),
        ('ToUpper("i", "tr-TR")', "İ"),
        ('Word("The quick brown fox",3," ")', "brown"),
        ('Word("This,string!has&many separators",3,",!&#")', "has"),
        ('Word("a b",3," ")', ""),
        ('PCase("ßtraße 3rd o\'neil")', "ßtraße 3rd O'neil"),
        ('Word([mail],1," ")', ""),
        ('Word("a b",0," ")', ""),
    ],
)
def test_text(text, expected):
    assert run(text) == expected


@pytest.mark.parametrize(
    ("letters", "plain"),
    [
        ("ä à â ã å á ą ă ā ā́ ā̀ ā̂ ā̃ ǟ ā̈ ǡ a̱ å̄", "a"),
        ("æ ǣ", "ae"),
        ("ç č ć c̄ c̱", "c"),
        ("ď d̄ ḏ", "d"),
        ("ë è é ê ę ě ė ē ḗ ḕ ē̂ ē̃ ê̄ e̱ ë̄ e̊̄", "e"),
        ("ğ ḡ g̱", "g"),
        ("ï î ì í \u0131 ī ī́ ī̀ ī̂ ī̃ i̱", "i"),
        ("ľ ł l̄ ḹ ḻ", "l"),
        ("ñ ń ň n̄ ṉ", "n"),
        ("ö ò ő õ ô ó ō ṓ ṑ ō̂ ō̃ ȫ ō̈ ǭ ȭ ȱ o̱", "o"),
        ("ø ø̄ œ̄", "oe"),
        ("ř r̄ ṟ ṝ", "r"),
        ("ß", "ss"),
        ("š ś ș ş s̄ s̱", "s"),
        ("ť ț t̄ ṯ", "t"),
        ("ü ù û ú ů ű ū ū́ ū̀ ū̂ ū̃ u̇̄ ǖ ṻ ṳ̄ u̱", "u"),
        ("ÿ ý ȳ ȳ́ ȳ̀ ȳ̃ y̱", "y"),
        ("ź ž ż z̄ ẕ", "z"),
    ],
)
def test_the_documented_table_of_diacritics(letters, plain):
    small = [compile_expression("NormalizeDiacritics([a])").evaluate({"a": one}) for one in letters.split()]
    assert set(small) == {plain}
    if plain not in ("ss", "i"):
        big = [compile_expression("NormalizeDiacritics([a])").evaluate({"a": one.upper()}) for one in letters.split()]
        assert set(big) == {plain.upper()}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('Replace([title],"Product Developer", , , "Software Engineer", , )', "Software Engineer"),
        ('Replace([given],"<username>", , , , , "<username>@contoso.com")', "John@contoso.com"),
        (
            r'Replace([phone], , "\\+(?<isdCode>\\d* )(?<phoneNumber>\\d{10})", , "${phoneNumber}", , )',
            "9998887777",
        ),
        (r'Replace([us], , "[()\\s-]+", , "", , )', "+19998887777"),
        (r'Replace([street], ,"(?<streetNumber>^\\d*)","streetNumber", "888", , )', "888 Tremont Street"),
        (r'Replace([upn], , "(?<Suffix>@(.)*)", "Suffix", "", , )', "John.Doe"),
        (
            r'Replace([empty], , "\\+(?<isdCode>\\d* )(?<phoneNumber>\\d{10})", "phoneNumber" , , [phone], )',
            "9998887777",
        ),
        (r'Replace([given], , "(?<x>o)", "x" , , [phone], )', "John"),
        ('Replace("john_doe72", , "[a-zA-Z_]*", , "", , )', "72"),
        (r'Replace("ab", , "(a)(b)", , "$2$1$$${3}", , )', "ba$${3}"),
        ('Replace("abc", , "(b)(x)?", , "[$&|$`|$\'|$+|$_]", , )', "a[b|a|c|b|abc]c"),
        ('Replace([upn], "@CONTOSO.com", , ,"", ,)', "John.Doe@contoso.com"),
        ('Replace([mail], "a", , ,"b", ,)', None),
    ],
)
def test_replace_in_its_five_modes(text, expected):
    assert run(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('CDate("2020-03-16-07:00")', "3/16/2020 7:00:00 AM"),
        ('CDate("2021-06-30+08:00")', "6/29/2021 4:00:00 PM"),
        ('CDate("2009-06-15T01:45:30-07:00")', "6/15/2009 8:45:30 AM"),
        ('DateAdd("d", 7, CDate([hired]))', "3/23/2012 7:00:00 AM"),
        ('DateAdd("d", -10, CDate([hired]))', "3/6/2012 7:00:00 AM"),
        ('DateAdd("ww", 2, CDate([hired]))', "3/30/2012 7:00:00 AM"),
        ('DateAdd("m", 10, CDate([hired]))', "1/16/2013 7:00:00 AM"),
        ('DateAdd("yyyy", 2, CDate([hired]))', "3/16/2014 7:00:00 AM"),
        ('DateAdd("m", 1, CDate("2021-01-31"))', "2/28/2021 12:00:00 AM"),
        ('DateDiff("d", CDate("2021-08-18+08:00"), CDate("2021-08-31+08:00"))', 13),
        ('DateDiff("d", Now(), CDate([hired]))', -3449),
        ('DateDiff("ww", Now(), CDate([hired]))', -493),
        ('DateDiff("m", Now(), CDate([hired]))', -113),
        ('DateDiff("yyyy", Now(), CDate([hired]))', -9),
        ('DateDiff("h", "2021-08-24", "2021-08-25")', 24),
        ('DateDiff("n", "2021-08-24", "2021-08-25")', 1440),
        ('DateDiff("s", "2021-08-24", "2021-08-25")', 86400),
        ("DateFromNum(129699324000000000)", "1/1/2012 11:00:00 PM"),
        ('FormatDateTime("20150123105347.1Z", , "yyyyMMddHHmmss.fZ", "yyyy-MM-dd")', "2015-01-23"),
        ('FormatDateTime("2020-12-31-08:00", ,"yyyy-MM-ddzzz", "yyyy-MM-dd")', "2020-12-31"),
        ('FormatDateTime(" 7/2/2021 03:33:38 PM ", ,"M/d/yyyy hh:mm:ss tt","HH:mm dddd MMM")', "15:33 Friday Jul"),
        ("Now()", "8/25/2021 5:41:18 PM"),
        ('NumFromDate("2012-01-01T23:00:00Z")', 129699324000000000),
        (
            'NumFromDate(Join("", FormatDateTime("2020-12-31", ,"yyyy-MM-dd", "yyyy-MM-dd"), " 23:59:59-08:00"))',
            132539615990000000,
        ),
        ("CDate([mail])", None),
        ('FormatDateTime([empty], ,"yyyy-MM-dd", "yyyy")', None),
    ],
)
def test_dates(text, expected):
    assert run(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("BitAnd(&HF, &HF7)", 7),
        ("CBool(BitAnd([flags], 2))", True),
        ("CBool([given] = [surname])", False),
        ("CBool([mail])", False),
        ('Not("True")', False),
        ('Not("false")', True),
        ("Not(IsPresent([mail]))", True),
        ("Coalesce([mail],[upn])", "John.Doe@contoso.com"),
        ('Coalesce([mail],[mail],"")', ""),
        ("Coalesce([mail],[mail])", None),
        ("IgnoreFlowIfNullOrEmpty([empty])", IGNORED),
        ('Append("x", IgnoreFlowIfNullOrEmpty([mail]))', IGNORED),
        ("IgnoreFlowIfNullOrEmpty([given])", "John"),
        ('IIF([state]="QLD",[given],[surname])', "John"),
        ('IIF([state]="qld",[given],[surname])', "Doe"),
        ('IIF([flags]>=514,"a","b")', "a"),
        ('IIF([flags]<>514,"a","b")', "b"),
        ('IIF("10">9,"a","b")', "a"),
        ('IIF([mail]="","none","some")', "none"),
        ('IIF([spelled]=True,"a","b")', "a"),
        ('IIF(False=[spelled],"a","b")', "b"),
        ('IIF([spelled]<>False,"a","b")', "a"),
        ('IIF([spelled]="True","a","b")', "b"),
        ('IIF([state]=True,"a","b")', "b"),
        ('IIF([flags]=True,"a","b")', "b"),
        ("IIF(IsNullOrEmpty([mail]),[given],[mail])", "John"),
        ('IIF([enabled],"True","False")', "True"),
        ('IIF([mail]<5,"a","b")', "b"),
        ('Switch([state], "Sydney", "NSW", "Sydney","QLD", "Brisbane")', "Brisbane"),
        ('Switch([state], "Sydney", "qld", "Brisbane")', "Sydney"),
        ('Switch([mail], "Default", "true", "1", "", "0")', "0"),
        ('Switch([given], , "x", "1")', None),
        ('Switch([state], "?", [state], IIF(DateDiff("d", Now(), CDate([hired])) > 5, "no", "yes"))', "yes"),
        ("IsNull([mail])", True),
        ("IsNull([empty])", False),
        ("IsNullOrEmpty([empty])", True),
        ("IsPresent([empty])", False),
        ("IsPresent([given])", True),
        ("IsString([flags])", False),
        ("IsString([given])", True),
    ],
)
def test_logic(text, expected):
    assert run(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Count([many])", 3),
        ("Count([mail])", 0),
        ("Item([many], 2)", "b@x.org"),
        ("Item([many], 9)", None),
        ('Join(", ", "", [surname], [given])', "Doe, John"),
        ('Join(";", [many], 7)', "a@x.org;b@x.org;a@x.org;7"),
        ("RemoveDuplicates([many])", ("a@x.org", "b@x.org")),
        ("Count(RemoveDuplicates([roles]))", 2),
        ('Split("PermissionSetOne, PermissionSetTwo", ",")', ("PermissionSetOne", "PermissionSetTwo")),
        ('Split([empty], ",")', ()),
        ("RemoveDuplicates([objects])", ({"a": 1, "b": 2}, {"a": 1})),
        ('Join(",", [holes])', "x,y"),
        ("SingleAppRoleAssignment([role])", "25"),
        ("Count(AppRoleAssignmentsComplex([roles]))", 2),
        ('SelectUniqueValue(Append([given], "1"), Append([given], "1"), [mail], "x")', Candidates(("John1", "x"))),
    ],
)
def test_several_values(text, expected):
    assert run(text) == expected


@pytest.mark.parametrize("name", ["AppRoleAssignmentsComplex", "AssertiveAppRoleAssignmentsComplex"])
def test_roles_are_never_primary_and_carry_value_and_display(name):
    roles = run(f"{name}([roles])")
    assert [(role["value"], role["display"], role["primary"]) for role in roles] == [
        ("25", "Admin", False),
        ("User", "User", False),
    ]


def test_a_random_string_has_what_was_asked_for_and_nothing_to_avoid():
    text = 'RandomString(40,10,5,10,5,"?,0oOlI")'
    for _ in range(50):
        made = run(text)
        assert len(made) == 40
        assert sum(c.isdigit() for c in made) >= 10
        assert sum(c.isupper() for c in made) >= 10
        assert sum(c.islower() for c in made) >= 5
        assert sum(not c.isalnum() for c in made) >= 5
        assert not set(made) & set("?,0oOlI")


def test_guids_differ():
    assert run("Guid()") != run("Guid()")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("SingleAppRoleAssignment([roles])", "several"),
        ('Append([many], "x")', "one value"),
        ("RandomString(257,0,0,0,0)", "256"),
        ("RandomString(3,2,2,0,0)", "minimums"),
        ('RandomString(1,1,0,0,0,"0123456789")', "avoid"),
        ("CDate([given])", "no date"),
        ('CDate("0001-01-01T00:00:00+14:00")', "no such date"),
        ('CDate(Join("", "0001-01-01T00:00:00", "+14:00"))', "no such date"),
        ('Join(",", [nested])', "not objects"),
        ("Mid([given],[surname],1)", "not a number"),
        ('DateAdd("yyyy", 9999, Now())', "9999"),
        ("Split([given], [empty])", "delimiter"),
        ('IIF([many] = "a", "x", "y")', "several"),
    ],
)
def test_what_cannot_be_evaluated_for_a_user_says_why_without_the_value(text, reason):
    with pytest.raises(ExpressionError, match=reason) as caught:
        run(text)
    assert "John" not in str(caught.value)
