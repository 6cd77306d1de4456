"""Changes: what an import delivers, one a line as NDJSON, or one a row as CSV.

    {"change": "add" | "modify" | "delete", "anchor": "...", "values": {attribute: value, …}}

A deletion has no values. Decimals are text, so that no reader rounds them; moments are RFC 3339 in UTC.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from connector_host.connectors.contract import Row, Value

Kind: TypeAlias = Literal["add", "modify", "delete"]
Format: TypeAlias = Literal["ndjson", "csv"]


class Change(msgspec.Struct, frozen=True, gc=False):
    """One object that is new, is different, or is gone."""

    change: Kind
    anchor: str
    values: Any
    """What `Output.record` makes of its row; GONE where there is none."""


GONE: Mapping[str, Value] = {}


@dataclass(frozen=True, slots=True)
class Output:
    """How changes become bytes."""

    head: bytes
    """What stands before them."""
    record: Callable[..., Any]
    """Makes of the values of a row what a change has as values."""
    encode: Callable[[Sequence[Change]], bytes]


_json = msgspec.json.Encoder()


def output(form: Format, attributes: Sequence[str]) -> Output:
    """Return how rows of these attributes are written down."""
    if form == "ndjson":
        return Output(b"", _naming(attributes), _json.encode_lines)
    return Output(
        _rows([("change", "anchor", *attributes)]),
        lambda *row: row,
        lambda changes: _rows(
            (change.change, change.anchor, *map(_cell, change.values or [None] * len(attributes))) for change in changes
        ),
    )


def _naming(attributes: Sequence[str]) -> Callable[..., object]:
    """Return what makes an object of the values of a row: a dictionary would cost as much as reading the row."""
    fields = {f"value{place}": name for place, name in enumerate(attributes)}
    try:
        return msgspec.defstruct("Values", fields, rename=fields, frozen=True, gc=False)
    except ValueError:  # a name that JSON has to escape
        return lambda *row: dict(zip(attributes, row, strict=True))


def digesting(attributes: Sequence[str]) -> Callable[[Row], bytes]:
    """Return what gives the same bytes for the same values, whatever the order of the table's columns."""
    places = sorted((name, place) for place, name in enumerate(attributes))
    return lambda row: _json.encode([(name, row[place]) for name, place in places])


def _cell(value: Value | None) -> str:
    if value is None:
        return ""
    # As JSON spells it, without the quotation marks of text.
    return value if isinstance(value, str) else _json.encode(value).decode().strip('"')


def _rows(rows: Sequence[Sequence[str]] | object) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)  # type: ignore[arg-type] # rows of text, from a list or a generator
    return text.getvalue().encode()
