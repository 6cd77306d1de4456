"""A SCIM filter as a Condition that a connector can run.

filter text ──scim2-models──▶ syntax tree ──here──▶ Condition ──connector──▶ rows

Nothing below this room knows SCIM; nothing above it knows SQL. An attribute that is not exposed matches nothing,
which is what Entra's first probe for PLACEHOLDER needs; a filter that cannot be read is refused with the place.
"""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING

from scim2_models.path import (
    ORDERING_OPERATORS,
    STRING_OPERATORS,
    AttrPath,
    CompareOperator,
    Comparison,
    FilterNode,
    LogicalExpr,
    LogicalOperator,
    ValuePath,
)
from scim2_models.path import Not as NotNode
from scim2_models.path import Present as PresentNode

from connector_host.connectors.contract import (
    EVERYTHING,
    NOTHING,
    Attribute,
    AttributeType,
    Comparator,
    Compare,
    Condition,
    Not,
    Present,
)
from connector_host.connectors.errors import InvalidValue
from connector_host.scim import entra, vocabulary
from connector_host.scim.coercion import coerce_truth, coerce_value
from connector_host.scim.conditions import all_of, any_of, negation
from connector_host.scim.errors import ScimError, invalid_filter
from connector_host.scim.filter_syntax import parse
from connector_host.scim.flows import Complex, Multi, Row, Single, Slot, slots
from connector_host.scim.paths import Identity, Selected, Whole, resolve_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from connector_host.scim.flows import Flows
    from connector_host.scim.paths import Target
    from connector_host.settings import LimitSettings


def read_filter(flows: Flows, text: str, limits: LimitSettings) -> Condition:
    """Return the condition that a filter asks for; raise ScimError invalidFilter with the column of the mistake."""
    if len(text) > limits.filter_chars:
        raise invalid_filter(f"The filter is longer than {limits.filter_chars} characters.")
    node = parse(text)
    if _depth(node) > limits.filter_depth:
        raise invalid_filter(f"The filter nests more than {limits.filter_depth} expressions.")
    try:
        return _condition(flows, node)
    except ScimError as failure:
        raise invalid_filter(f"{failure.detail.rstrip('.')}{_place(flows, text, node)}.") from failure


def _place(flows: Flows, text: str, node: FilterNode) -> str:
    """Return where the first expression stands that cannot be carried out, as words to add."""
    seen: list[str] = []
    for leaf in _leaves(node):
        name = str(leaf.attr_path).partition("[")[0]
        try:
            _condition(flows, leaf)
        except ScimError:
            found = re.finditer(rf"(?<![\w.:$-]){re.escape(name)}(?![\w.:$-])", _without_literals(text), re.IGNORECASE)
            at = next(islice(found, seen.count(name.lower()), None), None)
            return "" if at is None else f", at column {at.start() + 1}"
        seen.append(name.lower())
    return ""


def _leaves(node: FilterNode) -> Iterator[Comparison | PresentNode | ValuePath]:
    """Yield the expressions of a filter in their order, with those on one multi-valued attribute as one."""
    match node:
        case NotNode(expr=inner):
            yield from _leaves(inner)
        case LogicalExpr(terms=terms):
            for term in terms:
                yield from _leaves(term)
        case Comparison() | PresentNode() | ValuePath():
            yield node


def _without_literals(text: str) -> str:
    return entra.QUOTED.sub(lambda literal: " " * len(literal[0]), text)


def _depth(node: FilterNode) -> int:
    """Return how deep expressions are nested; the library bounds it at 32 before, so that recursion is safe."""
    match node:
        case NotNode(expr=inner) | ValuePath(val_filter=inner):
            return 1 + _depth(inner)
        case LogicalExpr(terms=terms):
            return 1 + max(_depth(term) for term in terms)
        case _:
            return 0


def _condition(flows: Flows, node: FilterNode) -> Condition:
    match node:
        case NotNode(expr=inner):
            return negation(_condition(flows, inner))
        case LogicalExpr(op=op, terms=terms):
            conditions = tuple(_condition(flows, term) for term in terms)
            return all_of(conditions) if op is LogicalOperator.and_ else any_of(conditions)
        case PresentNode(attr_path=path):
            return _present(flows, path)
        case Comparison(attr_path=path, op=op, value=value):
            return _compare(flows, path, op, value)
        case ValuePath(attr_path=path, val_filter=inner):
            return _value_path(flows, path, inner)
        case _:  # pragma: no cover - the grammar has no other node
            raise invalid_filter(f"The filter cannot be carried out: {type(node).__name__}.")


