"""The endpoint as it really runs: aiohttp over TLS on a free loopback port, the SQL connector, a SQLite file."""

from __future__ import annotations

import sqlite3
import ssl
import tempfile
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
from aiohttp import web

from connector_host import clock
from connector_host.access.tokens import TokenGate, hash_token
from connector_host.app.building import demand_of
from connector_host.connectors.registry import open_connector
from connector_host.endpoint.application import make_application
from connector_host.endpoint.protocol import Runner
from connector_host.endpoint.served import Served
from connector_host.settings import SqlSettings
from connector_host.tls.contexts import server_context
from connector_host.tls.issuing import issue_files

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

TOKEN = "a-token-for-tests-only"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
ECMA = "urn:ietf:params:scim:schemas:extension:ECMA2Host:2.0:User"
PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"

EMPLOYEES = """
CREATE TABLE Employees (
  Login VARCHAR(64) NOT NULL PRIMARY KEY,
  FirstName VARCHAR(50) NOT NULL,
  LastName VARCHAR(50),
  Email VARCHAR(128) UNIQUE,
  HomeEmail VARCHAR(128),
  Enabled BOOLEAN NOT NULL DEFAULT 1,
  Department VARCHAR(20),
  Badge INTEGER,
  HiredAt TIMESTAMP
)
"""

MAPPING = {
    "Login": "userName",
    "FirstName": "name.givenName",
    "LastName": "name.familyName",
    "Email": 'emails[type eq "work"].value',
    "HomeEmail": 'emails[type eq "home"].value',
    "Enabled": "active",
    "Department": f"{ENTERPRISE}:department",
}


@dataclass(frozen=True)
class Answer:
    status: int
    headers: aiohttp.typedefs.LooseHeaders
    body: dict
    text: str


@dataclass
class Service:
    """The running endpoint and a client of it."""

    origin: str
    session: aiohttp.ClientSession
    database: Path
    served: Served
    authority: Path
    base: str = "/ecma2host_HR/scim"

    async def call(  # noqa: PLR0913 - a request has that many parts
        self, method, path, json=None, *, token=TOKEN, headers=None, data=None, base=None, query=""
    ) -> Answer:
        sent = {"Authorization": f"Bearer {token}"} if token else {}
        url = f"{self.origin}{self.base if base is None else base}{path}{'?' if query else ''}{query}"
        async with self.session.request(method, url, json=json, data=data, headers={**sent, **(headers or {})}) as got:
            text = await got.text()
            body = await got.json(content_type=None) if text else {}
            return Answer(got.status, got.headers, body, text)

    async def get(self, path, **options):
        return await self.call("GET", path, **options)

    async def post(self, json, **options):
        return await self.call("POST", "/Users", json, **options)

    async def put(self, name, json, **options):
        return await self.call("PUT", f"/Users/{name}", json, **options)

    async def delete(self, name, **options):
        return await self.call("DELETE", f"/Users/{name}", **options)

    async def patch(self, name, *operations, **options):
        body = {"schemas": [PATCH_OP], "Operations": list(operations)}
        return await self.call("PATCH", f"/Users/{name}", body, **options)

    async def find(self, filter_text, **parameters):
        query = "&".join(f"{key}={value}" for key, value in parameters.items())
        return await self.get(f"/Users?filter={filter_text}&{query}")

    def rows(self, sql="SELECT * FROM Employees ORDER BY Login"):
        with sqlite3.connect(self.database) as connection:
            connection.row_factory = sqlite3.Row
            found = [dict(row) for row in connection.execute(sql)]
        connection.close()
        return found

    def run(self, sql, *values):
        with sqlite3.connect(self.database) as connection:
            connection.execute(sql, values)
        connection.close()


@asynccontextmanager
async def serve(
    folder: Path, *, ddl=EMPLOYEES, attributes=None, trusted_proxies=("127.0.0.1",), outcomes=None, **given
):
    database = folder / "hr.sqlite"
    if not database.exists():
        with sqlite3.connect(database) as connection:
            connection.executescript(ddl)
        connection.close()
    settings = SqlSettings.model_validate(
        {
            "database": f"sqlite:///{database}",
            "table": "Employees",
            "anchor": "Login",
            "attributes": MAPPING if attributes is None else attributes,
            **given,
        }
    )
    connector = open_connector("HR", settings)
    served = Served(connector, settings, TokenGate((hash_token(TOKEN),)), demand_of("HR", settings.signing))
    try:
        async with _listening(folder, served, trusted_proxies, outcomes) as (origin, session, authority):
            yield Service(origin, session, database, served, authority)
    finally:
        await connector.close()


@asynccontextmanager
async def _listening(
    folder: Path, served: Served, trusted_proxies, outcomes
) -> AsyncIterator[tuple[str, aiohttp.ClientSession, Path]]:
    files = issue_files(Path(tempfile.mkdtemp(dir=folder)), "localhost", clock.now())
    application = make_application({"HR": served}, trusted_proxies=trusted_proxies, outcomes=outcomes)
    runner = Runner(application, header_bytes=32_768, stop_s=5.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=server_context(files.certificate, files.key))
        await site.start()
        trust = ssl.create_default_context(cafile=str(files.authority))
        connector = aiohttp.TCPConnector(ssl=trust)
        async with aiohttp.ClientSession(connector=connector, skip_auto_headers={"User-Agent"}) as session:
            yield f"https://localhost:{runner.addresses[0][1]}", session, files.authority
    finally:
        await runner.cleanup()
