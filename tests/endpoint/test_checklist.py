"""What clients rely on, the most important first: what published suites and field reports ask, by number."""

from __future__ import annotations

import asyncio
from urllib.parse import quote

import pytest

from tests.endpoint.service import ECMA, ENTERPRISE, serve

ANNA = {"userName": "anna", "name": {"givenName": "Anna"}, "emails": [{"type": "work", "value": "anna@x.org"}]}
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"


async def test_01_nothing_is_read_or_written_without_the_token(scim):
    answer = await scim.post(ANNA, token="wrong")
    assert (answer.status, answer.body["schemas"]) == (401, [ERROR])
    assert "WWW-Authenticate" in answer.headers
    assert scim.rows() == []


async def test_02_a_lookup_ignores_case_and_never_says_404(scim):
    await scim.post(ANNA)
    assert (await scim.find(quote('userName eq "ANNA"'))).body["totalResults"] == 1
    nobody = await scim.find(quote('userName eq "nobody"'))
    assert (nobody.status, nobody.body["totalResults"], nobody.body["Resources"]) == (200, 0, [])


async def test_03_what_has_no_column_is_ignored_and_the_answer_is_whole(scim):
    odd = {
        "schemas": [ENTERPRISE, "urn:x:y"],
        "roles": [],
        "groups": [],
        "title": None,
        "addresses": [{"country": "DE"}],
    }
    answer = await scim.post({**ANNA, **odd, "password": None})
    assert answer.status == 201
    assert isinstance(answer.body["id"], str)
    assert answer.headers["Location"] == answer.body["meta"]["location"]
    assert "password" not in answer.body


async def test_04_of_many_creations_at_once_exactly_one_succeeds(scim):
    answers = await asyncio.gather(*(scim.post(ANNA) for _ in range(12)))
    assert sorted(answer.status for answer in answers) == [201] + [409] * 11
    assert {answer.body["scimType"] for answer in answers if answer.status == 409} == {"uniqueness"}


async def test_04_a_duplicate_is_a_conflict_by_put_and_patch_too(scim):
    await scim.post(ANNA)
    await scim.post({**ANNA, "userName": "bert", "emails": []})
    stolen = {"userName": "bert", "name": {"givenName": "B"}, "emails": ANNA["emails"]}
    assert (await scim.put("bert", stolen)).body["scimType"] == "uniqueness"
    answer = await scim.patch("bert", {"op": "add", "path": "emails", "value": ANNA["emails"]})
    assert (answer.status, answer.body["scimType"]) == (409, "uniqueness")
    assert "emails" in answer.body["detail"]


@pytest.mark.parametrize("word", [False, "False", "false", "FALSE"])
async def test_05_disabling_works_in_every_spelling_and_the_user_stays_readable(scim, word):
    await scim.post(ANNA)
    for operation in ({"op": "Replace", "path": "active", "value": word}, {"op": "replace", "value": {"active": word}}):
        assert (await scim.patch("anna", {"op": "add", "path": "active", "value": True})).body["active"] is True
        assert (await scim.patch("anna", operation)).body["active"] is False
    assert (await scim.find(quote('userName eq "anna"'))).body["Resources"][0]["active"] is False
    assert (await scim.put("anna", {**ANNA, "active": True})).body["active"] is True
    assert (await scim.put("anna", {**ANNA, "active": word})).body["active"] is False


async def test_07_typed_columns_are_cleared_like_text(scim):
    await scim.post({**ANNA, ECMA: {"Badge": 5, "HiredAt": "2026-01-01T00:00:00Z"}})
    for path in (f"{ECMA}:Badge", f"{ECMA}:HiredAt", 'emails[type eq "work"].value'):
        for operation in ({"op": "replace", "value": ""}, {"op": "Replace", "value": None}, {"op": "remove"}):
            assert (await scim.patch("anna", {**operation, "path": path})).status == 200
    assert (await scim.get("/Users/anna")).body.keys() == {"schemas", "id", "userName", "name", "active", "meta"}


async def test_08_a_replacement_accepts_its_own_reading_back(scim):
    await scim.post({**ANNA, ECMA: {"Badge": 5, "HiredAt": "2026-01-01T12:30:00.123456Z"}})
    read = (await scim.get("/Users/anna")).body
    answer = await scim.put("anna", {**read, "groups": []})
    assert (answer.status, answer.body) == (200, read)


@pytest.mark.parametrize(
    "unknown", ["x", "999999999999999999999999", "-1", "1.0", "0x1", "%00", "a%2Fb", "1%20", "٣", "e" * 4000]
)
async def test_09_an_unknown_id_of_any_shape_is_not_found_even_in_a_table_of_numbers(tmp_path, unknown):
    ddl = "CREATE TABLE Employees (Number INTEGER PRIMARY KEY, Name VARCHAR(20))"
    async with serve(tmp_path, ddl=ddl, anchor="Number", attributes={"Name": "displayName"}) as scim:
        await scim.post({"displayName": "One"})
        for answer in (
            await scim.get(f"/Users/{unknown}"),
            await scim.delete(unknown),
            await scim.patch(unknown, {"op": "replace", "path": "displayName", "value": "x"}),
        ):
            assert (answer.status, answer.body["status"]) == (404, "404")
        assert (await scim.delete("1")).status == 204
        assert (await scim.delete("1")).status == 404


