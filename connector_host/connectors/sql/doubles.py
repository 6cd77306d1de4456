"""Doubles: values that differ from another row's in case only, where the database takes them for different.

Filters find users whatever the case, so two users who differ in nothing else would both be found. Where the unique key
tells cases apart, each export looks first, inside its transaction, by the comparison that filters use.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import sqlalchemy as sa

from connector_host.connectors.contract import to_text
from connector_host.connectors.errors import Conflict
from connector_host.connectors.sql import predicates

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import Connection

    from connector_host.connectors.sql.shapes import Shape, SqlColumn

AT_ONCE_MAX = 64
"""Values that one statement looks for."""


def refuse(connection: Connection, shape: Shape, values: Mapping[str, object], anchor: str | None = None) -> None:
    """Raise Conflict where another row than the anchor's has one of these values in another case.

    The very same value is left to the database, which refuses it by itself.
    """
    for column in shape.guarded:
        name = column.attribute.name
        value = values.get(name)
        if value is None:
            continue
        for owner, text in _owners(connection, shape, column, [str(value)]):
            if owner != anchor and text != value:
                raise Conflict([name])


def among(connection: Connection, shape: Shape, exports: Iterable[tuple[str | None, Mapping[str, object]]]) -> bool:
    """Return whether any export may take a value that another row or export has; each names its own row, if any.

    One statement for each guarded column. It is not said which export it is: run alone, each is told by itself.
    """
    group = list(exports)
    for column in shape.guarded:
        name = column.attribute.name
        given = [(anchor, str(values[name])) for anchor, values in group if values.get(name) is not None]
        wanted = {text.casefold(): anchor for anchor, text in given}
        if len(wanted) < len(given):
            return True
        for owner, text in _owners(connection, shape, column, [text for _, text in given]):
            if owner is None or wanted.get(text.casefold()) != owner:
                return True
    return False


def _owners(
    connection: Connection, shape: Shape, column: SqlColumn, texts: list[str]
) -> Iterator[tuple[str | None, str]]:
    """Yield the anchor and the value of each row whose value is one of these, in whatever case."""
    for start in range(0, len(texts), AT_ONCE_MAX):
        part = texts[start : start + AT_ONCE_MAX]
        size = 1 << (len(part) - 1).bit_length()
        part += part[-1:] * (size - len(part))
        key = ("doubles", column.attribute.name, size)
        statement = shape.statements.get(connection, key, partial(_looking, shape, column, size))
        found: Sequence[Sequence[object]] = statement.run(
            connection, {f"d{number}": text for number, text in enumerate(part)}
        ).fetchall()
        for own, text in found:
            yield None if own is None else to_text(shape.anchor.codec.decode(own)), str(text)


def _looking(shape: Shape, column: SqlColumn, size: int) -> sa.Select[*tuple[object, ...]]:
    names = [f"d{number}" for number in range(size)]
    found = predicates.is_alike(column, shape, names)
    return sa.select(shape.anchor.sql.label("key_"), column.sql.label("text_")).select_from(shape.source).where(found)
