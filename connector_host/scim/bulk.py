"""Bulk requests (RFC 7644 §3.7): read, ordered by what depends on what, and answered.

Each operation is a transaction of its own. An operation waits for those before it that name the same user or the
bulkId that it needs; the others may run together, so that the connector can commit them together.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from connector_host.scim import vocabulary
from connector_host.scim.errors import ScimError, invalid_syntax

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_METHODS: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_PATH: Final = re.compile(r"/?(?P<endpoint>[A-Za-z]+)(/(?P<id>[^/]+))?/?")
_BULK_ID: Final = "bulkid:"


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a Bulk request; `problem` is why it cannot even be tried."""

    method: str
    endpoint: str
    """`Users`, or another one, which is refused when its turn comes."""
    target: str
    """The id in the path, or `bulkId:…` of an earlier operation; empty for POST."""
    bulk_id: str
    version: str
    data: object
    problem: ScimError | None = None

    @property
    def needs(self) -> str:
        """Return the bulkId of the operation that must be done first, or nothing."""
        return self.target[len(_BULK_ID) :] if self.target.lower().startswith(_BULK_ID) else ""


@dataclass(frozen=True, slots=True)
class BulkRequest:
    """A Bulk request that was read."""

    operations: tuple[Operation, ...]
    fail_on_errors: int
    """After so many errors the rest is not tried; zero tries all."""


def read_bulk(body: object, *, operations_max: int) -> BulkRequest:
    """Read the body; raise ScimError invalidSyntax, invalidValue, or 413 for more operations than are accepted."""
    if not isinstance(body, dict):
        raise invalid_syntax("The body of a Bulk request must be a JSON object.")
    fields = {str(key).lower(): value for key, value in body.items()}
    operations = fields.get("operations")
    if not isinstance(operations, list):
        raise invalid_syntax("The body of a Bulk request must have a list Operations.")
    if len(operations) > operations_max:
        raise ScimError(
            413, f"A Bulk request may hold maxOperations ({operations_max}); this one holds {len(operations)}."
        )
    fail_on_errors = fields.get("failonerrors", 0)
    if not isinstance(fail_on_errors, int) or isinstance(fail_on_errors, bool) or fail_on_errors < 0:
        raise ScimError(400, "failOnErrors must be a whole number.", "invalidValue")
    return BulkRequest(tuple(_once([_read(operation) for operation in operations])), fail_on_errors)


def _once(operations: list[Operation]) -> Iterator[Operation]:
    """Yield the operations; a creation whose bulkId another has already is refused (RFC 7644 §3.7)."""
    seen: set[str] = set()
    for operation in operations:
        if operation.method == "POST" and operation.bulk_id in seen and operation.problem is None:
            problem = invalid_syntax("Another operation has this bulkId already: give each creation one of its own.")
            yield replace(operation, problem=problem)
        else:
            yield operation
        seen.add(operation.bulk_id)


def _read(given: object) -> Operation:
    fields: Mapping[str, object] = (
        {str(key).lower(): value for key, value in given.items()} if isinstance(given, dict) else {}
    )
    method = str(fields.get("method", "")).upper()
    path = fields.get("path")
    match = _PATH.fullmatch(path) if isinstance(path, str) else None
    endpoint = match["endpoint"] if match is not None else ""
    target = unquote(match["id"] or "") if match is not None else ""
    operation = Operation(
        method=method,
        endpoint="Users" if endpoint.lower() == "users" else endpoint,
        target=target,
        bulk_id=str(fields.get("bulkid") or ""),
        version=str(fields.get("version") or ""),
        data=fields.get("data"),
    )
    return replace(operation, problem=_problem(operation))


def _problem(operation: Operation) -> ScimError | None:
    """Return why the operation cannot be tried, or None."""
    if operation.method not in _METHODS:
        return invalid_syntax("method must be POST, PUT, PATCH or DELETE.")
    if operation.endpoint == "Groups":
        return ScimError(
            501, "groups: groups are not provisioned here; switch off group provisioning in the directory."
        )
    if operation.endpoint != "Users":
        return ScimError(404, "path must be /Users or /Users/ID.")
    if operation.method != "POST":
        return None if operation.target else _invalid(f"A {operation.method} needs the id of a user in its path.")
    if operation.target or not operation.bulk_id:
        return _invalid("A POST goes to /Users without an id, and needs a bulkId (RFC 7644 §3.7).")
    return None


def _invalid(detail: str) -> ScimError:
    return ScimError(400, detail, "invalidValue")


def answer_operation(
    operation: Operation,
    *,
    status: int,
    location: str = "",
    version: str = "",
    error: Mapping[str, object] | None = None,
) -> dict[str, object]:
    """Return what the response says about one operation; only what failed has a body (RFC 7644 §3.7.3)."""
    said: dict[str, object] = {"method": operation.method, "status": str(status)}
    if operation.bulk_id:
        said["bulkId"] = operation.bulk_id
    if location:
        said["location"] = location
    if version:
        said["version"] = version
    if error is not None:
        said["response"] = error
    return said


def bulk_response(operations: list[dict[str, object]]) -> dict[str, object]:
    """Return the whole response, in the order in which the operations were sent."""
    return {"schemas": [vocabulary.BULK_RESPONSE], "Operations": operations}
