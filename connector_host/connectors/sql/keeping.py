"""What statements of one's own leave as it is: each column of a row as a parameter that changes nothing.

A value that SCIM has no word for reads as absent, and one of many digits as roughly that; bound again in our words, it
would be overwritten. So it goes back as the driver handed it out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from connector_host.connectors.errors import NotFound
from connector_host.connectors.sql import predicates, queries
from connector_host.connectors.sql.columns import Family, Unfit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection

    from connector_host.connectors.contract import Entry
    from connector_host.connectors.sql.shapes import Shape, SqlColumn


@dataclass(frozen=True, slots=True)
class Row:
    """A row before it is changed: what it says, and as the driver handed it out."""

    entry: Entry
    raw: Sequence[object]


def find(
    connection: Connection, shape: Shape, anchor: str, on_unreadable: Callable[[str], None], *, locked: bool = False
) -> Row:
    """Return the row with exactly this anchor, locked on request; raises NotFound."""
    for entry, raw in queries.read_raw(connection, shape, [anchor], on_unreadable, locked=locked):
        return Row(entry, raw)
    raise NotFound(anchor)


def parameters(connection: Connection, shape: Shape, row: Row) -> dict[str, object]:
    """Return every column of the row as a parameter that leaves it as it is."""
    kept = {name: as_kept(column, raw) for (name, column), raw in zip(shape.columns.items(), row.raw, strict=True)}
    asked = {name: _exact(shape, shape.columns[name], value) for name, value in kept.items()}
    untold = {name: exact for name, exact in asked.items() if exact is not None}
    return kept | (_asked_again(connection, shape, row, untold) if untold else {})


def as_kept(column: SqlColumn, raw: object) -> object:
    """Return the parameter that leaves one value as it is."""
    if raw is None:
        return None
    try:
        encoded = column.codec.encode(column.codec.decode(raw))
    except Unfit:
        return raw
    kind = column.discovered.kind
    if kind.family is Family.PADDED_TEXT or (kind.low == 0 and isinstance(raw, int) and raw < 0):
        # Blanks that the database added, and what MariaDB's ODBC driver misreads: the codec knows.
        return encoded
    # Of another type is what the driver hands out but does not take, or what no procedure takes for text (a UUID).
    return raw if type(raw) is type(encoded) else encoded


def _exact(shape: Shape, column: SqlColumn, value: object) -> ColumnElement[Any] | None:
    """Return how a value is asked for that the driver cannot have told as it is; None where it could."""
    if shape.dialect.name == "mysql" and value is not None and column.discovered.kind.family is Family.SINGLE:
        # As text, which is how PyMySQL has its rows, a FLOAT is cut to six digits.
        return column.sql + sa.literal_column("0e0")
    return None


def _asked_again(
    connection: Connection, shape: Shape, row: Row, untold: Mapping[str, ColumnElement[Any]]
) -> dict[str, object]:
    columns = [exact.label(f"c{number}") for number, exact in enumerate(untold.values())]
    is_row = predicates.is_anchor(shape, "key_", queries.anchor_key(shape, row.entry.anchor))
    found = connection.execute(sa.select(*columns).select_from(shape.source).where(is_row)).first()
    return dict(zip(untold, found, strict=True)) if found is not None else {}
