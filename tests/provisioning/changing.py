"""Sources that give changes since a mark, each with the same three people and the same things that happen to them.

`begin` writes Ann, Bob and Cem; `change` renames Ann, disables Bob, lets Cem go and Dea come.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import asynccontextmanager, contextmanager

from connector_host import clock
from connector_host.tls.issuing import issue_files
from tests.provisioning.directory import PASSWORD, SUFFIX, Directory
from tests.provisioning.test_sources_web import graph_source

FULL_EVERY = 2

GONE = {"id": "cem", "@removed": {"reason": "deleted"}}


class Table:
    """A SQL table with a version that grows with each change."""

    attributes = ("login", "given", "enabled")
    cycles = 2
    """How many cycles it takes to see all of that: absence is seen by reading everybody."""

    def __init__(self, folder):
        self.path = folder / "hr.sqlite"
        self.version = 0
        self._run("CREATE TABLE staff (id INTEGER PRIMARY KEY, login, given, enabled, version)")
        self.source = {
            "type": "sql",
            "database": f"sqlite:///{self.path}",
            "query": "SELECT * FROM staff",
            "key": "id",
            "mark": "version",
            "full_every": FULL_EVERY,
        }

    def _run(self, sql, *values):
        with sqlite3.connect(self.path) as connection:
            connection.execute(sql, values)
        connection.close()

    def _put(self, key, login, given, enabled):
        self.version += 1
        self._run("INSERT OR REPLACE INTO staff VALUES (?, ?, ?, ?, ?)", key, login, given, enabled, self.version)

    async def begin(self):
        for key, login in enumerate(("ann", "bob", "cem")):
            self._put(key, login, login.title(), 1)

    async def change(self):
        self._put(0, "ann", "Anna", 1)
        self._put(1, "bob", "Bob", 0)
        self._put(3, "dea", "Dea", 1)
        self._run("DELETE FROM staff WHERE id = 2")


class Ldap:
    """A real slapd, whose accounts have Active Directory's flags."""

    attributes = ("uid", "givenName", "accountEnabled")
    cycles = 2

    def __init__(self, directory):
        self.directory = directory
        self.source = {
            "type": "ldap",
            "url": directory.secure_url,
            "trust": str(directory.folder / "authority.pem"),
            "login": f"cn=reader,{SUFFIX}",
            "secret": PASSWORD,
            "search_base": SUFFIX,
            "filter": "(objectClass=adAccount)",
            "attributes": list(self.attributes),
            "full_every": FULL_EVERY,
        }

    def _add(self, uid):
        self.directory.add(uid, givenName=uid.title(), objectClass="adAccount", userAccountControl="512")

    def _replace(self, uid, name, value):
        ldif = f"dn: uid={uid},{SUFFIX}\nchangetype: modify\nreplace: {name}\n{name}: {value}\n\n"
        self.directory.change("ldapmodify", ldif)

    async def begin(self):
        for uid in ("ann", "bob", "cem"):
            self._add(uid)
        written = time.time()
        while time.time() < int(written) + 1:  # noqa: ASYNC110 - slapd's marks are whole seconds
            await asyncio.sleep(0.05)

    async def change(self):
        self._replace("ann", "givenName", "Anna")
        self._replace("bob", "userAccountControl", 514)
        self.directory.change("ldapmodify", f"dn: uid=cem,{SUFFIX}\nchangetype: delete\n\n")
        self._add("dea")


class Graph:
    """A local server that answers as Microsoft Graph does, and names who is gone."""

    attributes = ("id", "displayName", "accountEnabled")
    cycles = 1

    def __init__(self, graph, settings):
        self.graph = graph
        self.source = settings.model_dump(mode="json", exclude_none=True) | {"secret": "right"}

    async def begin(self):
        self.graph.users = {login: self._user(login, login.title()) for login in ("ann", "bob", "cem")}

    async def change(self):
        users = [self._user("ann", "Anna"), self._user("bob", "Bob", enabled=False), self._user("dea", "Dea")]
        self.graph.users = {user["id"]: user for user in users}
        self.graph.changes = [*({"id": key} for key in self.graph.users), GONE]

    def _user(self, login, name, *, enabled=True):
        return {"id": login, "displayName": name, "accountEnabled": enabled}


@contextmanager
def _directory(folder):
    issue_files(folder, "localhost", clock.now())
    running = Directory(folder)
    running.start()
    try:
        yield running
    finally:
        running.stop()


@asynccontextmanager
async def changing(kind, folder):
    """Yield a source of this kind that runs for the time of the block."""
    match kind:
        case "sql":
            yield Table(folder)
        case "ldap":
            with _directory(folder) as directory:
                yield Ldap(directory)
        case "graph":
            async with graph_source() as (graph, source):
                yield Graph(graph, source._settings)
