"""Writes with an `Idempotency-Key`: carried out once, however often they arrive.

The header is that of draft-ietf-httpapi-idempotency-key-header; the record behind it is `outcomes`. So a relay that
lost sight of a write may send it again, and a provisioning engine that crashed may, too (DESIGN §2.5).

A signed write is known by its nonce as well, and by the key only where the signature covers that: what a relay adds on
the way does not count then.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import structlog
from aiohttp import web

from connector_host import clock
from connector_host.connectors.errors import Busy, InDoubt
from connector_host.endpoint import answers
from connector_host.endpoint.exports import EXPORTS, FOLLOWED, Followed
from connector_host.endpoint.outcomes import Answer, Names, Unrecordable
from connector_host.endpoint.rehearsals import REHEARSALS
from connector_host.endpoint.requests import (
    DEADLINE_S,
    DEADLINES,
    REFUSALS,
    REQUEST_ID,
    SERVED,
    explained,
    is_write,
    read_bounded,
)
from connector_host.endpoint.signatures import PROOF
from connector_host.observability import events

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from aiohttp.typedefs import Middleware

    from connector_host.endpoint.outcomes import Record, Recorded
    from connector_host.endpoint.requests import Handler
    from connector_host.signing.requests import Proof

HEADER: Final = "Idempotency-Key"
RECORD_HEADER: Final = "Idempotency-Record"
"""A condition of ours: the write is only for the host that keeps the record of this name, as /healthz tells it. So
whoever may have to repeat it there can be sure that no other host, to which something on the way led it, did it. With a
refusal it says that the record was asked first, so that it holds for the same write sent before, too; one at the door
cannot know."""

_KEEP_S: Final = 0.25
"""How long the record may take at the least: half of what `requests.limit` leaves after the last answer of a Bulk."""

_LOG = structlog.stdlib.get_logger()
_KEY: Final = re.compile(r"\"?([A-Za-z0-9._:-]{1,128})\"?")
_KEPT_HEADERS: Final = ("Content-Type", "ETag", "Location", "Preference-Applied", "Retry-After", "Allow")


def carry_out_once(outcomes: Record | None) -> Middleware:
    """Return the middleware; without a record, keys are passed over, and `/healthz` does not promise them."""

    @web.middleware
    async def once(request: web.Request, handler: Handler) -> web.StreamResponse:
        # What is only tried uses up no key.
        if SERVED not in request or not is_write(request) or REHEARSALS in request:
            return await handler(request)
        proof = request.get(PROOF)
        given = request.headers.get(HEADER) if proof is None or proof.covers_key else None
        match = _KEY.fullmatch(given.strip()) if given is not None else None
        refusal = _elsewhere(request, outcomes)
        if refusal is None and given is not None and match is None and outcomes is not None:
            refusal = _refuse(request, 400, f"The {HEADER} is not one: 1 to 128 letters, digits, dots and hyphens.")
        if refusal is not None:
            return refusal
        names = _names(request[SERVED].name, match.group(1) if match else None, proof)
        if outcomes is None or not names.all:
            return await handler(request) if proof is None else _refuse(request, 503, _NO_RECORD)
        digest = await _digest(request)
        try:
            recorded = await _begin(outcomes, names, request, digest)
        except Unrecordable as failure:
            _LOG.error(events.OUTCOMES_UNAVAILABLE, reason=str(failure))
            return _refuse(request, 503, _UNRECORDABLE)
        try:
            if recorded is not None:
                answer = _again(request, recorded, digest)
            else:
                answer = await _first(outcomes, names, request, handler)
        finally:
            outcomes.leave(names)
        if RECORD_HEADER in request.headers and answer.status >= web.HTTPBadRequest.status_code:
            answer.headers[RECORD_HEADER] = outcomes.identity
        return answer

    return once


_UNFINISHED: Final = (
    f"This write was begun before, under the same {HEADER} or nonce, and how it ended is unknown: the host stopped, or "
    "the database was lost or is too slow. It may or may not have been carried out, or may still be. Send it again as "
    "it is: once the database has answered, you hear what came of it. Else read the user, and send what is still to do "
    "under a new key."
)
_NOT_BEGUN: Final = "The time limit of the request passed before this was begun; nothing was done."
_UNRECORDABLE: Final = "The host cannot record the outcome, so it did nothing: its disk may be full, or too slow."
_NO_RECORD: Final = (
    "Signed writes are carried out once, and the host cannot keep a record of them: its state folder is not writable."
)


def _elsewhere(request: web.Request, outcomes: Record | None) -> web.Response | None:
    """Return the refusal of a write that is for another host, which names this one; None for any other write."""
    meant = request.headers.getall(RECORD_HEADER, ())
    own = "" if outcomes is None else outcomes.identity
    if all(record == own for record in meant):
        return None
    response = _refuse(request, 412, f"This host keeps another record than the {RECORD_HEADER} of this write.")
    response.headers[RECORD_HEADER] = own
    return response


def _names(connector: str, key: str | None, proof: Proof | None) -> Names:
    """Return what a write is known by; no two connectors, and no key and nonce, share a name."""
    return Names(
        None if key is None else hashlib.sha256(f"{connector}\n{key}".encode()).digest(),
        None
        if proof is None
        else hashlib.sha256(f"{connector}\nnonce\n{proof.key_id}\n{proof.nonce}".encode()).digest(),
    )


async def _begin(outcomes: Record, names: Names, request: web.Request, digest: bytes) -> Recorded | None:
    """Take the names as `Record.begin` does, in the time of the request; else raises Unrecordable."""
    beginning = asyncio.ensure_future(outcomes.begin(names, digest))
    left_s = max(0.0, request[DEADLINE_S] - clock.monotonic_s())
    try:
        with request.app[DEADLINES].within(left_s):
            return await asyncio.shield(beginning)
    except (TimeoutError, asyncio.CancelledError) as ending:
        answer = _recordable(explained(Busy(_NOT_BEGUN), request[REQUEST_ID]))
        request.app[EXPORTS].afterwards(_give_back(outcomes, names, beginning, answer))
        if isinstance(ending, TimeoutError):
            raise Unrecordable(f"it takes longer than the {left_s:.1f} s that the request had left") from ending
        raise


async def _give_back(
    outcomes: Record, names: Names, beginning: asyncio.Future[Recorded | None], answer: Answer
) -> None:
    """Let go of what is taken too late for its request: nothing was done, and the same write may come again."""
    with suppress(Unrecordable):
        recorded = await beginning
        try:
            if recorded is None:
                await outcomes.forget(names, answer)
        finally:
            outcomes.leave(names)


async def _first(outcomes: Record, names: Names, request: web.Request, handler: Handler) -> web.StreamResponse:
    request[FOLLOWED] = Followed(request.app[EXPORTS])
    try:
        response = await handler(request)
    except (InDoubt, asyncio.CancelledError):
        request.app[EXPORTS].afterwards(_learn(outcomes, names, request, handler))
        raise
    except REFUSALS as failure:
        # Each of these says that nothing was done; any other leaves the key as it is: begun, and unknown.
        refused = explained(failure, request[REQUEST_ID])
        # Where it stays begun, a repeated request hears that the outcome is unknown, which is never wrong.
        await _keep(request, outcomes.forget(names, _recordable(refused)))
        return refused
    await _keep(request, outcomes.finish(names, _recordable(response)))
    return response


async def _learn(outcomes: Record, names: Names, request: web.Request, handler: Handler) -> None:
    """Record what becomes of a write whose time is over, once that is known: whoever repeats it is told the truth."""
    begun = list(request[FOLLOWED].begun)
    if begun:
        await asyncio.wait(begun)
    if len(begun) > 1 or any(task.cancelled() for task in begun):
        return  # it stays begun, and unknown
    failure = begun[0].exception() if begun else Busy(_NOT_BEGUN)
    try:
        if failure is None and not request.path.rstrip("/").endswith("/Bulk"):
            answer = await _replayed(request, handler)
            if answer.status < web.HTTPBadRequest.status_code:
                await outcomes.finish(names, _recordable(answer))
        elif isinstance(failure, REFUSALS) and not isinstance(failure, InDoubt):
            answer = await _replayed(request, handler) if begun else explained(failure, request[REQUEST_ID])
            await outcomes.forget(names, _recordable(answer))
    except (Unrecordable, TimeoutError) as failed:
        _LOG.error(events.OUTCOMES_UNAVAILABLE, reason=str(failed) or "the late answer cannot be made")


async def _replayed(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Return what would have been answered, had the export been in time; of the database, it is only read for that."""
    limit_s = request[SERVED].settings.limits.request_s
    request[DEADLINE_S] = clock.monotonic_s() + limit_s
    request[FOLLOWED].replay()
    try:
        with request.app[DEADLINES].within(limit_s):
            return await handler(request)
    except REFUSALS as failure:
        return explained(failure, request[REQUEST_ID])


