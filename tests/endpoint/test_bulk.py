"""Bulk: every operation on its own, in an order that its references need, answered one by one."""

from __future__ import annotations

import pytest

from tests.endpoint.service import serve

BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"


def user(name, given="G"):
    return {"userName": name, "name": {"givenName": given}}


def post(name, **data):
    return {"method": "POST", "path": "/Users", "bulkId": name, "data": {**user(name), **data}}


async def bulk(scim, *operations, **options):
    return await scim.call("POST", "/Bulk", {"schemas": [BULK], "Operations": list(operations), **options})


def statuses(answer):
    assert answer.status == 200, answer.text
    return [operation["status"] for operation in answer.body["Operations"]]


async def test_operations_of_every_kind_are_carried_out_and_answered_in_order(scim, barbara):
    await scim.post(user("gone"))
    answer = await bulk(
        scim,
        post("anna"),
        {"method": "put", "path": "/Users/bjensen", "data": user("bjensen", "Babs")},
        {"method": "DELETE", "path": "/Users/gone"},
        {
            "method": "PATCH",
            "path": "Users/bjensen",
            "data": {"Operations": [{"op": "add", "path": "active", "value": False}]},
        },
    )
    assert statuses(answer) == ["201", "200", "204", "200"]
    first, second, *_ = answer.body["Operations"]
    assert first["bulkId"] == "anna"
    assert first["location"] == f"{scim.origin}{scim.base}/Users/anna"
    assert first["version"]
    assert "response" not in second
    assert [(row["Login"], row["FirstName"], row["Enabled"]) for row in scim.rows()] == [
        ("anna", "G", 1),
        ("bjensen", "Babs", 0),
    ]
    assert (await scim.get("/Users/bjensen")).headers["ETag"] == answer.body["Operations"][3]["version"]


async def test_an_operation_may_name_what_an_earlier_one_creates(scim):
    change = {"Operations": [{"op": "replace", "path": "name.givenName", "value": "New"}]}
    answer = await bulk(scim, post("anna"), {"method": "PATCH", "path": "/Users/bulkId:anna", "data": change})
    assert statuses(answer) == ["201", "200"]
    assert scim.rows()[0]["FirstName"] == "New"


async def test_an_operation_on_what_was_not_created_is_refused(scim):
    answer = await bulk(
        scim, post("anna", password="p"), {"method": "DELETE", "path": "/Users/bulkId:anna"}, post("bert")
    )
    assert statuses(answer) == ["400", "409", "201"]


async def test_one_that_fails_fails_alone_and_says_why(scim, barbara):
    answer = await bulk(scim, post("bjensen"), post("anna"), post("bert", manager="x"), post("cleo", active="perhaps"))
    assert statuses(answer) == ["409", "201", "400", "400"]
    conflict, _, manager, active = answer.body["Operations"]
    assert conflict["response"]["scimType"] == "uniqueness"
    assert conflict["response"]["status"] == "409"
    assert "manager" in manager["response"]["detail"]
    assert "active" in active["response"]["detail"]
    assert [row["Login"] for row in scim.rows()] == ["anna", "bjensen"]


@pytest.mark.parametrize(("limit", "answered"), [(1, 2), (2, 4), (3, 5), (0, 5)])
async def test_after_so_many_errors_the_rest_is_not_tried(scim, limit, answered):
    answer = await bulk(scim, post("a"), post("a"), post("b"), post("b"), post("c"), failOnErrors=limit)
    assert len(answer.body["Operations"]) == answered
    assert len(scim.rows()) == {1: 1, 2: 2, 3: 3, 0: 3}[limit]


async def test_operations_on_one_user_keep_their_order(scim, barbara):
    changes = [
        {
            "method": "PATCH",
            "path": "/Users/bjensen",
            "data": {"Operations": [{"op": "add", "path": "name.givenName", "value": f"v{number}"}]},
        }
        for number in range(40)
    ]
    assert set(statuses(await bulk(scim, *changes))) == {"200"}
    assert scim.rows()[0]["FirstName"] == "v39"


async def test_hundreds_of_creations_are_committed(scim):
    answer = await bulk(scim, *(post(f"user{number:03}") for number in range(300)))
    assert set(statuses(answer)) == {"201"}
    assert [operation["bulkId"] for operation in answer.body["Operations"]] == [f"user{n:03}" for n in range(300)]
    assert len(scim.rows()) == 300


async def test_the_version_of_an_operation_is_demanded(scim, barbara):
    operation = {"method": "DELETE", "path": "/Users/bjensen", "version": 'W/"other"'}
    assert statuses(await bulk(scim, operation)) == ["412"]
    assert statuses(await bulk(scim, {**operation, "version": barbara["meta"]["version"]})) == ["204"]


@pytest.mark.parametrize(
    ("operation", "status"),
    [
        ({"method": "GET", "path": "/Users/x"}, "400"),
        ({"method": "POST", "path": "/Users", "data": {}}, "400"),
        ({"method": "POST", "path": "/Users/x", "bulkId": "1", "data": {}}, "400"),
        ({"method": "DELETE", "path": "/Users"}, "400"),
        ({"method": "POST", "path": "/Groups", "bulkId": "1", "data": {}}, "501"),
        ({"method": "POST", "path": "/Schemas", "bulkId": "1", "data": {}}, "404"),
        ({"method": "DELETE", "path": "https://elsewhere/Users/x"}, "404"),
        ({"method": "DELETE", "path": 5}, "404"),
        ("DELETE", "400"),
        (None, "400"),
    ],
)
async def test_an_operation_that_cannot_be_is_answered_as_such(scim, operation, status):
    assert statuses(await bulk(scim, operation)) == [status]


@pytest.mark.parametrize("body", [[], {}, {"Operations": {}}, {"Operations": [], "failOnErrors": "many"}])
async def test_a_request_that_is_none_is_refused(scim, body):
    assert (await scim.call("POST", "/Bulk", body)).status == 400


async def test_more_operations_or_bytes_than_published_are_refused(tmp_path):
    async with serve(tmp_path, limits={"bulk_operations": 2, "body_bytes": 2_000}) as scim:
        config = (await scim.get("/ServiceProviderConfig")).body["bulk"]
        assert config == {"supported": True, "maxOperations": 2, "maxPayloadSize": 2_000}
        assert (await bulk(scim, post("a"), post("b"))).status == 200
        assert (await bulk(scim, post("c"), post("d"), post("e"))).status == 413
        assert (await bulk(scim, post("c", title="x" * 2_000))).status == 413
        assert len(scim.rows()) == 2


@pytest.mark.parametrize("options", [{}, {"failOnErrors": 5}])
async def test_a_bulk_id_is_one_operations_only(scim, options):
    answer = await bulk(scim, post("anna"), {**post("bob"), "bulkId": "anna"}, **options)
    assert statuses(answer) == ["201", "400"]
    assert answer.body["Operations"][1]["response"]["scimType"] == "invalidSyntax"
    assert [row["Login"] for row in scim.rows()] == ["anna"]
