"""Absent leaves the default; null, empty and `remove` do what the policy of the column says."""

from __future__ import annotations

import pytest

from tests.endpoint.service import ECMA, serve

DDL = """
CREATE TABLE Employees (
  Login VARCHAR(64) NOT NULL PRIMARY KEY,
  Title VARCHAR(20) DEFAULT 'none yet',
  Nick VARCHAR(20),
  Badge INTEGER DEFAULT 7,
  Place VARCHAR(20) NOT NULL DEFAULT 'here'
)
"""
ATTRIBUTES = {"Login": "userName", "Title": "title", "Nick": "nickName"}
EMPTIES = [None, "", [], [None], {"value": None}, [{"value": ""}]]


def serving(folder, on_null):
    return serve(folder, ddl=DDL, attributes=ATTRIBUTES, on_null=on_null)


@pytest.mark.parametrize("on_null", ["clear", "ignore", "reject"])
async def test_absent_leaves_the_default(tmp_path, on_null):
    async with serving(tmp_path, on_null) as scim:
        assert (await scim.post({"userName": "anna"})).status == 201
        assert scim.rows() == [{"Login": "anna", "Title": "none yet", "Nick": None, "Badge": 7, "Place": "here"}]


@pytest.mark.parametrize("empty", EMPTIES)
async def test_clear_stores_a_null(tmp_path, empty):
    async with serving(tmp_path, "clear") as scim:
        answer = await scim.post({"userName": "anna", "title": empty, ECMA: {"Badge": empty}})
        assert answer.status == 201
        assert (scim.rows()[0]["Title"], scim.rows()[0]["Badge"]) == (None, None)
        for operation in (
            {"op": "replace", "path": "title", "value": empty},
            {"op": "replace", "value": {"title": empty}},
            {"op": "remove", "path": "title"},
            {"op": "Remove", "path": "title", "value": "stray"},
        ):
            await scim.patch("anna", {"op": "add", "path": "title", "value": "Boss"})
            answer = await scim.patch("anna", operation)
            assert answer.status == 200
            assert "title" not in answer.body


@pytest.mark.parametrize("empty", EMPTIES)
async def test_ignore_leaves_what_is_there(tmp_path, empty):
    async with serving(tmp_path, "ignore") as scim:
        await scim.post({"userName": "anna", "title": empty})
        assert scim.rows()[0]["Title"] == "none yet"
        for operation in ({"op": "replace", "path": "title", "value": empty}, {"op": "remove", "path": "title"}):
            answer = await scim.patch("anna", operation)
            assert (answer.status, answer.body["title"]) == (200, "none yet")
        assert (await scim.put("anna", {"userName": "anna", "title": empty})).body["title"] == "none yet"


@pytest.mark.parametrize("empty", EMPTIES)
async def test_reject_refuses_and_names_the_attribute(tmp_path, empty):
    async with serving(tmp_path, "reject") as scim:
        assert (await scim.post({"userName": "anna", "title": empty})).status == 400
        await scim.post({"userName": "anna", "title": "Boss"})
        for operation in ({"op": "replace", "path": "title", "value": empty}, {"op": "remove", "path": "title"}):
            answer = await scim.patch("anna", operation)
            assert (answer.status, answer.body["scimType"]) == (400, "invalidValue")
            assert "title" in answer.body["detail"]
        assert scim.rows()[0]["Title"] == "Boss"


async def test_each_column_may_have_a_policy_of_its_own(tmp_path):
    async with serving(tmp_path, {"title": "reject", "Badge": "ignore", "*": "clear"}) as scim:
        await scim.post({"userName": "anna", "title": "Boss", "nickName": "Nan"})
        assert (await scim.patch("anna", {"op": "remove", "path": "title"})).status == 400
        await scim.patch("anna", {"op": "remove", "path": f"{ECMA}:Badge"}, {"op": "remove", "path": "nickName"})
        assert (scim.rows()[0]["Badge"], scim.rows()[0]["Nick"]) == (7, None)


@pytest.mark.parametrize("empty", EMPTIES)
async def test_a_column_that_takes_no_null_is_named(tmp_path, empty):
    async with serving(tmp_path, "clear") as scim:
        answer = await scim.post({"userName": "anna", ECMA: {"Place": empty}})
        assert (answer.status, answer.body["scimType"]) == (400, "invalidValue")
        assert "Place" in answer.body["detail"]
        await scim.post({"userName": "anna"})
        for operation in (
            {"op": "replace", "path": f"{ECMA}:Place", "value": empty},
            {"op": "remove", "path": f"{ECMA}:Place"},
        ):
            answer = await scim.patch("anna", operation)
            assert answer.status == 400
            assert "Place" in answer.body["detail"]


async def test_a_replacement_clears_what_it_leaves_out_where_the_policy_clears(tmp_path):
    async with serving(tmp_path, {"Nick": "ignore"}) as scim:
        await scim.post({"userName": "anna", "title": "Boss", "nickName": "Nan", ECMA: {"Place": "there"}})
        answer = await scim.put("anna", {"userName": "anna"})
        assert answer.status == 200
        assert scim.rows() == [{"Login": "anna", "Title": None, "Nick": "Nan", "Badge": None, "Place": "there"}]