# ── presence ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _present(flows: Flows, path: AttrPath) -> Condition:
    target = _resolved(flows, path)
    match target:
        case Slot():
            return _present_slot(target)
        case Identity():
            return EVERYTHING
        case Single() | Complex() | Multi():
            return _any_present(slots(target))
        case Selected(rows=rows):
            return _any_present(slot for row in rows for slot in _meant(target.node, row, target.sub))
        case Whole(schema=schema):
            return _any_present(slot for node in schema.nodes.values() for slot in slots(node))
        case _:
            return EVERYTHING if _always(path) is not None else NOTHING


def _meant(node: Multi, row: Row, sub: str) -> Iterable[Slot]:
    """Return the slots of which one must have a value; a mark is there with any of them."""
    if not sub or sub in entra.marks(node, row):
        return row.subs.values()
    return (row.subs[sub],) if sub in row.subs else ()


def _any_present(found: Iterable[Slot]) -> Condition:
    return any_of(_present_slot(slot) for slot in found)


def _exists(row: Row) -> Condition:
    return _any_present(row.subs.values())


def _always(path: AttrPath) -> str | None:
    """Return the text that every user has here, or None; only what the host itself writes."""
    match str(path).lower():
        case "schemas":
            return vocabulary.CORE
        case "meta.resourcetype":
            return "User"
        case _:
            return None


# ── comparison ────────────────────────────────────────────────────────────────────────────────────────────────────


def _compare(flows: Flows, path: AttrPath, op: CompareOperator, value: object) -> Condition:
    target = _resolved(flows, path)
    match target:
        case Slot():
            return _compare_slot(target, op, value)
        case Single(slot=slot):
            return _compare_slot(slot, op, value)
        case Identity():
            return _compare_slot(Slot(flows.anchor, "id", "id", AttributeType.STRING, is_anchor=True), op, value)
        case Multi(rows=rows):
            return _compare_in_any(target, rows, "value", op, value)
        case Selected(rows=rows):
            return _compare_in_any(target.node, rows, target.sub or "value", op, value)
        case Complex() | Whole():
            raise invalid_filter(f"{path} has parts: compare one of them.")
        case _:
            return _compare_fixed(flows, path, op, value)


def _compare_in_any(node: Multi, rows: tuple[Row, ...], name: str, op: CompareOperator, value: object) -> Condition:
    """Compare each of the values; with nothing, whether none of them is there."""
    if op is CompareOperator.eq and (value is None or value == ""):
        meant = [slot for row in rows for slot in _meant(node, row, name)]
        return negation(_any_present(meant)) if meant else NOTHING
    return any_of(_compare_in_row(node, row, name, op, value) for row in rows)


def _compare_fixed(flows: Flows, path: AttrPath, op: CompareOperator, value: object) -> Condition:
    """Compare what the host writes itself; everything else that has no column matches nothing."""
    held = _always(path)
    asked = str(value).lower()
    if held is None:
        return NOTHING
    if held == vocabulary.CORE and asked in flows.schemas and asked != held.lower():
        extension = _any_present(slot for node in flows.schemas[asked].nodes.values() for slot in slots(node))
        return {CompareOperator.eq: extension, CompareOperator.ne: Not(extension)}.get(op, NOTHING)
    return _compare_text(held.lower(), op, asked)


def _compare_text(held: str, op: CompareOperator, asked: str) -> Condition:
    matches = {
        CompareOperator.eq: held == asked,
        CompareOperator.ne: held != asked,
        CompareOperator.co: asked in held,
        CompareOperator.sw: held.startswith(asked),
        CompareOperator.ew: held.endswith(asked),
    }
    return EVERYTHING if matches.get(op, False) else NOTHING


def _compare_slot(slot: Slot, op: CompareOperator, value: object) -> Condition:
    """Compare with the value in the column's own type; one that cannot be of the type equals nothing."""
    if slot.state is not None or slot.is_existence:
        return _compare_state(slot, op, value)
    if value is None or value == "":
        return _compare_empty(slot, op, value)
    _demand_comparable(slot, op)
    # The grammar gives floats; the shortest text of one is what the client wrote.
    asked = Decimal(repr(value)) if isinstance(value, float) else value
    try:
        typed = coerce_value(_comparable(slot.attribute, op), slot.path, asked)
    except InvalidValue as failure:
        if op is CompareOperator.ne:
            return EVERYTHING
        if op is CompareOperator.eq or slot.wire is AttributeType.STRING:
            # What is text on the wire may be compared with any text; none that is no number is among the numbers.
            return NOTHING
        raise invalid_filter(str(failure)) from failure
    if slot.attribute.type is AttributeType.INTEGER and isinstance(typed, Decimal) and typed == int(typed):
        typed = int(typed)
    return NOTHING if typed is None else Compare(slot.attribute.name, Comparator(op.value), typed)


