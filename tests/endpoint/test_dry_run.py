"""A write with `Dry-Run: true` is tried and undone, and its answer is never taken for success."""

from __future__ import annotations

import pytest
import structlog

from connector_host.endpoint.outcomes import Outcomes
from connector_host.observability import events
from connector_host.oversight.audited import Audited, Disclosure
from tests.endpoint.service import serve

DRY = {"Dry-Run": "true"}
MESSAGE = "urn:ietf:params:scim:api:messages:ECMA2Host:2.0:DryRun"
BARBARA = {"userName": "bjensen", "name": {"givenName": "Barbara"}}


@pytest.fixture
async def scim(tmp_path):
    async with serve(tmp_path, dry_run="values") as service:
        yield service


def inserting(found):
    return next(one for one in found["statements"] if one["text"].startswith("INSERT INTO"))


async def test_a_dry_run_of_a_create_shows_statement_and_outcome_and_leaves_no_row(scim):
    answer = await scim.post(BARBARA, headers=DRY)
    assert answer.status == 422
    assert "nothing was done" in answer.body["detail"]
    found = answer.body[MESSAGE]
    assert (found["executed"], found["written"], found["status"]) == (True, True, "201")
    assert found["resource"]["userName"] == "bjensen"
    insertion = inserting(found)
    assert insertion["parameters"][:2] == ["Login", "FirstName"]
    assert insertion["values"]["FirstName"] == "Barbara"
    assert scim.rows() == []


async def test_the_answer_is_a_scim_error_so_that_it_never_looks_like_success(scim):
    answer = await scim.post(BARBARA, headers=DRY)
    assert answer.headers["Content-Type"].startswith("application/scim+json")
    assert answer.body["schemas"][0] == "urn:ietf:params:scim:api:messages:2.0:Error"
    assert answer.body["status"] == "422"
    assert not {"Location", "ETag"} & set(answer.headers)


@pytest.mark.usefixtures("barbara")
async def test_patch_put_and_delete_are_tried_too(scim):
    patched = await scim.patch("bjensen", {"op": "replace", "path": "name.givenName", "value": "Bea"}, headers=DRY)
    put = await scim.put("bjensen", BARBARA, headers=DRY)
    deleted = await scim.delete("bjensen", headers=DRY)
    assert [one.body[MESSAGE]["status"] for one in (patched, put, deleted)] == ["200", "200", "204"]
    assert patched.body[MESSAGE]["resource"]["name"]["givenName"] == "Bea"
    assert [one["FirstName"] for one in scim.rows()] == ["Barbara"]


@pytest.mark.usefixtures("barbara")
async def test_what_would_be_refused_is_shown_as_it_would_be_refused(scim):
    taken = (await scim.post({**BARBARA, "name": {"givenName": "x"}}, headers=DRY)).body[MESSAGE]
    assert (taken["status"], taken["written"], taken["error"]["scimType"]) == ("409", False, "uniqueness")
    assert taken["statements"]
    nobody = await scim.delete("nobody", headers=DRY)
    assert nobody.body[MESSAGE]["status"] == "404"
    version = await scim.delete("bjensen", headers={**DRY, "If-Match": 'W/"other"'})
    assert version.body[MESSAGE]["status"] == "412"


async def test_values_are_shown_only_where_the_settings_say_so(tmp_path):
    async with serve(tmp_path, dry_run="statements") as scim:
        answer = await scim.post({**BARBARA, "userName": "secret-login"}, headers=DRY)
    found = answer.body[MESSAGE]
    assert inserting(found)["parameters"][0] == "Login"
    assert "secret-login" not in str(found["statements"])


async def test_without_permission_it_is_refused_and_not_done(tmp_path):
    async with serve(tmp_path) as scim:
        answer = await scim.post(BARBARA, headers=DRY)
        assert answer.status == 403
        assert "dry_run" in answer.body["detail"]
        assert scim.rows() == []


async def test_without_a_token_nothing_is_tried(scim):
    assert (await scim.post(BARBARA, headers=DRY, token="wrong-wrong-wrong")).status == 401


@pytest.mark.parametrize("value", ["yes", "1", "", "true, false"])
async def test_a_header_of_unclear_meaning_is_refused_and_not_done(scim, value):
    assert (await scim.post(BARBARA, headers={"Dry-Run": value})).status == 400
    assert scim.rows() == []


