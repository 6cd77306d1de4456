"""Every answer that is not a resource: SCIM error bodies, made in one place from whatever went wrong.

One table says what each error means in HTTP. Nothing internal ever goes out: no SQL, no driver's words, no values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aiohttp import web

from connector_host.connectors.errors import (
    Conflict,
    Denied,
    Immutable,
    InDoubt,
    InvalidValue,
    NotFound,
    RefusedExport,
    Unavailable,
)
from connector_host.errors import ConfigurationError
from connector_host.framing import HeaderTooLong, HeadTooLarge, TargetTooLong, TooManyHeaders
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
)
"""The first that fits decides; what is not here is nobody's business but the log's."""

MISCONFIGURED: Final = "This connector cannot serve its table as configured, and nothing was done; see its log."
MISCONFIGURED_S: Final = 60
"""Seconds to wait until an administrator may have mended that."""
NO_HTTP: Final = "The request cannot be read as HTTP (RFC 9112)."
TARGET_WITH_FRAGMENT: Final = "The request's target has a #, which no target may have (RFC 9112 §3.2): write %23."
OTHER_VERSION: Final = "This service speaks HTTP/1.1."
OTHER_CODING: Final = "A body may be chunked, and in no other Transfer-Encoding."
OTHER_SCHEME: Final = "The request's target is a URL of another scheme than https."
EXCESSES: Final = {
    TargetTooLong: "The URL is longer than the {} bytes that this service accepts: send a long filter to /.search.",
    HeaderTooLong: "A header is longer than the {} bytes that this service accepts.",
    HeadTooLarge: "The request's headers are more than the {} bytes, all in all, that this service accepts.",
    TooManyHeaders: "The request has more than the {} headers that this service accepts.",
}
"""What is told of a request that is longer than it may be, with the limit."""
CODING: Final = "A body may be sent as it is, or coded with gzip or deflate: no other Content-Encoding is read here."
UNFORESEEN: Final = "An internal error happened; the log names it under this request id."

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
    return answer(encode(_document(status, detail, scim_type, request_id)), status=status, headers=headers)


def explain(failure: Exception, request_id: str) -> web.Response:
    """Return the answer for an error that a room raised; an unknown one says nothing but the request id."""
    status, document = in_words(failure, request_id)
    return answer(encode(document), status=status, headers=_wait(failure))


def _wait(failure: Exception) -> dict[str, str] | None:
    match failure:
        case Unavailable():
            return {"Retry-After": str(failure.retry_after_s)}
        case ConfigurationError():
            return {"Retry-After": str(MISCONFIGURED_S)}
    return None


def in_words(failure: Exception, request_id: str) -> tuple[int, dict[str, object]]:
    """Return the status and the body of an error; an unknown one says nothing but the request id."""
    match failure:
        case ScimError():
            return failure.status, _document(failure.status, failure.detail, failure.scim_type or "", request_id)
        case InDoubt():
            return 504, _document(504, UNKNOWN_OUTCOME, "", request_id)
        case ConfigurationError():
            return 503, _document(503, MISCONFIGURED, "", request_id)
    for kind, trouble in TROUBLES:
        if isinstance(failure, kind):
            return trouble.status, _document(trouble.status, str(failure), trouble.scim_type, request_id)
    return 500, _document(500, UNFORESEEN, "", request_id)


def _document(status: int, detail: str, scim_type: str, request_id: str) -> dict[str, object]:
    document: dict[str, object] = {"schemas": [vocabulary.ERROR], "status": str(status)}
    if scim_type:
        document["scimType"] = scim_type
    document["detail"] = f"{detail} (request {request_id})" if request_id else detail
    return document
