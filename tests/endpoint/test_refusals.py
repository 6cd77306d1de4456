"""The four refused classes (DESIGN §2.2), through every door and in any spelling, before anything is stored."""

from __future__ import annotations

import pytest

from tests.endpoint.service import ECMA, ENTERPRISE, serve

MANAGER = {"value": "26118915", "$ref": "../Users/26118915"}
REFUSED = [
    ("manager", MANAGER),
    ("Manager", "26118915"),
    ("manager", [{"$ref": None, "value": "00aa"}]),
    (f"{ENTERPRISE}:manager", MANAGER),
    (f"{ENTERPRISE.upper()}:MANAGER", "x"),
    ("members", [{"value": "u1091"}]),
    ("groups", [{"value": "g1"}]),
    ("password", "secret-pw"),
    ("PassWord", "secret-pw"),
    ("set_password", "secret-pw"),
    ("change_password", "secret-pw"),
    ("newPassword", "secret-pw"),
    (f"{ECMA}:export_password", "secret-pw"),
    ("urn:ietf:params:scim:schemas:core:2.0:User:password", "secret-pw"),
    ("emails", [{"type": "work", "value": "a@x"}, {"type": "other", "value": "b@x"}]),
    ("emails", [{"type": "work", "value": "a@x"}, {"type": "work", "value": "b@x"}]),
    ("phoneNumbers", [{"type": "work", "value": "1"}, {"type": "mobile", "value": "2"}]),
    ("displayName", ["one", "two"]),
    (f"{ECMA}:Badge", [1, 2]),
]
"""Attribute and value; in a document the key may be dotted or a whole URN, as Entra sends it."""

USER = {"userName": "anna", "name": {"givenName": "Anna"}}


def _is_refused(answer, attribute):
    assert answer.status == 400, answer.text
    assert answer.body["scimType"] == "invalidValue"
    assert attribute.rpartition(":")[2].lower() in answer.body["detail"].lower()
    assert "secret-pw" not in answer.text


@pytest.mark.parametrize(("attribute", "value"), REFUSED)
async def test_a_creation_is_refused(scim, attribute, value):
    _is_refused(await scim.post({**USER, attribute: value}), attribute)
    assert scim.rows() == []


@pytest.mark.parametrize(("attribute", "value"), REFUSED)
async def test_a_replacement_is_refused(scim, barbara, attribute, value):
    answer = await scim.put("bjensen", {"userName": "bjensen", "name": {"givenName": "Babs"}, attribute: value})
    _is_refused(answer, attribute)
    assert (await scim.get("/Users/bjensen")).body == barbara


@pytest.mark.parametrize(("attribute", "value"), REFUSED)
async def test_a_patch_is_refused_with_and_without_a_path(scim, barbara, attribute, value):
    babs = {"op": "replace", "path": "name.givenName", "value": "Babs"}
    _is_refused(await scim.patch("bjensen", babs, {"op": "Add", "path": attribute, "value": value}), attribute)
    _is_refused(await scim.patch("bjensen", babs, {"op": "replace", "value": {attribute: value}}), attribute)
    assert (await scim.get("/Users/bjensen")).body == barbara


@pytest.mark.parametrize(
    ("urn", "name", "value"),
    [(ENTERPRISE, "manager", MANAGER), (ECMA, "export_password", "secret-pw"), ("urn:x:y:User", "manager", MANAGER)],
)
async def test_an_attribute_inside_the_object_of_a_schema_is_refused(scim, urn, name, value):
    _is_refused(await scim.post({**USER, urn: {name: value}}), name)


DEEP = [
    ("urn:x:y:1", {"deep": {"manager": {"value": "1"}}}, "manager"),
    ("urn:x:y:1", {"deep": [{"deeper": {"Groups": ["g"]}}]}, "groups"),
    ("x", [{"password": "secret-pw"}], "password"),
    ("x", {"a": [[{"b": {"setPassword": "secret-pw"}}]]}, "setpassword"),
    ("x", {"y.password": "secret-pw"}, "password"),
    ("x", {"urn:x:y:password": "secret-pw"}, "password"),
    ("x", {"a": "says something", "password": "secret-pw"}, "password"),
    ("x", {"y": ["one", "two"]}, "x.y"),
    ("x", [{"password": "secret-pw"}, {"a": 1}], "password"),
    ("name", {"givenName": "A", "more": {"password": "secret-pw"}}, "password"),
    ("emails", [{"type": "work", "value": "a@x", "more": {"$ref": "../Users/1"}}], "$ref"),
    ("what is this.password", "secret-pw", "password"),
]
"""What hides inside of an attribute that has no column."""


