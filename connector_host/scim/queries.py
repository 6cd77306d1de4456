"""The query of a list request: parameters as text to the connector's Query (RFC 7644 §3.4.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from connector_host.connectors.contract import EVERYTHING, Query
from connector_host.scim.cursors import Subject, read_cursor, write_cursor
from connector_host.scim.deprovisioning import visible
from connector_host.scim.errors import ScimError, invalid_syntax
from connector_host.scim.filters import read_filter
from connector_host.scim.flows import Complex, Multi, Single, Slot, slots
from connector_host.scim.paths import Identity, Selected, resolve_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connector_host.connectors.contract import Entry, Page
    from connector_host.scim.flows import Flows
    from connector_host.settings import LimitSettings


@dataclass(frozen=True, slots=True)
class Listing:
    """What to ask the connector, and how to tell the client where it is."""

    query: Query
    start_index: int
    count: int
    """How many entries the page may hold; with a cursor one more is asked for, which tells whether there is a next."""
    subject: Subject
    has_cursor: bool

    def page(self, found: Page) -> tuple[tuple[Entry, ...], str]:
        """Return the entries of the page and the cursor of the next one, empty where there is none."""
        if not self.has_cursor or len(found.entries) <= self.count:
            return found.entries, ""
        entries = found.entries[: self.count]
        # A page of none leads to where it was itself: without a cursor it would look like the last one.
        return entries, write_cursor(self.subject, after=entries[-1].anchor if entries else self.query.after)


def read_listing(flows: Flows, parameters: Mapping[str, str], limits: LimitSettings) -> Listing:
    """Read filter, sortBy, sortOrder, startIndex, count and cursor; other parameters are ignored.

    Raises ScimError invalidFilter, invalidCursor, and invalidValue for a number that is none.
    """
    named = {key.lower(): value for key, value in parameters.items()}
    text = named.get("filter", "").strip()
    sort_by = _sort_by(flows, named.get("sortby", ""))
    descending = named.get("sortorder", "").lower() == "descending"
    count = min(max(_number(named, "count", limits.page_size), 0), limits.page_size_max)
    subject = Subject(text, sort_by or "", descending)
    condition = visible(flows, read_filter(flows, text, limits) if text else EVERYTHING)
    if (cursor := named.get("cursor")) is not None:
        if sort_by is not None:
            raise ScimError(400, _UNSORTED, "invalidCursor")
        position = read_cursor(subject, cursor.strip())
        asked = Query(condition, None, descending, after=position.after, limit=count + 1)
        return Listing(asked, 1, count, subject, has_cursor=True)
    start_index = max(_number(named, "startIndex", 1), 1)
    asked = Query(condition, sort_by, descending, start_index - 1, limit=count)
    return Listing(asked, start_index, count, subject, has_cursor=False)


def read_search_request(body: object) -> dict[str, str]:
    """Return the body of a `.search` as parameters, so that it is read as a query is (RFC 7644 §3.4.3)."""
    if not isinstance(body, dict):
        raise invalid_syntax("The body of a search must be a JSON object.")
    parameters: dict[str, str] = {}
    for key, value in body.items():
        match value:
            case str():
                parameters[key.lower()] = value
            case int() if not isinstance(value, bool):
                parameters[key.lower()] = str(value)
            case list() if key.lower() in {"attributes", "excludedattributes"}:
                parameters[key.lower()] = ",".join(str(name) for name in value)
            case None:
                pass
            case _ if key.lower() in _KNOWN:
                raise ScimError(400, f"{key} has the wrong type.", "invalidValue")
    return parameters


_UNSORTED: Final = "Cursors go by id only: leave sortBy out, or use startIndex instead of cursor."
_KNOWN: Final = frozenset(
    {"filter", "sortby", "sortorder", "startindex", "count", "cursor", "attributes", "excludedattributes"}
)


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
            # Existence has no column to sort by.
            return attribute.name or None
        case Identity():
            # The order that there is anyway, and exact.
            return None
        case Selected() as target:
            found = [slot for row in target.rows for slot in target.among(row)]
            return found[0].attribute.name if found else None
        case Complex() | Multi() as node:
            return next(slots(node)).attribute.name
        case _:
            return None
