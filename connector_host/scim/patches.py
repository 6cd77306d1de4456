"""A PATCH request as one revision of an entry: all of its operations, or none (RFC 7644 §3.5.2).

body ──read_patch──▶ Patch(steps, refusals) ──revise, with the row locked──▶ Values

The resource is a fixed set of slots with one value each, so operations become assignments to slots; nothing is ever
inserted into a list. What a step means is settled before the database is asked, save for filters on values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from connector_host.connectors.contract import Mutability
from connector_host.connectors.errors import Immutable, InvalidValue
from connector_host.scim import assignments, entra
from connector_host.scim.assignments import Assign, Statement
from connector_host.scim.coercion import is_empty
from connector_host.scim.errors import ScimError, invalid_syntax
from connector_host.scim.paths import resolve_path
from connector_host.scim.selection import selects

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connector_host.connectors.contract import Entry, Refusal, Value, Values
    from connector_host.scim.assignments import Step
    from connector_host.scim.flows import Flows, Row, Slot
    from connector_host.scim.paths import Selected

_Verb: TypeAlias = Literal["add", "replace", "remove"]
_VERBS: Final[Mapping[str, _Verb]] = {"add": "add", "replace": "replace", "remove": "remove"}


@dataclass(frozen=True, slots=True)
class Patch:
    """A PATCH that has been read: call `revise` with the entry as it is now."""

    flows: Flows
    steps: tuple[Step, ...]
    refusals: tuple[Refusal, ...]
    ids: tuple[str, ...] = ()
    disables: bool = False
    """Whether the user ends disabled where disabling deletes it."""

    def revise(self, entry: Entry) -> Values:
        """Return the values to write: only those that differ.

        Raises ScimError noTarget where a filter selects nothing, Immutable for the anchor and computed attributes,
        and InvalidValue for a null where the column takes none.
        """
        if any(text != entry.anchor for text in self.ids):
            raise Immutable("id", "the id of a user never changes; delete the user and create it again.")
        held: dict[str, Value | None] = dict(entry.values)
        named: dict[str, Slot] = {}
        for step in self.steps:
            for assign in _assigns(step, held):
                held[assign.slot.attribute.name] = assign.value
                named[assign.slot.attribute.name] = assign.slot
        return {
            name: checked_change(slot, held[name], entry.values.get(name))
            for name, slot in named.items()
            if differs(slot, held[name], entry.values.get(name))
        }


def differs(slot: Slot, after: Value | None, before: Value | None) -> bool:
    """Return whether a value is another one; the time since when a user is disabled is not moved by saying so again."""
    if slot.state is not None:
        return slot.state.is_on(after) is not slot.state.is_on(before)
    return after != before


def checked_change(slot: Slot, value: Value | None, before: Value | None) -> Value | None:
    """Return the new value of an existing entry's slot; raise Immutable or InvalidValue where it cannot have it.

    An anchor in other letters is left to the connector: a UUID in capitals is the same one.
    """
    if slot.is_anchor:
        if str(value).casefold() == str(before).casefold():
            return value
        raise Immutable(slot.path, "is the anchor of this user and never changes; delete the user and create it again.")
    if slot.attribute.mutability is not Mutability.READ_WRITE:
        raise Immutable(slot.path, "is computed by the database and cannot be written.")
    if value is None and not slot.attribute.nullable:
        raise InvalidValue(slot.path, f"cannot be empty: column {slot.attribute.name} is NOT NULL.")
    return value


def read_patch(flows: Flows, body: object, *, operations_max: int) -> Patch:
    """Read the body of a PATCH request in any of the dialects of RFC 7644, Entra and Okta.

    Raises ScimError (invalidSyntax, invalidPath, noTarget, 413) and InvalidValue.
    """
    operations = _operations(body)
    if len(operations) > operations_max:
        raise ScimError(413, f"A PATCH may hold {operations_max} operations; this one holds {len(operations)}.")
    steps: list[Step] = []
    refusals: list[Refusal] = []
    ids: list[str] = []
    active = True
    for number, operation in enumerate(operations, start=1):
        said = Statement()
        _read(flows, number, operation, said)
        steps.extend(said.steps)
        refusals.extend(said.refusals)
        ids.extend(said.ids)
        active = active if said.active is None else said.active
    return Patch(flows, tuple(steps), tuple(refusals), tuple(ids), disables=not active)


def _operations(body: object) -> list[object]:
    if not isinstance(body, dict):
        raise invalid_syntax("The body of a PATCH must be a JSON object.")
    operations = next((value for key, value in body.items() if key.lower() == "operations"), None)
    if not isinstance(operations, list):
        raise invalid_syntax("The body of a PATCH must have a list Operations.")
    return operations


def _read(flows: Flows, number: int, operation: object, said: Statement) -> None:
    if not isinstance(operation, dict):
        raise invalid_syntax(f"Operation {number} must be a JSON object.")
    fields = {str(key).lower(): value for key, value in operation.items()}
    op, path, value = fields.get("op"), fields.get("path"), fields.get("value")
    verb = _VERBS.get(op.lower()) if isinstance(op, str) else None
    if verb is None:
        raise invalid_syntax(f"Operation {number}: op must be add, replace or remove.")
    if path is not None and not isinstance(path, str):
        raise ScimError(400, f"Operation {number}: path must be text.", "invalidPath")
    if verb != "remove" and "value" not in fields:
        raise ScimError(400, f"Operation {number}: {verb} needs a value.", "invalidValue")
    if path and verb == "remove":
        assignments.remove(resolve_path(flows, path), value, said)
    elif path:
        assignments.state_at(resolve_path(flows, path), value, said, replace=verb == "replace")
    elif verb == "remove":
        raise ScimError(400, f"Operation {number}: remove needs a path.", "noTarget")
    elif not isinstance(value, dict):
        raise ScimError(400, f"Operation {number}: without a path, value must be an object.", "invalidValue")
    else:
        assignments.state(flows, value, said, replace=verb == "replace")


def _assigns(step: Step, held: Mapping[str, Value | None]) -> tuple[Assign, ...]:
    if isinstance(step, Assign):
        return (step,)
    chosen = [step.assigns[at] for at, row in enumerate(step.target.rows) if _is_selected(step.target, row, held)]
    if not chosen and step.must_match:
        raise ScimError(400, f"No value of {step.target.node.name} matches the filter of the path.", "noTarget")
    found: list[Assign] = []
    for assigns in chosen:
        if not isinstance(assigns, tuple):
            raise assigns
        found.extend(assigns)
    return tuple(found)


def _is_selected(target: Selected, row: Row, held: Mapping[str, Value | None]) -> bool:
    values: dict[str, object] = {name: held.get(slot.attribute.name) for name, slot in row.subs.items()}
    if target.val_filter is None or all(is_empty(value) for value in values.values()):
        return False
    return selects(target.val_filter, {**entra.marks(target.node, row), **values})
