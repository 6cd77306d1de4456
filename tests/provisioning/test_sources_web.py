"""Sources behind HTTPS: another SCIM service, and Microsoft Graph as a local server that answers in its shapes."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from connector_host.provisioning.errors import MarkTooOld, SourceFailed
from connector_host.provisioning.settings import GraphSettings, ScimSettings
from connector_host.provisioning.sources.contract import Presence
from connector_host.provisioning.sources.opening import open_source
from tests.endpoint.service import TOKEN
from tests.provisioning.rig import person
from tests.provisioning.test_sources import users_of


async def test_another_scim_service_is_read_page_by_page(rig):
    rig.people(*(person(n) for n in range(25)))
    await rig.run()
    document = {
        "type": "scim",
        "url": rig.document["target"]["url"],
        "trust": rig.document["target"]["trust"],
        "secret": TOKEN,
        "page_size": 10,
    }
    source = open_source(ScimSettings.model_validate(document))
    users, _ = await users_of(source)
    assert len({user.key for user in users}) == 25
    one = await source.fetch("u00003")
    assert one.values["name.givenName"] == "Given3"
    assert one.values['emails[type eq "work"].value'] == "u3@example.org"
    assert await source.fetch("nobody") is None
    assert await source.count() == 25
    await source.close()


async def test_a_scim_source_that_refuses_the_token_fails(rig):
    document = {"type": "scim", "url": rig.document["target"]["url"], "trust": rig.document["target"]["trust"]}
    source = open_source(ScimSettings.model_validate(document | {"secret": "wrong"}))
    with pytest.raises(SourceFailed, match="401"):
        await users_of(source)
    await source.close()


async def test_a_scim_source_that_stops_before_its_last_user_has_failed():
    async def page(request):
        many = request.query["startIndex"] == "1"
        return web.json_response({"totalResults": 4, "Resources": [{"id": "a"}, {"id": "b"}] if many else []})

    async with answering(web.get("/scim/Users", page)) as origin:
        source = open_source(ScimSettings.model_validate({"type": "scim", "url": f"{origin}/scim"}))
        with pytest.raises(SourceFailed, match="4 users and stopped before user 3"):
            await users_of(source)
        await source.close()


async def test_a_user_without_a_key_in_a_scim_source_is_told_of_and_the_others_are_read():
    async def page(_request):
        return web.json_response({"totalResults": 2, "Resources": [{"id": "a"}, {"id": "b", "externalId": "7"}]})

    async with answering(web.get("/scim/Users", page)) as origin:
        document = {"type": "scim", "url": f"{origin}/scim", "key": "externalId"}
        source = open_source(ScimSettings.model_validate(document))
        users, _ = await users_of(source)
        assert [(user.key, user.flaw) for user in users] == [
            ("", "a user of the source has no single externalId."),
            ("7", ""),
        ]
        await source.close()


async def test_half_of_a_surrogate_pair_in_a_source_is_a_question_mark():
    async def page(_request):
        return web.json_response({"totalResults": 1, "Resources": [{"id": "a", "userName": "u\ud800"}]})

    async with answering(web.get("/scim/Users", page)) as origin:
        source = open_source(ScimSettings.model_validate({"type": "scim", "url": f"{origin}/scim"}))
        users, _ = await users_of(source)
        assert users[0].values["userName"] == "u?"
        await source.close()


async def test_nobody_is_lost_or_deleted_when_the_pages_of_a_scim_source_shift(rig):
    """Who is deleted in the source while it is read moves all behind by one, past the page that is asked for next."""
    users = [{"id": f"{n:03}", "userName": f"u{n:05}", "name": {"givenName": "G"}} for n in range(9)]
    leaver = []

    async def page(request):
        start, count = int(request.query["startIndex"]), int(request.query["count"])
        answer = {"totalResults": len(users), "Resources": users[start - 1 : start - 1 + count]}
        users[:] = [one for one in users if one["id"] not in leaver]
        return web.json_response(answer)

    async with answering(web.get("/scim/Users", page)) as origin:
        job = {
            "source": {"type": "scim", "url": f"{origin}/scim", "page_size": 3},
            "mappings": [
                {"target": "userName", "source": "userName", "match": 1},
                {"target": "name.givenName", "source": "name.givenName"},
            ],
            "enabled_attribute": None,
        }
        assert (await rig.run(**job)).counts["created"] == 9
        leaver.append("001")
        shifted = await rig.run(**job)
        assert (shifted.ending, shifted.counts["deleted"]) == ("unavailable", 0)
        assert "changed while" in shifted.detail
        assert (await rig.run(**job)).counts["deleted"] == 1
        assert len(rig.rows()) == 8


@asynccontextmanager
async def answering(*routes):
    app = web.Application()
    app.add_routes(routes)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


class Graph:
    """Answers as Microsoft Graph does: tokens, pages, delta links, removals, throttling, marks that are too old."""

    def __init__(self):
        self.users = {
            f"id-{n}": {"id": f"id-{n}", "displayName": f"Name {n}", "accountEnabled": True} for n in range(5)
        }
        self.changes = []
        self.deleted = []
        self.tokens = 0
        self.busy = 0
        self.origin = ""

    def routes(self):
        return [
            web.post("/contoso/oauth2/v2.0/token", self.token),
            web.get("/v1.0/users/delta", self.delta),
            web.get("/v1.0/users", self.counted),
            web.get("/v1.0/users/{id}", self.user),
            web.get("/v1.0/directory/deletedItems/microsoft.graph.user", self.deleted_users),
            web.get("/v1.0/directory/deletedItems/{id}", self.deleted_user),
        ]

    async def token(self, request):
        form = await request.post()
        assert form["grant_type"] == "client_credentials"
        if form["client_secret"] != "right":
            return web.json_response({"error": "invalid_client"}, status=401)
        self.tokens += 1
        return web.json_response({"token_type": "Bearer", "expires_in": 3599, "access_token": "a-token"})

    async def delta(self, request):
        assert request.headers["Authorization"] == "Bearer a-token"
        if self.busy:
            self.busy -= 1
            return web.json_response({"error": {"code": "TooManyRequests"}}, status=429, headers={"Retry-After": "0"})
        token = request.query.get("$deltatoken")
        if token == "old":
            return web.json_response({"error": {"code": "syncStateNotFound"}}, status=410)
        if token is not None:
            return self.page(self.changes, delta="next")
        if "$skiptoken" in request.query:
            return self.page(list(self.users.values())[3:], delta="first")
        assert request.query["$select"] == "id,displayName,accountEnabled"
        return self.page(list(self.users.values())[:3], skip="page2")

    def page(self, items, *, delta=None, skip=None):
        link = {"@odata.deltaLink": f"{self.origin}/v1.0/users/delta?$deltatoken={delta}"}
        if skip is not None:
            link = {"@odata.nextLink": f"{self.origin}/v1.0/users/delta?$skiptoken={skip}"}
        return web.json_response({"@odata.context": f"{self.origin}/v1.0/$metadata#users", **link, "value": items})

    async def deleted_users(self, request):
        at = int(request.query.get("$skiptoken", 0))
        page = {"value": [{"id": key} for key in self.deleted[at : at + 1]]}
        if at + 1 < len(self.deleted):
            page["@odata.nextLink"] = f"{self.origin}{request.path}?$skiptoken={at + 1}"
        return web.json_response(page)

    async def deleted_user(self, request):
        key = request.match_info["id"]
        return web.json_response({"id": key}, status=200 if key in self.deleted else 404)

    async def counted(self, request):
        """Answer an advanced query: the count is there only where it is asked for eventually consistent."""
        assert request.query["$count"] == "true"
        eventual = request.headers.get("ConsistencyLevel") == "eventual"
        return web.json_response({"value": []} | ({"@odata.count": len(self.users)} if eventual else {}))

    async def user(self, request):
        found = self.users.get(request.match_info["id"])
        if found is None:
            return web.json_response({"error": {"code": "Request_ResourceNotFound"}}, status=404)
        return web.json_response(found)


@asynccontextmanager
async def graph_source(secret="right"):  # noqa: S107 - a test server's
    graph = Graph()
    app = web.Application()
    app.add_routes(graph.routes())
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    graph.origin = f"http://127.0.0.1:{runner.addresses[0][1]}"
    settings = {
        "type": "graph",
        "tenant": "contoso",
        "client": "app",
        "secret": secret,
        "attributes": ["displayName", "accountEnabled"],
        "url": f"{graph.origin}/v1.0",
        "authority": graph.origin,
    }
    source = open_source(GraphSettings.model_validate(settings))
    try:
        yield graph, source
    finally:
        await source.close()
        await runner.cleanup()


def job_of(source):
    """A job with this Graph as its source."""
    return {
        "source": source._settings.model_dump(mode="json") | {"secret": "right"},
        "mappings": [
            {"target": "userName", "source": "id", "match": 1},
            {"target": "name.givenName", "source": "displayName"},
        ],
        "enabled_attribute": "accountEnabled",
    }


async def test_graph_gives_everybody_and_a_delta_link_as_the_mark():
    async with graph_source() as (graph, source):
        users, mark = await users_of(source)
        assert [user.key for user in users] == [f"id-{n}" for n in range(5)]
        assert "deltatoken=first" in mark
        assert graph.tokens == 1


async def test_graph_counts_its_users_before_they_are_read():
    async with graph_source() as (_, source):
        assert await source.count() == 5


async def test_graph_changes_are_fetched_whole_and_removals_are_soft_or_hard():
    async with graph_source() as (graph, source):
        _, mark = await users_of(source)
        graph.users["id-1"]["displayName"] = "Changed"
        graph.changes = [
            {"id": "id-1", "displayName": "Changed"},
            {"id": "id-2", "@removed": {"reason": "changed"}},
            {"id": "id-3", "@removed": {"reason": "deleted"}},
        ]
        users, later = await users_of(source, mark)
        assert users[0].values == {"id": "id-1", "displayName": "Changed", "accountEnabled": True}
        assert [user.presence for user in users] == [Presence.HERE, Presence.SOFT_DELETED, Presence.GONE]
        assert "deltatoken=next" in later


async def test_a_soft_deleted_user_of_graph_is_not_gone():
    async with graph_source() as (graph, source):
        graph.deleted = ["id-8", "id-9"]
        users, mark = await users_of(source)
        assert [user.key for user in users if user.presence is Presence.SOFT_DELETED] == ["id-8", "id-9"]
        assert "deltatoken=first" in mark
        assert (await source.fetch("id-9")).presence is Presence.SOFT_DELETED
        assert await source.fetch("nobody") is None


async def test_a_fresh_delta_disables_who_is_soft_deleted_and_deletes_who_is_gone(rig):
    async with graph_source() as (graph, source):
        job = job_of(source)
        await rig.run(**job)
        del graph.users["id-0"], graph.users["id-1"]
        graph.deleted = ["id-0"]
        rig.state.set_job("staff", mark=None)
        report = await rig.run(**job)
        assert (report.kind, report.counts["disabled"], report.counts["deleted"]) == ("full", 1, 1)
        assert (rig.rows()["id-0"]["Enabled"], "id-1" in rig.rows()) == (0, False)


async def test_a_directory_that_shows_nobody_is_held_back_until_it_shows_somebody(rig):
    async with graph_source() as (graph, source):
        job = job_of(source)
        await rig.run(**job)
        users, graph.users = graph.users, {}
        rig.state.set_job("staff", mark=None)
        reports = [await rig.run(**job) for _ in range(3)]
        assert [report.ending for report in reports] == ["quarantined"] * 3
        graph.users = users
        assert (await rig.run(**job)).ending == "finished"
        assert len(rig.rows()) == 5
        assert (await rig.run(**job)).kind == "incremental"


async def test_graph_throttling_is_waited_for():
    async with graph_source() as (graph, source):
        graph.busy = 2
        users, _ = await users_of(source)
        assert len(users) == 5


async def test_a_mark_that_graph_has_forgotten_means_reading_all_again():
    async with graph_source() as (graph, source):
        with pytest.raises(MarkTooOld):
            await users_of(source, f"{graph.origin}/v1.0/users/delta?$deltatoken=old")


async def test_the_token_never_goes_to_another_host():
    async with graph_source() as (_, source):
        with pytest.raises(SourceFailed, match="another host"):
            await users_of(source, "http://127.0.0.2:1/v1.0/users/delta?$deltatoken=x")


async def test_a_wrong_client_secret_says_so_and_not_what_it_was():
    async with graph_source("wr0ng-secret") as (_, source):
        with pytest.raises(SourceFailed, match="invalid_client") as caught:
            await users_of(source)
        assert "wr0ng" not in str(caught.value)


async def test_a_job_over_graph_follows_its_changes(rig):
    async with graph_source() as (graph, source):
        job = job_of(source)
        assert (await rig.run(**job)).counts["created"] == 5
        graph.users["id-1"]["displayName"] = "Changed"
        graph.changes = [
            {"id": "id-1", "displayName": "Changed"},
            {"id": "id-2", "@removed": {"reason": "changed"}},
            {"id": "id-3", "@removed": {"reason": "deleted"}},
        ]
        report = await rig.run(**job)
        assert (report.kind, report.counts["read"]) == ("incremental", 3)
        rows = rig.rows()
        assert (rows["id-1"]["FirstName"], rows["id-2"]["Enabled"], "id-3" in rows) == ("Changed", 0, False)
        graph.changes = []
        assert (await rig.run(**job)).counts["read"] == 0
        assert json.loads(rig.job().last_report)["kind"] == "incremental"
