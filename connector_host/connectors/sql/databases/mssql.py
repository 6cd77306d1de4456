"""SQL Server and Azure SQL, by Microsoft's ODBC driver; never run, see docs/sql.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connector_host.connectors.sql.columns import Kind, Parameters, integers
from connector_host.connectors.sql.dialect import (
    BINARY,
    BOOLEAN,
    DATE,
    DECIMAL,
    DOUBLE,
    NAIVE,
    PADDED,
    PLAIN,
    SINGLE,
    TEXT,
    UUID,
    Dialect,
    RowVersions,
    questions,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

MSSQL_TYPES: Mapping[str, Kind] = (
    dict.fromkeys(("nvarchar", "varchar", "text", "ntext", "sysname", "xml"), TEXT)
    | dict.fromkeys(("char", "nchar"), PADDED)
    | {"tinyint": integers(8, unsigned=True), "smallint": integers(16), "int": integers(32), "bigint": integers(64)}
    | dict.fromkeys(("decimal", "numeric", "money", "smallmoney"), DECIMAL)
    | {"real": SINGLE, "float": DOUBLE, "bit": BOOLEAN, "uniqueidentifier": UUID, "date": DATE}
    | dict.fromkeys(("datetime", "datetime2"), NAIVE)
    | dict.fromkeys(("binary", "varbinary", "image", "timestamp", "rowversion"), BINARY)
)
"""smalldatetime, datetimeoffset and time are left out by not being here: the driver does not hand them out whole."""

# Given out when a row is written, not when that is committed; timestamp is its old name.
# https://learn.microsoft.com/en-us/sql/t-sql/functions/min-active-rowversion-transact-sql
_ROW_VERSIONS = RowVersions(
    frozenset({"timestamp", "rowversion"}), "CAST(MIN_ACTIVE_ROWVERSION() AS bigint)", ("bigint", "binary(8)")
)

MSSQL = Dialect(
    name="mssql",
    catalogue=questions("mssql") | {"tracking": "mssql_tracking.sql"},
    types=MSSQL_TYPES,
    parameters=Parameters(plain=PLAIN),
    session=("SET LOCK_TIMEOUT {lock_ms}", "SET LANGUAGE us_english", "SET XACT_ABORT OFF"),
    text_comparison="collation",
    generated_key="output_into",
    row_versions=_ROW_VERSIONS,
    counts_many=False,
    row_locks=False,
    # What a trigger counts comes before what the statement itself counts, and the driver hands out the first;
    # @@ROWCOUNT is the statement's own.
    counting=("SET NOCOUNT ON; ", "; SELECT @@ROWCOUNT"),
    long_texts=frozenset({"text", "ntext", "xml"}),
    like_signs="%_[",
    lock_hint="WITH (UPDLOCK, ROWLOCK)",
    narrow_texts=frozenset({"varchar", "char"}),
    driver_limits=True,
    driver_from="Microsoft's package msodbcsql18",
    # What driver 18 does by itself, said so that driver 17 does it, too.
    odbc_options={"Encrypt": "yes", "TrustServerCertificate": "no", "APP": "connector-host"},
)
