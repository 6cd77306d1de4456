"""A SCIM service of somebody else's, whose moods a test sets."""

from __future__ import annotations

import asyncio
import csv
import json
from contextlib import asynccontextmanager

from aiohttp import web

from connector_host.provisioning.cycles import Options
from connector_host.provisioning.engine import Engine
from connector_host.provisioning.resources import parse_path, put
from connector_host.provisioning.settings import Provisioning
from connector_host.provisioning.state.logbook import Question, lines
from connector_host.provisioning.state.store import State
from tests.provisioning.jobs import MAPPINGS

LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse"


class Moody:
    """Keeps users in memory; `moods` is a list of what the next writes meet.

    a tuple   status, document and headers of an answer; nothing is written
    "silent"  written, and answered by 504
    "cut"     written, and the connection cut in place of an answer
    "lost"    the connection cut, and nothing written
    a call    made once it is written, in place of an answer
    an event  set when the write comes, which is carried out
    """

    def __init__(self, folder):
        self.folder = folder
        self.users = {}
        self.made = 0
        self.moods = []
        self.requests = []
        self.traces = []
        self.signatures = []
        self.answers = {}
        self.hold_s = 0.0
        self.under_way = 0
        self.most_under_way = 0
        self.state = State(f"sqlite:///{folder / 'state.sqlite'}")
        self.state.migrate()

    async def serve(self, request):
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await asyncio.sleep(self.hold_s)
            return await self.answer(request)
        finally:
            self.under_way -= 1

    async def answer(self, request):
        self.requests.append((request.method, request.headers.get("Idempotency-Key")))
        self.traces.append(request.headers.get("traceparent", ""))
        self.signatures.append(request.headers.get("Signature-Input", ""))
        if request.method == "GET":
            return self.found(request) if "filter" in request.query else self.one(request)
        mood = self.moods.pop(0) if self.moods else "well"
        if isinstance(mood, tuple):
            status, document, headers = mood
            return web.json_response(document, status=status, headers=headers)
        if mood in ("cut", "lost"):
            request.transport.abort()
        if mood == "lost":
            return web.Response()
        if isinstance(mood, asyncio.Event):
            mood.set()
        if callable(mood):
            await self.written(request)
            mood()
            request.transport.abort()
            return web.Response()
        answer = await self.written(request)
        return web.json_response({"detail": "unknown"}, status=504) if mood == "silent" else answer

    def one(self, request):
        user = self.users.get(request.match_info["id"])
        return web.json_response(user or {}, status=200 if user else 404)

    def found(self, request):
        if "find" in self.answers:
            return web.json_response({"detail": "broken"}, status=self.answers["find"])
        wanted = json.loads(request.query["filter"].partition(" eq ")[2])
        name = request.query["filter"].partition(" ")[0]
        hits = [user for user in self.users.values() if user.get(name) == wanted]
        hits *= 2 if self.answers.get("double") else 1
        return web.json_response({"schemas": [LIST], "totalResults": len(hits), "Resources": hits})

    async def written(self, request):
        if request.method == "POST":
            return self.write(await request.json())
        target_id = request.match_info["id"]
        if target_id not in self.users:
            return web.Response(status=404)
        if request.method == "DELETE":
            del self.users[target_id]
        else:
            for operation in (await request.json())["Operations"]:
                put(self.users[target_id], parse_path(operation["path"]), operation.get("value"))
        return web.Response(status=204)

    def write(self, document):
        self.made += 1
        user = {**document, "id": str(self.made)}
        self.users[user["id"]] = user
        return web.json_response(user, status=201)

    def people(self, *rows):
        """Write the source: key, mail, given name and title of each user."""
        with (self.folder / "people.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("id", "mail", "given", "title"))
            writer.writerows(rows)

    def engine(self, *, people=1, url="", mappings=MAPPINGS, job=None, **target):
        """Return an engine over so many users; None leaves the source as it is."""
        if people is not None:
            self.people(*((n, f"u{n}@x.org", "G", "T") for n in range(people)))
        document = {
            "source": {"type": "csv", "path": str(self.folder / "people.csv"), "key": "id"},
            "target": {"url": self.url + url, "token": "t" * 20, "attempts": 3} | target,
            "mappings": mappings,
        } | (job or {})
        return Engine(Provisioning.model_validate({"jobs": {"staff": document}}), self.state)

    async def run(self, **changes):
        return await self.engine(**changes).run_once("staff", Options(patient=False))

    def log(self, **question):
        """Return what the log says, as short as a test reads it."""
        return [
            (one["provisioningAction"], one["status"], one["sourceIdentity"])
            for one in lines(self.state, Question("staff", **question))
        ]

    def failure(self):
        return next(iter(lines(self.state, Question("staff", status="failure"))))

    def keys(self):
        return [key for method, key in self.requests if method == "POST"]

    def deletes(self):
        return [key for method, key in self.requests if method == "DELETE"]


@asynccontextmanager
async def listening(service):
    app = web.Application()
    app.router.add_route("*", "/scim/Users", service.serve)
    app.router.add_route("*", "/scim/Users/{id}", service.serve)
    app.router.add_route("*", "/web{tail:.*}", _page)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/scim"
    await runner.cleanup()


async def _page(_request):
    return web.Response(text="<html>")
