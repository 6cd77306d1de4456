"""What a request says about the attributes, as a flat list: slot and value, beside the refused ones by name.

POST, PUT and PATCH all go through here, so that refusals and coercion are the same through every door (DESIGN §2.2).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec
from scim2_models.path import AttrPath, CompareOperator, Comparison, FilterNode, LogicalExpr, LogicalOperator

from connector_host.connectors.contract import Refusal, RefusalKind, Value
from connector_host.connectors.errors import Immutable, InvalidValue
from connector_host.scim import entra, paths, vocabulary
from connector_host.scim.coercion import COMPOUND, coerce, coerce_truth, is_empty
from connector_host.scim.entra import single_value
from connector_host.scim.errors import invalid_syntax
from connector_host.scim.flows import Complex, Multi, Row, SchemaFlow, Single, Slot, slots
from connector_host.scim.paths import Ignored, Selected, Target, Whole

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from connector_host.scim.flows import Flows


_KEYS_MAX: Final = 5_000
"""Attributes of one object: no database has tables with as many columns."""
_TOLD_MAX: Final = 20


class Assign(msgspec.Struct, frozen=True):
    """Write this value (None clears) to this slot."""

    slot: Slot
    value: Value | None


@dataclass(frozen=True, slots=True)
class Choose:
    """Assign to those rows whose present values the filter selects."""

    target: Selected
    assigns: Mapping[int, tuple[Assign, ...] | InvalidValue | Immutable]
    """What to assign, by the position of the row; an error where this row cannot take it."""
    must_match: bool


Step: TypeAlias = Assign | Choose


@dataclass(slots=True)
class Statement:
    """Everything that one operation says, collected in its order."""

    steps: list[Step] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    """What the client says that the id is; it can only be what it is already."""
    active: bool | None = None
    """What is said about `active` where it has no column and disabling deletes."""

    def assign(self, slot: Slot, raw: object) -> None:
        """Add one slot's value, coerced; a list of several is refused as multi-valued."""
        bare = raw if isinstance(raw, str) else single_value(raw)
        if isinstance(bare, list) and not is_empty(bare):
            self.refuse(RefusalKind.MULTI_VALUED, slot.path)
        elif isinstance(bare, COMPOUND) and _holds_reference(bare):
            self.refuse(RefusalKind.REFERENCE, f"{slot.path}.$ref")
        elif slot.state is not None or slot.is_existence:
            self.say_state(slot, coerce_truth(slot.path, bare))
        else:
            self.say(slot, coerce(slot, bare))

    def say_state(self, slot: Slot, truth: bool | None) -> None:  # noqa: FBT001 - it is the value itself
        """Add what is said about `active`; null says nothing about a state."""
        if truth is None:
            return
        if slot.state is not None:
            self.steps.append(Assign(slot, slot.state.value(on=not truth)))
        else:
            self.active = truth

    def say(self, slot: Slot, value: Value | None) -> None:
        """Add one slot's value; null follows the policy of its column."""
        if slot.state is not None or slot.is_existence:
            return
        if value is not None or slot.on_null == "clear":
            self.steps.append(Assign(slot, value))
        elif slot.on_null == "reject":
            raise InvalidValue(slot.path, "cannot be cleared: on_null is reject for this column.")

    def refuse(self, kind: RefusalKind, attribute: str) -> None:
        """Add a refusal, by name only; of one class the first few are told, since one is enough to refuse."""
        told = [refusal.attribute for refusal in self.refusals if refusal.kind is kind]
        if len(told) >= _TOLD_MAX or attribute in told:
            return
        self.refusals.append(Refusal(kind, attribute, vocabulary.REASONS[kind]))


def state(flows: Flows, document: Mapping[str, object], into: Statement, *, replace: bool = False) -> Statement:
    """Flatten a document: a resource, or the value of a PATCH without a path, with dotted and URN keys alike.

    With `replace`, a multi-valued attribute that is named is replaced as a whole. Raises InvalidValue for a value that
    its column cannot hold, and ScimError invalidSyntax for more attributes than any table has columns.
    """
    _demand_few(document)
    for key, value in document.items():
        state_at(paths.resolve_key(flows, key), value, into, replace=replace)
    return into


def state_at(target: Target, value: object, into: Statement, *, replace: bool = False) -> None:
    """Say one thing about one target, be it named by a path or by a key."""
    match target:
        case Single(slot=slot):  # before all others, since it is what is named most
            into.assign(slot, value)
        case Ignored(attribute=name, refused=kind) if kind is not None:
            if not is_empty(value):
                into.refuse(kind, name)
        case Ignored(attribute=name):
            _state_ignored(name, value, into)
        case Whole(schema=schema):
            _state_schema(schema, value, into, replace=replace)
        case Selected():
            _state_selected(target, value, into)
        case paths.Identity():
            if not is_empty(value):
                into.ids.append(str(single_value(value)))
        case Slot():
            into.assign(target, value)
        case _:
            _state_parts(target, value, into, replace=replace)