async def _keep(request: web.Request, keeping: Awaitable[None]) -> None:
    """Wait until the record has an answer, as long as the request has time: it is the truth for its client anyway."""
    left_s = max(_KEEP_S, request[DEADLINE_S] - clock.monotonic_s())
    try:
        with request.app[DEADLINES].within(left_s):
            await keeping
    except (Unrecordable, TimeoutError, asyncio.CancelledError) as failure:
        if isinstance(failure, asyncio.CancelledError) and clock.monotonic_s() < request[DEADLINE_S]:
            raise  # by a stop; else by the limit around this one, which may pass in the same moment (see `Exports`)
        reason = str(failure) or f"it takes longer than the {left_s:.1f} s that the request had left"
        _LOG.error(events.OUTCOMES_UNAVAILABLE, reason=reason)


def _recordable(response: web.StreamResponse) -> Answer:
    body = response.body if isinstance(response, web.Response) and isinstance(response.body, bytes) else b""
    headers = [(name, response.headers[name]) for name in _KEPT_HEADERS if name in response.headers]
    return Answer(response.status, headers, body)


async def _digest(request: web.Request) -> bytes:
    """Return what tells this request from another one under the same key."""
    target = f"{request.method} {request.raw_path}\n".encode()
    return hashlib.sha256(target + await read_bounded(request)).digest()


def _again(request: web.Request, recorded: Recorded, digest: bytes) -> web.StreamResponse:
    if recorded.request != digest:
        return _refuse(
            request, 422, f"The {HEADER}, or the nonce, came with another request before; use a new one for each write."
        )
    if recorded.answer is None:
        return _refuse(request, 504, _UNFINISHED)
    _LOG.info(events.REQUEST_REPLAYED, status=recorded.answer.status)
    return web.Response(body=recorded.answer.body, status=recorded.answer.status, headers=recorded.answer.headers)


def _refuse(request: web.Request, status: int, detail: str) -> web.Response:
    return answers.error(status, detail, request_id=request[REQUEST_ID])