async def test_10_a_page_of_a_hundred_has_a_hundred(scim):
    await asyncio.gather(*(scim.post({**ANNA, "userName": f"u{n:03}", "emails": []}) for n in range(120)))
    seen = []
    for start in (1, 101):
        page = (await scim.get(f"/Users?startIndex={start}&count=100")).body
        seen += [user["id"] for user in page["Resources"]]
        assert page["totalResults"] == 120
    assert seen == [f"u{n:03}" for n in range(120)]


async def test_11_a_lookup_by_external_id_is_answered_without_such_a_column(scim):
    assert (await scim.find(quote('externalId eq "x"'))).status == 200


async def test_12_every_answer_is_scim_json_and_plain_json_is_accepted(scim):
    created = await scim.post(ANNA, headers={"Content-Type": "application/json", "Accept": "application/json"})
    answers = [
        created,
        await scim.get("/Users"),
        await scim.get("/Users/nobody"),
        await scim.get("/Schemas"),
        await scim.get("/Me"),
    ]
    assert created.status == 201
    assert {answer.headers["Content-Type"].split(";")[0] for answer in answers} == {"application/scim+json"}


@pytest.mark.parametrize(
    "path",
    [
        "/ServiceProviderConfig",
        "/ResourceTypes",
        "/ResourceTypes/User",
        "/Schemas",
        "/Schemas/urn:ietf:params:scim:schemas:core:2.0:User",
        f"/Schemas/{ECMA}",
    ],
)
async def test_13_documents_are_there_whole_and_read_only(scim, path):
    answer = await scim.get(path)
    assert answer.status == 200
    assert "null" not in answer.text
    assert "password" not in answer.text
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert (await scim.call(method, path, {})).status == 405


async def test_13_the_published_schema_is_what_is_returned(scim):
    await scim.post({**ANNA, ENTERPRISE: {"department": "D"}, ECMA: {"Badge": 1}})
    user = (await scim.get("/Users/anna")).body
    for schema in (await scim.get("/Schemas")).body["Resources"]:
        published = {attribute["name"] for attribute in schema["attributes"]}
        part = user.get(schema["id"], user)
        assert {key for key in part if not key.startswith("urn:")} - {"schemas", "id", "meta"} <= published


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("(" * 500 + 'userName eq "x"' + ")" * 500, 200),
        ("not (" * 17 + 'userName eq "x"' + ")" * 17, 400),
        (" or ".join(['userName eq "x"'] * 200), 200),
        ('userName eq "' + "x" * 9000 + '"', 400),
        ('userName eq "%_\\\\\' OR 1=1 --"', 200),
        ("userName eq 'x'", 200),
        ("justaword", 400),
    ],
)
async def test_14_no_filter_is_too_strange_for_an_answer(scim, text, status):
    assert (await scim.call("POST", "/Users/.search", {"filter": text})).status == status


async def test_14_wildcards_of_sql_are_ordinary_letters(scim):
    for name in ("a%b", "a_b", "axb", "a\\b", "a'b"):
        await scim.post({**ANNA, "userName": name, "emails": []})
    for needle in ("%", "_", "\\", "'"):
        found = await scim.call("POST", "/.search", {"filter": 'userName co "{}"'.format(needle.replace("\\", "\\\\"))})
        assert [user["id"] for user in found.body["Resources"]] == [f"a{needle}b"]


async def test_16_what_is_advertised_is_on(scim):
    config = (await scim.get("/ServiceProviderConfig")).body
    on = {key for key, value in config.items() if isinstance(value, dict) and value.get("supported")}
    assert on == {"patch", "bulk", "filter", "sort", "etag"}
    assert config["pagination"]["cursor"] is True
    assert config["authenticationSchemes"][0]["type"] == "oauthbearertoken"


async def test_a_column_that_is_added_or_dropped_shows_without_a_restart(tmp_path):
    async with serve(tmp_path, rediscover_s=1) as scim:
        await scim.post(ANNA)
        scim.run("ALTER TABLE Employees ADD COLUMN Shoe INTEGER")
        scim.run("ALTER TABLE Employees DROP COLUMN HomeEmail")
        while "Shoe" not in (await scim.get("/Schemas")).text:  # noqa: ASYNC110 - the host looks by itself
            await asyncio.sleep(0.1)
        answer = await scim.patch("anna", {"op": "add", "path": f"{ECMA}:Shoe", "value": "43"})
        assert answer.body[ECMA]["Shoe"] == 43
        assert (await scim.get("/Users")).status == 200
