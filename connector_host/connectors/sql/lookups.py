"""Lookups: many searches that ask the same of one column, with a value each, as one statement: a directory's matching.

Each is a branch of its own, so that it means what it means alone, and uses the index that it uses alone:

    SELECT 0 AS n_, s0.* FROM (SELECT … WHERE … = :v0 ORDER BY anchor LIMIT 16) AS s0 UNION ALL SELECT 1 AS n_, …

The limit is no parameter: PostgreSQL would plan every branch anew each time, to see whether the next value helps it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from connector_host.connectors.contract import Comparator, Compare, Entry, Page
from connector_host.connectors.sql import conditions, predicates

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sqlalchemy import Connection

    from connector_host.connectors.contract import Query
    from connector_host.connectors.sql.shapes import Shape


SIZES = (1, 4, 16)
"""Branches of one statement: few different ones, since a database plans the first executions of each with care."""
FOUND_MAX = 16
"""Entries that a branch finds; a unique value has one, or a few where it is compared without regard to case."""


@dataclass(frozen=True, eq=False, slots=True)
class Lookup:
    """What such searches have in common; those that wait for an equal one are carried out together."""

    shape: Shape
    question: Compare
    on_unreadable: Callable[[str], None]

    def __eq__(self, other: object) -> bool:
        """Return whether the same is asked of the same shape, which is equal to none but itself."""
        if not isinstance(other, Lookup):
            return NotImplemented
        return self.shape is other.shape and self.question == other.question

    def __hash__(self) -> int:
        """Return what equal ones have in common."""
        return hash((id(self.shape), self.question))

    def __call__(self, connection: Connection, values: list[object]) -> dict[object, tuple[Entry, ...] | None]:
        """Return all entries that have each value; None where there may be more, which a search of its own tells."""
        found: dict[object, list[Entry]] = {value: [] for value in values}
        for start in range(0, len(values), SIZES[-1]):
            part = values[start : start + SIZES[-1]]
            for number, *row in self._rows(connection, part):
                if number < len(part):
                    found[part[number]].append(self.shape.entry(row, self.on_unreadable))
        return {value: tuple(entries) if len(entries) < FOUND_MAX else None for value, entries in found.items()}

    def _rows(self, connection: Connection, part: list[object]) -> Iterable[Sequence[Any]]:
        size = next(size for size in SIZES if size >= len(part))
        key = ("lookup", self.question, size)
        statement = self.shape.statements.get(connection, key, partial(_branches, self.shape, self.question, size))
        given = {f"v{number}": value for number, value in enumerate(part + part[-1:] * (size - len(part)))}
        return statement.run(connection, given).fetchall()


def read(shape: Shape, query: Query, on_unreadable: Callable[[str], None]) -> tuple[object, Lookup] | None:
    """Return the value that a search looks up, and what it has in common with others; None for any other search."""
    condition = query.condition
    if not shape.dialect.looks_up_many or not isinstance(condition, Compare):
        return None
    is_plain = query.after is None and query.sort_by is None and not query.descending
    if condition.comparator is not Comparator.EQ or not is_plain:
        return None
    values: list[object] = []
    question = conditions.ask(condition, shape, values)
    column = shape.columns[condition.attribute]
    is_unique = column is shape.anchor or column.attribute.unique
    if not is_unique or not isinstance(question, Compare) or not isinstance(values[0], str | int):
        return None
    return values[0], Lookup(shape, question, on_unreadable)


def page(query: Query, found: tuple[Entry, ...]) -> Page:
    """Return the stretch of what was found that a search asks for."""
    return Page(found[query.offset : query.offset + query.limit], len(found))


def _branches(shape: Shape, question: Compare, size: int) -> sa.Executable:
    """Return so many searches as one statement, each row with the number of its search."""
    branches = []
    for number in range(size):
        where = predicates.to_where(question, shape, iter((f"v{number}",)))
        one = shape.selected.where(where).order_by(shape.anchor.sql.asc())
        found = one.limit(sa.literal_column(str(FOUND_MAX), sa.Integer())).subquery(f"s{number}")
        branches.append(sa.select(sa.literal_column(str(number), sa.Integer()).label("n_"), *found.c))
    return sa.union_all(*branches) if size > 1 else branches[0]
