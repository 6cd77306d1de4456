"""MySQL and MariaDB, by PyMySQL and, for MariaDB, over ODBC."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connector_host.connectors.sql.columns import Family, Kind, Parameters, integers
from connector_host.connectors.sql.dialect import (
    BINARY,
    BOOLEAN,
    DATE,
    DECIMAL,
    DOUBLE,
    MULTI,
    NAIVE,
    PLAIN,
    SINGLE,
    TEXT,
    TIME,
    UUID,
    Dialect,
    questions,
)
from connector_host.databases.opening import READS_ONLY

if TYPE_CHECKING:
    from collections.abc import Mapping

MYSQL_TYPES: Mapping[str, Kind] = (
    dict.fromkeys(("varchar", "char", "text", "tinytext", "mediumtext", "longtext", "enum", "json"), TEXT)
    | {
        name + suffix: integers(bits, unsigned=bool(suffix))
        for name, bits in (("tinyint", 8), ("smallint", 16), ("mediumint", 24), ("int", 32), ("bigint", 64))
        for suffix in ("", " unsigned")
    }
    | dict.fromkeys(("decimal", "decimal unsigned"), DECIMAL)
    | {
        "float": SINGLE,
        "float unsigned": SINGLE,
        "double": DOUBLE,
        "double unsigned": DOUBLE,
        "boolean": BOOLEAN,
        "year": Kind(Family.INTEGER, 1901, 2155),
    }
    # The session's zone is UTC, so TIMESTAMP and DATETIME are alike.
    | {"datetime": NAIVE, "timestamp": NAIVE, "date": DATE, "time": TIME, "uuid": UUID, "inet4": TEXT, "inet6": TEXT}
    | dict.fromkeys(("binary", "varbinary", "blob", "tinyblob", "mediumblob", "longblob", "bit"), BINARY)
    | {"set": MULTI}
)

_MYSQL_SESSION = (
    "SET SESSION time_zone = '+00:00'",
    # Without strict mode MySQL cuts long values and calls it success (§3.3.16). Blanks that fill up a CHAR are no part
    # of its value: in a mode of the server's own they are handed out, and no exact comparison finds the row.
    (
        "SET SESSION sql_mode = CONCAT(REPLACE(@@sql_mode, 'PAD_CHAR_TO_FULL_LENGTH', ''), "
        "',STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO')"
    ),
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    "SET SESSION innodb_lock_wait_timeout = {lock_s}",
    # Whoever changes the table (ALTER TABLE) holds a lock of another kind, which is waited for a day, or a year.
    "SET SESSION lock_wait_timeout = {lock_s}",
)

_MYSQL_READS_ONLY = (READS_ONLY["mysql"],)

_MYSQL_IMPORT = (
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    # Rows that nobody fetches yet wait in the socket for as long as whoever reads the output takes its time.
    "SET SESSION net_write_timeout = {s}",
)

_MYSQL_PARAMETERS = Parameters(native_booleans=False, fraction_digits=0, plain=PLAIN)

MYSQL = Dialect(
    name="mysql",
    looks_up_many=True,
    server_cursor="unbuffered",
    catalogue=questions("mysql"),
    types=MYSQL_TYPES,
    parameters=_MYSQL_PARAMETERS,
    session=(*_MYSQL_SESSION, "SET SESSION max_execution_time = {ms}"),
    import_session=_MYSQL_IMPORT,
    reads_only=_MYSQL_READS_ONLY,
    text_comparison="collation",
    generated_key="last_insert_id",
    inserts_return=False,
)

MARIADB = Dialect(
    name="mysql",
    looks_up_many=True,
    server_cursor="unbuffered",
    catalogue=questions("mysql", checks="mariadb_checks.sql"),
    types=MYSQL_TYPES,
    parameters=_MYSQL_PARAMETERS,
    session=(*_MYSQL_SESSION, "SET SESSION max_statement_time = {s}"),
    import_session=_MYSQL_IMPORT,
    reads_only=_MYSQL_READS_ONLY,
    text_comparison="collation",
    generated_key="returning",
)

MARIADB_ODBC = Dialect(
    name="mysql",
    catalogue=questions("mysql", checks="mariadb_checks.sql"),
    types=MYSQL_TYPES,
    # The driver cuts fractions of a second from datetime parameters; as text they survive (§3.3.4).
    parameters=Parameters(
        native_booleans=False,
        native_moments=False,
        fraction_digits=0,
        clock_digits=0,
        misreads_unsigned=True,
        plain=PLAIN,
    ),
    session=(*_MYSQL_SESSION, "SET SESSION max_statement_time = {s}"),
    import_session=_MYSQL_IMPORT,
    reads_only=_MYSQL_READS_ONLY,
    text_comparison="collation",
    generated_key="returning",
    counts_many=False,
    driver_from="Debian's package odbc-mariadb",
    # OPTION=2: an UPDATE that changes nothing still counts the row that it found (§3.3.8).
    odbc_options={"OPTION": "2", "CHARSET": "utf8mb4"},
    odbc_import_options={"STREAMRS": "1", "FORWARDONLY": "1", "NO_CACHE": "1"},
)
