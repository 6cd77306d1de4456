"""A small cloud directory: it reads people from CSV and provisions them over SCIM, as Entra ID would.

One request a line of thought: match by userName; create who is missing; send only what differs; disable whom the file
disables; delete who has left the file.
"""

from __future__ import annotations

import csv
import json
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterator
    from http.client import HTTPResponse
    from pathlib import Path

CORE = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
ECMA = "urn:ietf:params:scim:schemas:extension:ECMA2Host:2.0:User"
PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"

Document = dict[str, Any]
Person = dict[str, str]

PATHS = {
    "givenName": "name.givenName",
    "familyName": "name.familyName",
    "mail": 'emails[type eq "work"].value',
    "department": f"{ENTERPRISE}:department",
    "title": "title",
    "hireDate": f"{ECMA}:HireDate",
    "country": 'addresses[type eq "work"].country',
    "accountEnabled": "active",
}
"""CSV column to SCIM path: the attribute mapping that an administrator would draw in the directory."""


@dataclass(frozen=True)
class Answer:
    """What came back: the HTTP status, the SCIM document if there was one, and the headers in lower case."""

    status: int
    document: Document
    headers: dict[str, str]


class Directory:
    """A SCIM client with one tenant URL and one secret token, which is all that a directory asks for."""

    def __init__(self, url: str, token: str, trust: Path) -> None:
        self.url = url
        self._token = token
        self._tls = ssl.create_default_context(cafile=str(trust))

    def call(self, method: str, path: str, body: object = None) -> Answer:
        """Send one request through the relay; bytes go as they are, anything else as JSON."""
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        return self.send(method, f"{self.url}/{path}", data)

    def send(self, method: str, url: str, data: bytes | None = None) -> Answer:
        """Send one request to any URL."""
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/scim+json"}
        request = urllib.request.Request(url, method=method, data=data, headers=headers)  # noqa: S310 - our own relay
        try:
            with urllib.request.urlopen(request, context=self._tls, timeout=60) as response:  # noqa: S310
                return _answer(response.status, response)
        except urllib.error.HTTPError as refusal:
            with refusal:
                return _answer(refusal.code, refusal)

    def match(self, user_name: str) -> Answer:
        """Look a user up by the matching attribute."""
        return self.call("GET", f"Users?filter={quote(f'userName eq {json.dumps(user_name)}')}")

    def create(self, person: Person) -> Answer:
        """Create the user."""
        return self.call("POST", "Users", _user(person))

    def patch(self, identifier: str, *operations: Document) -> Answer:
        """Change the user in Entra ID's dialect."""
        body = {"schemas": [PATCH_OP], "Operations": list(operations)}
        return self.call("PATCH", f"Users/{quote(identifier, safe='')}", body)

    def delete(self, identifier: str) -> Answer:
        """Delete the user."""
        return self.call("DELETE", f"Users/{quote(identifier, safe='')}")


def people(path: Path) -> dict[str, Person]:
    """Read the people of a CSV file by userName."""
    with path.open(encoding="utf-8", newline="") as file:
        return {row["userName"]: row for row in csv.DictReader(file)}


def differences(person: Person, resource: Document) -> Iterator[Document]:
    """Yield the PATCH operations that bring the resource to what the person's row says."""
    for column, path in PATHS.items():
        if _wire(column, person[column]) != _value_at(resource, path):
            # Entra ID capitalises operations and sends booleans as text.
            yield {
                "op": "Replace",
                "path": path,
                "value": person[column].capitalize() if path == "active" else _wire(column, person[column]),
            }


def _user(person: Person) -> Document:
    return {
        "schemas": [CORE, ENTERPRISE],
        "userName": person["userName"],
        "active": _wire("accountEnabled", person["accountEnabled"]),
        "title": person["title"],
        "name": {"givenName": person["givenName"], "familyName": person["familyName"]},
        "emails": [{"type": "work", "primary": True, "value": person["mail"]}],
        "addresses": [{"type": "work", "country": person["country"]}],
        "roles": [],
        "meta": {"resourceType": "User"},
        ENTERPRISE: {"department": person["department"]},
        ECMA: {"HireDate": _wire("hireDate", person["hireDate"])},
    }


def _wire(column: str, text: str) -> object:
    match column:
        case "accountEnabled":
            return text == "true"
        case "hireDate":
            return f"{text}T00:00:00Z"
        case _:
            return text


def _value_at(resource: Document, path: str) -> object:
    if path.startswith("urn:"):
        urn, _, attribute = path.rpartition(":")
        return resource.get(urn, {}).get(attribute)
    if "[" in path:
        name, _, rest = path.partition("[")
        values = resource.get(name, [])
        return next((value.get(rest.rpartition(".")[2]) for value in values if value["type"] == "work"), None)
    here: Any = resource
    for part in path.split("."):
        here = here.get(part) if isinstance(here, dict) else None
    return here


def _answer(status: int, response: HTTPResponse | urllib.error.HTTPError) -> Answer:
    body = response.read()
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(status, json.loads(body) if body else {}, headers)
