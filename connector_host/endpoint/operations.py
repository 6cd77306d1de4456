"""The operations on users, free of HTTP: read what is asked, ask the connector, render what came back.

A single request and an operation of a Bulk request both come through here, so that they cannot differ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from connector_host import clock
from connector_host.connectors.contract import Delete, Modify, Query
from connector_host.connectors.errors import Busy, ConnectorError, NotFound
from connector_host.scim import deprovisioning, versions
from connector_host.scim.patches import read_patch
from connector_host.scim.queries import read_listing
from connector_host.scim.rendering import render_list
from connector_host.scim.resources import read_create, read_replacement
from connector_host.scim.wording import in_scim_words

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from connector_host.connectors.contract import Add, Entry, Export, Exported, Refusal, Revision
    from connector_host.endpoint.exports import Exports, Followed
    from connector_host.endpoint.rehearsals import Rehearsals
    from connector_host.endpoint.served import Served
    from connector_host.scim.patches import Patch
    from connector_host.scim.projection import Projection
    from connector_host.scim.rendering import Rendered, Renderer
    from connector_host.scim.resources import Replacement


class Call(msgspec.Struct, frozen=True):
    """What every operation needs to know of its request."""

    served: Served
    renderer: Renderer
    exports: Exports | Followed | Rehearsals
    """Carries exports out, or only tries them."""
    users_url: str
    """The public URL of `/Users`."""
    deadline_s: float
    """When the request must be answered, by the monotonic clock."""
    if_match: str = ""
    if_none_match: str = ""
    projection: Projection | None = None

    @property
    def guard(self) -> Callable[[Entry], None] | None:
        """Return what checks the If-Match and If-None-Match headers against an entry, if there is one."""
        if not self.if_match and not self.if_none_match:
            return None
        return versions.demand(self.if_match, self.if_none_match, self.renderer.version)

    def render(self, entry: Entry) -> Rendered:
        """Render an entry as the client wants to see it."""
        return self.renderer.render(entry, self.users_url, self.projection)

    async def carry_out(self, export: Export) -> Exported:
        """Carry out one export; errors name attributes by their SCIM path.

        Raises Busy, with nothing begun, where the time of the request is over already.
        """
        left_s = self.deadline_s - clock.monotonic_s()
        if left_s <= 0:
            raise Busy("The time limit of the request passed before this was begun; nothing was done.")
        try:
            return await self.exports.carry_out(self.served.connector, export, left_s)
        except ConnectorError as failure:
            raise in_scim_words(failure, self.renderer.flows) from failure


async def create(call: Call, body: object) -> Rendered:
    """Create a user, or bring a deleted one back where the policy says so (RFC 7644 §3.3)."""
    add = read_create(call.renderer.flows, body)
    restored = await _restore(call, add)
    exported = restored or await call.carry_out(deprovisioning.creation(call.renderer.flows, add))
    return call.render(exported.entry)


async def _restore(call: Call, add: Add) -> Exported | None:
    condition = deprovisioning.returning(call.renderer.flows, add)
    if condition is None:
        return None
    found = await call.served.connector.search(Query(condition, limit=2))
    if len(found.entries) != 1:
        # Nobody comes back; where two would, their values clash and the database says so.
        return None
    return await call.carry_out(deprovisioning.restoration(call.renderer.flows, add, found.entries[0]))


async def read(call: Call, anchor: str) -> Rendered:
    """Read a user (RFC 7644 §3.4.1); raises NotFound."""
    entry = await call.served.connector.read(anchor)
    if entry is None or deprovisioning.is_hidden(call.renderer.flows, entry):
        raise NotFound(anchor)
    return call.render(entry)


async def search(call: Call, parameters: Mapping[str, str]) -> bytes:
    """Find users and return a ListResponse (RFC 7644 §3.4.2)."""
    listing = read_listing(call.renderer.flows, parameters, call.served.settings.limits)
    found = await call.served.connector.search(listing.query)
    entries, next_cursor = listing.page(found)
    resources = [call.render(entry) for entry in entries]
    start_index = 0 if listing.has_cursor else listing.start_index
    return render_list(resources, total=found.total, start_index=start_index, next_cursor=next_cursor)


async def patch(call: Call, anchor: str, body: object) -> Rendered | None:
    """Change a user (RFC 7644 §3.5.2); None where the user is gone, because disabling deletes."""
    limits = call.served.settings.limits
    return await _modify(call, anchor, read_patch(call.renderer.flows, body, operations_max=limits.patch_operations))


async def replace(call: Call, anchor: str, body: object) -> Rendered | None:
    """Replace a user (RFC 7644 §3.5.1); None where the user is gone, because disabling deletes."""
    return await _modify(call, anchor, read_replacement(call.renderer.flows, body))


async def _modify(call: Call, anchor: str, change: Patch | Replacement) -> Rendered | None:
    revise = deprovisioning.unless_hidden(call.renderer.flows, versions.guarded(change.revise, call.guard))
    if change.disables:
        await _delete_disabled(call, anchor, revise, change.refusals)
        return None
    exported = await call.carry_out(Modify(anchor, revise, change.refusals))
    return call.render(exported.entry)


async def _delete_disabled(call: Call, anchor: str, revise: Revision, refusals: tuple[Refusal, ...]) -> None:
    """Delete a user, because disabling deletes; whatever else the change says is refused where it always is."""
    if refusals:
        await call.carry_out(Modify(anchor, lambda _: {}, refusals))

    def guard(entry: Entry) -> None:
        revise(entry)

    await call.carry_out(Delete(anchor, guard))


async def delete(call: Call, anchor: str) -> None:
    """Delete a user as the delete flow says (RFC 7644 §3.6); raises NotFound."""
    export = deprovisioning.deletion(call.renderer.flows, anchor, call.guard)
    if export is None:
        kept = await read(call, anchor)
        versions.demand_version(kept.version, call.if_match, call.if_none_match)
        return
    await call.carry_out(export)
