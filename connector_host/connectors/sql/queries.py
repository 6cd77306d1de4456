"""Queries: entries by anchor, many at once, and one page of what a condition matches."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from connector_host.connectors.contract import EVERYTHING, AllOf, Comparator, Compare, Entry, Page, Query
from connector_host.connectors.errors import ConnectorError, InvalidValue
from connector_host.connectors.sql import conditions, predicates
from connector_host.connectors.sql.columns import Unfit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from sqlalchemy import ColumnElement, Connection

    from connector_host.connectors.sql.conditions import Question
    from connector_host.connectors.sql.shapes import Shape
    from connector_host.connectors.sql.statements import Statement

    OnUnreadable = Callable[[str], None]

AT_ONCE_MAX = 64
"""Entries that one statement reads by their anchors."""


def anchor_key(shape: Shape, anchor: str) -> object:
    """Return the anchor's text as a parameter of its column; raises Unfit where it cannot be in the column."""
    codec = shape.anchor.codec
    return codec.encode(codec.from_anchor(anchor))


def read(
    connection: Connection,
    shape: Shape,
    anchors: Iterable[str],
    on_unreadable: OnUnreadable,
    *,
    locked: bool = False,
) -> dict[str, Entry]:
    """Return the entries with exactly these anchors; one that does not exist, or is no anchor at all, is left out.

    A collation may find "Anna" for "anna" (sql-connectors.md §3.3.16): they are two different ids.
    """
    return {entry.anchor: entry for entry, _ in read_raw(connection, shape, anchors, on_unreadable, locked=locked)}


def read_raw(
    connection: Connection,
    shape: Shape,
    anchors: Iterable[str],
    on_unreadable: OnUnreadable,
    *,
    locked: bool = False,
) -> Iterator[tuple[Entry, Sequence[object]]]:
    """Yield the same entries, each with its row as the driver handed it out."""
    keys: dict[str, object] = {}
    for anchor in anchors:
        try:
            keys[anchor] = anchor_key(shape, anchor)
        except Unfit:
            continue
    rows = _rows(connection, shape, list(keys.values()), locked=locked)
    for entry, row in zip(shape.entries(rows, on_unreadable), rows, strict=True):
        if entry.anchor in keys:
            yield entry, row


def _rows(connection: Connection, shape: Shape, keys: list[object], *, locked: bool) -> list[Sequence[object]]:
    """Read rows by key, in statements of few different sizes, so that they stay prepared."""
    rows: list[Sequence[object]] = []
    for start in range(0, len(keys), AT_ONCE_MAX):
        part = keys[start : start + AT_ONCE_MAX]
        size = 1 << (len(part) - 1).bit_length()
        part += part[-1:] * (size - len(part))
        key = ("read", size, locked)
        statement = shape.statements.get(connection, key, partial(_by_keys, shape, size, locked=locked))
        rows += statement.run(connection, {f"k{number}": key for number, key in enumerate(part)}).fetchall()
    return rows


def _by_keys(shape: Shape, size: int, *, locked: bool) -> sa.Select[*tuple[object, ...]]:
    anchor = shape.anchor
    names = [predicates.compared(anchor, shape, f"k{number}") for number in range(size)]
    statement = shape.selected.where(anchor.sql == names[0] if size == 1 else anchor.sql.in_(names))
    return predicates.locked(statement, shape) if locked else statement


def search(connection: Connection, shape: Shape, query: Query, on_unreadable: OnUnreadable) -> Page:
    """Return the page that the query asks for, and how many entries match in all."""
    values: list[object] = []
    question = conditions.ask(query.condition, shape, values)
    given: dict[str, object] = {f"v{number}": value for number, value in enumerate(values)}
    entries: tuple[Entry, ...] = ()
    if query.limit > 0:
        rows = _page(connection, shape, query, question, given)
        entries = tuple(shape.entries(rows, on_unreadable))
        if (looked_up := _lookup(query, shape)) is not None and len(entries) < query.limit:
            meant = tuple(entry for entry in entries if _is_meant(entry, looked_up))
            return Page(meant, len(meant))
    if query.after is None and (0 < len(entries) < query.limit or (query.limit and not entries and not query.offset)):
        return Page(entries, query.offset + len(entries))
    counting = shape.statements.get(connection, ("count", question), lambda: _count(shape, question))
    return Page(entries, int(counting.run(connection, given).scalar_one()))


def _lookup(query: Query, shape: Shape) -> Compare | None:
    """Return the condition where users are looked up by one text, in a database whose comparisons nobody knows."""
    condition = query.condition
    if shape.dialect.text_comparison != "unknown" or not isinstance(condition, Compare) or query.offset or query.after:
        return None
    is_meant = condition.comparator is Comparator.EQ and conditions.is_text(shape.columns[condition.attribute])
    return condition if is_meant else None


