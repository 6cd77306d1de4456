"""Strange answers of a target, and strange keys of a source, fail one user and no other, and make nobody twice."""

from __future__ import annotations

from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from aiohttp import web

from connector_host.provisioning import on_demand, scoping
from connector_host.provisioning.opening import opened
from tests.endpoint.service import serve
from tests.provisioning.rig import MAPPINGS, Rig, person

ODD = "SystemForCrossDomainIdentityManagementServiceIncompatible"


@asynccontextmanager
async def _answering(folder, answer, state=None):
    """Yield a rig whose target gives this answer, a document or bytes, to the search for the user u00001."""
    asked = []

    async def users(request):
        asked.append((request.method, request.path.rpartition("/")[2]))
        if request.method != "GET":
            return web.json_response({"id": "new"}, status=201 if request.method == "POST" else 200)
        if "u00001" not in request.query.get("filter", ""):
            return web.json_response({"totalResults": 0})
        if isinstance(answer, bytes):
            return web.Response(body=answer)
        return web.json_response(answer, status=answer.get("status", 200))

    app = web.Application()
    app.router.add_route("*", "/scim/Users", users)
    app.router.add_route("*", "/scim/Users/{id}", users)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    (folder / "authority.pem").touch()
    rig = Rig(folder, SimpleNamespace(origin=f"http://127.0.0.1:{runner.addresses[0][1]}", base="/scim"), state)
    del rig.document["target"]["trust"]
    rig.people(person(1), person(2))
    yield rig, asked
    rig.state.close()
    await runner.cleanup()


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ({"totalResults": 1}, ODD),
        ({"totalResults": 2, "Resources": [{"id": "a", "userName": "u00001"}]}, "DuplicateTargetEntries"),
        ({"totalResults": 1, "Resources": [{"userName": "u00001"}]}, ODD),
        ({"totalResults": 1, "Resources": [{"id": None, "userName": "u00001"}]}, ODD),
        ({"totalResults": 1, "Resources": [{"id": "a" * 513, "userName": "u00001"}]}, ODD),
        ({"totalResults": 1, "Resources": ["u00001"]}, ODD),
        ({"totalResults": 1, "Resources": {"id": "a"}}, ODD),
    ],
)
async def test_a_search_that_does_not_say_who_was_found_neither_makes_nor_changes_anybody(tmp_path, answer, code):
    async with _answering(tmp_path, answer) as (rig, asked):
        report = await rig.run()
        assert (report.ending, report.counts["failed"], report.counts["created"]) == ("finished", 1, 1)
        assert rig.log(status="failure")[0]["errorCode"] == code
        assert [one for one in asked if one[0] != "GET"] == [("POST", "Users")]
        assert (rig.link("1"), rig.link("2").target_id) == (None, "new")


@pytest.mark.parametrize("half", ["id", "userName"])
async def test_half_of_a_surrogate_pair_in_an_answer_does_not_lose_the_batch(tmp_path, half):
    user = {"id": "a", "userName": "u00001"} | {half: "u\ud800"}
    async with _answering(tmp_path, {"totalResults": 1, "Resources": [user]}) as (rig, _):
        assert (await rig.run()).ending == "finished"
        assert rig.link("1").target_id == ("u?" if half == "id" else "a")
        assert rig.link("2").target_id == "new"


async def test_an_answer_that_is_nested_without_end_is_no_scim(tmp_path):
    async with _answering(tmp_path, b"[" * 100_000 + b"]" * 100_000) as (rig, _):
        assert (await rig.run()).ending == "quarantined"


async def test_nul_in_the_words_of_a_target_does_not_lose_the_batch(tmp_path, postgresql_url):
    async with _answering(tmp_path, {"status": 400, "detail": "a\0b"}, postgresql_url) as (rig, _):
        assert (await rig.run()).counts["failed"] == 1
        assert rig.log(status="failure")[0]["reason"] == "400: a?b"
        assert rig.link("2").target_id == "new"


async def test_an_error_that_nobody_foresaw_fails_its_user_alone(tmp_path, monkeypatch):
    judge = scoping.judge

    def broken(job, values):
        if values["id"] == "1":
            raise RecursionError("Given1")
        return judge(job, values)

    monkeypatch.setattr(scoping, "judge", broken)
    async with serve(tmp_path) as service:
        rig = Rig(tmp_path, service)
        rig.people(person(1), person(2))
        report = await rig.run()
        assert (report.ending, report.counts["failed"], set(rig.rows())) == ("finished", 1, {"u00002"})
        entry = rig.log(status="failure")[0]
        assert (entry["errorCode"], "RecursionError" in entry["reason"], "Given1" in entry["reason"]) == (
            "InternalError", True, False,
        )  # fmt: skip
        rig.state.close()


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999"])
async def test_what_is_no_number_for_json_is_passed_over_like_a_null(tmp_path, number):
    async with serve(tmp_path) as service:
        rig = Rig(tmp_path, service)
        file = tmp_path / "people.ndjson"
        file.write_text(f'{{"id": "1", "login": "u1", "given": "A", "family": {number}}}\n')
        source = {"type": "ndjson", "path": str(file), "key": "id"}
        report = await rig.run(source=source, mappings=MAPPINGS[:3], enabled_attribute=None)
        assert (report.counts["created"], rig.rows()["u1"]["LastName"]) == (1, None)
        rig.state.close()


@pytest.mark.parametrize("key", ["k" * 600, "1\\u0000"])
async def test_a_key_that_postgresql_cannot_keep_fails_its_user_alone(tmp_path, postgresql_url, key):
    async with serve(tmp_path) as service:
        rig = Rig(tmp_path, service, postgresql_url)
        file = tmp_path / "people.ndjson"
        file.write_text(f'{{"id": "{key}", "login": "u1", "given": "A"}}\n{{"id": "9", "login": "u9", "given": "B"}}\n')
        job = {
            "source": {"type": "ndjson", "path": str(file), "key": "id"},
            "mappings": MAPPINGS[:2],
            "enabled_attribute": None,
        }
        dry, report = await rig.run(dry=True, **job), await rig.run(**job)
        assert (dry.counts["failed"], report.counts["failed"], report.counts["created"]) == (1, 1, 1)
        assert rig.log(status="failure")[0]["errorCode"] == "ImportSkipped"
        assert set(rig.rows()) == {"u9"}
        assert rig.link("9").target_id == "u9"
        async with opened("staff", rig.settings(**job).jobs["staff"]) as ready:
            shown = await on_demand.provision(ready, rig.state, key.replace("\\u0000", "\0"))
        assert [step.status for step in shown.steps] == ["success", "failure"]
        rig.state.close()
