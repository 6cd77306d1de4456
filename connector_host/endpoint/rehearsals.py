"""Writes with `Dry-Run: true`: executed, undone, and answered with what would have come of them.

The answer is never a 2xx: whoever does not know the header must not take it for success. It is a SCIM error (422, so
that nobody repeats it) with one more message inside, for a script to read.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Final

import structlog
from aiohttp import web

from connector_host.connectors.errors import Busy, ConnectorError, InDoubt, Unavailable
from connector_host.endpoint import answers
from connector_host.endpoint.requests import REQUEST_ID, SERVED, is_write
from connector_host.observability import events
from connector_host.scim import vocabulary
from connector_host.scim.errors import ScimError
from connector_host.scim.rendering import encode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connector_host.connectors.contract import Connector, Export, Exported, Rehearsal, Spoken
    from connector_host.endpoint.requests import Handler

HEADER: Final = "Dry-Run"
STATUS: Final = 422

_LOG = structlog.stdlib.get_logger()
_MEANT: Final = {"true": True, "?1": True, "false": False, "?0": False}
"""`?1` is how RFC 9651 spells a boolean in a header."""


class OnlyShown(Exception):
    """The export cannot be undone, so it was not carried out, and nobody knows what would come of it."""


class Rehearsals:
    """Stands where `Exports` stands: each export is tried and undone, and what was said is kept."""

    def __init__(self) -> None:
        self.held: list[Rehearsal] = []

    async def carry_out(self, connector: Connector, export: Export, limit_s: float) -> Exported:
        """Try one export; returns or raises what it would come to, or raises OnlyShown."""
        try:
            async with asyncio.timeout(limit_s):
                rehearsal = await connector.rehearse(export)
        except TimeoutError as failure:
            raise Busy("The dry run took longer than the time limit of the request; nothing was done.") from failure
        self.held.append(rehearsal)
        if rehearsal.error is not None:
            raise rehearsal.error
        if rehearsal.outcome is None:
            raise OnlyShown
        return rehearsal.outcome


REHEARSALS: Final = web.RequestKey("rehearsals", Rehearsals)


@web.middleware
async def rehearse_instead(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Try a write that asks for it; one that must not, or cannot, is refused, and never carried out instead."""
    given = request.headers.getall(HEADER, [])
    if not given or SERVED not in request or not is_write(request):
        return await handler(request)
    meant = _MEANT.get(",".join(given).strip().lower())
    if meant is None:
        raise ScimError(400, f"{HEADER} is true or false. Nothing was done.")
    if not meant:
        return await handler(request)
    if request[SERVED].settings.dry_run == "off":
        raise ScimError(403, f"{HEADER}: this connector allows none (dry_run in its settings). Nothing was done.")
    if request.path.rstrip("/").endswith("/Bulk"):
        raise ScimError(501, f"{HEADER} is for one write: send the operations one by one. Nothing was done.")
    rehearsals = request[REHEARSALS] = Rehearsals()
    would_be = await _outcome(request, handler)
    _LOG.info(events.EXPORT_REHEARSED, connector=request[SERVED].name, outcome=would_be.get("status", "only shown"))
    return _answer(request, rehearsals.held, would_be)


async def _outcome(request: web.Request, handler: Handler) -> dict[str, object]:
    """Return what the request would be answered with; empty where nothing could be executed.

    Raises Unavailable and InDoubt: then nobody knows what would be.
    """
    try:
        response = await handler(request)
    except OnlyShown:
        return {}
    except (Unavailable, InDoubt):
        raise
    except (ConnectorError, ScimError) as failure:
        status, document = answers.in_words(failure, "")
        return {"status": str(status), "error": document}
    body = response.body if isinstance(response, web.Response) else None
    resource = {"resource": json.loads(body)} if isinstance(body, bytes) and body else {}
    return {"status": str(response.status), **resource}


def _answer(request: web.Request, held: list[Rehearsal], would_be: dict[str, object]) -> web.Response:
    executed = all(one.executed for one in held)
    shows_values = request[SERVED].settings.dry_run == "values"
    message = {
        "executed": executed,
        "written": any(one.outcome is not None and one.outcome.written for one in held),
        **would_be,
        "statements": [_statement(said, shows_values=shows_values) for one in held for said in one.statements],
        "remarks": [one.remark for one in held if one.remark],
    }
    status = would_be.get("status")
    words = f"The request would be answered with {status}." if status else "The statements were not executed."
    document = {
        "schemas": [vocabulary.ERROR, vocabulary.DRY_RUN],
        "status": str(STATUS),
        "detail": f"Dry run: nothing was done. {words} (request {request[REQUEST_ID]})",
        vocabulary.DRY_RUN: message,
    }
    return answers.answer(encode(document), status=STATUS)


def _statement(said: Spoken, *, shows_values: bool) -> Mapping[str, object]:
    shown: dict[str, Any] = {"text": said.text, "parameters": list(said.parameters)}
    if shows_values:
        shown["values"] = {name: _plain(value) for name, value in said.parameters.items()}
    return shown


def _plain(value: object) -> object:
    """Return what JSON can say of a parameter as the driver gets it."""
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
