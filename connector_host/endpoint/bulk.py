"""POST /Bulk: many operations in one request, each a transaction of its own, together where nothing forbids it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING

from msgspec.structs import replace

from connector_host import clock
from connector_host.connectors.errors import Busy, ConnectorError
from connector_host.connectors.origins import current_origin, working_for
from connector_host.endpoint import answers, operations
from connector_host.endpoint.requests import DEADLINES, REQUEST_ID, SERVED, log_for_administrators, read_bounded
from connector_host.endpoint.users import call_of
from connector_host.errors import ConfigurationError
from connector_host.scim.bodies import read_body
from connector_host.scim.bulk import answer_operation, bulk_response, read_bulk
from connector_host.scim.errors import ScimError
from connector_host.scim.rendering import encode

if TYPE_CHECKING:
    from aiohttp import web

    from connector_host.deadlines import Deadlines
    from connector_host.endpoint.operations import Call
    from connector_host.scim.bulk import Operation
    from connector_host.scim.rendering import Rendered

_TOGETHER = 32
"""Operations under way at once: enough for the writer to commit them together, few enough to leave room for others."""
_BEGIN_SHARE = 0.8
"""How much of the request's time may be over when an operation begins: one that ends too late is not known of."""
_GRACE_S = 0.5
"""An export is given up first, whose answer tells that the outcome is unknown; then a read, and last the request."""


async def bulk(request: web.Request) -> web.Response:
    """Carry out a Bulk request (RFC 7644 §3.7)."""
    limits = request[SERVED].settings.limits
    asked = read_bulk(read_body(await read_bounded(request)), operations_max=limits.bulk_operations)
    call = await call_of(request)
    begin_until_s = call.deadline_s - (1 - _BEGIN_SHARE) * limits.request_s
    work = _Bulk(call, request[REQUEST_ID], begin_until_s, request.app[DEADLINES])
    # A lane of its own, so that what it does does not hold up single requests of the same client.
    with working_for(f"{current_origin()} bulk {request[REQUEST_ID]}"):
        if asked.fail_on_errors:
            done = await work.one_after_the_other(asked.operations, asked.fail_on_errors)
        else:
            done = await work.together(asked.operations)
    return answers.answer(encode(bulk_response(done)))


class _Bulk:
    """One Bulk request under way; knows which ids the bulkIds became."""

    def __init__(self, call: Call, request_id: str, begin_until_s: float, deadlines: Deadlines) -> None:
        self._call = replace(call, projection=None, if_none_match="")
        self._request_id = request_id
        self._begin_until_s = begin_until_s
        self._deadlines = deadlines
        self._ids: dict[str, str] = {}
        self._room = asyncio.Semaphore(_TOGETHER)

    async def one_after_the_other(self, asked: tuple[Operation, ...], errors_max: int) -> list[dict[str, object]]:
        """Carry out operations in their order until there were so many errors; the rest is not answered."""
        done: list[dict[str, object]] = []
        errors = 0
        for operation in asked:
            said = await self._carry_out(operation)
            done.append(said)
            errors += "response" in said
            if errors >= errors_max:
                break
        return done

    async def together(self, asked: tuple[Operation, ...]) -> list[dict[str, object]]:
        """Carry out operations side by side; those on one user, or on what another creates, keep their order."""
        last: dict[str, asyncio.Task[dict[str, object]]] = {}
        waiting_for: dict[int, list[asyncio.Task[dict[str, object]]]] = defaultdict(list)
        tasks: list[asyncio.Task[dict[str, object]]] = []
        async with asyncio.TaskGroup() as group:
            for number, operation in enumerate(asked):
                keys = {f"bulkId:{operation.bulk_id}" if operation.method == "POST" else "", _key(operation)} - {""}
                waiting_for[number].extend(last[key] for key in keys if key in last)
                task = group.create_task(self._after(waiting_for[number], operation))
                tasks.append(task)
                last.update(dict.fromkeys(keys, task))
        return [task.result() for task in tasks]

    async def _after(self, others: list[asyncio.Task[dict[str, object]]], operation: Operation) -> dict[str, object]:
        if others:
            await asyncio.wait(others)
        async with self._room:
            return await self._carry_out(operation)

    async def _carry_out(self, operation: Operation) -> dict[str, object]:
        """Carry out one operation and return what the response says about it."""
        try:
            if operation.problem is not None:
                raise operation.problem
            return await self._in_time(operation)
        except (ConnectorError, ScimError, ConfigurationError) as failure:
            log_for_administrators(failure)
            status, document = answers.in_words(failure, self._request_id)
            return answer_operation(operation, status=status, error=document, location=self._location(operation))

    async def _in_time(self, operation: Operation) -> dict[str, object]:
        """Carry out one operation; raises Busy where it is too late to begin, or the database does not answer a read.

        The others of the request have been carried out or not, which is told of each.
        """
        now_s = clock.monotonic_s()
        if now_s > self._begin_until_s:
            raise Busy("The time limit of the request was too near to begin with this; nothing was done.")
        try:
            with self._deadlines.within(self._call.deadline_s - now_s + _GRACE_S):
                return await self._done(operation)
        except TimeoutError as failure:
            raise Busy(
                "The database did not answer within the time limit of the request; nothing was done."
            ) from failure

    async def _done(self, operation: Operation) -> dict[str, object]:
        call = replace(self._call, if_match=operation.version)
        match operation.method:
            case "POST":
                created = await operations.create(replace(call, if_match=""), operation.data)
                self._ids[operation.bulk_id] = created.anchor
                return self._said(operation, created, status=201)
            case "PUT":
                return self._said(operation, await operations.replace(call, self._anchor(operation), operation.data))
            case "PATCH":
                return self._said(operation, await operations.patch(call, self._anchor(operation), operation.data))
            case _:
                await operations.delete(call, self._anchor(operation))
                return self._said(operation, None)

    def _anchor(self, operation: Operation) -> str:
        """Return the id that the path means; raise ScimError where the bulkId became nothing."""
        if not operation.needs:
            return operation.target
        anchor = self._ids.get(operation.needs)
        if anchor is None:
            raise ScimError(
                409, "The operation with this bulkId created no user before, so there is nothing to change."
            )
        return anchor

    def _said(self, operation: Operation, rendered: Rendered | None, *, status: int = 200) -> dict[str, object]:
        if rendered is None:
            return answer_operation(operation, status=204, location=self._location(operation))
        return answer_operation(operation, status=status, location=rendered.location, version=rendered.version)

    def _location(self, operation: Operation) -> str:
        """Return the URL of the user that an operation is about; a creation that failed has none."""
        if operation.method == "POST" or operation.problem is not None:
            return ""
        anchor = self._ids.get(operation.needs) if operation.needs else operation.target
        return self._call.renderer.location(anchor, self._call.users_url) if anchor is not None else ""


def _key(operation: Operation) -> str:
    """Return what an operation must keep its order with."""
    return f"bulkId:{operation.needs}" if operation.needs else operation.target
