"""The target: a SCIM service, asked as the cloud's provisioning service asks, with every answer judged once, here.

probe · find · read · create · change · delete          (RFC 7644 §3.3-3.6)
"""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import quote, urlencode

import aiohttp
from yarl import URL

from connector_host import traces
from connector_host.errors import ConfigurationError
from connector_host.provisioning.answers import INCOMPLIANT, identified, listed, parsed
from connector_host.provisioning.errors import (
    CredentialsRefused,
    Incompliant,
    NotDone,
    Refused,
    TargetError,
    TargetUnavailable,
)
from connector_host.provisioning.lanes import Lane
from connector_host.provisioning.schemas import UserSchema, user_schema
from connector_host.provisioning.secrets import revealed
from connector_host.provisioning.web import tls
from connector_host.signing.keys import load_key
from connector_host.signing.requests import Asked, sign

if TYPE_CHECKING:
    from connector_host.provisioning.resources import Resource
    from connector_host.provisioning.settings import TargetSettings

CONTENT: Final = "application/scim+json"
PATCH_OP: Final = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
TOKEN_CHARS_MIN: Final = 12

OK, CREATED, NO_CONTENT, BAD_REQUEST, UNAUTHORIZED, NOT_FOUND = 200, 201, 204, 400, 401, 404
SERVER_ERROR, NOT_IMPLEMENTED = 500, 501

CODES: Final = {
    400: "UnprocessableEntity",
    403: "InsufficientRights",
    404: "InvalidAnchor",
    405: "MethodNotAllowed",
    409: "EntryConflict",
    412: "EntryConflict",
    413: "UnprocessableEntity",
    422: "UnprocessableEntity",
    500: "InternalServerError",
    501: "NotImplemented",
}
"""The error codes of the provisioning log by HTTP status (Microsoft: analyse the provisioning logs)."""

CODES_BY_TYPE: Final = {
    "invalidPath": "SchemaAttributeNotFound",
    "mutability": "NotPermitted",
    "noTarget": "SchemaAttributeNotFound",
    "uniqueness": "EntryConflict",
}
"""What the `scimType` of a 400 says more exactly (RFC 7644 §3.12). `invalidValue` may be a value that is missing, too
long or one of several, which only the target's words tell apart."""

SCIM_TYPES: Final = frozenset(
    {
        "invalidFilter", "tooMany", "uniqueness", "mutability", "invalidSyntax", "invalidPath", "noTarget",
        "invalidValue", "invalidVers", "sensitive",
    }
)  # fmt: skip
"""What a `scimType` may be (RFC 7644 §3.12): words of the protocol, so none of them is a value."""

REASON_CHARS_MAX: Final = 2_000
"""How much of a target's words is kept."""

TOO_MANY: Final = 429
BUSY: Final = frozenset({TOO_MANY, 502, 503, 504})


