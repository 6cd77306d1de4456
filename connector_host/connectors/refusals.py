"""The policy over refused exports (DESIGN §2.2): reject them, or leave the value out and say so.

Which values belong to a refused class is found where their spelling is known, in the protocol's room; here is
only what becomes of them. No value is ever seen here, only names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from connector_host.connectors.errors import RefusedExport

if TYPE_CHECKING:
    from connector_host.connectors.contract import Export, Refusal
    from connector_host.settings import RefusalSettings


def apply(policy: RefusalSettings, export: Export) -> tuple[Refusal, ...]:
    """Return the values of the export that are left out; raise RefusedExport with all that are rejected.

    A Delete holds no values, so there is nothing to refuse in it.
    """
    refusals: tuple[Refusal, ...] = getattr(export, "refusals", ())
    if not refusals:
        return refusals
    rejected = [refusal for refusal in refusals if getattr(policy, refusal.kind.value) == "reject"]
    if rejected:
        raise RefusedExport(rejected)
    return refusals