def _state_parts(node: Complex | Multi, value: object, into: Statement, *, replace: bool) -> None:
    if isinstance(node, Complex):
        _state_complex(node, value, into)
    else:
        _state_multi(node, value, into, replace=replace)


def clear(target: Target, into: Statement) -> None:
    """Say that everything below the target is null."""
    match target:
        case Ignored():
            pass
        case paths.Identity():
            into.ids.append("")
        case Whole(schema=schema):
            for node in schema.nodes.values():
                clear(node, into)
        case Selected():
            _clear_selected(target, into)
        case Slot():
            into.say(target, None)
        case _:
            for slot in slots(target):
                into.say(slot, None)


def _clear_selected(target: Selected, into: Statement) -> None:
    if target.val_filter is not None:
        into.steps.append(_choose(target, clear, into, must_match=False))
        return
    for row in target.rows:
        _demand_no_mark(target, row)
        for slot in target.among(row):
            into.say(slot, None)


def remove(target: Target, value: object, into: Statement) -> None:
    """Clear the target; of a multi-valued attribute only those values that the operation names, where it names any.

    With anything else a value says nothing: Entra sends a stray one.
    """
    if not isinstance(target, Multi) or is_empty(value):
        clear(target, into)
        return
    elements = [_fields(element) for element in (value if isinstance(value, list) else [value])]
    if len(elements) > _KEYS_MAX:
        raise invalid_syntax(f"More than {_KEYS_MAX} values of one attribute cannot be removed at once.")
    for row in target.rows:
        if any_of := tuple(term for fields in elements if (term := _naming(target, row, fields)) is not None):
            val_filter = any_of[0] if len(any_of) == 1 else LogicalExpr(LogicalOperator.or_, any_of)
            into.steps.append(_choose(Selected(target, (row,), "", val_filter), clear, into, must_match=False))


def _naming(node: Multi, row: Row, fields: Mapping[str, object]) -> FilterNode | None:
    """Return the filter that selects the row if it holds all of this; None where nothing that it could hold is said."""
    known = {*row.subs, *entra.marks(node, row)}
    terms = tuple(
        Comparison(AttrPath(key), CompareOperator.eq, single_value(part))
        for key, part in fields.items()
        if key in known and not is_empty(part)
    )
    return terms[0] if len(terms) == 1 else LogicalExpr(LogicalOperator.and_, terms) if terms else None


def _fields(element: object) -> dict[str, object]:
    """Return an element of a multi-valued attribute by its sub-attributes in lower case."""
    fields = element if isinstance(element, dict) else {"value": element}
    return {str(key).lower(): part for key, part in fields.items()}


def _demand_few(document: Mapping[str, object]) -> None:
    if len(document) > _KEYS_MAX:
        raise invalid_syntax(f"An object of the body holds more than {_KEYS_MAX} attributes.")


def _state_ignored(name: str, value: object, into: Statement) -> None:
    """Look into a value that has no column: only what belongs to a refused class may not pass in silence."""
    if name.lower() not in vocabulary.WRITTEN_BY_HOST:
        _look_into(name, value, into, ":" if name.lower().startswith("urn:") else ".")


def _look_into(name: str, value: object, into: Statement, mark: str = ".") -> bool:
    """Refuse what belongs to a refused class however deep it is, and return whether the value says anything.

    The depth is bounded where the body is read.
    """
    match value:
        case list():
            said = sum(_look_into(name, part, into, mark) for part in value)
            if said > 1:
                into.refuse(RefusalKind.MULTI_VALUED, name)
            return said > 0
        case dict():
            # A list and not a generator: every part is looked at.
            return any([_look_at(f"{name}{mark}{key}", str(key), part, into) for key, part in value.items()])  # noqa: C419
        case _:
            return not is_empty(value)


def _look_at(name: str, key: str, value: object, into: Statement) -> bool:
    paths.demand_short(key)
    kind = vocabulary.refused_within(key.rpartition(":")[2])
    if kind is None:
        return _look_into(name, value, into)
    says = not is_empty(value)
    if says:
        into.refuse(kind, name)
    return says


def _holds_reference(value: object) -> bool:
    parts = value if isinstance(value, list) else [value]
    return any(
        isinstance(part, dict) and any(key.lower() == "$ref" and not is_empty(inner) for key, inner in part.items())
        for part in parts
    )


def _state_schema(schema: SchemaFlow, value: object, into: Statement, *, replace: bool) -> None:
    bare = single_value(value)
    if is_empty(bare) and not isinstance(bare, dict):
        clear(Whole(schema), into)
        return
    if not isinstance(bare, dict):
        raise InvalidValue(schema.urn, "expected an object of attributes.")
    _demand_few(bare)
    for key, part in bare.items():
        state_at(paths.resolve_in(schema, str(key)), part, into, replace=replace)


def _state_complex(node: Complex, value: object, into: Statement) -> None:
    bare = value
    while isinstance(bare, list) and len(bare) == 1:
        bare = bare[0]
    if isinstance(bare, list) and not is_empty(bare):
        into.refuse(RefusalKind.MULTI_VALUED, node.name)
    elif isinstance(bare, dict):
        _state_subs(node.name, node.subs, bare, into)
    elif is_empty(bare):
        clear(node, into)
    else:
        raise InvalidValue(node.name, "expected an object of sub-attributes.")


