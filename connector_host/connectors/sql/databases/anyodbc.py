"""Any ODBC data source: only what holds for every database; the rest is asked of the driver (datasource)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connector_host.connectors.sql.columns import Parameters, integers
from connector_host.connectors.sql.dialect import (
    BINARY,
    BOOLEAN,
    DATE,
    DECIMAL,
    DOUBLE,
    NAIVE,
    PADDED,
    SINGLE,
    TEXT,
    TIME,
    UNKNOWN,
    UUID,
    Dialect,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connector_host.connectors.sql.columns import Kind

# https://learn.microsoft.com/en-us/sql/odbc/reference/appendixes/sql-data-types; 9 to 11 are ODBC 2's.
KINDS_BY_CODE: Mapping[int, Kind] = (
    dict.fromkeys((1, -8), PADDED)
    | dict.fromkeys((12, -1, -9, -10), TEXT)
    | dict.fromkeys((2, 3), DECIMAL)
    | {-6: integers(8), 5: integers(16), 4: integers(32), -5: integers(64)}
    | {7: SINGLE, 6: DOUBLE, 8: DOUBLE, -7: BOOLEAN, -11: UUID}
    | {91: DATE, 9: DATE, 92: TIME, 10: TIME, 93: NAIVE, 11: NAIVE}
    | dict.fromkeys((-2, -3, -4), BINARY)
)
"""What the standard codes of types mean."""

NAMES: Mapping[str, Kind] = (
    dict.fromkeys(("bool", "boolean"), BOOLEAN)
    | dict.fromkeys(("uuid", "guid", "uniqueidentifier"), UUID)
    | dict.fromkeys(("decimal", "numeric"), DECIMAL)
    # No function of ODBC tells the zone of a moment, and text operators do not work on these.
    | dict.fromkeys(("timestamptz", "timetz", "timestamp with time zone", "datetimeoffset"), UNKNOWN)
    | dict.fromkeys(("timestamp with local time zone", "json", "jsonb", "xml"), UNKNOWN)
)
"""Names that say more than the code does: psqlODBC calls a boolean text, SQLite's driver a decimal."""

ANYODBC = Dialect(
    name="odbc",
    catalogue={},
    types=NAMES,
    # Drivers cut fractions of a second, or keep three digits, and do not say so (sql-connectors.md §3.3.4).
    parameters=Parameters(fraction_digits=0, clock_digits=0),
    text_comparison="unknown",
    generated_key="by_values",
    inserts_return=False,
    counts_many=False,
    labels_columns=True,
    row_locks=False,
    paging="cursor",
    savepoints=False,
    proves_writes=True,
    driver_limits=True,
    driver_from="the driver of your database",
)
