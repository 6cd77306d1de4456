"""Every answer that is not a resource: SCIM error bodies, made in one place from whatever went wrong.

One table says what each error means in HTTP. Nothing internal ever goes out: no SQL, no driver's words, no values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aiohttp import web

from connector_host.connectors.errors import (
    Conflict,
    ConnectorError,
    Denied,
    Immutable,
    InDoubt,
    InvalidValue,
    NotFound,
    RefusedExport,
    Unavailable,
)
from connector_host.errors import ConfigurationError
from connector_host.scim import vocabulary
from connector_host.scim.errors import ScimError
from connector_host.scim.rendering import encode

if TYPE_CHECKING:
    from collections.abc import Mapping

CONTENT_TYPE: Final = "application/scim+json"


@dataclass(frozen=True, slots=True)
class Trouble:
    """What an error is in HTTP."""

    status: int
    scim_type: str = ""


TROUBLES: Final[tuple[tuple[type[Exception], Trouble], ...]] = (
    (NotFound, Trouble(404)),
    (Conflict, Trouble(409, "uniqueness")),
    (InvalidValue, Trouble(400, "invalidValue")),
    (Immutable, Trouble(400, "mutability")),
    (RefusedExport, Trouble(400, "invalidValue")),
    (Denied, Trouble(403)),
    (Unavailable, Trouble(503)),
    (InDoubt, Trouble(504)),
    (ConnectorError, Trouble(500)),
)
"""The first that fits decides."""

UNKNOWN_OUTCOME: Final = (
    "The connection to the database was lost or too slow while this request was being committed: it may or may not "
    "have been carried out. Read the user before you send it again."
)


def answer(body: bytes, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return a SCIM answer."""
    return web.Response(body=body, status=status, content_type=CONTENT_TYPE, headers=headers)


def error(
    status: int, detail: str, *, scim_type: str = "", request_id: str = "", headers: Mapping[str, str] | None = None
) -> web.Response:
    """Return a SCIM error (RFC 7644 §3.12); the status is text, and the request id closes the detail."""
    document: dict[str, object] = {"schemas": [vocabulary.ERROR], "status": str(status)}
    if scim_type:
        document["scimType"] = scim_type
    document["detail"] = f"{detail} (request {request_id})" if request_id else detail
    return answer(encode(document), status=status, headers=headers)


def explain(failure: Exception, request_id: str) -> web.Response:
    """Return the answer for an error that a room raised; an unknown one says nothing but the request id."""
    match failure:
        case ScimError():
            return error(failure.status, failure.detail, scim_type=failure.scim_type or "", request_id=request_id)
        case InDoubt():
            return error(504, UNKNOWN_OUTCOME, request_id=request_id)
        case Unavailable():
            wait = {"Retry-After": str(failure.retry_after_s)}
            return error(503, str(failure), request_id=request_id, headers=wait)
        case ConfigurationError():
            return error(
                500, "This connector cannot serve its table as configured; see its log.", request_id=request_id
            )
    for kind, trouble in TROUBLES:
        if isinstance(failure, kind) and trouble.status < 500:  # noqa: PLR2004 - HTTP's own boundary
            return error(trouble.status, str(failure), scim_type=trouble.scim_type, request_id=request_id)
    return error(500, "An internal error happened; the log names it under this request id.", request_id=request_id)