def _state_subs(name: str, subs: Mapping[str, Slot], value: Mapping[str, object], into: Statement) -> None:
    for key, part in value.items():
        if key.lower() in subs:
            into.assign(subs[key.lower()], part)
        else:
            _look_at(f"{name}.{key}", key, part, into)


def _state_multi(node: Multi, value: object, into: Statement, *, replace: bool) -> None:
    """Give every value the row of its type; one that has no row of its own is one value too many."""
    elements = [part for part in (value if isinstance(value, list) else [value]) if not _says_nothing(part)]
    taken: set[int] = set()
    for element in elements:
        fields = dict(element) if isinstance(element, dict) else {"value": element}
        row = _row_for(node, _fields(element), is_only=len(elements) == 1)
        if row is None or id(row) in taken:
            into.refuse(RefusalKind.MULTI_VALUED, node.name)
            continue
        taken.add(id(row))
        _state_subs(node.name, row.subs, fields, into)
    if replace or not elements:
        rest = tuple(row for row in node.rows if id(row) not in taken)
        clear(Selected(node, rest, "", None), into)


def _says_nothing(element: object) -> bool:
    """Return whether an element holds no value besides its marks, as `{"type": "work", "value": ""}`."""
    if not isinstance(element, dict):
        return is_empty(element)
    return is_empty({key: part for key, part in element.items() if str(key).lower() not in {"type", "primary"}})


def _row_for(node: Multi, fields: Mapping[str, object], *, is_only: bool) -> Row | None:
    """Return the row of the element's type; else the primary one's; else, for one value without a type, the first."""
    kind = fields.get("type")
    for row in node.rows:
        if row.selector == "type" and isinstance(kind, str) and row.label.lower() == kind.lower():
            return row
    is_primary = str(fields.get("primary")).lower() == "true"
    for row in node.rows:
        if row.selector == "primary" and (is_primary or (is_empty(kind) and is_only)):
            return row
    return node.rows[0] if is_empty(kind) and is_only else None


# ── values that are selected ──────────────────────────────────────────────────────────────────────────────────────


def _state_selected(target: Selected, value: object, into: Statement) -> None:
    """Say something about the rows that are selected; where no row can be, it is one value too many."""
    if target.rows and target.val_filter is None:
        for row in target.rows:
            _state_row(target, row, value, into)
    elif target.rows:
        into.steps.append(
            _choose(target, lambda alone, one: state_at(alone, value, one), into, must_match=True),
        )
    elif not _says_nothing(value):
        name = f"{target.node.name}.{target.sub}" if target.sub else target.node.name
        into.refuse(RefusalKind.MULTI_VALUED, name)
        if target.sub:
            _look_at(name, target.sub, value, into)
        else:
            _look_into(name, value, into)


def _choose(
    target: Selected, say: Callable[[Selected, Statement], None], into: Statement, *, must_match: bool
) -> Choose:
    """Return what is said about each row that the filter may choose; what is refused is refused whichever it is."""
    assigns: dict[int, tuple[Assign, ...] | InvalidValue | Immutable] = {}
    for position, row in enumerate(target.rows):
        one = Statement()
        try:
            say(Selected(target.node, (row,), target.sub, None), one)
            assigns[position] = tuple(step for step in one.steps if isinstance(step, Assign))
        except (InvalidValue, Immutable) as failure:
            assigns[position] = failure
        for refusal in one.refusals:
            into.refuse(refusal.kind, refusal.attribute)
    return Choose(target, assigns, must_match)


def _state_row(target: Selected, row: Row, value: object, into: Statement) -> None:
    name = target.node.name
    bare = value[0] if isinstance(value, list) and len(value) == 1 else value
    if target.sub in row.subs:
        into.assign(row.subs[target.sub], value)
    elif target.sub:
        if _contradicts(row, {target.sub: value}):
            _demand_no_mark(target, row)
        _look_at(f"{name}.{target.sub}", target.sub, value, into)
    elif isinstance(bare, list) and not is_empty(bare):
        into.refuse(RefusalKind.MULTI_VALUED, name)
    elif is_empty(bare):
        clear(Selected(target.node, (row,), "", None), into)
    else:
        if _contradicts(row, _fields(bare)):
            raise InvalidValue(name, "the value is of another type than the one that the path selects.")
        _state_subs(name, row.subs, bare if isinstance(bare, dict) else {"value": bare}, into)


def _contradicts(row: Row, fields: Mapping[str, object]) -> bool:
    """Return whether the mark of an element is another one than that of the row."""
    return any(
        not is_empty(fields.get(mark)) and str(single_value(fields[mark])).lower() != str(held).lower()
        for mark, held in row.marks.items()
    )


def _demand_no_mark(target: Selected, row: Row) -> None:
    if target.sub in row.marks:
        raise Immutable(
            f"{target.node.name}.{target.sub}", "tells the column and never changes; remove the value and add it anew."
        )
