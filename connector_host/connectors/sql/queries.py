"""Queries: from a condition to WHERE with bound parameters, and from a stretch of entries to one page.

Values are brought to the column's own type first; what cannot be in the column matches nothing, and is never
left to the database's own conversions (sql-connectors.md §3.3.1, §3.3.2).
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import sqlalchemy as sa

from connector_host.connectors.contract import (
    AllOf,
    AnyOf,
    AttributeType,
    Comparator,
    Compare,
    Condition,
    Entry,
    Not,
    Page,
    Present,
    Query,
)
from connector_host.connectors.errors import InvalidValue
from connector_host.connectors.sql.columns import Family, Unfit

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import ColumnElement, Connection

    from connector_host.connectors.sql.shapes import Shape, SqlColumn

    Where = ColumnElement[bool]
    OnUnreadable = Callable[[str], None]

ESCAPE = "\\"
ZERO, ONE = sa.literal_column("0", sa.Integer()), sa.literal_column("1", sa.Integer())
PATTERNS = (Comparator.CO, Comparator.SW, Comparator.EW)
ORDERINGS = (Comparator.GT, Comparator.GE, Comparator.LT, Comparator.LE)


def read(connection: Connection, shape: Shape, anchor: str, on_unreadable: OnUnreadable) -> Entry | None:
    """Return the entry with exactly this anchor; None where there is none or the text is no anchor at all."""
    try:
        key = anchor_key(shape, anchor)
    except Unfit:
        return None
    rows = connection.execute(shape.selected.where(shape.anchor.sql == key))
    entries = (shape.entry(row, on_unreadable) for row in rows)
    # A collation may find "Anna" for "anna": they are two different ids.
    return next((entry for entry in entries if entry.anchor == anchor), None)


def anchor_key(shape: Shape, anchor: str) -> object:
    """Return the anchor's text as a parameter of its column; raises Unfit where it cannot be in the column."""
    codec = shape.anchor.codec
    return codec.encode(codec.from_anchor(anchor))


def search(connection: Connection, shape: Shape, query: Query, on_unreadable: OnUnreadable) -> Page:
    """Return the page that the query asks for, and how many entries match in all."""
    where = to_where(query.condition, shape)
    entries: tuple[Entry, ...] = ()
    if query.limit > 0:
        statement = shape.selected.where(where, *_beyond_anchor(query, shape))
        statement = statement.order_by(*_order(query, shape)).limit(query.limit)
        if query.offset:
            statement = statement.offset(query.offset)
        entries = tuple(shape.entry(row, on_unreadable) for row in connection.execute(statement))
    is_whole = query.after is None and 0 < len(entries) < query.limit
    if is_whole or (query.limit and not entries and not query.offset and query.after is None):
        return Page(entries, query.offset + len(entries))
    total = connection.execute(sa.select(sa.func.count()).select_from(shape.table).where(where)).scalar_one()
    return Page(entries, int(total))


def _beyond_anchor(query: Query, shape: Shape) -> list[Where]:
    """Return what paging by keyset adds; raises InvalidValue for an anchor that cannot be in the column."""
    if query.after is None:
        return []
    try:
        key = anchor_key(shape, query.after)
    except Unfit:
        raise InvalidValue("id", "There cannot be such an anchor.") from None
    return [shape.anchor.sql < key if query.descending else shape.anchor.sql > key]


def _order(query: Query, shape: Shape) -> list[ColumnElement[object]]:
    """Return the order: entries without a value come last, or first when descending (RFC 7644 §3.4.2.3)."""
    anchor = shape.anchor.sql
    name = query.sort_by or shape.object_type.anchor
    column = _column(shape, name)
    if column is shape.anchor:
        return [anchor.desc() if query.descending else anchor.asc()]
    key = _folded(column, shape) if _is_folded(column) else column.sql
    missing = sa.case((column.sql.is_(None), ONE), else_=ZERO)
    keys = [missing.desc(), key.desc()] if query.descending else [missing.asc(), key.asc()]
    return [*keys, anchor.asc()]


# ── conditions ────────────────────────────────────────────────────────────────────────────────────────────────────


