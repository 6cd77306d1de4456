"""Changes: what an import delivers, one a line as NDJSON, or one a row as CSV.

    {"change": "add" | "modify" | "delete", "anchor": "...", "values": {attribute: value, …}}

A deletion has no values. Decimals are text, so that no reader rounds them; moments are RFC 3339 in UTC.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

import msgspec

from connector_host.connectors.contract import Value  # noqa: TC001 - msgspec reads the annotations of Change

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind: TypeAlias = Literal["add", "modify", "delete"]
Format: TypeAlias = Literal["ndjson", "csv"]


class Change(msgspec.Struct, frozen=True, gc=False):
    """One object that is new, is different, or is gone."""

    change: Kind
    anchor: str
    values: dict[str, Value | None]


Encode: TypeAlias = Callable[[Sequence[Change]], bytes]

_json = msgspec.json.Encoder()


def encoder(form: Format, attributes: Sequence[str]) -> tuple[bytes, Encode]:
    """Return what stands at the head of the output, and the function from changes to bytes."""
    if form == "ndjson":
        return b"", _json.encode_lines
    return _rows([("change", "anchor", *attributes)]), lambda changes: _rows(
        (change.change, change.anchor, *_cells(change.values, attributes)) for change in changes
    )


def digestible(values: Mapping[str, Value | None]) -> bytes:
    """Return the same bytes for the same values, whatever the order of the table's columns."""
    return _json.encode(sorted(values.items()))


def _cells(values: Mapping[str, Value | None], attributes: Sequence[str]) -> list[str]:
    """Return the values as text; a null and the empty string look alike in CSV."""
    return [_cell(values.get(name)) for name in attributes]


def _cell(value: Value | None) -> str:
    if value is None:
        return ""
    # As JSON spells it, without the quotation marks of text.
    return value if isinstance(value, str) else _json.encode(value).decode().strip('"')


def _rows(rows: Sequence[Sequence[str]] | object) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)  # type: ignore[arg-type] # rows of text, from a list or a generator
    return text.getvalue().encode()
