"""Bad input gets a clear answer at the right hop, through the whole chain."""

from __future__ import annotations

import pytest
from directory import CORE, Directory

ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"


def assert_scim_error(answer, status, *words):
    assert answer.status == status, answer
    assert answer.headers["content-type"].startswith("application/scim+json")
    assert answer.document["schemas"] == [ERROR]
    assert answer.document["status"] == str(status)
    for word in words:
        assert word in answer.document["detail"]


def without_request_id(answer):
    return answer.document["detail"].partition(" (request ")[0]


def test_a_wrong_token_is_refused(chain, directory):
    stranger = Directory(chain.url, "not-the-token", chain.relay_trust)
    answer = stranger.call("GET", "Users")
    assert_scim_error(answer, 401, "token")
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_an_unknown_connector_is_told_nothing_more_than_a_wrong_token(chain, directory):
    known = Directory(chain.url, "not-the-token", chain.relay_trust).call("GET", "Users")
    unknown = directory.send("GET", chain.url.replace("ecma2host_HR", "ecma2host_XX") + "/Users")
    assert (unknown.status, without_request_id(unknown)) == (known.status, without_request_id(known))


def test_a_wrong_tenant_is_named(chain, directory):
    answer = directory.send("GET", chain.url.replace("/t/demo/", "/t/other/") + "/Users")
    assert_scim_error(answer, 404, "tenant")


@pytest.mark.parametrize("path", ["", "admin", "ecma2host_HR/other", "ecma2host_HR/scim/../../healthz"])
def test_only_scim_paths_are_carried(chain, directory, path):
    tenant_root = chain.url.partition("ecma2host_")[0]
    assert directory.send("GET", tenant_root + path).status == 404


def test_malformed_json_is_refused(directory):
    assert_scim_error(directory.call("POST", "Users", b'{"userName": '), 400, "JSON")


def test_a_body_over_the_limit_is_refused(directory):
    body = {"schemas": [CORE], "userName": "x@contoso.com", "title": "x" * 1_100_000}
    assert_scim_error(directory.call("POST", "Users", body), 413)


def test_a_missing_required_attribute_is_named(directory):
    answer = directory.call("POST", "Users", {"schemas": [CORE], "userName": "x@contoso.com"})
    assert_scim_error(answer, 400, "name.")


def test_a_second_user_with_the_same_anchor_is_a_conflict(directory):
    person = {"schemas": [CORE], "userName": "ALICE.keller@contoso.com", "name": {"givenName": "A", "familyName": "K"}}
    answer = directory.call("POST", "Users", person)
    assert_scim_error(answer, 409, "userName")
    assert answer.document["scimType"] == "uniqueness"


def test_the_location_is_the_address_that_the_directory_used(chain, directory):
    found = directory.match("bo.lind@contoso.com").document["Resources"][0]
    assert found["meta"]["location"] == f"{chain.url}/Users/bo.lind@contoso.com".replace("@", "%40")
    assert directory.send("GET", found["meta"]["location"]).document["id"] == "bo.lind@contoso.com"