@pytest.mark.parametrize(("attribute", "value", "named"), DEEP)
async def test_a_refused_class_is_found_however_deep_it_is(scim, barbara, attribute, value, named):
    _is_refused(await scim.post({**USER, attribute: value}), named)
    _is_refused(await scim.patch("bjensen", {"op": "add", "value": {attribute: value}}), named)
    if attribute in ("x", "name"):
        _is_refused(await scim.patch("bjensen", {"op": "add", "path": attribute, "value": value}), named)
    assert [row["Login"] for row in scim.rows()] == ["bjensen"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ('emails[type eq "work"].$ref', "../Users/1"),
        ('emails[type eq "work"].manager', {"value": "1"}),
        ('emails[value co "@"].$ref', "../Users/1"),
        ("emails.$ref", "../Users/1"),
        ("name.$ref", "../Users/1"),
        ("name.password", "secret-pw"),
        ('emails[type eq "work"].display', {"password": "secret-pw"}),
    ],
)
async def test_a_path_into_a_refused_class_is_refused(scim, barbara, path, value):
    answer = await scim.patch("bjensen", {"op": "replace", "path": path, "value": value})
    assert (answer.status, answer.body["scimType"]) == (400, "invalidValue"), answer.text
    assert "secret-pw" not in answer.text
    assert (await scim.get("/Users/bjensen")).body == barbara


async def test_an_empty_value_deep_inside_is_passed_over(scim):
    answer = await scim.post({**USER, "x": [{"password": "", "y": {"manager": [None, {"value": None}]}}]})
    assert answer.status == 201


async def test_null_and_empty_are_no_export_and_are_passed_over(scim):
    answer = await scim.post(
        {**USER, "manager": None, "groups": [], "password": "", "roles": [], "members": [None], "addresses": None}
    )
    assert answer.status == 201
    answer = await scim.patch(
        "anna", {"op": "remove", "path": "manager"}, {"op": "replace", "path": "manager", "value": {"value": ""}}
    )
    assert answer.status == 200


async def test_attributes_without_a_column_are_ignored_and_absent(scim):
    answer = await scim.post({**USER, "title": "T", "roles": [{"value": "r"}], "urn:x:y:User": {"a": 1}, "x y": 1})
    assert answer.status == 201
    assert answer.body.keys() == {"schemas", "id", "userName", "name", "active", "meta"}


async def test_a_class_that_is_dropped_is_left_out_and_the_rest_is_stored(tmp_path):
    async with serve(tmp_path, refusals={"password": "drop", "reference": "drop"}) as scim:
        answer = await scim.post({**USER, "password": "secret-pw", "manager": MANAGER})
        assert answer.status == 201
        assert "secret-pw" not in answer.text
        _is_refused(await scim.post({**USER, "userName": "bert", "groups": [{"value": "g"}]}), "groups")
        assert "secret-pw" not in str(scim.rows())


async def test_groups_are_found_empty_and_refused_when_written(scim):
    answer = await scim.get('/Groups?excludedAttributes=members&filter=displayName eq "x"')
    assert (answer.status, answer.body["totalResults"], answer.body["Resources"]) == (200, 0, [])
    assert (await scim.call("POST", "/Groups/.search", {})).body["Resources"] == []
    for method, path in (("POST", "/Groups"), ("PATCH", "/Groups/1"), ("PUT", "/Groups/1"), ("DELETE", "/Groups/1/")):
        answer = await scim.call(method, path, {"displayName": "x"})
        assert (answer.status, answer.body["status"]) == (501, "501")
        assert "groups" in answer.body["detail"]
    assert (await scim.get("/Groups/1")).status == 404


async def test_me_is_refused_properly(scim):
    for method in ("GET", "POST", "PATCH", "DELETE"):
        answer = await scim.call(method, "/Me", {} if method != "GET" else None)
        assert (answer.status, answer.body["status"]) == (501, "501")


async def test_a_column_named_like_a_password_is_never_shown_or_stored(tmp_path):
    ddl = "CREATE TABLE Employees (Login VARCHAR(20) NOT NULL PRIMARY KEY, password VARCHAR(20) DEFAULT 'kept')"
    async with serve(tmp_path, ddl=ddl, attributes={"Login": "userName"}) as scim:
        assert "kept" not in (await scim.post({"userName": "anna"})).text
        _is_refused(await scim.post({"userName": "bert", f"{ECMA}:password": "secret-pw"}), "password")
        assert (await scim.find('password eq "kept"'.replace(" ", "+"))).body["totalResults"] == 0
