"""A source's key as text, and back: how a row is asked for by the text that its key became.

A column's own text, as the database would write it, is often another one: CHAR loses its blanks, 1.0 is 1, bytes and
moments look different. Whoever is not found counts as gone, so that nothing may hang on that.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXT: Final = sa.String().with_variant(sa.Unicode(), "mssql")
"""What a column is cast to as text; SQL Server's VARCHAR would make question marks of letters outside its code page."""

BITS_MAX: Final = 63
"""Of a whole number that a parameter takes."""


def conditions(column: sa.ColumnClause[Any], key: str, like: object) -> Iterator[sa.ColumnElement[bool]]:
    """Yield what a row with this key may satisfy, the cheapest first; `like` is a key as the driver gives it.

    What is found has to be compared with the key: the database may take a capital letter for a small one.
    """
    try:
        typed = _typed(key, like)
    except ValueError:
        typed = None
    if typed is not None:
        yield column == typed
    # As text: '1' has to find a 1, and a number column must not be asked for 'abc'.
    yield sa.cast(column, TEXT).in_({key, key.rstrip(" ")})


def _typed(key: str, like: object) -> sa.BindParameter[Any] | None:
    """Return the key as such a value; None where the column's text says the same, or is all there is."""
    match like:
        case bool():
            return sa.literal(key == "True")
        case int():
            number = int(key)
            return sa.literal(number, sa.BigInteger) if number.bit_length() <= BITS_MAX else None
        case float():
            return sa.literal(float(key))
        case datetime():
            moment = datetime.fromisoformat(key)
            return sa.literal(moment if like.tzinfo else moment.replace(tzinfo=None))
        case bytes() | bytearray() | memoryview():
            return sa.literal(bytes.fromhex(key))
        case _:
            return None
