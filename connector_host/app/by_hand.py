"""An export that a person types: recorded in a chain of its own, beside the one that the running host holds."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

from connector_host import clock
from connector_host.access.callers import Caller, calling
from connector_host.app.keeping import open_trail
from connector_host.connectors.errors import Unavailable
from connector_host.errors import HostError
from connector_host.observability.audit import BY_HAND, AuditInUse, AuditUnavailable
from connector_host.oversight.audited import Audited, Disclosure
from connector_host.oversight.measured import operation_of
from connector_host.ownership import person

if TYPE_CHECKING:
    from connector_host.connectors.contract import Connector, Export, Exported
    from connector_host.observability.audit import AuditTrail
    from connector_host.settings import AuditSettings

PATIENCE_S: Final = 10.0
"""How long another export by hand is waited for."""
_PAUSE_S: Final = 0.05


class Unrecorded(HostError):
    """The export was carried out, and its record could not be written."""


async def carry_out(connector: Connector, export: Export, settings: AuditSettings) -> Exported:
    """Carry out one export, and return once its record is on disk; where there is no trail, none is written.

    Raises with nothing done what `open_trail` raises, AuditInUse where another export by hand goes on for long, and
    Unavailable where the disk is full; raises Unrecorded where only the record of what came of it is missing.
    """
    async with AsyncExitStack() as stack:
        trail = await _opened(stack, settings)
        if trail is None:
            return await connector.export(export)
        caller = Caller(source=f"by hand: {person()}")
        try:
            # A kill, or a disk that is full by then, leaves this at least; and it proves that records can be written.
            await trail.record(
                event="begun", connector=connector.name, operation=operation_of(export), source=caller.source
            )
        except AuditUnavailable as failure:
            raise Unavailable(f"{failure} Nothing was done.") from failure
        audited = Audited(connector, trail, Disclosure(settings.values, frozenset(settings.redact)))
        with calling(caller):
            exported = await audited.export(export)
        if trail.is_broken:
            raise Unrecorded(f"{exported.entry.anchor}: this was carried out, but its record could not be written.")
        return exported


async def _opened(stack: AsyncExitStack, settings: AuditSettings) -> AuditTrail | None:
    """Return the trail of exports by hand, held until the stack is left; waits while another command holds it."""
    if settings.folder is None:
        return None
    own = settings.model_copy(update={"folder": settings.folder / BY_HAND})
    deadline_s = clock.monotonic_s() + PATIENCE_S
    while True:
        try:
            return open_trail(stack, own)
        except AuditInUse as failure:
            if clock.monotonic_s() >= deadline_s:
                raise AuditInUse(f"Another export by hand holds {own.folder}: nothing was done.") from failure
        await asyncio.sleep(_PAUSE_S)