class Target:
    """One SCIM service and the way to it.

    With `quiet` the errors keep the service's own words to themselves: they may quote a value. A `lane` is shared with
    other jobs that write to the same service.
    """

    def __init__(self, settings: TargetSettings, *, quiet: bool = False, lane: Lane | None = None) -> None:
        token = revealed(settings.token, settings.token_file, "token_file") or ""
        if len(token) < TOKEN_CHARS_MIN:
            raise ConfigurationError(f"target: the secret token has {TOKEN_CHARS_MIN} characters at the least.")
        self.settings = settings
        self._quiet = quiet
        self._headers = {"Authorization": f"Bearer {token}", "Accept": CONTENT, "Content-Type": CONTENT}
        self._tls = tls(settings.trust)
        self._key = None if settings.signing_key is None else load_key(settings.signing_key)
        self._trace = traces.begin()
        self._lane = lane or Lane(settings.concurrency, settings.requests_per_s)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self.settings.concurrency, ssl=self._tls),
            timeout=aiohttp.ClientTimeout(total=self.settings.timeout_s),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def probe(self, attribute: str) -> None:
        """Ask for a user who cannot exist, as the cloud does; raises TargetError unless an empty list comes back."""
        try:
            found = await self.find(attribute, str(uuid.uuid4()))
        except Refused as failure:
            if failure.status is not None and failure.status >= SERVER_ERROR and failure.status != NOT_IMPLEMENTED:
                # The application behind it is down or broken for now: nothing that an administrator has set up wrongly.
                raise TargetUnavailable(failure.code, str(failure), status=failure.status) from failure
            raise Incompliant(
                INCOMPLIANT, f"the probe was not answered by an empty list: {failure}", status=failure.status
            ) from failure
        if found:
            raise Incompliant(INCOMPLIANT, "the probe for a user who cannot exist found one: filters are not obeyed")

    async def schemas(self) -> UserSchema | None:
        """Return what `/Schemas` say of users, None where the target has no such list."""
        try:
            status, document = await self._ask("GET", "Schemas")
        except TargetUnavailable:
            return None
        found = (document or {}).get("Resources")
        schema = user_schema(found) if status == OK and isinstance(found, list) else None
        return schema if schema is not None and schema.attributes else None

    async def find(self, attribute: str, value: object) -> list[Resource]:
        """Return the users whose attribute equals the value."""
        query = urlencode({"filter": f"{attribute} eq {_literal(value)}"})
        status, document = await self._ask("GET", f"Users?{query}")
        if status != OK:
            raise self._judged(status, document)
        return listed(document, attribute)

    async def read(self, target_id: str) -> Resource | None:
        """Return the user as it is now, None if there is none."""
        status, document = await self._ask("GET", f"Users/{quote(target_id, safe='')}")
        if status == NOT_FOUND:
            return None
        if status != OK or document is None:
            raise self._judged(status, document)
        return document | {"id": target_id}

    async def create(self, resource: Resource, key: str) -> Resource:
        """Create a user and return it as the target made it; `key` is the idempotency key."""
        status, document = await self._ask("POST", "Users", resource, key)
        if status not in (OK, CREATED):
            raise self._judged(status, document)
        if document is None or not document.get("id"):
            raise Incompliant(INCOMPLIANT, "a creation was not answered by a resource with an id", status=status)
        return identified(document)

    async def change(self, target_id: str, operations: list[dict[str, Any]], key: str) -> bool:
        """Change a user; returns False if there is none."""
        body = {"schemas": [PATCH_OP], "Operations": operations}
        status, document = await self._ask("PATCH", f"Users/{quote(target_id, safe='')}", body, key)
        if status == NOT_FOUND:
            return False
        if status not in (OK, NO_CONTENT):
            raise self._judged(status, document)
        return True

    async def delete(self, target_id: str, key: str) -> bool:
        """Delete a user; returns False if there was none."""
        status, document = await self._ask("DELETE", f"Users/{quote(target_id, safe='')}", key=key)
        if status == NOT_FOUND:
            return False
        if status not in (OK, NO_CONTENT):
            raise self._judged(status, document)
        return True

    async def _ask(
        self, method: str, path: str, body: Resource | None = None, key: str | None = None
    ) -> tuple[int, Resource | None]:
        assert self._session is not None, "entered first"  # noqa: S101 - a programming error, not a state
        data = None if body is None else json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
        url = URL(f"{self.settings.url}/{path}")
        try:
            async with (
                self._lane.turn(),
                # Signed when its turn has come: a signature is good for a minute, and a lane may be long.
                self._session.request(
                    method, url, headers=self._said(method, url, data, key), data=data, allow_redirects=False
                ) as answer,
            ):
                document = parsed(await answer.read())
                self._raise_for_all(answer.status, answer.headers.get("Retry-After", ""), document)
                return answer.status, document
        except TimeoutError as failure:
            raise TargetUnavailable("Timeout", f"no answer within {self.settings.timeout_s:g} s") from failure
        except aiohttp.ClientError as failure:
            # Without a connection nothing was sent.
            kind = NotDone if isinstance(failure, aiohttp.ClientConnectorError) else TargetUnavailable
            raise kind("WebExceptionProtocolError", f"the target cannot be reached ({_cause(failure)})") from failure

    def _said(self, method: str, url: URL, data: bytes | None, key: str | None) -> dict[str, str]:
        """Return the headers of one request, signed where there is a key for that."""
        headers = {**self._headers, traces.HEADER: self._trace.next_span().header}
        if key is not None:
            headers["Idempotency-Key"] = key
        if self._key is None:
            return headers
        return {**headers, **sign(Asked(method, str(url), headers, data or b""), self._key)}

    def _raise_for_all(self, status: int, retry_after: str, document: Resource | None) -> None:
        """Raise for what has nothing to do with the user in hand."""
        if status == UNAUTHORIZED:
            raise CredentialsRefused("Unauthorized", "the target does not accept the secret token", status=status)
        if status in BUSY:
            kind, code = (
                (NotDone, "TooManyRequests") if status == TOO_MANY else (TargetUnavailable, "WebExceptionProtocolError")
            )
            wait_s = float(retry_after) if retry_after.isdecimal() else None
            raise kind(code, self._reason(status, document), status=status, retry_after_s=wait_s)

    def _judged(self, status: int, document: Resource | None) -> TargetError:
        kind = (document or {}).get("scimType") if status == BAD_REQUEST else None
        told = CODES_BY_TYPE.get(kind) if isinstance(kind, str) else None
        return Refused(told or CODES.get(status, "InternalError"), self._reason(status, document), status=status)

    def _reason(self, status: int, document: Resource | None) -> str:
        kind = (document or {}).get("scimType")
        detail = (document or {}).get("detail")
        if self._quiet:
            detail = "the target's own words are kept out of the log" if detail else None
            kind = kind if kind in SCIM_TYPES else None
        words = f"{kind}: {detail}" if kind and detail else detail or kind
        text = f"{status}: {words}" if words else f"the target answered {status}"
        return text[:REASON_CHARS_MAX].replace("\0", "?")  # PostgreSQL keeps no text with NUL


def _literal(value: object) -> str:
    # RFC 7644 §3.4.2.2: a value is a JSON literal, so quotes and backslashes need no special care.
    return json.dumps(value if isinstance(value, bool | int) else str(value), ensure_ascii=False)


def _cause(failure: aiohttp.ClientError) -> str:
    if isinstance(failure, aiohttp.ClientConnectorCertificateError):
        return "its certificate is not trusted"
    if isinstance(failure, aiohttp.ClientConnectorError):
        return failure.os_error.strerror or "no connection"
    return type(failure).__name__
