"""SQLite, by the standard library and over ODBC."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from connector_host.connectors.sql.columns import Converted, Family, Kind, Parameters, integers
from connector_host.connectors.sql.dialect import (
    BINARY,
    BOOLEAN,
    DATE,
    DECIMAL,
    DOUBLE,
    NAIVE,
    TEXT,
    TIME,
    UUID,
    Dialect,
    questions,
)
from connector_host.databases.opening import READS_ONLY

if TYPE_CHECKING:
    from collections.abc import Mapping

SQLITE_TYPES: Mapping[str, Kind] = (
    dict.fromkeys(("integer", "int", "bigint", "smallint", "mediumint", "tinyint", "int2", "int8"), integers(64))
    | dict.fromkeys(("text", "varchar", "nvarchar", "char", "character", "nchar", "clob", "character varying"), TEXT)
    | dict.fromkeys(("varying character", "native character", "json", "citext", "string", "name"), TEXT)
    | dict.fromkeys(("real", "double", "double precision", "float"), DOUBLE)
    | dict.fromkeys(("numeric", "decimal", "money"), DECIMAL)
    | dict.fromkeys(("boolean", "bool", "bit"), BOOLEAN)
    | dict.fromkeys(("datetime", "timestamp", "datetime2", "timestamp without time zone"), NAIVE)
    | dict.fromkeys(("datetimeoffset", "timestamptz", "timestamp with time zone"), NAIVE)
    | dict.fromkeys(("uuid", "uniqueidentifier", "guid"), UUID)
    | dict.fromkeys(("blob", "binary", "varbinary", "bytea", "image"), BINARY)
    | {"date": DATE, "time": TIME}
)

# Moments are kept as ISO text, and numbers that are not whole as eight bytes of floating point.
_SQLITE_PARAMETERS = Parameters(native_booleans=False, native_moments=False, native_decimals=False, decimal_digits=15)

_RETURNS: Final = sqlite3.sqlite_version_info >= (3, 35)
"""Whether this SQLite knows RETURNING; that of Red Hat Enterprise Linux 9, 3.34, does not."""

SQLITE = Dialect(
    name="sqlite",
    looks_up_many=True,
    updates_many=_RETURNS,
    inserts_return=_RETURNS,
    generated_key="returning" if _RETURNS else "last_insert_rowid",
    catalogue=questions("sqlite"),
    types=SQLITE_TYPES,
    parameters=_SQLITE_PARAMETERS,
    session=("PRAGMA busy_timeout = {ms}", "PRAGMA foreign_keys = ON"),
    reads_only=(READS_ONLY["sqlite"],),
    text_comparison="nocase",
    row_locks=False,
    single_writer=True,
)

SQLITE_ODBC = Dialect(
    name="sqlite",
    catalogue=questions("sqlite"),
    types=SQLITE_TYPES,
    parameters=replace(_SQLITE_PARAMETERS, clock_digits=0),
    session=("PRAGMA busy_timeout = {ms}", "PRAGMA foreign_keys = ON"),
    reads_only=(READS_ONLY["sqlite"],),
    text_comparison="nocase",
    driver_from="Debian's package libsqliteodbc",
    generated_key="last_insert_rowid",  # RETURNING yields no rows there (§3.4)
    inserts_return=False,
    counts_many=False,
    labels_columns=True,
    row_locks=False,
    single_writer=True,
    # The driver hands out 32 bits of a column that is declared INTEGER, whatever stands there; of text, all.
    conversions={Family.INTEGER: Converted("trim", ())},
    # The driver has a patience of its own, of 100 seconds, whatever the pragma says.
    odbc_options={"Timeout": "{ms}", "FKSupport": "1"},
)
