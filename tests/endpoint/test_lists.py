"""Lists: order, edges of paging, cursors that survive changes, and what a client wants to see of each user."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.endpoint.service import ECMA, ENTERPRISE, serve


@pytest.fixture
async def seven(scim):
    """Seven users, the later the earlier in the alphabet of their last names; one has none."""
    for number in range(7):
        user = {"userName": f"user{number}", "name": {"givenName": "U", "familyName": f"name{9 - number}"}}
        if number == 3:
            del user["name"]["familyName"]
        assert (await scim.post(user)).status == 201
    return scim


def ids(answer):
    assert answer.status == 200, answer.text
    return [user["id"][-1] for user in answer.body["Resources"]]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", "0123456"),
        ("startIndex=3&count=2", "23"),
        ("startIndex=0&count=1", "0"),
        ("startIndex=-5&count=1", "0"),
        ("startIndex=7", "6"),
        ("startIndex=8", ""),
        ("startIndex=99999999999", ""),
        ("count=0", ""),
        ("count=-1", ""),
        ("count=100", "0123456"),
        ("startIndex=&count=", "0123456"),
        ("sortBy=name.familyName", "6542103"),
        ("sortBy=name.familyName&sortOrder=descending", "3012456"),
        ("SORTBY=NAME.FAMILYNAME&sortorder=Descending&count=2", "30"),
        ("sortBy=userName&sortOrder=descending&count=2", "65"),
        ("sortBy=id&sortOrder=descending&count=2", "65"),
        ("sortBy=title", "0123456"),
        ("sortBy=name", "0123456"),
    ],
)
async def test_order_and_edges(seven, query, found):
    answer = await seven.get(f"/Users?{query}")
    assert "".join(ids(answer)) == found
    assert answer.body["totalResults"] == 7
    assert answer.body["itemsPerPage"] == len(found)


@pytest.mark.parametrize("query", ["startIndex=one", "count=1.5", "count=1e3", "count=" + "9" * 30])
async def test_a_number_that_is_none_is_refused(seven, query):
    answer = await seven.get(f"/Users?{query}")
    assert (answer.status, answer.body["scimType"]) == (400, "invalidValue")


async def test_no_page_is_larger_than_the_limit(tmp_path):
    async with serve(tmp_path, limits={"page_size": 3, "page_size_max": 4}) as scim:
        for number in range(6):
            await scim.post({"userName": f"user{number}", "name": {"givenName": "U"}})
        assert len(ids(await scim.get("/Users"))) == 3
        assert len(ids(await scim.get("/Users?count=100"))) == 4


async def follow(scim, query):
    """Yield page after page until there is no next one."""
    cursor = ""
    while True:
        answer = await scim.get(f"/Users?{query}&cursor={cursor}")
        yield ids(answer)
        assert "startIndex" not in answer.body
        cursor = answer.body.get("nextCursor")
        if cursor is None:
            return


@pytest.mark.parametrize(
    ("query", "pages"),
    [
        ("count=3", ["012", "345", "6"]),
        ("count=7", ["0123456"]),
        ("count=100", ["0123456"]),
        ("count=3&sortBy=id&sortOrder=descending", ["654", "321", "0"]),
        ("count=4&sortBy=nobody", ["0123", "456"]),
        (f"count=2&filter={quote('name.familyName pr')}", ["01", "24", "56"]),
    ],
)
async def test_cursors_lead_through_all_pages(seven, query, pages):
    assert ["".join(page) async for page in follow(seven, query)] == pages


async def test_a_cursor_misses_and_repeats_nobody_when_users_come_and_go(seven):
    found = []
    async for page in follow(seven, "count=2"):
        found.extend(page)
        if len(found) == 2:
            await seven.delete("user0")
            await seven.delete("user2")
            await seven.post({"userName": "another1", "name": {"givenName": "A"}})
    assert "".join(found) == "013456"


@pytest.mark.parametrize("sort_by", ["name.familyName", "userName"])
async def test_a_cursor_with_another_order_is_refused_since_it_would_lose_users(seven, sort_by):
    answer = await seven.get(f"/Users?count=2&cursor=&sortBy={sort_by}")
    assert (answer.status, answer.body["scimType"]) == (400, "invalidCursor")
    assert "startIndex" in answer.body["detail"]


async def test_a_page_of_none_is_not_the_last_one(seven):
    first = await seven.get("/Users?count=2&cursor=")
    for cursor, rest in (("", "01"), (first.body["nextCursor"], "23")):
        none = await seven.get(f"/Users?count=0&cursor={cursor}")
        assert (none.body["totalResults"], none.body["Resources"]) == (7, [])
        assert ids(await seven.get(f"/Users?count=2&cursor={none.body['nextCursor']}")) == list(rest)


async def test_the_anchor_is_sorted_without_regard_to_case(seven):
    await seven.post({"userName": "User1a", "name": {"givenName": "A"}})
    found = await seven.get("/Users?count=3&sortBy=userName")
    assert ids(found) == ["0", "1", "a"]
    assert ids(await seven.get("/Users?count=2&startIndex=6&sortBy=userName&sortOrder=descending")) == ["a", "1"]


@pytest.mark.parametrize("cursor", ["x", "!!!!", "AAAA", "k" * 500])
async def test_a_cursor_that_is_none_is_refused(seven, cursor):
    answer = await seven.get(f"/Users?cursor={cursor}")
    assert (answer.status, answer.body["scimType"]) == (400, "invalidCursor")


async def test_a_cursor_of_another_query_is_refused(seven):
    first = await seven.get("/Users?count=2&cursor=")
    answer = await seven.get(f"/Users?count=2&cursor={first.body['nextCursor']}&filter={quote('active eq true')}")
    assert (answer.status, answer.body["scimType"]) == (400, "invalidCursor")


@pytest.mark.parametrize(
    ("query", "keys"),
    [
        ("attributes=userName", {"userName"}),
        ("attributes=USERNAME,name.givenName", {"userName", "name"}),
        ("attributes=id", set()),
        ("attributes=unknown", set()),
        (f"attributes={ENTERPRISE}:department,meta.location", {ENTERPRISE, "meta"}),
        (f"attributes={ECMA}", {ECMA}),
        ("attributes=emails.value", {"emails"}),
        ("excludedAttributes=members", {"userName", "name", "emails", "active", "meta", ENTERPRISE, ECMA}),
        (f"excludedAttributes=name,meta,id,schemas,{ECMA}:Badge", {"userName", "emails", "active", ENTERPRISE}),
        ("excludedAttributes=name.familyName", {"userName", "name", "emails", "active", "meta", ENTERPRISE, ECMA}),
    ],
)
async def test_a_client_sees_what_it_asks_for(scim, query, keys):
    user = {
        "userName": "anna",
        "name": {"givenName": "Anna", "familyName": "A"},
        "emails": [{"type": "work", "value": "a@x"}],
        ENTERPRISE: {"department": "Sales"},
        ECMA: {"Badge": 1},
    }
    answers = [
        (await scim.post(user, query=query)).body,
        (await scim.get(f"/Users/anna?{query}")).body,
        (await scim.get(f"/Users?{query}")).body["Resources"][0],
        (await scim.put("anna", user, query=query)).body,
        (await scim.patch("anna", {"op": "replace", "path": "active", "value": True}, query=query)).body,
    ]
    for body in answers:
        assert body.keys() - {"id", "schemas"} == keys, body
        assert {"id", "schemas"} <= body.keys()
        assert set(body["schemas"][1:]) == {key for key in body if key.startswith("urn:")}
        if "name.givenName" in query:
            assert body["name"] == {"givenName": "Anna"}
        if query.endswith("name.familyName"):
            assert body["name"] == {"givenName": "Anna"}
        if "emails.value" in query:
            assert body["emails"] == [{"value": "a@x"}]


async def test_the_version_does_not_depend_on_what_is_seen(scim, barbara):
    answer = await scim.get("/Users/bjensen?attributes=userName")
    assert answer.headers["ETag"] == barbara["meta"]["version"]


@pytest.mark.parametrize("path", ["/Users/.search", "/.search", "/Users/.search/"])
async def test_a_search_by_post_finds_what_a_query_finds(seven, path):
    body = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],
        "attributes": ["userName"],
        "filter": 'userName co "user" and name.familyName pr',
        "sortBy": "name.familyName",
        "sortOrder": "ascending",
        "startIndex": 2,
        "count": 3,
    }
    answer = await seven.call("POST", path, body)
    assert "".join(ids(answer)) == "542"
    assert answer.body["totalResults"] == 6
    assert answer.body["Resources"][0].keys() == {"schemas", "id", "userName"}


@pytest.mark.parametrize(
    ("body", "scim_type"),
    [
        ([], "invalidSyntax"),
        ({"count": "x"}, "invalidValue"),
        ({"filter": 5}, "invalidFilter"),
        ({"count": []}, "invalidValue"),
    ],
)
async def test_a_search_that_is_none_is_refused(seven, body, scim_type):
    answer = await seven.call("POST", "/Users/.search", body)
    assert (answer.status, answer.body["scimType"]) == (400, scim_type)
