"""What real directories send first, as their vendors publish it, succeeds under the preset for that directory."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.endpoint.service import ENTERPRISE, serve

DDL = """
CREATE TABLE Employees (
  Login VARCHAR(64) NOT NULL PRIMARY KEY, ExternalId VARCHAR(64), Given VARCHAR(50), Family VARCHAR(50),
  Shown VARCHAR(50), Email VARCHAR(99), Active BOOLEAN DEFAULT 1, Department VARCHAR(50)
)
"""
ATTRIBUTES = {
    "Login": "userName",
    "ExternalId": "externalId",
    "Given": "name.givenName",
    "Family": "name.familyName",
    "Shown": "displayName",
    "Email": 'emails[type eq "work"].value',
    "Active": "active",
    "Department": f"{ENTERPRISE}:department",
}


def serving(folder, preset, **given):
    return serve(folder, ddl=DDL, attributes=ATTRIBUTES, refusals={"preset": preset, **given})


# https://learn.microsoft.com/entra/identity/app-provisioning/use-scim-to-provision-users-and-groups (create, disable)
ENTRA_CREATE = {
    "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", ENTERPRISE],
    "externalId": "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef",
    "userName": "Test_User_ab6490ee-1e48-479e-a20b-2d77186b5dd1",
    "active": True,
    "emails": [{"primary": True, "type": "work", "value": "Test_User_fd0ea19b@testuser.com"}],
    "meta": {"resourceType": "User"},
    "name": {"formatted": "givenName familyName", "familyName": "familyName", "givenName": "givenName"},
    "roles": [],
}
# https://learn.microsoft.com/entra/identity/app-provisioning/scim-validator-tutorial and the sample with many values
ENTRA_MANY = {
    **ENTRA_CREATE,
    "userName": "many",
    "addresses": None,
    "title": None,
    "phoneNumbers": [{"type": "work", "value": "1"}, {"type": "mobile", "value": "2"}, {"type": "fax", "value": "3"}],
    ENTERPRISE: {"department": "Sales", "manager": {"value": "26118915"}},
}
# https://developer.okta.com/docs/api/openapi/okta-scim/guides/scim-20 (create user)
OKTA_CREATE = {
    "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
    "userName": "test.user@okta.local",
    "name": {"givenName": "Test", "familyName": "User"},
    "emails": [
        {"primary": True, "value": "test.user@okta.local", "type": "work"},
        {"primary": False, "value": "test.user@home.local", "type": "home"},
    ],
    "displayName": "Test User",
    "locale": "en-US",
    "externalId": "00ujl29u0le5T6Aj10h7",
    "groups": [],
    "password": "1mz050nq",
    "active": True,
}


async def test_the_first_cycle_of_entra_succeeds(tmp_path):
    async with serving(tmp_path, "entra") as scim:
        probe = 'externalId+eq+"8646d011-1693-4cd3-9ee6-0d7482ca2219"'
        assert (await scim.find(probe)).body["totalResults"] == 0
        created = await scim.post(ENTRA_CREATE)
        assert created.status == 201
        assert created.body["emails"][0]["value"] == "Test_User_fd0ea19b@testuser.com"
        assert (await scim.post(ENTRA_MANY)).status == 201
        name = ENTRA_CREATE["userName"]
        found = await scim.find(quote(f'userName eq "{name.upper()}"'))
        assert found.body["Resources"][0]["id"] == name
        for number, operation in enumerate(
            [
                {"op": "Add", "path": "manager", "value": [{"$ref": "http://x/Users/00aa", "value": "00aa"}]},
                {"op": "Add", "path": f"{ENTERPRISE}:manager", "value": "00aa"},
                {"op": "Replace", "path": "active", "value": "False"},
                {"op": "Replace", "path": 'emails[type eq "work"].value', "value": "updatedEmail@microsoft.com"},
                {"op": "Replace", "path": "name.familyName", "value": "updatedFamilyName"},
                {"op": "Remove", "path": f"{ENTERPRISE}:department", "value": "stray"},
                {"op": "Add", "path": "roles", "value": [{"value": '{"id":"06b0","value":"25"}'}]},
                {
                    "op": "replace",
                    "value": {"displayName": "Bjfe", "name.givenName": "Kkom", f"{ENTERPRISE}:department": "A"},
                },
            ]
        ):
            answer = await scim.patch(name, operation, query="aadOptscim062020")
            assert answer.status == 200, (number, answer.text)
        assert answer.body["active"] is False
        assert answer.body[ENTERPRISE] == {"department": "A"}
        assert (await scim.delete(name)).status == 204


async def test_the_first_requests_of_okta_succeed(tmp_path):
    async with serving(tmp_path, "okta") as scim:
        assert (await scim.get("/Users?startIndex=1&count=2")).status == 200
        assert (await scim.find(quote('userName eq "test.user@okta.local"'))).body["Resources"] == []
        created = await scim.post(OKTA_CREATE)
        assert created.status == 201
        assert "1mz050nq" not in created.text
        read = await scim.get("/Users/test.user%40okta.local")
        off = await scim.put("test.user%40okta.local", {**read.body, "active": False})
        assert (off.status, off.body["active"]) == (200, False)
        on = await scim.patch("test.user%40okta.local", {"op": "replace", "value": {"active": True}})
        assert on.body["active"] is True
        new_password = {"op": "replace", "value": {"password": "newPassw0rd"}}
        assert (await scim.patch("test.user%40okta.local", new_password)).body == on.body
        assert "newPassw0rd" not in str(scim.rows())
        assert (await scim.get("/Groups?startIndex=1&count=100")).body["totalResults"] == 0


async def test_authentik_replaces_with_the_id_in_the_body_and_plain_json(tmp_path):
    async with serving(tmp_path, "strict") as scim:
        user = {"userName": "anna", "name": {"formatted": "Anna"}, "groups": [], "active": True}
        created = await scim.post(user, headers={"Content-Type": "application/json"})
        answer = await scim.put("anna", {**user, "id": created.body["id"], "displayName": "Anna"})
        assert (answer.status, answer.body["displayName"]) == (200, "Anna")
        assert (await scim.put("gone", {**user, "id": "gone"})).status == 404


@pytest.mark.parametrize(
    ("body", "named"), [(ENTRA_MANY, ("phoneNumbers", "manager")), (OKTA_CREATE, ("emails", "password"))]
)
async def test_the_strict_preset_refuses_what_would_be_lost(tmp_path, body, named):
    async with serving(tmp_path, "strict") as scim:
        answer = await scim.post(body)
        assert answer.status == 400
        assert all(name in answer.body["detail"] for name in named)
        assert scim.rows() == []


async def test_a_class_that_is_set_goes_before_the_preset(tmp_path):
    async with serving(tmp_path, "okta", password="reject") as scim:
        answer = await scim.post(OKTA_CREATE)
        assert answer.status == 400
        assert "password" in answer.body["detail"]
