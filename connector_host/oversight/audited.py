"""A connector whose exports are written to the audit trail before anybody hears of their outcome."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from connector_host import clock
from connector_host.access.callers import current_caller
from connector_host.connectors.contract import Add, Delete, Modify
from connector_host.connectors.errors import InDoubt, Unavailable
from connector_host.errors import HostError
from connector_host.observability.audit import AuditUnavailable
from connector_host.observability.logs import current_request_id, current_trace
from connector_host.oversight.measured import operation_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from connector_host.connectors.contract import (
        Connector,
        Entry,
        Export,
        Exported,
        ObjectType,
        Page,
        Query,
        Rehearsal,
        Values,
    )
    from connector_host.errors import Finding
    from connector_host.observability.audit import Trail

REDACTED: Final = "[redacted]"
_MEANT_S: Final = 0.5
"""Seconds in which it is found out for whom an export was that is given up."""


@dataclass(frozen=True, slots=True)
class Disclosure:
    """What of an export's values is written down: by default the names of attributes, and no value."""

    values: bool = False
    redacted: Collection[str] = ()
    """Attributes whose values are never written down, even where values are."""

    def of(self, values: Values) -> dict[str, Any]:
        """Return what a record says of the values."""
        if not self.values:
            return {"attributes": sorted(values)}
        shown = {name: REDACTED if name in self.redacted else value for name, value in sorted(values.items())}
        return {"attributes": shown}


@dataclass(slots=True)
class _Seen:
    """What an export turns out to write, which only its revision knows."""

    anchor: str = ""
    values: Values = field(default_factory=dict)


class Audited:
    """Passes everything on, and writes a record of each export: who, when, what, and what came of it."""

    def __init__(self, connector: Connector, trail: Trail, disclosure: Disclosure) -> None:
        self._connector, self._trail, self._disclosure = connector, trail, disclosure

    @property
    def name(self) -> str:
        """The name in the configuration and in the URL."""
        return self._connector.name

    async def describe(self) -> ObjectType:
        """Return the object type."""
        return await self._connector.describe()

    async def read(self, anchor: str) -> Entry | None:
        """Return one entry; reads leave no record."""
        return await self._connector.read(anchor)

    async def search(self, query: Query) -> Page:
        """Return a stretch of entries; reads leave no record."""
        return await self._connector.search(query)

    async def export(self, export: Export) -> Exported:
        """Carry out one export, and return after its record is on disk.

        Raises Unavailable, with nothing done, while the trail cannot be written. Where it fails only after the
        export was committed, the answer stays the truth and the next export is refused.
        """
        try:
            await self._trail.demand()
        except AuditUnavailable as failure:
            raise Unavailable("The audit trail cannot be written, so nothing was done.") from failure
        seen, watched = _watched(export)
        began_s, outcome, anchor, written = clock.monotonic_s(), "committed", "", False
        try:
            exported = await self._connector.export(watched)
            anchor, written = exported.entry.anchor, exported.written
            outcome = "committed" if exported.written else "unchanged"
        except asyncio.CancelledError:
            outcome = InDoubt.__name__  # whoever gave it up knows nothing of what the database makes of it
            raise
        except BaseException as failure:
            outcome = type(failure).__name__
            raise
        finally:
            anchor = anchor or seen.anchor or await self._meant(seen.values)
            await self._write(export, seen, anchor=anchor, outcome=outcome, written=written, began_s=began_s)
        return exported

    async def rehearse(self, export: Export) -> Rehearsal:
        """Try one export and undo it; nothing is done, so nothing is recorded as done."""
        return await self._connector.rehearse(export)

    async def check(self) -> list[Finding]:
        """Look at everything that an administrator can get wrong."""
        return await self._connector.check()

    async def close(self) -> None:
        """Let go of the connected system."""
        await self._connector.close()

    async def _meant(self, values: Values) -> str:
        """Return the anchor that an export without an outcome would have given: whom to look for afterwards.

        An export that is given up does not wait for a database that says nothing, or its record would never be written.
        """
        task = asyncio.current_task()
        limit_s = _MEANT_S if task is not None and task.cancelling() else None
        try:
            async with asyncio.timeout(limit_s):
                meant = values.get((await self._connector.describe()).anchor)
        except (HostError, TimeoutError):
            return ""
        return "" if meant is None else str(meant)

    async def _write(  # noqa: PLR0913 - the parts of one record
        self, export: Export, seen: _Seen, *, anchor: str, outcome: str, written: bool, began_s: float
    ) -> None:
        caller, trace = current_caller(), current_trace()
        record: dict[str, Any] = {
            "event": "export",
            "connector": self.name,
            "operation": operation_of(export),
            "anchor": anchor,
            "outcome": outcome,
            "written": written,
            "duration_ms": round((clock.monotonic_s() - began_s) * 1_000, 1),
            "request_id": current_request_id(),
            "trace_id": None if trace is None else trace.id,
            "token": caller.token,
            "source": caller.source,
            **self._disclosure.of(seen.values),
        }
        try:
            await self._trail.record(**record)
        except AuditUnavailable:
            # Logged by the trail. The export is what it is; the next one is refused by `demand`.
            return


def _watched(export: Export) -> tuple[_Seen, Export]:
    """Return an export that does the same, and what it will have written once it ran."""
    match export:
        case Add(values=values):
            return _Seen(values=values), export
        case Delete(anchor=anchor):
            return _Seen(anchor), export
        case Modify(anchor=anchor, revise=revise):
            seen = _Seen(anchor)

            def revising(entry: Entry) -> Values:
                seen.values = revise(entry)
                return seen.values

            return seen, replace(export, revise=revising)
