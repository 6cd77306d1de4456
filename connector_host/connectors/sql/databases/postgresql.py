"""PostgreSQL, by psycopg and over ODBC."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connector_host.connectors.sql.columns import Converted, Family, Kind, Parameters, integers
from connector_host.connectors.sql.dialect import (
    BINARY,
    BOOLEAN,
    DATE,
    DECIMAL,
    DOUBLE,
    MOMENT,
    NAIVE,
    PADDED,
    PLAIN,
    SINGLE,
    TEXT,
    TIME,
    UUID,
    Dialect,
    RowVersions,
    questions,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

POSTGRESQL_TYPES: Mapping[str, Kind] = {
    "character varying": TEXT,
    "text": TEXT,
    "citext": TEXT,
    "name": TEXT,
    "xml": TEXT,
    "json": TEXT,
    "jsonb": TEXT,
    "character": PADDED,
    "smallint": integers(16),
    "integer": integers(32),
    "bigint": integers(64),
    "numeric": DECIMAL,
    "real": SINGLE,
    "double precision": DOUBLE,
    "boolean": BOOLEAN,
    "timestamp with time zone": MOMENT,
    "timestamp without time zone": NAIVE,
    "date": DATE,
    "time without time zone": TIME,
    "uuid": UUID,
    "bytea": BINARY,
}

_POSTGRESQL_SESSION = (
    "SET SESSION TimeZone = 'UTC'",
    "SET SESSION DateStyle = 'ISO'",
    "SET SESSION statement_timeout = {ms}",
    "SET SESSION lock_timeout = {lock_ms}",
    "SET SESSION idle_in_transaction_session_timeout = {idle_ms}",
)

_POSTGRESQL_IMPORT = (
    "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
    # Between two batches the session is idle for as long as whoever reads the output takes its time.
    "SET SESSION idle_in_transaction_session_timeout = {ms}",
)

_POSTGRESQL_READS_ONLY = ("SET SESSION default_transaction_read_only = on",)

# A trigger writes pg_current_xact_id() into it (from 13 on). Unlike xmin it never wraps, and takes an index.
_ROW_VERSIONS = RowVersions(
    frozenset({"xid8"}), "CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text)", ("text", "xid8")
)

POSTGRESQL = Dialect(
    name="postgresql",
    looks_up_many=True,
    updates_many=True,
    server_cursor="named",
    catalogue=questions("postgresql"),
    types=POSTGRESQL_TYPES,
    # A decimal may be NaN, and a moment infinity.
    parameters=Parameters(checks_documents=True, plain=frozenset({Family.TEXT, Family.INTEGER, Family.BOOLEAN})),
    session=_POSTGRESQL_SESSION,
    import_session=_POSTGRESQL_IMPORT,
    reads_only=_POSTGRESQL_READS_ONLY,
    row_versions=_ROW_VERSIONS,
)

POSTGRESQL_ODBC = Dialect(
    name="postgresql",
    catalogue=questions("postgresql"),
    types=POSTGRESQL_TYPES,
    # The driver drops the offset of a datetime, even for timestamptz (§3.3.3).
    parameters=Parameters(native_moments=False, checks_documents=True, plain=PLAIN - {Family.DECIMAL}),
    session=_POSTGRESQL_SESSION,
    import_session=_POSTGRESQL_IMPORT,
    reads_only=_POSTGRESQL_READS_ONLY,
    row_versions=_ROW_VERSIONS,
    # The driver fails at 24:00:00, and makes other moments of infinity and of what lies before Christ or after 9999.
    conversions=dict.fromkeys((Family.MOMENT, Family.NAIVE_MOMENT, Family.DATE, Family.TIME), Converted("text", ())),
    counts_many=False,
    driver_from="Debian's package odbc-postgresql",
    odbc_import_options={"UseDeclareFetch": "1", "Fetch": "1000"},
    odbc_options={"BoolsAsChar": "0", "MaxVarcharSize": "8190", "Parse": "0"},
)
