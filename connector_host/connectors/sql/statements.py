"""Statements that are built and compiled once for a shape, and then only given values.

Building an expression costs ten times what its execution costs here. A statement is kept by what it asks, never by
the values that it is asked with, so that the drivers can prepare it on the server, too.
"""

from __future__ import annotations

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
        return tuple(values[name] if name in values else self.constants[name] for name in self.order)

    def run(self, connection: Connection, values: Mapping[str, object]) -> Rows:
        """Execute the statement once."""
        return connection.exec_driver_sql(self.text, self.bound(values))

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
            found = self._kept[key] = _compiled(connection, build())
        return found


def _compiled(connection: Connection, statement: Executable) -> Statement:
    compiled: Any = statement.compile(dialect=connection.dialect)  # type: ignore[attr-defined] # every statement has it
    order = tuple(compiled.positiontup) if compiled.positional else None
    return Statement(str(compiled), dict(compiled.params), order)
