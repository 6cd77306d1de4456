"""Results: what a database says of the columns of a query, which is asked for no row.

PostgreSQL tells all drivers the same (pg_typeof). Of MySQL and MariaDB it is the driver's word, and collation() tells
text from bytes. SQLite's drivers do not know: what the grammar gives away (CAST, ||, count()) must do. Of all others it
is the driver's word.
"""

from __future__ import annotations

import datetime as dt
import uuid
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.sql import quoted_name
from sqlglot import exp
from sqlglot.optimizer.annotate_types import annotate_types

from connector_host.connectors.sql.columns import Family, Kind, integers
from connector_host.connectors.sql.describing import LABEL_SEPARATOR
from connector_host.connectors.sql.dialect import (
    BINARY,
    BOOLEAN,
    DATE,
    DECIMAL,
    DOUBLE,
    MOMENT,
    NAIVE,
    SINGLE,
    TEXT,
    TIME,
    UNKNOWN,
    UUID,
)
from connector_host.connectors.sql.dialects import kind_of
from connector_host.databases.odbc import as_declared

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

    from connector_host.connectors.sql.dialect import Dialect
    from connector_host.connectors.sql.selecting import Selection


@dataclass(frozen=True, slots=True)
class Told:
    """What is known of one column of a result."""

    name: str
    declared: str = ""
    kind: Kind = UNKNOWN
    collation: str | None = None
    allowed: tuple[str, ...] = ()


OF_PYTHON: Mapping[object, Kind] = {
    str: TEXT,
    int: integers(64),
    Decimal: DECIMAL,
    float: DOUBLE,
    bool: BOOLEAN,
    dt.datetime: NAIVE,
    dt.date: DATE,
    dt.time: TIME,
    uuid.UUID: UUID,
    bytes: BINARY,
    bytearray: BINARY,
}
"""How pyodbc describes a column: by the class of its values."""

OF_PYMYSQL: Mapping[int, Kind] = (
    dict.fromkeys((0, 246), DECIMAL)
    | dict.fromkeys((1, 2, 3, 8, 9, 13), integers(64))
    | dict.fromkeys((7, 12), NAIVE)
    | {4: SINGLE, 5: DOUBLE, 10: DATE, 11: TIME}
    | dict.fromkeys((15, 245, 247, 249, 250, 251, 252, 253, 254), TEXT)
)
"""The numbers of types in MySQL's protocol (pymysql.constants.FIELD_TYPE)."""

OF_ORACLE: Mapping[str, Kind] = (
    dict.fromkeys(("DB_TYPE_VARCHAR", "DB_TYPE_NVARCHAR", "DB_TYPE_CLOB", "DB_TYPE_NCLOB", "DB_TYPE_LONG"), TEXT)
    | dict.fromkeys(("DB_TYPE_CHAR", "DB_TYPE_NCHAR"), Kind(Family.PADDED_TEXT))
    | dict.fromkeys(("DB_TYPE_DATE", "DB_TYPE_TIMESTAMP"), NAIVE)
    | dict.fromkeys(("DB_TYPE_TIMESTAMP_TZ", "DB_TYPE_TIMESTAMP_LTZ"), MOMENT)
    | dict.fromkeys(("DB_TYPE_RAW", "DB_TYPE_BLOB"), BINARY)
    | {"DB_TYPE_NUMBER": DECIMAL, "DB_TYPE_BINARY_DOUBLE": DOUBLE, "DB_TYPE_BINARY_FLOAT": SINGLE}
    | {"DB_TYPE_BOOLEAN": BOOLEAN}
)
"""oracledb's names of types."""

OF_GRAMMAR: Mapping[str, Kind] = {
    "VARCHAR": TEXT,
    "TEXT": TEXT,
    "INT": integers(64),
    "BIGINT": integers(64),
    "DOUBLE": DOUBLE,
    "BOOLEAN": BOOLEAN,
    "DATE": DATE,
}
"""What sqlglot makes of an expression that needs no table to be known."""


def told(connection: Connection, dialect: Dialect, selection: Selection) -> tuple[Told, ...]:
    """Return the columns of a query in order; raises a driver's error where the database refuses the query."""
    described = _described(connection, selection)
    names = [column[0] for column in described]
    match dialect.name:
        case "postgresql":
            return _postgresql(connection, selection, names)
        case "mysql":
            return _mysql(connection, selection, described)
        case "sqlite":
            return _sqlite(selection, names)
        case _:
            return tuple(_by_driver(name, column[1]) for name, column in zip(names, described, strict=True))


