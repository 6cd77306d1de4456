"""Every exposed column has one place in the tree, and a mapping that cannot be is refused with its mend."""

from __future__ import annotations

import pytest

from connector_host.connectors.contract import Attribute, AttributeType, ObjectType
from connector_host.errors import ConfigurationError
from connector_host.scim.compilation import compile_flows
from tests.scim.employees import ECMA, EMPLOYEE, FLOWS


def paths(flows):
    return {slot.attribute.name: slot.path for slot in flows.slots}


def test_an_unmapped_column_appears_under_the_urn_that_existing_configurations_use():
    assert paths(FLOWS)["Badge"] == f"{ECMA}:Badge"


def test_a_mapped_column_has_the_path_as_the_rfc_spells_it():
    flows = compile_flows(EMPLOYEE, {"login": "USERNAME", "Email": 'Emails[Type eq "work"].VALUE'})
    assert paths(flows)["Login"] == "userName"
    assert paths(flows)["Email"] == 'emails[type eq "work"].value'


def test_a_password_column_is_hidden():
    assert "password" in FLOWS.hidden
    assert "password" not in paths(FLOWS)


@pytest.mark.parametrize("name", ["first name", "größe", "a.b", "x[1]", "1st", "manager", "groups", "Export_Password"])
def test_a_column_that_scim_cannot_name_or_must_not_carry_is_hidden(name):
    flows = compile_flows(ObjectType("User", "id", (Attribute("id", AttributeType.STRING), _text(name))), {})
    assert flows.hidden == (name,)


def test_a_column_that_scim_cannot_name_may_be_mapped():
    table = ObjectType("User", "id", (Attribute("id", AttributeType.STRING), _text("first name")))
    assert paths(compile_flows(table, {"first name": "name.givenName"}))["first name"] == "name.givenName"


def test_a_custom_extension_is_a_schema_of_its_own():
    flows = compile_flows(EMPLOYEE, {"Badge": "urn:contoso:params:2.0:User:badge"})
    assert "urn:contoso:params:2.0:user" in flows.schemas


def test_a_mapped_column_that_the_table_lacks_is_reported_and_harms_nobody():
    assert compile_flows(EMPLOYEE, {"Gone": "title"}).missing == ("Gone",)


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("user name", "no SCIM path"),
        ("id", "always the anchor"),
        ("meta.created", "written by the host"),
        ("schemas", "written by the host"),
        ("password", "not provisioned"),
        ("groups", "not provisioned"),
        ("manager", "not provisioned"),
        ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value", "not provisioned"),
        (f"{ECMA}:export_password", "not provisioned"),
        ("favouriteColour", f"{ECMA}:Badge"),
        ("name", "name.givenName"),
        ("name.nickName", "name.givenName"),
        ("emails", "[type eq"),
        ("emails.value", "[type eq"),
        ('emails[value eq "x"].type', "can only select"),
        ('emails[type eq "work"].type', "given by the selection"),
        ('title[type eq "work"].value', "one value only"),
        ('userName eq "x"', "path to one value"),
        ("urn:contoso", "schema URN"),
    ],
)
def test_a_path_that_cannot_exist_is_refused_with_column_path_and_mend(path, word):
    with pytest.raises(ConfigurationError, match="Badge") as refused:
        compile_flows(EMPLOYEE, {"Badge": path})
    assert path in str(refused.value)
    assert word in str(refused.value)


def test_two_columns_for_one_path_are_refused_and_both_are_named():
    with pytest.raises(ConfigurationError, match=r"FirstName and LastName.*displayName"):
        compile_flows(EMPLOYEE, {"FirstName": "displayName", "LastName": "DISPLAYNAME"})


def test_an_extension_attribute_cannot_be_both_simple_and_complex():
    with pytest.raises(ConfigurationError, match="another shape"):
        compile_flows(EMPLOYEE, {"FirstName": "urn:x:y:User:site", "LastName": "urn:x:y:User:site.name"})


PASSWORDS = [
    "password", "pass_word", "PASS-WORD", "PasswordHash", "pwd", "user_pwd", "set_password", "NewPassword",
    "change_password", "USERPASSWORD", "userPassphrase", "unicodePwd",
]  # fmt: skip


@pytest.mark.parametrize("name", PASSWORDS)
def test_a_password_column_is_hidden_in_any_spelling_and_cannot_be_mapped(name):
    table = ObjectType("User", "id", (Attribute("id", AttributeType.STRING), _text(name)))
    assert compile_flows(table, {}).hidden == (name,)
    with pytest.raises(ConfigurationError, match="password column"):
        compile_flows(table, {name: "nickName"})


@pytest.mark.parametrize("name", ["Passport", "Shipping", "Opinion", "Hashimoto", "Compass", "Tokens"])
def test_a_column_that_only_sounds_like_a_password_is_shown(name):
    assert (
        compile_flows(ObjectType("User", "id", (Attribute("id", AttributeType.STRING), _text(name))), {}).hidden == ()
    )


def _text(name):
    return Attribute(name, AttributeType.STRING)
