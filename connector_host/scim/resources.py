"""A whole resource from a client: what a creation (POST) or a replacement (PUT) says about the columns."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from connector_host.connectors.contract import Add, Mutability
from connector_host.connectors.errors import Immutable, InvalidValue
from connector_host.scim import assignments
from connector_host.scim.assignments import Assign, Statement
from connector_host.scim.errors import invalid_syntax
from connector_host.scim.flows import is_writable
from connector_host.scim.patches import checked_change, differs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connector_host.connectors.contract import Entry, Refusal, Value, Values
    from connector_host.scim.flows import Flows, Slot


_SEGMENT_ENDS: Final = re.compile(r"[/\\]")
_CLIMBING: Final = frozenset({".", ".."})
_SEARCH: Final = ".search"


@dataclass(frozen=True, slots=True)
class Replacement:
    """A PUT that has been read: call `revise` with the entry as it is now."""

    flows: Flows
    values: Values
    refusals: tuple[Refusal, ...]
    ids: tuple[str, ...]
    disables: bool = False
    """Whether the user ends disabled where disabling deletes it."""

    def revise(self, entry: Entry) -> Values:
        """Return the values to write: what is said and differs, and null for what is left out (RFC 7644 §3.5.1).

        Columns that take no null stay as they are where they have a default, and are demanded where they have none.
        Computed attributes are passed over. Raises Immutable for the anchor, and InvalidValue.
        """
        if any(text != entry.anchor for text in self.ids):
            raise Immutable("id", "the id of a user never changes; delete the user and create it again.")
        changed: dict[str, Value | None] = {}
        for slot in self.flows.slots:
            name = slot.attribute.name
            if not is_writable(slot) or not self._says(slot):
                continue
            value, before = self.values.get(name), entry.values.get(name)
            if differs(slot, value, before):
                changed[name] = checked_change(slot, value, before)
        return changed

    def _says(self, slot: Slot) -> bool:
        """Return whether the request says anything about the slot: a value, or by leaving it out that it is empty."""
        if slot.attribute.name in self.values:
            return True
        if slot.attribute.required and slot.state is None:
            raise InvalidValue(slot.path, "is required and is missing.")
        return slot.on_null == "clear" and slot.attribute.nullable and _is_cleared_by_absence(slot)


def _is_cleared_by_absence(slot: Slot) -> bool:
    """Return whether leaving the attribute out may empty it; a state such as `active` stays as it is."""
    return slot.attribute.mutability is Mutability.READ_WRITE and not slot.is_anchor and slot.state is None


def read_create(flows: Flows, body: object) -> Add:
    """Read the body of a POST. Raises ScimError invalidSyntax, and InvalidValue naming the attribute."""
    said = _read(flows, body)
    if said.active is False:
        raise InvalidValue("active", "a disabled user is not created here, since disabling deletes (disable).")
    values = {assign.slot.attribute.name: assign.value for assign in _assigns(said) if is_writable(assign.slot)}
    for slot in flows.slots:
        value = values.get(slot.attribute.name)
        if slot.is_anchor and slot.attribute.name in values:
            _demand_addressable(slot, value)
        if value is None and slot.attribute.required and not _is_written_by_flows(flows, slot):
            raise InvalidValue(slot.path, "is required and is missing or empty.")
        if value is None and slot.attribute.name in values and not slot.attribute.nullable:
            raise InvalidValue(slot.path, f"cannot be empty: column {slot.attribute.name} is NOT NULL.")
    return Add(values, tuple(said.refusals))


def _is_written_by_flows(flows: Flows, slot: Slot) -> bool:
    """Return whether a creation that does not name the column gets its value from a deprovisioning flow."""
    return slot.state is not None or (flows.deleted is not None and slot.attribute == flows.deleted.attribute)


def _demand_addressable(slot: Slot, value: Value | None) -> None:
    """Raise InvalidValue for an anchor that no URL can name.

    Clients take `.` and `..` for steps (RFC 3986 §5.2.4), and `.search` is a place of its own (RFC 7644 §3.4.3).
    """
    if value is None:
        raise InvalidValue(slot.path, "is the anchor of this user and cannot be empty.")
    if isinstance(value, str) and _CLIMBING.intersection(_SEGMENT_ENDS.split(value)):
        raise InvalidValue(
            slot.path, 'is the id in the URL of this user, so no part of it between slashes may be "." or "..".'
        )
    if value == _SEARCH:
        raise InvalidValue(slot.path, 'is the id in the URL of this user, where ".search" means a search.')


def read_replacement(flows: Flows, body: object) -> Replacement:
    """Read the body of a PUT. Raises ScimError invalidSyntax, and InvalidValue naming the attribute."""
    said = _read(flows, body)
    values = {assign.slot.attribute.name: assign.value for assign in _assigns(said)}
    return Replacement(flows, values, tuple(said.refusals), tuple(said.ids), disables=said.active is False)


def _read(flows: Flows, body: object) -> Statement:
    if not isinstance(body, dict):
        raise invalid_syntax("The body must be a JSON object that holds a user.")
    document: Mapping[str, object] = body
    return assignments.state(flows, document, Statement())


def _assigns(said: Statement) -> list[Assign]:
    """Return what is said; raise InvalidValue where a filter on values is to choose from a user that holds none yet."""
    found: list[Assign] = []
    for step in said.steps:
        if isinstance(step, Assign):
            found.append(step)
        elif any(_says(assigns) for assigns in step.assigns.values()):
            raise InvalidValue(step.target.node.name, 'has no values to choose from here; write [type eq "…"] instead.')
    return found


def _says(assigns: tuple[Assign, ...] | Exception) -> bool:
    return not isinstance(assigns, tuple) or any(assign.value is not None for assign in assigns)