def nothing_of(selection: Selection, columns: Sequence[str], what: str) -> sa.Select[Any]:
    """Return one row that says `what` of each column, without a row of the query: joined on what is never true."""
    rows = selection.rows([sa.column(quoted_name(name, quote=True)) for name in columns])
    one = sa.select(sa.literal_column("1").label("one_")).subquery("once")
    asked = (getattr(sa.func, what)(rows.c[name]) for name in columns)
    never = sa.literal_column("1") == sa.literal_column("0")
    return sa.select(*asked).select_from(one.outerjoin(rows, never))


def _described(connection: Connection, selection: Selection) -> Sequence[Sequence[Any]]:
    """Return how the driver describes the columns (PEP 249, Cursor.description)."""
    never = sa.literal_column("1") == sa.literal_column("0")
    everything: sa.Select[Any] = sa.select(sa.literal_column("*")).select_from(selection.rows())
    with as_declared(connection) as name_of, closing(connection.execute(everything.where(never))) as result:
        return [(name_of(str(column[0])), *column[1:]) for column in result.cursor.description or ()]


def _by_driver(name: str, code: object) -> Told:
    spelled = str(getattr(code, "name", ""))
    kind = OF_ORACLE.get(spelled) or (OF_PYTHON.get(code) if isinstance(code, type) else None)
    return Told(name, spelled.removeprefix("DB_TYPE_").lower() or (kind.family.value if kind else ""), kind or UNKNOWN)


def _postgresql(connection: Connection, selection: Selection, names: list[str]) -> tuple[Told, ...]:
    row = connection.execute(nothing_of(selection, names, "pg_typeof")).one()
    typed = sa.text(
        "SELECT format_type(CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END, NULL), (SELECT string_agg("
        "e.enumlabel, chr(31) ORDER BY e.enumsortorder) FROM pg_enum AS e WHERE e.enumtypid = t.oid) "
        "FROM pg_type AS t WHERE t.oid = CAST(CAST(:type AS text) AS regtype)"
    ).bindparams(sa.bindparam("type", type_=sa.String()))
    known = {spelled: connection.execute(typed, {"type": str(spelled)}).one() for spelled in set(row)}
    return tuple(_of_postgresql(name, *known[spelled]) for name, spelled in zip(names, row, strict=True))


def _of_postgresql(name: str, declared: str, labels: str | None) -> Told:
    from connector_host.connectors.sql.databases.postgresql import POSTGRESQL  # noqa: PLC0415 - only here

    allowed = tuple(str(labels).split(LABEL_SEPARATOR)) if labels else ()
    return Told(name, declared, TEXT if labels else kind_of(POSTGRESQL, declared), allowed=allowed)


def _mysql(connection: Connection, selection: Selection, described: Sequence[Sequence[Any]]) -> tuple[Told, ...]:
    collations = connection.execute(nothing_of(selection, [one[0] for one in described], "collation")).one()
    return tuple(_of_mysql(one[0], one[1], str(found)) for one, found in zip(described, collations, strict=True))


def _of_mysql(name: str, code: object, collation: str) -> Told:
    kind = OF_PYMYSQL.get(code) if isinstance(code, int) else OF_PYTHON.get(code)
    if kind is not None and kind.family is Family.TEXT:
        # Bytes and text come as the same type; numbers have this collation, too.
        return Told(name, "binary", BINARY) if collation == "binary" else Told(name, "text", TEXT, collation)
    return Told(name, kind.family.value if kind else "", kind or UNKNOWN)


def _sqlite(selection: Selection, names: list[str]) -> tuple[Told, ...]:
    tree = selection.tree
    columns = tree.selects if isinstance(tree, exp.Select) else []
    if len(columns) != len(names) or any(column.is_star for column in columns):
        return tuple(Told(name) for name in names)
    typed = (annotate_types(column.copy(), dialect="sqlite") for column in columns)
    return tuple(_of_grammar(name, column.type) for name, column in zip(names, typed, strict=True))


def _of_grammar(name: str, type_: exp.DataType | None) -> Told:
    spelled = "" if type_ is None else str(type_.this.value)
    return Told(name, spelled.lower(), OF_GRAMMAR.get(spelled, UNKNOWN))
