"""Row versions: what a database stamps each changed row with, and the horizon below which every stamp is committed.

A stamp is given out before its transaction commits, so the greatest one that is seen proves nothing: a lower one may
come to light later. The horizon is the lowest that a transaction under way may still bring. Read before the rows, it
is a mark that misses no late commit: whatever was not seen this time is at the horizon or above it
(sql-connectors.md §3.7). Which types are stamps, and who tells the horizon, is a fact of the dialect.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.sql import quoted_name

from connector_host.connectors.sql.columns import Spelled
from connector_host.connectors.sql.statements import compiled

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from connector_host.connectors.sql.dialect import Dialect
    from connector_host.connectors.sql.shapes import Shape
    from connector_host.connectors.sql.statements import Statement
    from connector_host.connectors.survey import ColumnFacts

SINCE = "since"


def is_stamp(shape: Shape, name: str) -> bool:
    """Return whether the table has a column of this name, exposed or not, that holds row versions."""
    return any(column.facts.name == name and is_kept_in(column.facts, shape.dialect) for column in shape.facts.columns)


def is_kept_in(column: ColumnFacts, dialect: Dialect) -> bool:
    """Return whether a column holds the database's row versions."""
    return dialect.row_versions is not None and column.declared.lower() in dialect.row_versions.types


def asking(shape: Shape) -> sa.Select[*tuple[object, ...]]:
    """Return what asks for the horizon of this moment, as text or as a number."""
    stamps = shape.dialect.row_versions
    assert stamps is not None  # noqa: S101 - only asked where there is a stamp
    return sa.select(sa.literal_column(stamps.horizon).label("horizon"))


def horizon(connection: Connection, shape: Shape) -> int:
    """Return the horizon."""
    return int(str(connection.scalar(asking(shape))))


def selecting(shape: Shape, name: str) -> sa.Select[*tuple[object, ...]]:
    """Return what reads every row whose stamp is the bound one or later; a row without a stamp is among them."""
    return shape.selected.where(since(shape, sa.column(quoted_name(name, quote=True))))


def since(shape: Shape, column: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    """Return whether a stamp is the bound one or later, or missing."""
    stamps = shape.dialect.row_versions
    assert stamps is not None  # noqa: S101 - the same
    bound: sa.ColumnElement[Any] = sa.bindparam(SINCE, type_=sa.String())
    for spelling in stamps.spelled:
        bound = sa.cast(bound, Spelled(spelling))
    return sa.or_(column >= bound, column.is_(None))


def statement(connection: Connection, shape: Shape, name: str) -> Statement:
    """Return it in the driver's spelling."""
    return compiled(connection, selecting(shape, name))
