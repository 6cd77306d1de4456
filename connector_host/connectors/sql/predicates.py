"""Predicates: from a question to WHERE with bound parameters, in each database's way of comparing text and moments.

Parameters are named v0, v1, … in the order in which the question asks for its values.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING

import sqlalchemy as sa

from connector_host.connectors.contract import AllOf, AnyOf, AttributeType, Comparator, Compare, Not, Present
from connector_host.connectors.sql.columns import Family, Spelled
from connector_host.connectors.sql.conditions import ESCAPE, PATTERNS, Filled, is_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import ColumnElement

    from connector_host.connectors.sql.conditions import Question
    from connector_host.connectors.sql.shapes import Shape, SqlColumn

    Where = ColumnElement[bool]
    Expression = ColumnElement[object]

ORDERED = {
    Comparator.GT: operator.gt,
    Comparator.GE: operator.ge,
    Comparator.LT: operator.lt,
    Comparator.LE: operator.le,
}
NO_TEXTS = frozenset({"json", "jsonb", "xml", "inet4", "inet6"})
"""Types that are handed out as text, and compared as something else."""
ZERO, ONE = sa.literal_column("0", sa.Integer()), sa.literal_column("1", sa.Integer())


def to_where(question: Question, shape: Shape, names: Iterator[str]) -> Where:
    """Return the question as SQL; each value takes the next name."""
    match question:
        case Compare():
            return _compare(question, shape, next(names))
        case Present(attribute):
            return _present(shape.columns[attribute], shape)
        case Filled(attribute):
            return shape.columns[attribute].sql.is_not(None)
        case Not(inner):
            return _does_not_hold(to_where(inner, shape, names))
        case AllOf(parts):
            return sa.and_(sa.true(), *(to_where(part, shape, names) for part in parts))
        case AnyOf(parts):
            return sa.or_(sa.false(), *(to_where(part, shape, names) for part in parts))


def parameter(name: str, value: object = None) -> Expression:
    """Return a bound parameter whose type the server infers."""
    return sa.bindparam(name, value, type_=sa.types.NullType())


def compared(column: SqlColumn, shape: Shape, name: str, value: object = None) -> Expression:
    """Return a parameter that is compared with a column, as narrow as the column, so that an index can be used."""
    facts = column.discovered.facts
    if column.discovered.kind.family is Family.SINGLE:
        # 0.1 in eight bytes is another number than 0.1 in four.
        return sa.cast(parameter(name, value), sa.FLOAT() if shape.dialect.name == "mysql" else sa.REAL())
    charset = _other_charset(column, shape)
    if charset:
        # A letter that the column's character set lacks is an error otherwise; as it is converted, no row has it.
        using = parameter(name, value).op("USING")(sa.literal_column(charset))
        return sa.func.convert(using).op("COLLATE")(sa.literal_column(str(facts.collation)))
    if facts.declared in shape.dialect.narrow_texts:
        # As long as the parameter may be: a longer one must not be cut to what the column holds.
        return sa.cast(parameter(name, value), sa.VARCHAR(8_000))
    if shape.dialect.padded_cast and column.discovered.kind.family is Family.PADDED_TEXT:
        return sa.cast(parameter(name, value), Spelled(shape.dialect.padded_cast))
    # Of the column's type, which may convert it.
    return sa.bindparam(name, value, type_=column.sql.type) if shape.dialect.conversions else parameter(name, value)


def _other_charset(column: SqlColumn, shape: Shape) -> str:
    """Return the character set of a text column of MySQL or MariaDB, where it is another than the parameters'.

    Their collations are named after it.
    """
    charset = (column.discovered.facts.collation or "").partition("_")[0]
    is_other = charset not in ("", "utf8mb4", "binary")
    return charset if shape.dialect.name == "mysql" and is_other and is_text(column) else ""


def inside(shape: Shape, name: str) -> Expression:
    """Return a text parameter inside of a function, where not every database infers its type."""
    return sa.cast(parameter(name), Spelled(shape.dialect.text_cast)) if shape.dialect.text_cast else parameter(name)


def is_anchor(shape: Shape, name: str, key: object = None) -> Where:
    """Return that a row has the anchor which the parameter names, or is given with it."""
    return shape.anchor.sql == compared(shape.anchor, shape, name, key)


def locked(statement: sa.Select[*tuple[object, ...]], shape: Shape) -> sa.Select[*tuple[object, ...]]:
    """Return a SELECT that locks its rows until the transaction ends, in the way of the database."""
    if shape.dialect.lock_suffix:
        return statement.suffix_with(shape.dialect.lock_suffix)
    if shape.dialect.lock_hint:
        return statement.with_hint(shape.source, shape.dialect.lock_hint, shape.dialect.name)
    return statement.with_for_update() if shape.dialect.row_locks else statement


def is_long(column: SqlColumn, shape: Shape) -> bool:
    """Return whether a column holds text that the database compares by LIKE alone."""
    return column.discovered.facts.declared.lower() in shape.dialect.long_texts


def folded(column: SqlColumn, shape: Shape) -> Expression:
    """Return a text column as it is compared and sorted: without regard to case, unless it is exact."""
    if not is_folded(column):
        return column.sql
    text = _as_text(column, shape)
    return sa.func.lower(_wide(text, shape) if shape.dialect.text_comparison == "collation" else text)


def is_folded(column: SqlColumn) -> bool:
    """Return whether the column is compared without regard to case."""
    return is_text(column) and not column.attribute.case_exact


def is_alike(column: SqlColumn, shape: Shape, names: Sequence[str]) -> Where:
    """Return that a folded column has one of the values that the parameters name, in whatever case."""
    if shape.dialect.text_comparison == "nocase":
        return column.sql.collate("NOCASE").in_([compared(column, shape, name) for name in names])
    return folded(column, shape).in_([sa.func.lower(inside(shape, name)) for name in names])


def missing(column: SqlColumn) -> ColumnElement[int]:
    """Return 1 where there is no value and 0 where there is one, to sort by."""
    return sa.case((column.sql.is_(None), ONE), else_=ZERO)


def _does_not_hold(inner: Where) -> Where:
    """Return that a predicate does not hold.

    SQL's third truth value would lose rows: whatever is not true is false (RFC 7644 §3.4.2.2).
    """
    return sa.case((inner, ZERO), else_=ONE) == ONE


def _compare(condition: Compare, shape: Shape, name: str) -> Where:
    column = shape.columns[condition.attribute]
    if condition.comparator in PATTERNS:
        return _like(column, shape, name)
    if condition.comparator is Comparator.EQ:
        return _equal(column, shape, name)
    if condition.comparator is Comparator.NE:
        return _does_not_hold(_equal(column, shape, name))
    left, right = _comparable(column, shape, name)
    compared: Where = ORDERED[condition.comparator](left, right)
    return compared


def _comparable(column: SqlColumn, shape: Shape, name: str) -> tuple[Expression, Expression]:
    """Return both sides of a comparison by order."""
    if _is_moment_text(column, shape):
        return _as_moment(column.sql), _as_moment(parameter(name))
    if is_folded(column):
        return folded(column, shape), sa.func.lower(inside(shape, name))
    return column.sql, compared(column, shape, name)


def _equal(column: SqlColumn, shape: Shape, name: str) -> Where:
    value = compared(column, shape, name)
    if _is_moment_text(column, shape):
        return _as_moment(column.sql) == _as_moment(value)
    if is_text(column):
        return _like(column, shape, name) if is_long(column, shape) else _equal_text(column, shape, name)
    return column.sql == value


def _equal_text(column: SqlColumn, shape: Shape, name: str) -> Where:
    value = compared(column, shape, name)
    if shape.dialect.text_comparison == "collation":
        # The first half may use an index; the second sees what the collation does not: accents, blanks at the end.
        exactly = folded(column, shape) if is_folded(column) else _wide(column.sql, shape)
        wanted = sa.func.lower(parameter(name)) if is_folded(column) else parameter(name)
        return sa.and_(column.sql == value, _bytes(exactly) == _bytes(wanted))
    if is_folded(column) and shape.dialect.text_comparison == "nocase":
        return column.sql.collate("NOCASE") == value
    left, right = (
        (folded(column, shape), sa.func.lower(inside(shape, name))) if is_folded(column) else (column.sql, value)
    )
    # The first half may use an index; the second sees what the collation does not.
    is_loose = column.discovered.facts.nondeterministic
    equal = sa.and_(left == right, _bytewise(left, column) == right) if is_loose else left == right
    if not shape.dialect.pads_comparisons or column.discovered.kind.family is Family.PADDED_TEXT:
        return equal
    return sa.and_(equal, sa.func.length(column.sql) == sa.func.length(inside(shape, name)))


def _like(column: SqlColumn, shape: Shape, name: str) -> Where:
    if is_folded(column):
        return _bytewise(folded(column, shape), column).like(sa.func.lower(inside(shape, name)), escape=ESCAPE)
    return _bytewise(_as_text(column, shape), column).like(inside(shape, name), escape=ESCAPE)


def _bytewise(expression: Expression, column: SqlColumn) -> Expression:
    """Return text of PostgreSQL that is compared by its bytes, where its own collation looks at something else."""
    if not column.discovered.facts.nondeterministic:
        return expression
    return expression.op("COLLATE")(sa.literal_column('"C"'))


def _present(column: SqlColumn, shape: Shape) -> Where:
    """Return that there is a value; the empty string is none (RFC 7644 §3.4.2.2 `pr`)."""
    if is_text(column) and shape.dialect.parameters.empty_text:
        text = _as_text(column, shape)
        empty: Expression = sa.literal_column("''")
        return sa.and_(column.sql.is_not(None), text.not_like(empty) if is_long(column, shape) else text != empty)
    return column.sql.is_not(None)


def _as_text(column: SqlColumn, shape: Shape) -> Expression:
    """Return the column as text where lower() and LIKE need it: enums, UUIDs and JSON are no text to them."""
    facts = column.discovered.facts
    if is_text(column) and shape.dialect.padded_cast and column.discovered.kind.family is Family.PADDED_TEXT:
        return sa.func.rtrim(column.sql)
    is_plain = is_text(column) and facts.declared.lower() not in NO_TEXTS
    if is_plain and not (facts.allowed and shape.dialect.name == "postgresql"):
        return column.sql
    return sa.cast(column.sql, sa.Unicode() if shape.dialect.name == "mssql" else sa.Text())


def _wide(expression: Expression, shape: Shape) -> Expression:
    """Return text in the character set of the connection's parameters, so that bytes can be compared."""
    return sa.cast(expression, sa.Unicode() if shape.dialect.name == "mssql" else sa.CHAR())


def _bytes(expression: Expression) -> Expression:
    return sa.cast(expression, sa.LargeBinary())


def _is_moment_text(column: SqlColumn, shape: Shape) -> bool:
    """Return whether moments are kept as text of several spellings: only SQLite has no type for them."""
    is_number = column.discovered.kind.family is Family.INTEGER
    return shape.dialect.name == "sqlite" and column.attribute.type is AttributeType.DATE_TIME and not is_number


def _as_moment(expression: Expression) -> Expression:
    """Return the one spelling of a moment that SQLite makes from each that it reads, to the millisecond."""
    return sa.func.strftime(sa.literal_column("'%Y-%m-%d %H:%M:%f'"), expression)
