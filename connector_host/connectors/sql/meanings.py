"""What the values of a column are to a directory, in words for a person: the codec, said before it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connector_host.connectors.sql.columns import EIGHT_BYTES_MAX, TEXTS, Family

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connector_host.connectors.sql.columns import Kind
    from connector_host.connectors.survey import ColumnFacts

WORDS: Mapping[Family, str] = {
    Family.TEXT: "text",
    Family.PADDED_TEXT: "text without the blanks that fill it up",
    Family.INTEGER: "whole number",
    Family.DECIMAL: "decimal",
    Family.SINGLE: "number of 6 digits",
    Family.DOUBLE: "number of 15 digits",
    Family.BOOLEAN: "true or false",
    Family.MOMENT: "moment, with its zone",
    Family.NAIVE_MOMENT: "moment, taken as UTC unless `zone` says where",
    Family.DATE: "date, as its midnight",
    Family.TIME: "time of day, as text",
    Family.UUID: "UUID, as text",
    Family.BINARY_UUID: "UUID, as text, kept as 16 bytes",
}
ALLOWED_SHOWN = 4
"""Labels that are shown; of more, how many there are."""


def values_of(facts: ColumnFacts, kind: Kind) -> str:
    """Return what the values are, and their limit; empty where the column cannot be served."""
    words = WORDS.get(kind.family)
    if words is None:
        return ""
    if facts.allowed:
        shown = ", ".join(facts.allowed)
        return f"one of {shown}" if len(facts.allowed) <= ALLOWED_SHOWN else f"one of {len(facts.allowed)} values"
    limit = _limit(facts, kind)
    return f"{words}, {limit}" if limit else words


def _limit(facts: ColumnFacts, kind: Kind) -> str:
    if kind.family in TEXTS:
        return f"up to {facts.length}" if facts.length is not None else ""
    if kind.family is Family.INTEGER:
        return f"{kind.low} to {kind.high}" if kind.high < EIGHT_BYTES_MAX else ""
    if kind.family in (Family.DECIMAL, Family.SINGLE, Family.DOUBLE) and facts.precision is not None:
        scale = facts.scale or 0
        return f"{facts.precision} digits, {f'{scale} after the point' if scale >= 0 else f'in steps of {10**-scale}'}"
    if kind.family in (Family.MOMENT, Family.NAIVE_MOMENT, Family.TIME) and facts.precision is not None:
        return f"{facts.precision} digits after the second" if facts.precision else "whole seconds"
    return ""
