"""Changes: what an import delivers, one a line as NDJSON, or one a row as CSV.

    {"change": "add" | "modify" | "delete", "anchor": "...", "values": {attribute: value, …}}

A deletion has no values. Decimals are text, so that no reader rounds them; moments are RFC 3339 in UTC.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

import msgspec

from connector_host.connectors.contract import Row, Value  # noqa: TC001 - msgspec reads the annotations of Change

Kind: TypeAlias = Literal["add", "modify", "delete"]
Format: TypeAlias = Literal["ndjson", "csv"]


class Change(msgspec.Struct, frozen=True, gc=False):
    """One object that is new, is different, or is gone."""

    change: Kind
    anchor: str
    row: Row
    """Empty where it is gone."""


class _Line(msgspec.Struct, frozen=True, gc=False):
    """One change as it is written down."""

    change: Kind
    anchor: str
    values: object


Encode: TypeAlias = Callable[[Sequence[Change]], bytes]

_json = msgspec.json.Encoder()


def encoder(form: Format, attributes: Sequence[str]) -> tuple[bytes, Encode]:
    """Return what stands at the head of the output, and the function from changes to bytes."""
    if form == "ndjson":
        named = _naming(attributes)
        return b"", lambda changes: _json.encode_lines(
            [_Line(change.change, change.anchor, named(*change.row) if change.row else {}) for change in changes]
        )
    return _rows([("change", "anchor", *attributes)]), lambda changes: _rows(
        (change.change, change.anchor, *map(_cell, change.row or [None] * len(attributes))) for change in changes
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
