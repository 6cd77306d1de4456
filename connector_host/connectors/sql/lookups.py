"""Lookups: many searches that ask the same of one column, with a value each, as one statement: a directory's matching.

Each is a branch of its own, so that it means what it means alone, and uses the index that it uses alone:

    SELECT 0 AS n_, s0.* FROM (SELECT … WHERE … = :v0 ORDER BY anchor LIMIT …) AS s0 UNION ALL SELECT 1 AS n_, …
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from connector_host.connectors.contract import Comparator, Compare, Entry, Page
from connector_host.connectors.sql import conditions, predicates
from connector_host.connectors.sql.queries import AT_ONCE_MAX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sqlalchemy import Connection

    from connector_host.connectors.contract import Query
    from connector_host.connectors.sql.shapes import Shape


@dataclass(frozen=True, eq=False, slots=True)
class Lookup:
    """What such searches have in common; those that wait for an equal one are carried out together."""

    shape: Shape
    question: Compare
    limit: int
    on_unreadable: Callable[[str], None]

    def __eq__(self, other: object) -> bool:
        """Return whether the same is asked of the same shape, which is equal to none but itself."""
        if not isinstance(other, Lookup):
            return NotImplemented
        return self.shape is other.shape and self.question == other.question and self.limit == other.limit

    def __hash__(self) -> int:
        """Return what equal ones have in common."""
        return hash((id(self.shape), self.question, self.limit))

    def __call__(self, connection: Connection, values: list[object]) -> dict[object, Page | None]:
        """Return the page of each value; None where there may be more than one page, which has to be counted."""
        found: dict[object, list[Entry]] = {value: [] for value in values}
        for start in range(0, len(values), AT_ONCE_MAX):
            part = values[start : start + AT_ONCE_MAX]
            for number, *row in self._rows(connection, part):
                if number < len(part):
                    found[part[number]].append(self.shape.entry(row, self.on_unreadable))
        return {
            value: Page(tuple(entries), len(entries)) if len(entries) < self.limit else None
            for value, entries in found.items()
        }

    def _rows(self, connection: Connection, part: list[object]) -> Iterable[Sequence[Any]]:
        """Search in statements of few different sizes, so that they stay prepared."""
        size = 1 << (len(part) - 1).bit_length()
        key = ("lookup", self.question, size)
        statement = self.shape.statements.get(connection, key, partial(_branches, self.shape, self.question, size))
        given = {f"v{number}": value for number, value in enumerate(part + part[-1:] * (size - len(part)))}
        return statement.run(connection, given | {"limit_": self.limit}).fetchall()


def read(shape: Shape, query: Query, on_unreadable: Callable[[str], None]) -> tuple[object, Lookup] | None:
    """Return the value that a search looks up, and what it has in common with others; None for any other search."""
    condition = query.condition
    if not isinstance(condition, Compare) or condition.comparator is not Comparator.EQ:
        return None
    is_first_page = query.limit > 0 and not query.offset and query.after is None
    if not shape.dialect.looks_up_many or not is_first_page or query.sort_by is not None or query.descending:
        return None
    values: list[object] = []
    question = conditions.ask(condition, shape, values)
    if not isinstance(question, Compare) or not isinstance(values[0], str | int):
        return None
    return values[0], Lookup(shape, question, query.limit, on_unreadable)


def _branches(shape: Shape, question: Compare, size: int) -> sa.Executable:
    """Return so many searches as one statement, each row with the number of its search."""
    branches = []
    for number in range(size):
        where = predicates.to_where(question, shape, iter((f"v{number}",)))
        one = shape.selected.where(where).order_by(shape.anchor.sql.asc())
        found = one.limit(sa.bindparam("limit_", type_=sa.Integer())).subquery(f"s{number}")
        branches.append(sa.select(sa.literal_column(str(number), sa.Integer()).label("n_"), *found.c))
    return sa.union_all(*branches) if size > 1 else branches[0]
