"""Conditions: what a condition asks, apart from the values that it asks for.

    Condition ──▶ question (same shape, no values) + values as parameters of their columns

The question is the key under which its statement is kept. Values are brought to the column's own type here; what
cannot be in the column matches nothing, and never reaches the database's own conversions (sql-connectors.md
§3.3.1, §3.3.2). Nothing here knows SQL.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from msgspec.structs import replace

from connector_host.connectors.contract import (
    EVERYTHING,
    NOTHING,
    AllOf,
    AnyOf,
    AttributeType,
    Comparator,
    Compare,
    Condition,
    Not,
    Present,
)
from connector_host.connectors.errors import InvalidValue
from connector_host.connectors.sql.columns import TEXTS, Family, Neighbours, Unfit

if TYPE_CHECKING:
    from connector_host.connectors.sql.shapes import Shape, SqlColumn

ESCAPE = "!"
"""Before a sign of LIKE that stands for itself. No backslash: MySQL takes one for an escape in the statement, too."""
PATTERNS = (Comparator.CO, Comparator.SW, Comparator.EW)
EQUALITIES = (Comparator.EQ, Comparator.NE)
ORDERINGS = (Comparator.GT, Comparator.GE, Comparator.LT, Comparator.LE)
BLANK = " "
SLOT = ""
"""Stands in a question where a value was."""


@dataclass(frozen=True, slots=True)
class Filled:
    """The column is not null: what is left of a comparison with a value beyond all that it can hold."""

    attribute: str


Question: TypeAlias = Condition | Filled


def ask(condition: Condition, shape: Shape, values: list[object]) -> Question:
    """Return the condition without its values, which are put on the list in the order of the question.

    Raises InvalidValue where there is no such attribute, or it cannot be compared so.
    """
    match condition:
        case Compare():
            return _compare(condition, shape, values)
        case Present(attribute):
            column_of(shape, attribute)
            return condition
        case Not(inner):
            return Not(ask(inner, shape, values))  # type: ignore[arg-type] # a question inside of a question
        case AllOf(parts):
            return AllOf(tuple(ask(part, shape, values) for part in parts))  # type: ignore[misc] # the same
        case AnyOf(parts):
            return AnyOf(tuple(ask(part, shape, values) for part in parts))  # type: ignore[misc] # the same


def column_of(shape: Shape, name: str) -> SqlColumn:
    """Return an exposed column; raises InvalidValue where there is none of this name."""
    try:
        return shape.columns[name]
    except KeyError:
        raise InvalidValue(name, "There is no such attribute.") from None


def is_text(column: SqlColumn) -> bool:
    """Return whether any text may be compared with the column."""
    return column.attribute.type is AttributeType.STRING and column.discovered.kind.family in TEXTS


def _compare(condition: Compare, shape: Shape, values: list[object]) -> Question:
    column = column_of(shape, condition.attribute)
    comparator = condition.comparator
    if comparator in ORDERINGS and column.attribute.type is AttributeType.BOOLEAN:
        # RFC 7644 §3.4.2.2: a boolean has no order; the filter is an error.
        raise InvalidValue(condition.attribute, "is true or false and has no order.")
    is_bytes = column.discovered.kind.family is Family.BINARY_UUID
    if is_bytes and comparator not in EQUALITIES:
        raise InvalidValue(condition.attribute, "is a UUID that is kept as bytes: it is equal to another, or not.")
    if comparator in PATTERNS and (
        column.attribute.type is not AttributeType.STRING or not isinstance(condition.value, str)
    ):
        raise InvalidValue(condition.attribute, "is no text, so no part of it can be searched for.")
    is_long = is_text(column) and column.discovered.facts.declared.lower() in shape.dialect.long_texts
    if is_long and comparator in ORDERINGS:
        raise InvalidValue(condition.attribute, "is long text, which this database does not compare by order.")
    try:
        if _is_any_number_but_zero(condition, column, shape):
            return _not_zero(condition, values)
        if is_long and comparator in EQUALITIES:
            values.append(_literal(_text(condition), shape.dialect.like_signs))
        elif comparator in PATTERNS:
            values.append(_pattern(comparator, _text(condition), shape.dialect.like_signs))
        else:
            return _among(condition, _neighbours(condition, column, shape), values)
    except Unfit:
        return EVERYTHING if comparator is Comparator.NE else NOTHING
    return replace(condition, value=SLOT)


def _is_any_number_but_zero(condition: Compare, column: SqlColumn, shape: Shape) -> bool:
    """Return whether a truth is asked for that MySQL keeps as any number but 0, as which it is read, too."""
    if shape.dialect.name != "mysql" or column.discovered.kind.family is not Family.BOOLEAN:
        return False
    return condition.comparator in EQUALITIES and column.codec.encode(condition.value) == 1


def _not_zero(condition: Compare, values: list[object]) -> Question:
    sides = tuple(Compare(condition.attribute, side, SLOT) for side in (Comparator.GT, Comparator.LT))
    values += [0] * len(sides)
    return AnyOf(sides) if condition.comparator is Comparator.EQ else Not(AnyOf(sides))


def _neighbours(condition: Compare, column: SqlColumn, shape: Shape) -> Neighbours:
    if not is_text(column):
        return column.codec.compared(condition.value)
    text = _text(condition)
    if not text and not shape.dialect.parameters.empty_text:
        # No row has it, and every text comes after it.
        return Neighbours(None, BLANK)
    return Neighbours(text, text)


def _among(condition: Compare, found: Neighbours, values: list[object]) -> Question:
    """Return what holds for a value among those that the column can hold, or between two of them.

    Between two, `> 1.005` and `>= 1.005` both mean `> 1.00`; beyond all of them, every value or none.
    """
    comparator = condition.comparator
    if found.meet:
        values.append(found.below)
        return replace(condition, value=SLOT)
    if comparator not in ORDERINGS:
        return EVERYTHING if comparator is Comparator.NE else NOTHING
    is_greater = comparator in (Comparator.GT, Comparator.GE)
    bound, beside = (found.below, found.above) if is_greater else (found.above, found.below)
    if bound is None:
        return Filled(condition.attribute)
    if beside is None:
        return NOTHING
    values.append(bound)
    return replace(condition, comparator=Comparator.GT if is_greater else Comparator.LT, value=SLOT)


def _text(condition: Compare) -> str:
    """Return text that can be sent: any length may be compared, but not every character can be sent."""
    text = condition.value
    if not isinstance(text, str) or "\0" in text or any("\ud800" <= sign <= "\udfff" for sign in text):
        raise Unfit("takes text of whole characters")
    return text


def _pattern(comparator: Comparator, text: str, signs: str) -> str:
    """Return a pattern of LIKE for a part of a text."""
    before = "" if comparator is Comparator.SW else "%"
    after = "" if comparator is Comparator.EW else "%"
    return before + _literal(text, signs) + after


def _literal(text: str, signs: str) -> str:
    """Return text with everything escaped that LIKE would take for a sign of its own."""
    for sign in (ESCAPE, *signs):
        text = text.replace(sign, ESCAPE + sign)
    return text
