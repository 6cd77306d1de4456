"""DB2 for Linux, UNIX and Windows, by IBM's ODBC driver; never run, see docs/sql.md.

Not by ibm_db_sa 0.4.4: on SQLAlchemy 2.1 it fails on FOR UPDATE, it cuts a password at its first semicolon, and it
writes parameters into the text of statements that hold `round(`. https://www.ibm.com/docs/en/db2/11.5.x
"""

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
    PLAIN,
    SINGLE,
    TEXT,
    TIME,
    UNKNOWN,
    Dialect,
    questions,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connector_host.connectors.sql.columns import Kind

DB2_TYPES: Mapping[str, Kind] = (
    dict.fromkeys(("varchar", "vargraphic", "clob", "dbclob"), TEXT)
    | dict.fromkeys(("character", "graphic"), PADDED)
    | {"smallint": integers(16), "integer": integers(32), "bigint": integers(64), "boolean": BOOLEAN}
    | {"decimal": DECIMAL, "real": SINGLE, "double": DOUBLE, "date": DATE, "time": TIME, "timestamp": NAIVE}
    | dict.fromkeys(("blob", "binary", "varbinary"), BINARY)
    # Text operators do not work on these; decfloat has no digits of its own.
    | dict.fromkeys(("xml", "decfloat", "long varchar"), UNKNOWN)
)

DB2 = Dialect(
    name="db2",
    catalogue=questions("db2") | {"beneath": "db2_beneath.sql"},
    types=DB2_TYPES,
    parameters=Parameters(clock_digits=0, plain=PLAIN),
    session=("SET CURRENT LOCK TIMEOUT {lock_s}",),
    generated_key="final_table",
    inserts_return=False,
    counts_many=False,
    # Of several rows of VALUES, DB2 does not infer the types of parameters.
    multirow_insert=False,
    row_locks=False,
    lock_suffix="WITH RS USE AND KEEP UPDATE LOCKS",
    long_texts=frozenset({"clob", "dbclob"}),
    text_cast="VARCHAR(32672)",
    pads_comparisons=True,
    paging="fetch",
    driver_limits=True,
    driver_from="IBM's Data Server Driver for ODBC and CLI",
    odbc_options={"PROTOCOL": "TCPIP"},
)
