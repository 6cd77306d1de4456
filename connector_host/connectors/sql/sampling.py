"""Samples: what the first rows say of each column, in counts and shapes. No value leaves this module."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from connector_host.connectors.contract import to_text
from connector_host.connectors.sql import anchors, queries, shapes
from connector_host.connectors.sql.columns import Unfit
from connector_host.connectors.survey import ColumnSample, truth_in
from connector_host.errors import ConfigurationError
from connector_host.settings.connectors import ExportSettings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

    from connector_host.connectors.sql.dialect import Dialect
    from connector_host.connectors.sql.discovery import TableFacts
    from connector_host.connectors.sql.shapes import Shape, SqlColumn
    from connector_host.settings import SqlSettings

SAMPLE_ROWS = 500
APART_ROWS = 20
"""In so many rows it is hardly chance that all values differ."""
TELLING_ROWS = 3
"""So many values of one shape say something; fewer are chance."""

LOOKS: Mapping[str, re.Pattern[str]] = {
    "e-mail addresses": re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+"),
    "UUIDs": re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE),
    "days as YYYYMMDD": re.compile(r"(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])"),
    "seconds from 1970": re.compile(r"[1-3]\d{9}"),
    "milliseconds from 1970": re.compile(r"[1-3]\d{12}"),
    "telephone numbers": re.compile(r"\+?(?=(?:\D*\d){7,15}\D*$)\d[\d ()/.-]*"),
}
"""Shapes that tell what a column holds; the first that all its values have."""


def sampled(
    connection: Connection, dialect: Dialect, facts: TableFacts, settings: SqlSettings
) -> Mapping[str, ColumnSample]:
    """Return what some rows say of each column that can be served; nothing where they cannot be read."""
    shape = _shape(dialect, facts, settings)
    if shape is None:
        return {}
    try:
        rows = list(queries.sample(connection, shape, SAMPLE_ROWS))
    except DBAPIError:
        # The catalogue is seen without a right to read the table.
        connection.rollback()
        return {}
    return {
        name: _of(column, [row[place] for row in rows]) for place, (name, column) in enumerate(shape.columns.items())
    }


def tells_apart(found: ColumnSample) -> bool:
    """Return whether the rows had a value each, all of them different, of a kind that stays with a user."""
    changes = found.looks in ("telephone numbers", "seconds from 1970", "milliseconds from 1970")
    return found.rows >= APART_ROWS and found.distinct == found.rows and not changes


def _shape(dialect: Dialect, facts: TableFacts, settings: SqlSettings) -> Shape | None:
    """Return a shape to read rows by, whatever its anchor; None where nothing can be read so."""
    able = (
        column.facts.name
        for column in facts.columns
        if not column.facts.left_out and column.kind.family not in anchors.NOT_ANCHORS
    )
    anchor = next(able, None)
    if anchor is None:
        return None
    plain = {"anchor": anchor, "accept_unenforced_anchor": True, "columns": None, "exports": ExportSettings()}
    try:
        return shapes.build(facts, settings.model_copy(update=plain), dialect)
    except ConfigurationError:
        return None


def _of(column: SqlColumn, values: Sequence[object]) -> ColumnSample:
    texts = [text for text in (_text(column, raw) for raw in values if raw is not None) if text]
    return ColumnSample(
        rows=len(values), filled=len(texts), distinct=len(set(texts)), looks=_looks(texts, column.attribute.type.value)
    )


def _text(column: SqlColumn, raw: object) -> str:
    """Return a value as text; nothing where the column should not hold it."""
    try:
        return to_text(column.codec.decode(raw)).strip()
    except Unfit:
        return ""


def _looks(texts: Sequence[str], type_: str) -> str:
    """Return what all values look like; empty where they have nothing in common, or are of a type that says it."""
    if type_ not in ("string", "integer"):
        return ""
    if (truth := truth_in(set(texts))) is not None:
        return f"{truth[0]} and {truth[1]} only"
    if len(texts) < TELLING_ROWS:
        return ""
    return next((what for what, shape in LOOKS.items() if all(shape.fullmatch(text) for text in texts)), "")
