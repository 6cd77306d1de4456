"""The operations on users, over real TLS down to rows of a real table."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from multidict import CIMultiDict

from tests.endpoint.service import ECMA, ENTERPRISE, TOKEN, serve


async def test_a_created_user_is_a_row_and_is_answered_in_full(scim):
    answer = await scim.post(
        {
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", ENTERPRISE],
            "userName": "anna",
            "name": {"givenName": "Anna"},
            "emails": [{"type": "work", "value": "anna@example.org"}],
            "active": "True",
            ENTERPRISE: {"department": "Sales"},
            ECMA: {"Badge": "5", "HiredAt": "2026-11-23T10:30:00+02:00"},
            "title": "has no column",
        }
    )
    assert answer.status == 201
    assert answer.headers["Content-Type"].startswith("application/scim+json")
    location = f"{scim.origin}/ecma2host_HR/scim/Users/anna"
    assert answer.headers["Location"] == location
    assert answer.body.pop("meta") == {
        "resourceType": "User",
        "location": location,
        "version": answer.headers["ETag"],
    }
    assert answer.body == {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", ENTERPRISE, ECMA],
        "id": "anna",
        "userName": "anna",
        "name": {"givenName": "Anna"},
        "emails": [{"type": "work", "value": "anna@example.org"}],
        "active": True,
        ENTERPRISE: {"department": "Sales"},
        ECMA: {"Badge": 5, "HiredAt": "2026-11-23T08:30:00Z"},
    }
    assert [row["Login"] for row in scim.rows()] == ["anna"]


async def test_an_absent_attribute_is_left_to_the_default_of_the_database(scim):
    answer = await scim.post({"userName": "anna", "name": {"givenName": "Anna"}})
    assert answer.body["active"] is True


async def test_a_user_is_read_by_its_anchor(scim, barbara):
    answer = await scim.get("/Users/bjensen")
    assert answer.status == 200
    assert answer.body == barbara


@pytest.mark.parametrize("anchor", [".", "..", "a/../b", "./a", "a\\..", ".search"])
async def test_an_anchor_that_no_url_can_name_is_refused_at_creation(scim, anchor):
    answer = await scim.post({"userName": anchor, "name": {"givenName": "Odd"}})
    assert (answer.status, answer.body["scimType"]) == (400, "invalidValue")
    assert "userName" in answer.body["detail"]
    assert "URL" in answer.body["detail"]
    assert scim.rows() == []


@pytest.mark.parametrize("anchor", ["", None, [], {"value": ""}])
async def test_an_anchor_without_text_is_refused_at_creation(tmp_path, anchor):
    ddl = "CREATE TABLE Employees (Login VARCHAR(20) NOT NULL PRIMARY KEY DEFAULT '')"
    async with serve(tmp_path, ddl=ddl, attributes={"Login": "userName"}) as scim:
        answer = await scim.post({"userName": anchor})
        assert (answer.status, answer.body["scimType"]) == (400, "invalidValue")
        assert "userName" in answer.body["detail"]
        assert scim.rows() == []


@pytest.mark.parametrize("anchor", ["...", "a..b", ".a", "a.", "%2e%2e"])
async def test_dots_beside_other_letters_are_no_steps(scim, anchor):
    created = await scim.post({"userName": anchor, "name": {"givenName": "Odd"}})
    assert created.status == 201
    assert (await scim.get(f"/Users/{quote(anchor, safe='')}")).status == 200


async def test_an_anchor_of_any_characters_survives_the_url(scim):
    anchor = "a/b c%d@e#f?g{h}\ni"
    created = await scim.post({"userName": anchor, "name": {"givenName": "Odd"}})
    answer = await scim.get(f"/Users/{quote(anchor, safe='')}")
    assert answer.status == 200
    assert answer.body["id"] == anchor
    assert created.headers["Location"].endswith("/Users/a%2Fb%20c%25d%40e%23f%3Fg%7Bh%7D%0Ai")


async def test_an_unknown_id_is_not_found(scim):
    for answer in (
        await scim.get("/Users/nobody"),
        await scim.patch("nobody", {"op": "replace", "path": "active", "value": False}),
        await scim.put("nobody", {"userName": "nobody", "name": {"givenName": "N"}}),
        await scim.delete("nobody"),
    ):
        assert answer.status == 404
        assert answer.body["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]
        assert answer.body["status"] == "404"


async def test_the_probe_for_an_attribute_that_does_not_exist_finds_nobody(scim, barbara):
    answer = await scim.find('PLACEHOLDER+eq+"8646d011-1693-4cd3-9ee6-0d7482ca2219"')
    assert answer.status == 200
    assert answer.body["totalResults"] == 0
    assert answer.body["Resources"] == []


async def test_a_user_is_found_in_any_case_by_one_attribute_and_by_two(scim, barbara):
    for text in (
        'userName eq "BJensen"',
        'USERNAME EQ "bjensen" and ACTIVE eq true',
        f'{ENTERPRISE}:department eq "x" or emails[type eq "work" and value co "@example"]',
        "userName eq bjensen",
        'id eq "bjensen"',
    ):
        answer = await scim.find(quote(text))
        assert [user["id"] for user in answer.body["Resources"]] == ["bjensen"], text


async def test_a_malformed_filter_is_refused_with_the_place_of_the_mistake(scim):
    answer = await scim.find(quote('userName eq "x" and'))
    assert answer.status == 400
    assert answer.body["scimType"] == "invalidFilter"
    assert "column 20" in answer.body["detail"]


async def test_pages_are_stable_and_say_where_they_are(scim):
    for number in range(7):
        await scim.post({"userName": f"user{number}", "name": {"givenName": "U"}})
    answer = await scim.get("/Users?startIndex=3&count=2")
    assert [user["id"] for user in answer.body["Resources"]] == ["user2", "user3"]
    assert (answer.body["totalResults"], answer.body["startIndex"], answer.body["itemsPerPage"]) == (7, 3, 2)
    assert (await scim.get("/Users?count=0")).body["Resources"] == []
    assert (await scim.get("/Users?startIndex=0&count=-1")).body["totalResults"] == 7
    assert (await scim.get("/Users?startIndex=100")).body["Resources"] == []


async def test_a_patch_answers_with_the_changed_user(scim, barbara):
    answer = await scim.patch("bjensen", {"op": "Replace", "path": "active", "value": "False"})
    assert answer.status == 200
    assert answer.body["active"] is False
    assert answer.body["meta"]["version"] != barbara["meta"]["version"]
    assert (await scim.get("/Users/bjensen")).body == answer.body


async def test_a_patch_is_carried_out_as_a_whole_or_not_at_all(scim, barbara):
    answer = await scim.patch(
        "bjensen",
        {"op": "replace", "path": "name.givenName", "value": "Babs"},
        {"op": "replace", "path": "userName", "value": "babs"},
    )
    assert (answer.status, answer.body["scimType"]) == (400, "mutability")
    assert (await scim.get("/Users/bjensen")).body == barbara


async def test_a_patch_that_changes_nothing_keeps_the_version(scim, barbara):
    answer = await scim.patch(
        "bjensen",
        {"op": "replace", "path": "userName", "value": "bjensen"},
        {"op": "add", "path": "name.givenName", "value": "Barbara"},
    )
    assert answer.status == 200
    assert answer.body == barbara


async def test_a_client_that_prefers_little_gets_no_body(scim, barbara):
    answer = await scim.patch(
        "bjensen", {"op": "replace", "path": "active", "value": False}, headers={"Prefer": "return=minimal"}
    )
    assert (answer.status, answer.text) == (204, "")
    assert answer.headers["ETag"]


async def test_a_put_replaces_the_user_and_clears_what_it_leaves_out(scim, barbara):
    answer = await scim.put("bjensen", {"id": "bjensen", "userName": "bjensen", "name": {"givenName": "Babs"}})
    assert answer.status == 200
    assert answer.body["name"] == {"givenName": "Babs"}
    assert "emails" not in answer.body
    assert answer.body["active"] is True


async def test_a_put_without_what_is_required_is_refused_and_named(scim, barbara):
    for missing in ("userName", "name"):
        body = {key: value for key, value in barbara.items() if key != missing}
        answer = await scim.put("bjensen", body)
        assert (answer.status, answer.body["scimType"]) == (400, "invalidValue")
        assert missing in answer.body["detail"]
    assert (await scim.get("/Users/bjensen")).body == barbara


async def test_if_match_may_name_several_versions(scim, barbara):
    known = barbara["meta"]["version"]
    for header in (f'"other", {known}', f'{known}, W/"other"'):
        assert (await scim.put("bjensen", barbara, headers={"If-Match": header})).status == 200
    assert (await scim.put("bjensen", barbara, headers={"If-Match": '"one", W/"other"'})).status == 412


async def answered(scim, method, *lines, data=None):
    """Return the status, and what was preferred, of a request about Barbara with these header lines."""
    headers = CIMultiDict([("Authorization", f"Bearer {TOKEN}"), *lines])
    url = f"{scim.origin}{scim.base}/Users/bjensen"
    async with scim.session.request(method, url, headers=headers, json=data) as answer:
        return answer.status, answer.headers.get("Preference-Applied")


async def test_a_header_of_several_lines_counts_as_a_whole(scim, barbara):
    known = barbara["meta"]["version"]
    preferred = [("Prefer", "wait=5"), ("Prefer", "return=minimal")]
    matching = [("If-Match", '"other"'), ("If-Match", known)]
    assert await answered(scim, "PUT", *matching, *preferred, data=barbara) == (204, "return=minimal")
    excluding = [("If-None-Match", '"other"'), ("If-None-Match", known)]
    assert await answered(scim, "GET", *excluding) == (304, None)
    assert await answered(scim, "DELETE", *excluding) == (412, None)
    # Whoever names no version at all has read none.
    assert await answered(scim, "DELETE", ("If-Match", "")) == (412, None)
    assert await answered(scim, "DELETE", ("If-None-Match", "")) == (204, None)


async def test_a_put_of_what_was_read_changes_nothing(scim, barbara):
    answer = await scim.put("bjensen", barbara)
    assert answer.body == barbara


async def test_a_deleted_user_is_gone(scim, barbara):
    assert (await scim.delete("bjensen")).status == 204
    assert (await scim.get("/Users/bjensen")).status == 404
    assert scim.rows() == []


async def test_a_second_user_with_a_unique_value_is_a_conflict_that_names_the_attribute(scim, barbara):
    answer = await scim.post({"userName": "bjensen", "name": {"givenName": "Other"}})
    assert (answer.status, answer.body["scimType"]) == (409, "uniqueness")
    await scim.post({"userName": "anna", "name": {"givenName": "Anna"}})
    for path, value in (
        ("emails", [{"value": "bjensen@example.org"}]),
        ('emails[type eq "work"].value', "bjensen@example.org"),
    ):
        answer = await scim.patch("anna", {"op": "add", "path": path, "value": value})
        assert answer.status == 409
        assert "emails" in answer.body["detail"]


async def test_a_change_of_another_state_than_the_client_knows_is_refused(scim, barbara):
    known = barbara["meta"]["version"]
    disable = {"op": "replace", "path": "active", "value": False}
    assert (await scim.patch("bjensen", disable, headers={"If-Match": known})).status == 200
    assert (await scim.patch("bjensen", disable, headers={"If-Match": known})).status == 412
    assert (await scim.delete("bjensen", headers={"If-Match": known})).status == 412
    assert (await scim.put("bjensen", barbara, headers={"If-Match": "*"})).status == 200


async def test_nothing_is_changed_where_the_client_asks_for_another_version_than_there_is(scim, barbara):
    known = barbara["meta"]["version"]
    for excluded in ("*", known):
        headers = {"If-None-Match": excluded}
        assert (await scim.put("bjensen", barbara, headers=headers)).status == 412
        assert (await scim.patch("bjensen", {"op": "remove", "path": "emails"}, headers=headers)).status == 412
        assert (await scim.delete("bjensen", headers=headers)).status == 412
    assert (await scim.put("bjensen", barbara, headers={"If-None-Match": '"other"'})).status == 200


async def test_an_unchanged_user_is_not_sent_again(scim, barbara):
    answer = await scim.get("/Users/bjensen", headers={"If-None-Match": barbara["meta"]["version"]})
    assert (answer.status, answer.text) == (304, "")


async def test_an_integer_anchor_is_text_in_scim_and_never_matches_by_half(tmp_path):
    ddl = "CREATE TABLE Employees (Number INTEGER PRIMARY KEY, Name VARCHAR(20))"
    async with serve(tmp_path, ddl=ddl, anchor="Number", attributes={"Name": "displayName"}) as scim:
        answer = await scim.post({"displayName": "One", ECMA: {"Number": "1"}})
        assert answer.body["id"] == "1"
        assert (await scim.get("/Users/1")).status == 200
        assert (await scim.get("/Users/1abc")).status == 404
        assert (await scim.find(quote('id eq "1abc"'))).body["totalResults"] == 0


async def test_an_anchor_may_be_repeated_in_another_spelling_of_the_same_value_and_in_no_other(tmp_path):
    ddl = "CREATE TABLE Employees (Id uuid NOT NULL PRIMARY KEY, Name VARCHAR(20))"
    guid = "6F9619FF-8B86-D011-B42D-00CF4FC964FF"
    async with serve(tmp_path, ddl=ddl, anchor="Id", attributes={"Id": "externalId", "Name": "userName"}) as scim:
        created = await scim.post({"externalId": guid, "userName": "anna"})
        assert created.body["id"] == guid.lower()
        replaced = await scim.put(guid.lower(), {"externalId": guid, "userName": "anne"})
        assert (replaced.status, replaced.body["userName"]) == (200, "anne")
        repeated = await scim.patch(guid.lower(), {"op": "replace", "path": "externalId", "value": guid})
        assert (repeated.status, repeated.body["meta"]) == (200, replaced.body["meta"])
        other = await scim.patch(guid.lower(), {"op": "replace", "path": "externalId", "value": guid[:-1] + "0"})
        assert (other.status, other.body["scimType"]) == (400, "mutability")


async def test_an_anchor_of_text_in_other_letters_is_another_one(scim, barbara):
    for answer in (
        await scim.patch("bjensen", {"op": "replace", "path": "userName", "value": "BJensen"}),
        await scim.put("bjensen", {"userName": "BJensen", "name": {"givenName": "Barbara"}}),
    ):
        assert (answer.status, answer.body["scimType"]) == (400, "mutability")
        assert answer.body["detail"].startswith("userName")