def _is_meant(entry: Entry, condition: Compare) -> bool:
    """Return whether an entry has the text, whatever its case; a collation may take é for e, or blanks for nothing."""
    return str(entry.values[condition.attribute]).casefold() == str(condition.value).casefold()


def demand_understood(shape: Shape, query: Query, failure: ConnectorError) -> None:
    """Raise InvalidValue where a data source that nobody named refuses a filter or an order."""
    asks = query.condition != EVERYTHING or query.sort_by is not None
    if type(failure) is ConnectorError and asks and not shape.dialect.catalogue:
        raise InvalidValue(
            "",
            "The data source refuses to filter or sort by this: one of the attributes is of a type that it does not "
            "compare as text, or as that number. Leave it out.",
        ) from failure


def _page(
    connection: Connection, shape: Shape, query: Query, question: Question, given: dict[str, object]
) -> Sequence[Sequence[object]]:
    """Return the rows of one page."""
    bounds: dict[str, object] = {"limit_": query.limit}
    if query.offset:
        bounds["offset_"] = query.offset
    if query.after is not None:
        try:
            bounds["after_"] = anchor_key(shape, query.after)
        except Unfit:
            return ()
    key = ("page", question, query.sort_by, query.descending, query.offset > 0, query.after is not None)
    statement = shape.statements.get(connection, key, lambda: _select(shape, query, question))
    rows = statement.run(connection, given | bounds)
    if shape.dialect.paging != "cursor":
        return rows.fetchall()
    with closing(rows):
        return list(islice(rows, query.offset, query.offset + query.limit))


def _select(shape: Shape, query: Query, question: Question) -> sa.Select[*tuple[object, ...]]:
    statement = _where(shape.selected, shape, question).order_by(*_order(query, shape))
    if query.after is not None:
        anchor, last = shape.anchor.sql, predicates.compared(shape.anchor, shape, "after_")
        statement = statement.where(anchor < last if query.descending else anchor > last)
    return _cut(statement, shape, query)


def _cut(statement: sa.Select[*tuple[object, ...]], shape: Shape, query: Query) -> sa.Select[*tuple[object, ...]]:
    """Return the statement with its page cut out, where the database does that."""
    if shape.dialect.paging == "cursor":
        return statement
    limit = sa.bindparam("limit_", type_=sa.Integer())
    if query.offset:
        statement = statement.offset(sa.bindparam("offset_", type_=sa.Integer()))
    return statement.fetch(limit) if shape.dialect.paging == "fetch" else statement.limit(limit)


def sample(connection: Connection, shape: Shape, rows: int) -> Iterable[Sequence[object]]:
    """Return some rows, whichever come first."""
    if shape.dialect.paging != "cursor":
        # Some drivers fetch all that a statement gives before they hand out the first row.
        cut = shape.selected.limit(rows) if shape.dialect.paging == "limit" else shape.selected.fetch(rows)
        return connection.execute(cut).all()
    with closing(connection.execute(shape.selected)) as found:
        return list(islice(found, rows))


def everything(connection: Connection, shape: Shape, question: Question, sort_by: str | None) -> Statement:
    """Return the statement that reads all that matches, sorted by one column and the anchor where one is given."""

    def build() -> sa.Select[*tuple[object, ...]]:
        statement = _where(shape.selected, shape, question)
        if sort_by is None:
            return statement
        return statement.order_by(conditions.column_of(shape, sort_by).sql, shape.anchor.sql)

    return shape.statements.get(connection, ("everything", question, sort_by), build)


def _count(shape: Shape, question: Question) -> sa.Select[*tuple[object, ...]]:
    counting: sa.Select[*tuple[object, ...]] = sa.select(sa.func.count()).select_from(shape.source)
    return _where(counting, shape, question)


def _where(
    statement: sa.Select[*tuple[object, ...]], shape: Shape, question: Question
) -> sa.Select[*tuple[object, ...]]:
    if question == AllOf(()):
        return statement
    names = (f"v{number}" for number in range(1_000_000))
    return statement.where(predicates.to_where(question, shape, names))


def _order(query: Query, shape: Shape) -> list[ColumnElement[Any]]:
    """Return the order: entries without a value come last, or first when descending (RFC 7644 §3.4.2.3)."""
    anchor = shape.anchor.sql
    column = conditions.column_of(shape, query.sort_by or shape.object_type.anchor)
    if column is shape.anchor and (query.sort_by is None or not predicates.is_folded(column)):
        return [anchor.desc() if query.descending else anchor.asc()]
    if predicates.is_long(column, shape):
        raise InvalidValue(column.attribute.name, "is long text, which this database does not sort by.")
    absent, key = predicates.missing(column), predicates.folded(column, shape)
    keys: list[ColumnElement[Any]]
    keys = [absent.desc(), key.desc()] if query.descending else [absent.asc(), key.asc()]
    return [*keys, anchor.asc()]
