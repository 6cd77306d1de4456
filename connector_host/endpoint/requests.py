"""What every request passes on its way in and out: an id, access, limits, and errors made into answers."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Final

import structlog
from aiohttp import HttpVersion11, web

from connector_host import clock, traces
from connector_host.access.callers import calling
from connector_host.access.door import TurnedAway
from connector_host.access.tokens import TokenGate
from connector_host.connectors.errors import Busy, ConnectorError
from connector_host.connectors.origins import working_for
from connector_host.deadlines import Deadlines
from connector_host.endpoint import answers
from connector_host.endpoint.addresses import client_of
from connector_host.endpoint.safeguards import guard
from connector_host.endpoint.served import Served
from connector_host.errors import ConfigurationError, HostError
from connector_host.framing import say_continue
from connector_host.observability import events
from connector_host.observability.logs import request_scope
from connector_host.scim.errors import ScimError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from aiohttp.typedefs import Middleware

    from connector_host.access.door import Door

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

REQUEST_ID: Final = web.RequestKey("request_id", str)
SERVED: Final = web.RequestKey("served", Served)
_SOURCE: Final = web.RequestKey("source", str)
"""The client's address, once it was looked at."""
_ENCOURAGED: Final = web.RequestKey("encouraged", bool)
DEADLINES: Final = web.AppKey("deadlines", Deadlines)
DEADLINE_S: Final = web.RequestKey("deadline_s", float)
"""When the request must be answered, by the monotonic clock."""

_LOG = structlog.stdlib.get_logger()
_SCIM_PATH: Final = re.compile(r"/ecma2host_([^/]+)/scim(/.*)?", re.DOTALL)
REFUSALS: Final = (web.HTTPException, ConnectorError, ScimError, ConfigurationError)
"""What says that nothing was done, save InDoubt."""
WRITES: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_OPEN_PATHS: Final = frozenset({"/healthz", "/readyz"})
_NOBODY: Final = TokenGate()


def middlewares(served: Mapping[str, Served], door: Door, trusted_proxies: tuple[str, ...]) -> tuple[Middleware, ...]:
    """Return the middlewares, outermost first."""
    return (guard, identify, answer_errors, admit(served, door, trusted_proxies), limit)


