"""The query of a list request: parameters as text to the connector's Query (RFC 7644 §3.4.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from connector_host.connectors.contract import EVERYTHING, Query
from connector_host.scim.errors import ScimError
from connector_host.scim.filters import read_filter
from connector_host.scim.flows import Complex, Multi, Single, Slot, slots
from connector_host.scim.paths import Identity, Selected, resolve_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connector_host.scim.flows import Flows
    from connector_host.settings import LimitSettings


@dataclass(frozen=True, slots=True)
class Listing:
    """What to ask the connector, and where the client said that the page starts."""

    query: Query
    start_index: int


def read_listing(flows: Flows, parameters: Mapping[str, str], limits: LimitSettings) -> Listing:
    """Read filter, sortBy, sortOrder, startIndex and count; parameters that are none of these are ignored.

    Raises ScimError invalidFilter for a filter, and invalidValue for a number that is none.
    """
    named = {key.lower(): value for key, value in parameters.items()}
    text = named.get("filter", "").strip()
    start_index = max(_number(named, "startIndex", 1), 1)
    count = min(max(_number(named, "count", limits.page_size), 0), limits.page_size_max)
    query = Query(
        condition=read_filter(flows, text, chars_max=limits.filter_chars) if text else EVERYTHING,
        sort_by=_sort_by(flows, named.get("sortby", "")),
        descending=named.get("sortorder", "").lower() == "descending",
        offset=start_index - 1,
        limit=count,
    )
    return Listing(query, start_index)


def _number(parameters: Mapping[str, str], name: str, default: int) -> int:
    """Return a whole number; a negative count is zero and a start below one is one (RFC 7644 §3.4.2.4)."""
    text = parameters.get(name.lower(), "").strip()
    if not text:
        return default
    if len(text) > 18 or not text.lstrip("+-").isascii() or not text.lstrip("+-").isdecimal():  # noqa: PLR2004 - 63 bits
        raise ScimError(400, f"{name} must be a whole number.", "invalidValue")
    return int(text)


def _sort_by(flows: Flows, path: str) -> str | None:
    """Return the attribute to sort by; one that has no column sorts nothing, and a complex one by its first part."""
    if not path.strip():
        return None
    match resolve_path(flows, path.strip()):
        case Slot(attribute=attribute) | Single(slot=Slot(attribute=attribute)):
            return attribute.name
        case Identity():
            return flows.anchor.name
        case Selected() as target:
            found = [slot for row in target.rows for slot in target.among(row)]
            return found[0].attribute.name if found else None
        case Complex() | Multi() as node:
            return next(slots(node)).attribute.name
        case _:
            return None