def to_where(condition: Condition, shape: Shape) -> Where:
    """Return the condition as SQL; raises InvalidValue where an attribute cannot be compared so."""
    match condition:
        case Compare():
            return _compare(condition, shape)
        case Present(attribute):
            return _present(_column(shape, attribute))
        case Not(inner):
            # SQL's third truth value would lose rows: whatever is not true is false (RFC 7644 §3.4.2.2).
            return _does_not_hold(to_where(inner, shape))
        case AllOf(conditions):
            return sa.and_(sa.true(), *(to_where(inner, shape) for inner in conditions))
        case AnyOf(conditions):
            return sa.or_(sa.false(), *(to_where(inner, shape) for inner in conditions))


def _compare(condition: Compare, shape: Shape) -> Where:
    column = _column(shape, condition.attribute)
    if condition.comparator is Comparator.NE:
        equal = _compare(Compare(condition.attribute, Comparator.EQ, condition.value), shape)
        return _does_not_hold(equal)
    if condition.comparator in PATTERNS:
        return _pattern(condition, column, shape)
    try:
        value = column.codec.encode(condition.value) if _bounded(column) else _plain_text(condition)
    except Unfit:
        return _beyond(condition, column)
    if condition.comparator is Comparator.EQ:
        return _equal(column, value, shape)
    return _ordered(column, condition.comparator, value, shape)


def _does_not_hold(inner: Where) -> Where:
    """Return that a predicate does not hold, counting unknown as not holding."""
    return sa.case((inner, ZERO), else_=ONE) == ONE


def _bounded(column: SqlColumn) -> bool:
    """Return whether the codec decides what may be compared; any text may be compared with text."""
    return column.discovered.kind.family not in (Family.TEXT, Family.PADDED_TEXT)


def _plain_text(condition: Compare) -> str:
    if not isinstance(condition.value, str) or "\0" in condition.value:
        raise Unfit("takes text")
    try:
        condition.value.encode()
    except UnicodeEncodeError:
        raise Unfit("takes text of whole characters") from None
    return condition.value


def _beyond(condition: Compare, column: SqlColumn) -> Where:
    """Return what holds for a value that cannot be in the column: numbers may lie above or below all of them."""
    number = condition.value
    if condition.comparator not in ORDERINGS or not isinstance(number, int | Decimal):
        return sa.false()
    if isinstance(number, bool) or column.attribute.type not in (AttributeType.INTEGER, AttributeType.DECIMAL):
        return sa.false()
    kind = column.discovered.kind
    if column.attribute.type is AttributeType.INTEGER and kind.low <= number <= kind.high:
        return sa.false()
    above = number > 0
    holds = above == (condition.comparator in (Comparator.LT, Comparator.LE))
    return column.sql.is_not(None) if holds else sa.false()


def _equal(column: SqlColumn, value: object, shape: Shape) -> Where:
    if _is_moment_text(column, shape):
        return _as_moment(column.sql) == _as_moment(_parameter(value))
    if not _is_folded(column):
        return column.sql == _parameter(value) if not _is_text(column) else _exact(column, value, shape)
    match shape.dialect.text_comparison:
        case "nocase":
            return column.sql.collate("NOCASE") == _parameter(value)
        case "collation":
            return sa.and_(column.sql == _parameter(value), _bytes(_folded(column, shape)) == _bytes(_lower(value)))
        case _:
            return _folded(column, shape) == _lower(value)


def _exact(column: SqlColumn, value: object, shape: Shape) -> Where:
    """Return equality to the letter, whatever the column's collation holds for equal."""
    if shape.dialect.text_comparison == "collation":
        return sa.and_(column.sql == _parameter(value), _bytes(_utf8(column.sql)) == _bytes(_parameter(value)))
    return column.sql == _parameter(value)


