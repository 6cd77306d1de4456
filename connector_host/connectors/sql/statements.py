"""Statements that are built and compiled once for a shape, and then only given values.

Building an expression costs ten times what its execution costs here. A statement is kept by what it asks, never by
the values that it is asked with, so that the drivers can prepare it on the server, too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence

    from sqlalchemy import Connection, CursorResult, Executable

    Rows: TypeAlias = CursorResult[Any]

KEPT_MAX = 500
"""Statements of one shape that are kept; filters that nobody repeats must not fill the memory."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement in the driver's own spelling."""

    text: str
    constants: Mapping[str, object]
    """Parameters that always have the same value."""
    order: tuple[str, ...] | None
    """The order of the parameters where the driver wants them by position."""

    def bound(self, values: Mapping[str, object]) -> dict[str, object] | tuple[object, ...]:
        """Return the parameters as the driver wants them."""
        if self.order is None:
            return {**self.constants, **values}
        try:
            return tuple(map(values.__getitem__, self.order))
        except KeyError:
            return tuple(map({**self.constants, **values}.__getitem__, self.order))

    def run(self, connection: Connection, values: Mapping[str, object]) -> Rows:
        """Execute the statement once."""
        return connection.exec_driver_sql(self.text, self.bound(values))

    def met(self, connection: Connection, values: Mapping[str, object], counting: tuple[str, str] | None) -> int:
        """Execute the statement once, and return how many rows it met; `counting` is said around it (see Dialect)."""
        if counting is None:
            return self.run(connection, values).rowcount
        before, after = counting
        return int(connection.exec_driver_sql(before + self.text + after, self.bound(values)).scalar_one())

    def run_many(self, connection: Connection, many: Sequence[Mapping[str, object]]) -> Rows:
        """Execute the statement once for each set of values."""
        return connection.exec_driver_sql(self.text, [self.bound(values) for values in many])


class Statements:
    """The statements of one shape, built when they are first needed."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, Statement] = {}

    def get(self, connection: Connection, key: Hashable, build: Callable[[], Executable]) -> Statement:
        """Return the statement of this key; threads that build the same one at once do no harm."""
        found = self._kept.get(key)
        if found is None:
            if len(self._kept) >= KEPT_MAX:
                self._kept.clear()
            found = self._kept[key] = compiled(connection, build())
        return found

    def named(self, text: str, given: object) -> dict[str, object]:
        """Return the parameters of a statement that was just run, by the column where they stand for one.

        Of a statement that is not kept here, they are named as they came: by name, or else by number.
        """
        key, statement = next(((key, one) for key, one in list(self._kept.items()) if one.text == text), (None, None))
        if isinstance(given, dict):
            by_name = given
        else:
            order = statement.order if statement is not None else None
            places = range(1, 1 + len(given)) if isinstance(given, (list, tuple)) else range(0)
            by_name = dict(zip(order or map(str, places), given or (), strict=False))  # type: ignore[call-overload]
        columns = key[1] if isinstance(key, tuple) and key[0] in ("insert", "update") else ()
        return {_column(name, columns): value for name, value in by_name.items()}


def _column(name: str, columns: Sequence[str]) -> str:
    """Return the column that a short name such as `c0` or `c0_0` stands for; see bulk."""
    found = re.fullmatch(r"c(\d+)(?:_\d+)?", name)
    number = int(found[1]) if found else len(columns)
    return str(columns[number] if number < len(columns) else name)


def quoted(connection: Connection, name: str) -> str:
    """Return a name as the database quotes it, for statements that people run and drivers that look for no parameters.

    SQLAlchemy doubles each % where the driver would take it for a parameter's.
    """
    dialect = connection.dialect
    spelled = dialect.identifier_preparer.quote_identifier(name)
    return spelled.replace("%%", "%") if dialect.paramstyle in ("format", "pyformat") else spelled


def compiled(connection: Connection, statement: Executable) -> Statement:
    """Return a statement in the spelling of the connection's driver."""
    spelled: Any = statement.compile(dialect=connection.dialect)  # type: ignore[attr-defined] # every statement has it
    order = tuple(spelled.positiontup) if spelled.positional else None
    return Statement(str(spelled), dict(spelled.params), order)
