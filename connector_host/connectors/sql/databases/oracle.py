"""Oracle, by oracledb in its thin mode; never run, see docs/sql.md.

https://docs.oracle.com/en/database/oracle/oracle-database/23/sqlrf/ and
https://python-oracledb.readthedocs.io/en/latest/user_guide/appendix_a.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from connector_host.connectors.sql.columns import Converted, Family, Parameters
from connector_host.connectors.sql.dialect import (
    BINARY,
    BOOLEAN,
    DECIMAL,
    DOUBLE,
    MOMENT,
    NAIVE,
    PADDED,
    SINGLE,
    TEXT,
    UNKNOWN,
    Dialect,
    questions,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connector_host.connectors.sql.columns import Kind

ORACLE_TYPES: Mapping[str, Kind] = (
    dict.fromkeys(("varchar2", "nvarchar2", "varchar", "clob", "nclob"), TEXT)
    | dict.fromkeys(("char", "nchar"), PADDED)
    # A NUMBER of a scale of 0 is whole: describing tells by the digits.
    | {"number": DECIMAL, "float": DOUBLE, "binary_float": SINGLE, "binary_double": DOUBLE, "boolean": BOOLEAN}
    # DATE has a time of day. The session's zone is UTC, and so is what a column with the local zone hands out.
    | dict.fromkeys(("date", "timestamp", "timestamp with local time zone"), NAIVE)
    | {"timestamp with time zone": MOMENT}
    | dict.fromkeys(("raw", "blob", "long raw", "bfile"), BINARY)
    # LONG can be neither compared nor searched.
    | {"long": UNKNOWN}
)

_MOMENT = "YYYY-MM-DD HH24:MI:SS.FF6"

ORACLE = Dialect(
    name="oracle",
    catalogue=questions("oracle"),
    types=ORACLE_TYPES,
    # oracledb binds a datetime as DATE, which loses fractions, and passes over its zone.
    parameters=Parameters(
        native_moments=False, without_zone=True, empty_text=False, decimal_digits=38, plain=frozenset()
    ),
    session=(
        "ALTER SESSION SET TIME_ZONE = 'UTC'",
        f"ALTER SESSION SET NLS_TIMESTAMP_FORMAT = '{_MOMENT}'",
        "ALTER SESSION SET NLS_DATE_FORMAT = 'YYYY-MM-DD HH24:MI:SS'",
        "ALTER SESSION SET NLS_NUMERIC_CHARACTERS = '.,'",
        "ALTER SESSION SET NLS_COMP = BINARY NLS_SORT = BINARY",
    ),
    import_session=("ALTER SESSION SET ISOLATION_LEVEL = SERIALIZABLE",),
    # SQLAlchemy says RETURNING … INTO, and binds what comes out; our own statements do not.
    inserts_return=False,
    multirow_insert=False,
    long_texts=frozenset({"clob", "nclob"}),
    padded_cast="CHAR(2000)",
    conversions={
        Family.NAIVE_MOMENT: Converted("", (f"to_timestamp|{_MOMENT}",)),
        Family.MOMENT: Converted("sys_extract_utc", (f"to_timestamp|{_MOMENT}", "from_tz|UTC")),
    },
    driver_limits=True,
)