def _ordered(column: SqlColumn, comparator: Comparator, value: object, shape: Shape) -> Where:
    if column.attribute.type is AttributeType.BOOLEAN:
        # RFC 7644 §3.4.2.2: a boolean has no order; the filter is an error.
        raise InvalidValue(column.attribute.name, "is true or false and has no order.")
    left: ColumnElement[object] = column.sql
    right = _parameter(value)
    if _is_moment_text(column, shape):
        left, right = _as_moment(left), _as_moment(right)
    elif _is_folded(column):
        left, right = _folded(column, shape), _lower(value)
    match comparator:
        case Comparator.GT:
            return left > right
        case Comparator.GE:
            return left >= right
        case Comparator.LT:
            return left < right
        case _:
            return left <= right


def _pattern(condition: Compare, column: SqlColumn, shape: Shape) -> Where:
    """Return LIKE with everything escaped that LIKE would take for a sign of its own."""
    if column.attribute.type is not AttributeType.STRING or not isinstance(condition.value, str):
        raise InvalidValue(column.attribute.name, "is no text, so no part of it can be searched for.")
    try:
        text = _plain_text(condition)
    except Unfit:
        return sa.false()
    for sign in (ESCAPE, "%", "_"):
        text = text.replace(sign, ESCAPE + sign)
    before = "" if condition.comparator is Comparator.SW else "%"
    after = "" if condition.comparator is Comparator.EW else "%"
    pattern = before + text + after
    if _is_folded(column):
        return _folded(column, shape).like(_lower(pattern), escape=ESCAPE)
    return _like_text(column).like(_parameter(pattern), escape=ESCAPE)


def _present(column: SqlColumn) -> Where:
    """Return that there is a value; the empty string is none (RFC 7644 §3.4.2.2 `pr`)."""
    if column.discovered.kind.family in (Family.TEXT, Family.PADDED_TEXT):
        return sa.and_(column.sql.is_not(None), _like_text(column) != _parameter(""))
    return column.sql.is_not(None)


# ── expressions ───────────────────────────────────────────────────────────────────────────────────────────────────


def _column(shape: Shape, name: str) -> SqlColumn:
    try:
        return shape.columns[name]
    except KeyError:
        raise InvalidValue(name, "There is no such attribute.") from None


def _parameter(value: object) -> ColumnElement[object]:
    return sa.bindparam(None, value, type_=sa.types.NullType(), unique=True)


def _is_text(column: SqlColumn) -> bool:
    return column.discovered.kind.family in (Family.TEXT, Family.PADDED_TEXT)


def _is_folded(column: SqlColumn) -> bool:
    """Return whether the column is compared without regard to case."""
    return _is_text(column) and not column.attribute.case_exact


def _like_text(column: SqlColumn) -> ColumnElement[object]:
    """Return the column as text where LIKE and the empty string need it: enums, UUIDs and JSON are no text."""
    if (
        column.discovered.facts.declared in ("character varying", "text")
        or column.discovered.kind.family is Family.TEXT
    ):
        plain = column.discovered.facts.declared.lower()
        if not column.discovered.facts.allowed and plain not in ("json", "xml"):
            return column.sql
    return sa.cast(column.sql, sa.Text())


def _folded(column: SqlColumn, shape: Shape) -> ColumnElement[object]:
    text = _like_text(column)
    return sa.func.lower(_utf8(text) if shape.dialect.text_comparison == "collation" else text)


def _lower(value: object) -> ColumnElement[object]:
    return sa.func.lower(_parameter(value))


def _utf8(expression: ColumnElement[object]) -> ColumnElement[object]:
    """Return text in the connection's own character set, so that bytes can be compared."""
    return sa.cast(expression, sa.CHAR())


def _bytes(expression: ColumnElement[object]) -> ColumnElement[object]:
    return sa.cast(expression, sa.LargeBinary())


def _is_moment_text(column: SqlColumn, shape: Shape) -> bool:
    """Return whether moments are kept as text of several spellings: only SQLite has no type for them."""
    return shape.dialect.name == "sqlite" and column.attribute.type is AttributeType.DATE_TIME


def _as_moment(expression: ColumnElement[object]) -> ColumnElement[object]:
    """Return the one spelling of a moment that SQLite makes from each that it reads, to the millisecond."""
    return sa.func.strftime("%Y-%m-%d %H:%M:%f", expression)
