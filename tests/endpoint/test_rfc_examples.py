"""The examples of RFC 7643 and RFC 7644 themselves, as cases."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.endpoint.service import ENTERPRISE, serve

DDL = """
CREATE TABLE Employees (
  Login VARCHAR(64) NOT NULL PRIMARY KEY, ExternalId VARCHAR(64), Formatted VARCHAR(99), Family VARCHAR(50),
  Given VARCHAR(50), Shown VARCHAR(50), Nick VARCHAR(50), Title VARCHAR(50), UserType VARCHAR(50), Work VARCHAR(99),
  Home VARCHAR(99), Street VARCHAR(99), Country VARCHAR(9), WorkPhone VARCHAR(30), Xmpp VARCHAR(50), Active BOOLEAN,
  EmployeeNumber VARCHAR(20), CostCenter VARCHAR(20), Department VARCHAR(50)
)
"""
ATTRIBUTES = {
    "Login": "userName",
    "ExternalId": "externalId",
    "Formatted": "name.formatted",
    "Family": "name.familyName",
    "Given": "name.givenName",
    "Shown": "displayName",
    "Nick": "nickName",
    "Title": "title",
    "UserType": "userType",
    "Work": 'emails[type eq "work"].value',
    "Home": 'emails[type eq "home"].value',
    "Street": 'addresses[type eq "work"].streetAddress',
    "Country": 'addresses[type eq "work"].country',
    "WorkPhone": 'phoneNumbers[type eq "work"].value',
    "Xmpp": 'ims[type eq "xmpp"].value',
    "Active": "active",
    "EmployeeNumber": f"{ENTERPRISE}:employeeNumber",
    "CostCenter": f"{ENTERPRISE}:costCenter",
    "Department": f"{ENTERPRISE}:department",
}
# RFC 7643 §8.3, with what only a write may hold (§8.3 shows an answer, so without the password of §8.2)
FULL = {
    "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", ENTERPRISE],
    "id": "2819c223-7f76-453a-919d-413861904646",
    "externalId": "701984",
    "userName": "bjensen@example.com",
    "name": {
        "formatted": "Ms. Barbara J Jensen, III",
        "familyName": "Jensen",
        "givenName": "Barbara",
        "middleName": "Jane",
        "honorificPrefix": "Ms.",
        "honorificSuffix": "III",
    },
    "displayName": "Babs Jensen",
    "nickName": "Babs",
    "profileUrl": "https://login.example.com/bjensen",
    "emails": [
        {"value": "bjensen@example.com", "type": "work", "primary": True},
        {"value": "babs@jensen.org", "type": "home"},
    ],
    "addresses": [
        {
            "streetAddress": "100 Universal City Plaza",
            "locality": "Hollywood",
            "region": "CA",
            "postalCode": "91608",
            "country": "USA",
            "formatted": "100 Universal City Plaza\nHollywood, CA 91608 USA",
            "type": "work",
            "primary": True,
        },
    ],
    "phoneNumbers": [{"value": "555-555-5555", "type": "work"}],
    "ims": [{"value": "someaimhandle@foo.com", "type": "xmpp"}],
    "photos": [{"value": "https://photos.example.com/profilephoto/72930000000Ccne/F", "type": "photo"}],
    "userType": "Employee",
    "title": "Tour Guide",
    "preferredLanguage": "en-US",
    "locale": "en-US",
    "timezone": "America/Los_Angeles",
    "active": True,
    ENTERPRISE: {"employeeNumber": "701984", "costCenter": "4130", "department": "Tour Operations"},
    "meta": {"resourceType": "User", "version": 'W/"3694e05e9dff591"'},
}


@pytest.fixture
async def rfc(tmp_path):
    async with serve(tmp_path, ddl=DDL, attributes=ATTRIBUTES) as scim:
        assert (await scim.post(FULL)).status == 201
        other = {"userName": "jomalley", "name": {"familyName": "O'Malley"}, "title": "Intern", "userType": "Intern"}
        assert (await scim.post(other)).status == 201
        yield scim


async def test_the_full_user_is_stored_as_far_as_there_are_columns(rfc):
    answer = await rfc.get("/Users/bjensen%40example.com")
    assert answer.body["name"] == {key: FULL["name"][key] for key in ("formatted", "familyName", "givenName")}
    assert answer.body["addresses"] == [{"type": "work", "streetAddress": "100 Universal City Plaza", "country": "USA"}]
    assert answer.body[ENTERPRISE] == FULL[ENTERPRISE]
    assert answer.body["id"] == "bjensen@example.com"


async def test_a_user_with_more_values_than_columns_a_password_and_groups_is_refused_by_name(rfc):
    answer = await rfc.post(
        {
            **FULL,
            "userName": "other",
            "phoneNumbers": [{"value": "555-555-5555", "type": "work"}, {"value": "555-555-4444", "type": "mobile"}],
            "password": "t1meMa$heen",
            "groups": [
                {"value": "e9e30dba", "$ref": "https://example.com/v2/Groups/e9e30dba", "display": "Tour Guides"}
            ],
            ENTERPRISE: {"manager": {"value": "26118915", "$ref": "../Users/26118915", "displayName": "John Smith"}},
        }
    )
    assert answer.status == 400
    for name in ("phoneNumbers", "password", "groups", "manager"):
        assert name in answer.body["detail"]
    assert "t1meMa$heen" not in answer.text


# RFC 7644 §3.4.2.2, figure 2 ("example filters")
BOTH, B, J, NOBODY = {"bjensen@example.com", "jomalley"}, {"bjensen@example.com"}, {"jomalley"}, set()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('userName eq "bjensen@example.com"', B),
        ('name.familyName co "O\'Malley"', J),
        ('userName sw "J"', J),
        ('urn:ietf:params:scim:schemas:core:2.0:User:userName sw "J"', J),
        ("title pr", BOTH),
        ('meta.lastModified gt "2011-05-13T04:42:34Z"', NOBODY),
        ('meta.lastModified ge "2011-05-13T04:42:34Z"', NOBODY),
        ('meta.lastModified lt "2011-05-13T04:42:34Z"', NOBODY),
        ('meta.lastModified le "2011-05-13T04:42:34Z"', NOBODY),
        ('title pr and userType eq "Employee"', B),
        ('title pr or userType eq "Intern"', BOTH),
        (f'schemas eq "{ENTERPRISE}"', B),
        ('userType eq "Employee" and (emails co "example.com" or emails.value co "example.org")', B),
        ('userType ne "Employee" and not (emails co "example.com" or emails.value co "example.org")', J),
        ('userType eq "Employee" and (emails.type eq "work")', B),
        ('userType eq "Employee" and emails[type eq "work" and value co "@example.com"]', B),
        (
            'emails[type eq "work" and value co "@example.com"] or ims[type eq "xmpp" and value co "@foo.com"]',
            B,
        ),
    ],
)
async def test_example_filters(rfc, text, found):
    answer = await rfc.find(quote(text))
    assert answer.status == 200, answer.text
    assert {user["id"] for user in answer.body["Resources"]} == found


# RFC 7644 §3.5.2.1 to §3.5.2.3, those that are about users
@pytest.mark.parametrize(
    ("operation", "column", "value"),
    [
        (
            {"op": "add", "value": {"emails": [{"value": "babs@jensen.org", "type": "home"}], "nickName": "Babsy"}},
            "Nick",
            "Babsy",
        ),
        (
            {
                "op": "replace",
                "path": 'addresses[type eq "work"]',
                "value": {
                    "type": "work",
                    "streetAddress": "911 Universal City Plaza",
                    "country": "US",
                    "primary": True,
                },
            },
            "Street",
            "911 Universal City Plaza",
        ),
        (
            {"op": "replace", "path": 'addresses[type eq "work"].streetAddress', "value": "1010 Broadway Ave"},
            "Street",
            "1010 Broadway Ave",
        ),
        (
            {
                "op": "replace",
                "value": {
                    "emails": [
                        {"value": "bjensen@example.com", "type": "work", "primary": True},
                        {"value": "babs@elsewhere.org", "type": "home"},
                    ],
                    "nickName": "Babs",
                },
            },
            "Home",
            "babs@elsewhere.org",
        ),
        ({"op": "remove", "path": 'emails[type eq "work" and value ew "example.com"]'}, "Work", None),
        ({"op": "remove", "path": "nickName"}, "Nick", None),
    ],
)
async def test_example_patches(rfc, operation, column, value):
    answer = await rfc.patch("bjensen%40example.com", operation)
    assert answer.status == 200, answer.text
    assert rfc.rows()[0][column] == value


async def test_a_member_of_a_group_is_refused_where_it_would_be_a_write(rfc):
    member = {"display": "Babs", "$ref": "https://example.com/v2/Users/2819c223", "value": "2819c223"}
    answer = await rfc.patch("jomalley", {"op": "add", "path": "members", "value": [member]})
    assert (answer.status, answer.body["scimType"]) == (400, "invalidValue")


# RFC 7644 §3.4.3 (a search without resources in the answer), §3.12 (the error body)
async def test_an_example_search(rfc):
    body = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],
        "attributes": ["displayName", "userName"],
        "filter": 'displayName sw "babs"',
        "startIndex": 1,
        "count": 10,
    }
    answer = await rfc.call("POST", "/.search", body)
    (user,) = answer.body["Resources"]
    assert (user["displayName"], user["userName"]) == ("Babs Jensen", "bjensen@example.com")
    assert (answer.body["totalResults"], answer.body["itemsPerPage"], answer.body["startIndex"]) == (1, 1, 1)
