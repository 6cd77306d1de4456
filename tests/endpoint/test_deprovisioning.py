"""What disabling and deleting do to the row: nothing, delete it, or set a column to a value of any kind."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from connector_host.errors import ConfigurationError
from tests.endpoint.service import ECMA, serve

DDL = """
CREATE TABLE Employees (
  Login VARCHAR(64) NOT NULL PRIMARY KEY,
  FirstName VARCHAR(50) NOT NULL,
  Email VARCHAR(128) UNIQUE,
  Enabled BOOLEAN NOT NULL DEFAULT 1,
  Status VARCHAR(10) DEFAULT 'A',
  Number INTEGER DEFAULT 1,
  DisabledAt TIMESTAMP,
  DeletedAt TIMESTAMP,
  Gone BOOLEAN NOT NULL DEFAULT 0
)
"""
ATTRIBUTES = {"Login": "userName", "FirstName": "name.givenName", "Email": 'emails[type eq "work"].value'}
ANNA = {"userName": "anna", "name": {"givenName": "Anna"}}
DISABLE = {"op": "Replace", "path": "active", "value": "False"}
ENABLE = {"op": "replace", "value": {"active": True}}


def serving(folder, **flows):
    return serve(folder, ddl=DDL, attributes=ATTRIBUTES, **flows)


DISABLED_BY = [
    ({"column": "Status", "inactive": "I", "active": "A"}, "I", "A"),
    ({"column": "status", "inactive": "I", "active": "{null}"}, "I", None),
    ({"column": "Enabled", "inactive": False, "active": True}, 0, 1),
    ({"column": "Number", "inactive": 0, "active": 1}, 0, 1),
    ({"column": "DisabledAt"}, "time", None),
    ({"column": "Status", "inactive": "{null}", "active": "A"}, None, "A"),
]


@pytest.mark.parametrize(("flow", "off", "on"), DISABLED_BY)
async def test_disabling_sets_the_column_and_enabling_sets_it_back(tmp_path, flow, off, on):
    async with serving(tmp_path, disable={"action": "set", **flow}) as scim:
        created = await scim.post({**ANNA, "active": True})
        assert created.body["active"] is True

        disabled = await scim.patch("anna", DISABLE)
        assert (disabled.status, disabled.body["active"]) == (200, False)
        assert (await scim.get("/Users/anna")).body["active"] is False
        held = _held(scim, flow["column"])
        assert (held is not None) if off == "time" else (held == off)
        for text, found in (("active eq false", 1), ("active eq true", 0), ("active ne true", 1), ("active pr", 1)):
            assert (await scim.find(quote(text))).body["totalResults"] == found, text

        again = await scim.patch("anna", DISABLE)
        assert again.body == disabled.body
        assert _held(scim, flow["column"]) == held

        enabled = await scim.patch("anna", ENABLE)
        assert enabled.body["active"] is True
        assert _held(scim, flow["column"]) == on


def _held(scim, column):
    (row,) = scim.rows()
    return next(value for name, value in row.items() if name.lower() == column.lower())


@pytest.mark.parametrize(("flow", "off", "on"), DISABLED_BY)
async def test_a_user_may_be_created_disabled_and_disabled_by_put(tmp_path, flow, off, on):
    async with serving(tmp_path, disable={"action": "set", **flow}) as scim:
        assert (await scim.post({**ANNA, "active": False})).body["active"] is False
        assert (await scim.put("anna", {**ANNA, "active": True})).body["active"] is True
        assert (await scim.put("anna", {**ANNA, "active": "false"})).body["active"] is False
        assert (await scim.put("anna", ANNA)).body["active"] is False


async def test_disabling_may_delete(tmp_path):
    async with serving(tmp_path, disable={"action": "delete"}) as scim:
        assert (await scim.post({**ANNA, "active": False})).status == 400
        created = await scim.post({**ANNA, "active": True})
        assert created.body["active"] is True
        assert (await scim.patch("anna", {"op": "replace", "path": "active", "value": "True"})).status == 200
        assert (await scim.find(quote('active eq true and userName eq "anna"'))).body["totalResults"] == 1
        assert (await scim.find(quote("active eq false"))).body["totalResults"] == 0
        assert (await scim.patch("anna", DISABLE, headers={"If-Match": 'W/"other"'})).status == 412
        for beside in ({"op": "add", "path": "manager", "value": "x"}, {"op": "add", "path": "userName", "value": "x"}):
            assert (await scim.patch("anna", DISABLE, beside)).status == 400
        assert len(scim.rows()) == 1
        assert (await scim.patch("anna", DISABLE)).status == 204
        assert scim.rows() == []
        assert (await scim.patch("anna", DISABLE)).status == 404
        await scim.post(ANNA)
        assert (await scim.put("anna", {**ANNA, "active": False})).status == 204
        assert scim.rows() == []


async def test_without_a_flow_and_a_mapping_active_is_ignored(tmp_path):
    async with serving(tmp_path) as scim:
        created = await scim.post({**ANNA, "active": True})
        assert "active" not in created.body
        assert (await scim.patch("anna", DISABLE)).body == created.body


DELETED_BY = [
    ({"column": "DeletedAt"}, None),
    ({"column": "Status", "deleted": "D", "present": "A"}, "A"),
    ({"column": "Gone", "deleted": True, "present": False}, 0),
    ({"column": "Number", "deleted": -1, "present": 1}, 1),
    ({"column": "Status", "deleted": "{null}", "present": "A"}, "A"),
]


@pytest.mark.parametrize(("flow", "present"), DELETED_BY)
async def test_a_deleted_row_stays_and_is_hidden_from_everything(tmp_path, flow, present):
    async with serving(tmp_path, delete={"action": "set", **flow}) as scim:
        await scim.post(ANNA)
        assert (await scim.delete("anna")).status == 204
        assert len(scim.rows()) == 1
        assert _held(scim, flow["column"]) != present
        for answer in (
            await scim.get("/Users/anna"),
            await scim.delete("anna"),
            await scim.patch("anna", DISABLE),
            await scim.put("anna", ANNA),
        ):
            assert answer.status == 404
        assert (await scim.get("/Users")).body["totalResults"] == 0
        assert (await scim.find(quote('userName eq "anna"'))).body["totalResults"] == 0
        assert (await scim.find(quote('not (userName eq "bert")'))).body["totalResults"] == 0
        assert flow["column"] not in (await scim.get("/Schemas")).text


@pytest.mark.parametrize(("flow", "present"), DELETED_BY)
async def test_a_deleted_user_comes_back_when_it_is_created_again(tmp_path, flow, present):
    async with serving(tmp_path, delete={"action": "set", "recreate": "restore", **flow}) as scim:
        await scim.post({**ANNA, "emails": [{"type": "work", "value": "anna@example.org"}]})
        await scim.delete("anna")
        answer = await scim.post({"userName": "anna", "name": {"givenName": "Anne"}})
        assert answer.status == 201
        assert answer.body["name"] == {"givenName": "Anne"}
        assert _held(scim, flow["column"]) == present
        assert len(scim.rows()) == 1
        assert (await scim.post(ANNA)).status == 409


async def test_a_user_that_comes_back_is_known_by_any_unique_value(tmp_path):
    ddl = DDL.replace("Login VARCHAR(64) NOT NULL PRIMARY KEY", "Id INTEGER PRIMARY KEY, Login VARCHAR(64) UNIQUE")
    flow = {"action": "set", "column": "DeletedAt", "recreate": "restore"}
    async with serve(tmp_path, ddl=ddl, attributes=ATTRIBUTES, anchor="Id", delete=flow) as scim:
        first = await scim.post(ANNA)
        await scim.delete(first.body["id"])
        assert (await scim.post(ANNA)).body["id"] == first.body["id"]
        assert (await scim.post({**ANNA, "userName": "bert"})).body["id"] != first.body["id"]


async def test_a_deleted_user_is_a_conflict_where_nobody_comes_back(tmp_path):
    async with serving(tmp_path, delete={"action": "set", "column": "DeletedAt"}) as scim:
        await scim.post(ANNA)
        await scim.delete("anna")
        answer = await scim.post(ANNA)
        assert (answer.status, answer.body["scimType"]) == (409, "uniqueness")
        assert "userName" in answer.body["detail"]


async def test_a_deleted_row_may_stay_readable(tmp_path):
    flow = {"action": "set", "column": "Enabled", "deleted": False, "present": True, "hidden": False}
    async with serve(tmp_path, ddl=DDL, attributes={**ATTRIBUTES, "Enabled": "active"}, delete=flow) as scim:
        await scim.post(ANNA)
        assert (await scim.delete("anna")).status == 204
        assert (await scim.get("/Users/anna")).body["active"] is False


async def test_deleting_may_do_nothing(tmp_path):
    async with serving(tmp_path, delete={"action": "none"}) as scim:
        await scim.post(ANNA)
        assert (await scim.delete("anna", headers={"If-Match": 'W/"other"'})).status == 412
        assert (await scim.delete("anna")).status == 204
        assert (await scim.get("/Users/anna")).status == 200
        assert (await scim.delete("nobody")).status == 404


async def test_a_guarded_deletion_looks_at_the_version_first(tmp_path):
    async with serving(tmp_path, delete={"action": "set", "column": "DeletedAt"}) as scim:
        known = (await scim.post(ANNA)).headers["ETag"]
        await scim.patch("anna", {"op": "replace", "path": "name.givenName", "value": "Anne"})
        assert (await scim.delete("anna", headers={"If-Match": known})).status == 412
        assert (await scim.get("/Users/anna")).status == 200


@pytest.mark.parametrize(
    ("flows", "mistake"),
    [
        ({"disable": {"action": "set", "column": "Nowhere"}}, "disable: there is no column Nowhere"),
        ({"disable": {"action": "set", "column": "Login", "inactive": "x"}}, "mapped to userName"),
        ({"disable": {"action": "set", "column": "Status"}}, "cannot hold the time"),
        ({"disable": {"action": "set", "column": "Number", "inactive": "many", "active": 1}}, "whole number"),
        ({"disable": {"action": "set", "column": "Gone", "inactive": "{null}", "active": True}}, "NOT NULL"),
        (
            {"disable": {"action": "set", "column": "FirstName", "inactive": "x", "active": "y"}},
            "mapped to name.givenName",
        ),
        ({"delete": {"action": "set", "column": "Login", "deleted": "x", "present": "y"}}, "is the anchor"),
        (
            {
                "disable": {"action": "set", "column": "Status", "inactive": "I", "active": "A"},
                "delete": {"action": "set", "column": "Status", "deleted": "I", "present": "A"},
            },
            "disabled users would be hidden",
        ),
        ({"version_column": "Nowhere"}, "version_column: there is no column"),
    ],
)
async def test_a_flow_that_cannot_work_is_refused_before_anything_is_served(tmp_path, flows, mistake):
    async with serving(tmp_path, **flows) as scim:
        with pytest.raises(ConfigurationError, match=mistake):
            await scim.served.flows()
        answer = await scim.get("/Users")
        assert (answer.status, answer.headers["Retry-After"]) == (503, "60")


@pytest.mark.parametrize("etag", ["weak", "strong"])
async def test_the_version_may_be_taken_from_a_column_and_be_strong(tmp_path, etag):
    async with serving(tmp_path, etag=etag, version_column="Number") as scim:
        first = (await scim.post(ANNA)).headers["ETag"]
        assert first.startswith("W/") is (etag == "weak")
        renamed = await scim.patch("anna", {"op": "replace", "path": "name.givenName", "value": "Anne"})
        assert renamed.headers["ETag"] == first
        written = await scim.patch("anna", {"op": "replace", "path": f"{ECMA}:Number", "value": 2})
        assert (written.status, written.body["scimType"]) == (400, "mutability")
        scim.run("UPDATE Employees SET Number = 2")
        assert (await scim.get("/Users/anna")).headers["ETag"] != first


MARKED_DDL = """
CREATE TABLE Employees (
  Login VARCHAR(64) NOT NULL PRIMARY KEY, FirstName VARCHAR(50) NOT NULL, Email VARCHAR(128) UNIQUE,
  Status VARCHAR(10), Mark VARCHAR(10) NOT NULL
)
"""
SINCE_NULL = {"action": "set", "column": "Status", "deleted": "{null}", "present": "P"}
MARKED = {"action": "set", "column": "Mark", "deleted": "D", "present": "P"}
WITHOUT_STATUS = {"action": "set", "column": "Status", "inactive": "{null}", "active": "A"}
WITH_MARK = {"action": "set", "column": "Mark", "inactive": "I", "active": "A"}


@pytest.mark.parametrize(
    ("flows", "held"),
    [
        ({"delete": SINCE_NULL, "disable": WITH_MARK}, {"Status": "P", "Mark": "A"}),
        ({"delete": MARKED, "disable": WITHOUT_STATUS}, {"Status": "A", "Mark": "P"}),
        ({"delete": MARKED, "disable": {**WITH_MARK, "active": "P"}}, {"Status": None, "Mark": "P"}),
    ],
)
async def test_a_new_user_is_present_and_active_where_it_says_nothing_else(tmp_path, flows, held):
    async with serve(tmp_path, ddl=MARKED_DDL, attributes=ATTRIBUTES, **flows) as scim:
        created = await scim.post(ANNA)
        assert (created.status, created.body["active"]) == (201, True), created.text
        assert {name: scim.rows()[0][name] for name in held} == held
        assert (await scim.get("/Users")).body["totalResults"] == 1
        replaced = await scim.put("anna", {**ANNA, "name": {"givenName": "Anne"}})
        assert (replaced.status, replaced.body["active"]) == (200, True)
        assert (await scim.patch("anna", DISABLE)).body["active"] is False
        assert (await scim.put("anna", ANNA)).body["active"] is False


async def test_a_user_that_comes_back_stays_disabled_unless_the_request_says_otherwise(tmp_path):
    disable = {"action": "set", "column": "Enabled", "inactive": False, "active": True}
    delete = {"action": "set", "column": "DeletedAt", "recreate": "restore"}
    async with serving(tmp_path, disable=disable, delete=delete) as scim:
        await scim.post({**ANNA, "active": False})
        await scim.delete("anna")
        assert (await scim.post(ANNA)).body["active"] is False


async def test_a_conflict_with_a_deleted_user_names_what_clashes(tmp_path):
    async with serving(tmp_path, delete={"action": "set", "column": "DeletedAt", "recreate": "restore"}) as scim:
        mail = {"emails": [{"type": "work", "value": "anna@example.org"}]}
        await scim.post({**ANNA, **mail})
        await scim.delete("anna")
        answer = await scim.post({**ANNA, **mail, "userName": "bert"})
        assert (answer.status, answer.body["scimType"]) == (409, "uniqueness")
        assert "emails" in answer.body["detail"]
        assert "userName" not in answer.body["detail"]


async def test_a_deleted_user_comes_back_whatever_the_case_of_its_name(tmp_path):
    ddl = DDL.replace("Login VARCHAR(64) NOT NULL", "Login VARCHAR(64) NOT NULL COLLATE NOCASE")
    flow = {"action": "set", "column": "DeletedAt", "recreate": "restore"}
    async with serve(tmp_path, ddl=ddl, attributes=ATTRIBUTES, delete=flow) as scim:
        await scim.post(ANNA)
        await scim.delete("anna")
        answer = await scim.post({**ANNA, "userName": "ANNA"})
        assert (answer.status, answer.body.get("userName")) == (201, "anna"), answer.text