@web.middleware
async def identify(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give the request its id, the client's own if it sent a sensible one, and log how it was answered."""
    request_id = request_id_of(request)
    request[REQUEST_ID] = request_id
    started_s = clock.monotonic_s()
    with request_scope(request_id):
        try:
            response = await handler(request)
        except asyncio.CancelledError:  # the time that stopping leaves it is over
            fields = {"method": request.method, "route": _route(request), **_whose(request)}
            _LOG.warning(events.REQUEST_CUT, **fields, duration_ms=_since_ms(started_s))
            raise
        response.headers[traces.REQUEST_ID] = request_id
        _LOG.info(
            events.REQUEST_ANSWERED,
            method=request.method,
            route=_route(request),
            **_whose(request),
            status=response.status,
            duration_ms=_since_ms(started_s),
        )
    return response


def _since_ms(started_s: float) -> float:
    return round((clock.monotonic_s() - started_s) * 1_000, 1)


def _whose(request: web.Request) -> dict[str, str]:
    """Return the connector of a request that was let in, and where any other one came from."""
    if (one := request.get(SERVED)) is not None:
        return {"connector": one.name}
    return {"source": request[_SOURCE]} if _SOURCE in request else {}


def request_id_of(request: web.BaseRequest) -> str:
    """Return the client's own id of a request where it is a sensible one, else a new one."""
    return traces.request_id(request.headers.get(traces.REQUEST_ID))


def _route(request: web.Request) -> str:
    """Return the route and not the path: an id may be somebody's mail address."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "unknown"


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Translate every error into a SCIM answer; this is the only place that does."""
    request_id = request[REQUEST_ID]
    try:
        return await handler(request)
    except REFUSALS as failure:
        return explained(failure, request_id)
    except HostError as failure:
        _LOG.error(events.REQUEST_FAILED, reason=str(failure))
        return answers.explain(failure, request_id)
    except Exception as failure:  # noqa: BLE001 - the last stand: the log has it all, the client only the id
        _LOG.exception(events.REQUEST_FAILED)
        return answers.explain(failure, request_id)


def explained(failure: Exception, request_id: str) -> web.Response:
    """Return the answer that says why nothing was done."""
    if isinstance(failure, web.HTTPException):
        return _answer_http(failure, request_id)
    log_for_administrators(failure)
    return answers.explain(failure, request_id)


def log_for_administrators(failure: Exception) -> None:
    """Log what a client is not told: which setting is wrong."""
    if isinstance(failure, ConfigurationError):
        _LOG.error(events.REQUEST_FAILED, reason=str(failure))


def is_write(request: web.Request) -> bool:
    """Return whether a request may change something: anything but GET, HEAD and a search by POST (RFC 7644 §3.4.3)."""
    return request.method in WRITES and not (request.method == "POST" and request.path.rstrip("/").endswith("/.search"))


_HTTP_WORDS: Final = {
    404: "There is no such endpoint here.",
    405: "This endpoint does not take this method.",
    413: "The body is larger than this service accepts.",
}


def _answer_http(failure: web.HTTPException, request_id: str) -> web.Response:
    detail = _HTTP_WORDS.get(failure.status, failure.reason)
    allow = failure.headers.get("Allow")
    return answers.error(
        failure.status, detail, request_id=request_id, headers={"Allow": allow} if allow is not None else None
    )


def admit(served: Mapping[str, Served], door: Door, trusted_proxies: tuple[str, ...]) -> Middleware:
    """Return the middleware that demands the connector's token before anything else is looked at."""

    @web.middleware
    async def admit_one(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path in _OPEN_PATHS:
            return await handler(request)
        match = _SCIM_PATH.fullmatch(request.path)
        if match is None:
            raise web.HTTPNotFound
        one = served.get(match.group(1))
        gate = one.gate if one is not None else _decoy(served)
        source = client_of(request, trusted_proxies)
        request[_SOURCE] = source.address
        given = request.headers.getall("Authorization", ())
        # Of two nobody knows which one the hop before has judged.
        token, several = (given[0], False) if len(given) == 1 else ("", bool(given))
        others = (other.gate for other in served.values())
        verdict = door.let_in(source, token, gate, decoy=one is None, others=others)
        if isinstance(verdict, TurnedAway) or one is None:
            away = verdict if isinstance(verdict, TurnedAway) else TurnedAway(401)
            return _turn_away(TurnedAway(400) if several and away.status == _UNKNOWN else away, request[REQUEST_ID])
        request[SERVED] = one
        with calling(verdict), working_for(verdict.token):
            return await handler(request)

    return admit_one


def _decoy(served: Mapping[str, Served]) -> TokenGate:
    """Return a gate to look at in place of one that does not exist, so that the answer takes as long."""
    return next((one.gate for one in served.values()), _NOBODY)


_UNKNOWN: Final = 401
_AWAY_WORDS: Final = {
    400: "There is more than one Authorization header.",
    401: "The bearer token is missing or not valid for this address: check the tenant URL and the secret token.",
    403: "Requests from this network are not allowed here.",
    429: "There were too many requests with a wrong token: wait, then check the secret token.",
    503: "Tokens cannot be judged at the moment; the log of the host names the cause.",
}


def _turn_away(away: TurnedAway, request_id: str) -> web.Response:
    headers = {"WWW-Authenticate": 'Bearer realm="scim"'} if away.status == web.HTTPUnauthorized.status_code else {}
    if away.retry_after_s:
        headers["Retry-After"] = str(away.retry_after_s)
    return answers.error(away.status, _AWAY_WORDS[away.status], request_id=request_id, headers=headers)


@web.middleware
async def limit(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Bound the time of a request; an export in hand bounds itself a little tighter, and says what is known."""
    one = request.get(SERVED)
    if one is None:
        return await handler(request)
    request[DEADLINE_S] = clock.monotonic_s() + one.settings.limits.request_s
    try:
        with request.app[DEADLINES].within(one.settings.limits.request_s + _GRACE_S):
            return await handler(request)
    except TimeoutError as failure:
        raise Busy("The database did not answer within the time limit of the request.") from failure


_GRACE_S: Final = 1.0
"""An export is given up by `Exports.carry_out` first, whose answer tells that the outcome is unknown."""


async def read_bounded(request: web.Request) -> bytes:
    """Return the body.

    Raises 413 where it is larger than the connector accepts, 408 where it does not come, 415 where it is coded in a
    way that nobody here reads, and 417 where more is expected of us than to go on.
    """
    limits = request[SERVED].settings.limits
    bound = limits.body_bytes
    if request.content_length is not None and request.content_length > bound:
        raise web.HTTPRequestEntityTooLarge(bound, request.content_length)
    if ", ".join(request.headers.getall("Content-Encoding", ())).strip().lower() not in _CODINGS:
        raise ScimError(415, answers.CODING)
    await _encourage(request)
    try:
        if request.content.is_eof():  # all of it came with the header, as small bodies do
            body = await request.read()
        else:
            async with asyncio.timeout(limits.request_s):
                body = await request.read()
    except TimeoutError as failure:
        raise ScimError(
            408, f"The request body did not come within {limits.request_s:g} s. Nothing was done."
        ) from failure
    except web.RequestPayloadError as failure:
        raise ScimError(400, "The request body is not coded as its headers say.", "invalidSyntax") from failure
    except ConnectionError as failure:  # nobody hears this, and nothing is wrong here: no error for the log
        raise ScimError(400, "The client hung up before its body was complete. Nothing was done.") from failure
    if len(body) > bound:
        raise web.HTTPRequestEntityTooLarge(bound, len(body))
    return body


_CODINGS: Final = frozenset({"", "identity", "gzip", "deflate"})
"""What a body may be coded in; aiohttp has undone it already."""


async def postpone(_request: web.Request) -> None:
    """Leave a client that asks first without a word until somebody wants its body: its token is judged before."""


async def _encourage(request: web.Request) -> None:
    """Tell a client that asked first to go on and send its body (RFC 9110 §10.1.1), once."""
    expected = request.headers.get("Expect", "").strip().lower()
    if not expected or request.version < HttpVersion11 or request.content.is_eof() or request.get(_ENCOURAGED):
        return
    if expected != "100-continue":
        raise ScimError(417, "Of the header Expect this service knows 100-continue only.")
    request[_ENCOURAGED] = True
    await say_continue(request)