async def test_false_means_the_real_thing(scim):
    assert (await scim.post(BARBARA, headers={"Dry-Run": "false"})).status == 201


@pytest.mark.usefixtures("barbara")
async def test_a_bulk_request_is_not_tried_and_not_done_and_reads_pass(scim):
    bulk = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
        "Operations": [{"method": "DELETE", "path": "/Users/bjensen"}],
    }
    assert (await scim.call("POST", "/Bulk", bulk, headers=DRY)).status == 501
    assert len(scim.rows()) == 1
    assert (await scim.get("/Users/bjensen", headers=DRY)).status == 200


async def test_a_dry_run_uses_up_no_idempotency_key(tmp_path):
    outcomes = Outcomes(tmp_path / "outcomes.sqlite3")
    async with serve(tmp_path, dry_run="statements", outcomes=outcomes) as scim:
        key = {"Idempotency-Key": "k1"}
        assert (await scim.post(BARBARA, headers={**key, **DRY})).status == 422
        assert (await scim.post(BARBARA, headers=key)).status == 201
        assert (await scim.post(BARBARA, headers={**key, **DRY})).body[MESSAGE]["status"] == "409"
        assert (await scim.post(BARBARA, headers=key)).status == 201
    await outcomes.close()


class _Trail:
    def __init__(self):
        self.records = []

    async def demand(self):
        """Be there."""

    async def record(self, **record):
        self.records.append(record)


async def test_nothing_is_recorded_as_done_and_the_log_says_that_it_was_tried(scim):
    trail = _Trail()
    scim.served.connector = Audited(scim.served.connector, trail, Disclosure())
    with structlog.testing.capture_logs() as logged:
        await scim.post(BARBARA, headers=DRY)
    assert trail.records == []
    assert [(one["outcome"]) for one in logged if one["event"] == events.EXPORT_REHEARSED] == ["201"]
    await scim.post(BARBARA)
    assert [one["outcome"] for one in trail.records] == ["committed"]


async def test_where_nothing_can_be_undone_the_statements_are_only_shown(tmp_path):
    create = ["INSERT INTO Employees (Login, FirstName) VALUES (:Login, :FirstName)", "COMMIT"]
    async with serve(tmp_path, dry_run="statements", exports={"create": create}) as scim:
        found = (await scim.post(BARBARA, headers=DRY)).body[MESSAGE]
        assert (found["executed"], found["written"]) == (False, False)
        assert "status" not in found
        assert "exports.create[1]" in found["remarks"][0]
        assert [one["text"].split()[0] for one in found["statements"]] == ["INSERT", "COMMIT"]
        assert scim.rows() == []


async def test_statements_of_ours_that_are_only_shown_name_their_parameters_by_column(tmp_path):
    commits = {f"after_{operation}": ["COMMIT"] for operation in ("create", "update", "delete")}
    async with serve(tmp_path, dry_run="values", exports=commits) as scim:
        created = (await scim.post(BARBARA, headers=DRY)).body[MESSAGE]["statements"]
        assert [one["text"].split()[0] for one in created] == ["INSERT", "COMMIT"]
        assert created[0]["values"]["Login"] == "bjensen"
        await scim.post(BARBARA)
        path = {"op": "replace", "path": "name.givenName", "value": "Bea"}
        changed = (await scim.patch("bjensen", path, headers=DRY)).body[MESSAGE]["statements"]
        assert changed[0]["parameters"] == ["FirstName", "key_"]
        deleted = (await scim.delete("bjensen", headers=DRY)).body[MESSAGE]["statements"]
        assert deleted[0]["values"] == {"key_": "bjensen"}
        assert [one["FirstName"] for one in scim.rows()] == ["Barbara"]


async def test_a_database_that_cannot_be_reached_says_nothing_of_what_would_be(scim):
    await scim.get("/Users")
    scim.database.rename(scim.database.with_suffix(".away"))
    answer = await scim.post(BARBARA, headers=DRY)
    assert answer.status == 503
    assert MESSAGE not in answer.body


async def test_a_script_can_ask_first_whether_the_header_is_known(scim, tmp_path_factory):
    assert (await scim.get("/ServiceProviderConfig")).body[MESSAGE] == {"supported": True}
    async with serve(tmp_path_factory.mktemp("off")) as other:
        assert MESSAGE not in (await other.get("/ServiceProviderConfig")).body
