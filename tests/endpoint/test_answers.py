"""Every answer, good or bad, is SCIM: content type, error body, request id, and nothing internal."""

from __future__ import annotations

import pytest

from tests.endpoint.service import serve

ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"


def is_error(answer, status, scim_type=None):
    assert answer.status == status, answer.text
    assert answer.headers["Content-Type"].startswith("application/scim+json")
    assert answer.body["schemas"] == [ERROR]
    assert answer.body["status"] == str(status)
    assert answer.body.get("scimType") == scim_type
    assert answer.headers["X-Request-Id"] in answer.body["detail"]


@pytest.mark.parametrize("token", ["", "wrong"])
@pytest.mark.parametrize("path", ["/Users", "/Schemas", "/Groups", "/nowhere"])
async def test_nothing_is_answered_without_the_token(scim, token, path):
    answer = await scim.get(path, token=token)
    is_error(answer, 401)
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


async def test_an_unknown_connector_and_a_wrong_token_get_the_same_answer(scim):
    headers = {"X-Request-Id": "same"}
    wrong = await scim.get("/Users", token="wrong", headers=headers)
    for base in ("/ecma2host_OTHER/scim", "/ecma2host_hr/scim"):
        unknown = await scim.get("/Users", headers=headers, base=base)
        assert (unknown.status, unknown.text) == (wrong.status, wrong.text)


async def test_an_address_outside_of_every_connector_is_not_found(scim):
    is_error(await scim.get("/", base=""), 404)


@pytest.mark.parametrize("data", [b"{", b"", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 200 + b"1" + b"}" * 200])
async def test_a_body_that_is_no_json_is_refused(scim, data):
    is_error(await scim.call("POST", "/Users", data=data), 400, "invalidSyntax")


@pytest.mark.parametrize("body", [[], "text", 5, True])
async def test_a_body_that_is_no_object_is_refused(scim, body):
    is_error(await scim.post(body), 400, "invalidSyntax")


async def test_a_body_over_the_limit_is_refused(tmp_path):
    async with serve(tmp_path, limits={"body_bytes": 1024}) as scim:
        is_error(await scim.call("POST", "/Users", data=b"x" * 1025), 413)
        assert (await scim.call("POST", "/Users", data=b"x" * 1024)).status == 400


async def test_the_request_id_of_the_client_comes_back_and_a_strange_one_does_not(scim):
    for kept in ("r-1", "x" * 128):
        assert (await scim.get("/Users", headers={"X-Request-Id": kept})).headers["X-Request-Id"] == kept
    for odd in ("<script>", "x" * 129):
        assert (await scim.get("/Users", headers={"X-Request-Id": odd})).headers["X-Request-Id"] != odd


async def test_a_method_that_an_endpoint_does_not_take_is_refused_with_those_that_it_takes(scim):
    answer = await scim.call("POST", "/ServiceProviderConfig", {})
    is_error(answer, 405)
    assert "GET" in answer.headers["Allow"]


async def test_trailing_slashes_head_and_unknown_parameters_are_accepted(scim, barbara):
    assert (await scim.get("/Users/bjensen/?aadOptscim062020&x=y")).status == 200
    assert (await scim.get("/Users/?startIndex=1&unknown=1")).status == 200
    head = await scim.call("HEAD", "/Users/bjensen")
    assert (head.status, head.text) == (200, "")


async def test_a_required_attribute_that_is_missing_is_named(scim):
    answer = await scim.post({"userName": "anna"})
    is_error(answer, 400, "invalidValue")
    assert "name.givenName" in answer.body["detail"]


async def test_a_value_that_does_not_fit_is_refused_with_attribute_and_limit(scim):
    answer = await scim.post({"userName": "a", "name": {"givenName": "x" * 51}})
    is_error(answer, 400, "invalidValue")
    assert "name.givenName" in answer.body["detail"]
    assert "50" in answer.body["detail"]


async def test_a_database_that_is_gone_is_said_to_come_back(scim):
    scim.database.rename(scim.database.with_suffix(".away"))
    scim.database.mkdir()
    answer = await scim.get("/Users")
    is_error(answer, 503)
    assert int(answer.headers["Retry-After"]) > 0
    assert str(scim.database) not in answer.text


async def test_health_is_told_without_a_token(scim):
    assert (await scim.get("/healthz", base="", token="")).status == 200
    ready = await scim.get("/readyz", base="", token="")
    assert (ready.status, ready.body) == (
        200,
        {
            "status": "ready",
            "connectors": {"ready": 1, "all": 1},
            "certificate": "valid",
            "certificate_days_left": None,
        },
    )


async def test_a_service_that_cannot_reach_its_database_is_alive_but_not_ready(scim):
    scim.database.rename(scim.database.with_suffix(".away"))
    scim.database.mkdir()
    assert (await scim.get("/healthz", base="", token="")).status == 200
    assert (await scim.get("/readyz", base="", token="")).status == 503
