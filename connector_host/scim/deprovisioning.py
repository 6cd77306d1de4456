"""Deprovisioning flows: what disabling and deleting do to a row, and how a deleted user stays hidden or comes back.

The administrator chooses for each of the two: nothing, delete the row, or set a column (settings `disable`, `delete`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec.structs import replace

from connector_host.connectors.contract import Comparator, Compare, Delete, Modify
from connector_host.connectors.errors import Conflict, NotFound
from connector_host.scim.conditions import all_of, any_of, negation
from connector_host.scim.patches import checked_change, differs

if TYPE_CHECKING:
    from collections.abc import Callable

    from connector_host.connectors.contract import Add, Attribute, Condition, Entry, Revision, Value, Values
    from connector_host.scim.flows import Flows


def is_hidden(flows: Flows, entry: Entry) -> bool:
    """Return whether the row belongs to a user that was deleted."""
    if flows.deleted is None or not flows.policies.delete.hidden:
        return False
    return flows.deleted.is_on(entry.values.get(flows.deleted.attribute.name))


def visible(flows: Flows, condition: Condition) -> Condition:
    """Return the condition for the users that were not deleted."""
    if flows.deleted is None or not flows.policies.delete.hidden:
        return condition
    return all_of((condition, negation(flows.deleted.condition())))


def unless_hidden(flows: Flows, revise: Revision) -> Revision:
    """Return a revision that finds no deleted user."""
    if flows.deleted is None:
        return revise

    def revise_if_visible(entry: Entry) -> Values:
        _demand_visible(flows, entry)
        return revise(entry)

    return revise_if_visible


def deletion(flows: Flows, anchor: str, guard: Callable[[Entry], None] | None) -> Delete | Modify | None:
    """Return the export that DELETE asks for, or None where deleting does nothing."""
    match flows.policies.delete.action:
        case "none":
            return None
        case "delete":
            return Delete(anchor, guard)
        case "set":
            return Modify(anchor, _Marking(flows, guard))


@dataclass(frozen=True, slots=True)
class _Marking:
    """Marks a row as deleted; a row that is marked already keeps the time since when it is."""

    flows: Flows
    guard: Callable[[Entry], None] | None

    def __call__(self, entry: Entry) -> Values:
        _demand_visible(self.flows, entry)
        if self.guard is not None:
            self.guard(entry)
        state = self.flows.deleted
        if state is None or state.is_on(entry.values.get(state.attribute.name)):
            return {}
        return {state.attribute.name: state.value(on=True)}


def _demand_visible(flows: Flows, entry: Entry) -> None:
    if is_hidden(flows, entry):
        raise NotFound(entry.anchor)


# ── creating, and coming back ─────────────────────────────────────────────────────────────────────────────────────────


def creation(flows: Flows, add: Add) -> Add:
    """Return the creation with what it leaves unsaid: a new user is neither deleted nor, unless it says so, disabled.

    The column's default need not say the same, and a column that is NOT NULL may have none.
    """
    disabled = (slot.state for slot in flows.slots)
    unsaid = {
        state.attribute.name: state.value(on=False)
        for state in (flows.deleted, *disabled)
        if state is not None and state.attribute.name not in add.values
    }
    return replace(add, values={**add.values, **unsaid}) if unsaid else add


def returning(flows: Flows, add: Add) -> Condition | None:
    """Return which hidden rows a creation brings back, or None where creations create.

    A row is the same user where it holds the same anchor, or the same value of another unique attribute.
    """
    if flows.policies.delete.recreate != "restore" or flows.deleted is None:
        return None
    same = [
        Compare(attribute.name, Comparator.EQ, value)
        for attribute in flows.object_type.attributes
        if (attribute.unique or attribute.name == flows.object_type.anchor)
        and (value := add.values.get(attribute.name)) is not None
    ]
    return all_of((flows.deleted.condition(), any_of(same))) if same else None


def restoration(flows: Flows, add: Add, hidden: Entry) -> Modify:
    """Return the export that brings a hidden row back with what the creation says; the rest of the row stays."""

    def revise(entry: Entry) -> Values:
        state = flows.deleted
        anchor = flows.anchor
        if (
            state is None
            or not is_hidden(flows, entry)
            or not _is_same(anchor, add.values.get(anchor.name), entry.values[anchor.name])
        ):
            raise Conflict(_clashing(flows, add, entry))
        said = {
            slot.attribute.name: checked_change(slot, add.values[slot.attribute.name], None)
            for slot in flows.slots
            if slot.attribute.name in add.values
            and not slot.is_anchor
            and differs(slot, add.values[slot.attribute.name], entry.values.get(slot.attribute.name))
        }
        return {state.attribute.name: state.value(on=False), **said}

    return Modify(hidden.anchor, revise, add.refusals)


def _clashing(flows: Flows, add: Add, entry: Entry) -> list[str]:
    """Return the unique attributes of which the row holds the value already."""
    return [
        attribute.name
        for attribute in flows.object_type.attributes
        if (attribute.unique or attribute.name == flows.anchor.name)
        and add.values.get(attribute.name) is not None
        and _is_same(attribute, add.values[attribute.name], entry.values.get(attribute.name))
    ]


def _is_same(attribute: Attribute, said: Value | None, held: Value | None) -> bool:
    """Return whether a row's value is the one that is said, as the connected system compares it; nothing is any."""
    if isinstance(said, str) and isinstance(held, str) and not attribute.case_exact:
        return said.lower() == held.lower()
    return said is None or said == held