def _compare_state(slot: Slot, op: CompareOperator, value: object) -> Condition:
    """Compare `active`, which is true or false for every user, whatever column tells it."""
    if op not in (CompareOperator.eq, CompareOperator.ne):
        raise invalid_filter(f"{slot.path}: {op} cannot be used, since this attribute is boolean (RFC 7644 §3.4.2.2).")
    try:
        asked = coerce_truth(slot.path, value)
    except InvalidValue:
        asked = None
    if asked is None:
        return NOTHING if op is CompareOperator.eq else EVERYTHING
    inactive = slot.state.condition() if slot.state is not None else NOTHING
    return negation(inactive) if asked is (op is CompareOperator.eq) else inactive


def _present_slot(slot: Slot) -> Condition:
    """Return that the slot has a value; a state always has one."""
    return EVERYTHING if slot.state is not None or slot.is_existence else Present(slot.attribute.name)


@lru_cache(maxsize=1_024)
def _comparable(attribute: Attribute, op: CompareOperator) -> Attribute:
    """Return the attribute without its length and choices: part of a value may be compared with `sw`, `co`, `gt`.

    Whole numbers have an order among all numbers.
    """
    if attribute.type is AttributeType.INTEGER and op in ORDERING_OPERATORS:
        return replace(attribute, type=AttributeType.DECIMAL)
    return replace(attribute, max_length=None, canonical_values=())


def _compare_empty(slot: Slot, op: CompareOperator, value: object) -> Condition:
    """Compare with null or empty text: there is a value, or there is none."""
    present = Present(slot.attribute.name)
    if op is CompareOperator.eq:
        return Not(present)
    if op is CompareOperator.ne or (op in STRING_OPERATORS and value == ""):
        return present
    raise invalid_filter(f"{slot.path}: an empty value can only be compared with eq and ne.")


def _demand_comparable(slot: Slot, op: CompareOperator) -> None:
    kind = slot.attribute.type
    if op in STRING_OPERATORS and kind is not AttributeType.STRING:
        raise invalid_filter(f"{slot.path}: {op} compares text, and this attribute is {kind}.")
    if op in ORDERING_OPERATORS and AttributeType.BOOLEAN in (kind, slot.wire):
        raise invalid_filter(f"{slot.path}: {op} needs an order, and this attribute is boolean (RFC 7644 §3.4.2.2).")


# ── values of multi-valued attributes ─────────────────────────────────────────────────────────────────────────────


def _value_path(flows: Flows, path: AttrPath, inner: FilterNode) -> Condition:
    """`emails[type eq "work" and value co "x"]`: one and the same value matches all of it."""
    target = _resolved(flows, path)
    if isinstance(target, Multi):
        return any_of(all_of((_exists(row), _in_row(target, row, inner))) for row in target.rows)
    if isinstance(target, Single | Complex):
        raise invalid_filter(f"{path} has one value only: write it without brackets.")
    return NOTHING


def _in_row(multi: Multi, row: Row, node: FilterNode) -> Condition:
    match node:
        case NotNode(expr=inner):
            return negation(_in_row(multi, row, inner))
        case LogicalExpr(op=op, terms=terms):
            conditions = tuple(_in_row(multi, row, term) for term in terms)
            return all_of(conditions) if op is LogicalOperator.and_ else any_of(conditions)
        case PresentNode(attr_path=AttrPath(attr=name)):
            if name.lower() in entra.marks(multi, row):
                return EVERYTHING
            slot = row.subs.get(name.lower())
            return _present_slot(slot) if slot is not None else NOTHING
        case Comparison(attr_path=AttrPath(attr=name), op=op, value=value):
            return _compare_in_row(multi, row, name.lower(), op, value)
        case _:  # pragma: no cover - the grammar has no other node there
            raise invalid_filter("Inside brackets only sub-attributes can be compared.")


def _compare_in_row(node: Multi, row: Row, name: str, op: CompareOperator, value: object) -> Condition:
    marks = entra.marks(node, row)
    if name in marks:
        matches = _compare_text(str(marks[name]).lower(), op, str(value).lower())
        return all_of((_exists(row), matches))
    slot = row.subs.get(name)
    if slot is None:
        return NOTHING
    compared = _compare_slot(slot, op, value)
    # A value that is not there is none of the values, so it is not unequal to anything either.
    return all_of((_exists(row), compared)) if op is CompareOperator.ne else compared


def _resolved(flows: Flows, path: AttrPath) -> Target:
    try:
        return resolve_path(flows, str(path))
    except ScimError as failure:
        raise invalid_filter(failure.detail) from failure
