"""The usual names of columns, in any convention, are recognised; what must not be mapped is said, not guessed."""

import pytest

from connector_host.connectors.contract import AttributeType
from connector_host.scim.mappings import place
from connector_host.scim.names import words
from connector_host.scim.suggestions import LIKELY, suggest
from connector_host.scim.synonyms import SYNONYMS
from connector_host.scim.vocabulary import ENTERPRISE

TEXT, NUMBER, TRUTH = AttributeType.STRING, AttributeType.INTEGER, AttributeType.BOOLEAN
WORK_MAIL = 'emails[type eq "work"].value'


def paths(*columns):
    return {found.column: found.path for found in suggest([c if isinstance(c, tuple) else (c, TEXT) for c in columns])}


@pytest.mark.parametrize(
    ("column", "split"),
    [
        ("FirstName", ("first", "name")),
        ("first_name", ("first", "name")),
        ("EMP-FIRST-NAME", ("emp", "first", "name")),
        ("userUPN", ("user", "upn")),
        ("UPNSuffix", ("upn", "suffix")),
        ("Email1", ("email", "1")),
        ("prénom", ("prénom",)),
        ("___", ()),
    ],
)
def test_a_name_falls_into_words(column, split):
    assert words(column) == split


@pytest.mark.parametrize(
    ("column", "path"),
    [
        ("ContosoLogin", "userName"),
        ("login", "userName"),
        ("user_name", "userName"),
        ("UPN", "userName"),
        ("sAMAccountName", "userName"),
        ("FirstName", "name.givenName"),
        ("GIVEN_NAME", "name.givenName"),
        ("emp_fname", "name.givenName"),
        ("lastname", "name.familyName"),
        ("Surname", "name.familyName"),
        ("displayName", "displayName"),
        ("Email", WORK_MAIL),
        ("e_mail", WORK_MAIL),
        ("usr_EMailAddress", WORK_MAIL),
        ("private_email", 'emails[type eq "home"].value'),
        ("MobilePhone", 'phoneNumbers[type eq "mobile"].value'),
        ("zip", 'addresses[type eq "work"].postalCode'),
        ("JobTitle", "title"),
        ("AzureID", "externalId"),
        ("Department", f"{ENTERPRISE}:department"),
        ("EmployeeNumber", f"{ENTERPRISE}:employeeNumber"),
        ("cost_centre", f"{ENTERPRISE}:costCenter"),
    ],
)
def test_usual_names_are_recognised(column, path):
    [found] = suggest([(column, TEXT)])
    assert (found.path, found.confidence >= LIKELY) == (path, True), found


@pytest.mark.parametrize("column", ["active", "is_active", "Enabled", "AccountEnabled", "bitActive"])
def test_active_is_a_truth_value(column):
    [found] = suggest([(column, TRUTH)])
    assert found.path == "active"
    [text] = suggest([(column, TEXT)])
    assert (text.path, "does not fit active" in text.reason) == ("", True)


def test_a_number_may_be_an_employee_number_but_no_mail():
    assert paths(("employee_no", NUMBER), ("email", NUMBER)) == {
        "employee_no": f"{ENTERPRISE}:employeeNumber",
        "email": "",
    }


def test_a_path_goes_to_the_column_that_fits_best():
    found = {found.column: found for found in suggest([("ContosoLogin", TEXT), ("UserName", TEXT)])}
    assert found["UserName"].path == "userName"
    assert found["ContosoLogin"].path == ""
    assert "userName is taken by UserName" in found["ContosoLogin"].reason


def test_a_column_that_loses_takes_its_next_meaning():
    assert paths("display_name", "full_name") == {"display_name": "displayName", "full_name": "name.formatted"}


def test_a_prefix_that_all_columns_share_is_passed_over():
    found = suggest([(f"XQZ_{name}", TEXT) for name in ("LOGIN", "FNAME", "LNAME", "MAIL")])
    assert [one.path for one in found] == ["userName", "name.givenName", "name.familyName", WORK_MAIL]
    assert all("without “xqz”" in one.reason for one in found)


@pytest.mark.parametrize("column", ["password", "PwdHash", "user_password", "UnicodePwd", "api_key", "mfa_secret"])
def test_a_secret_is_not_shown_at_all(column):
    [found] = suggest([(column, TEXT)])
    assert (found.path, found.expose) == ("", False)


@pytest.mark.parametrize("column", ["manager", "ManagerID", "reports_to", "groups"])
def test_what_is_never_exported_is_not_mapped(column):
    [found] = suggest([(column, TEXT)])
    assert (found.path, "not provisioned" in found.reason) == ("", True)


@pytest.mark.parametrize("column", ["disabled", "is_locked", "Terminated"])
def test_the_opposite_of_active_is_not_active(column):
    [found] = suggest([(column, TRUTH)])
    assert (found.path, "opposite" in found.reason) == ("", True)


def test_an_unknown_name_keeps_its_own():
    [found] = suggest([("Quux", TEXT)])
    assert (found.path, found.confidence, found.shown, found.reason) == ("", 0.0, True, "no usual name")


@pytest.mark.parametrize("column", ["Ünï", "a:b", "order by", "1st", "?"])
def test_a_name_that_scim_cannot_spell_is_said_to_need_a_mapping(column):
    [found] = suggest([(column, TEXT)])
    assert (found.path, found.shown, "map it" in found.reason) == ("", False, True)


def test_a_type_that_scim_cannot_carry_is_told():
    [found] = suggest([("photo", None)])
    assert (found.path, found.reason) == ("", "SCIM cannot carry its type")


def test_microsofts_sample_table_is_mapped_as_its_tutorial_does():
    names = ["ContosoLogin", "FirstName", "LastName", "Email", "InternalGUID", "AzureID", "textID"]
    assert list(paths(*names).values()) == [
        "userName",
        "name.givenName",
        "name.familyName",
        WORK_MAIL,
        "",
        "externalId",
        "",
    ]


def test_every_path_in_the_table_is_one_that_a_mapping_accepts():
    for path in {synonym.path for synonyms in SYNONYMS.values() for synonym in synonyms}:
        assert place("Column", path).path == path
