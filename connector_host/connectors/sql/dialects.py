"""Facts about each database and driver, as data: type names, parameters, session set-up, what statements they know.

Whatever differs between databases and is not an error code stands here (errors: sqlstate). Nothing here opens
a connection. Sources: sql-connectors.md §3, and the databases' manuals.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from connector_host.connectors.sql.columns import Family, Kind, Parameters, integers
from connector_host.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import URL

TextComparison = Literal["lower", "nocase", "collation"]
"""How text is compared without regard to case: by lower() on both sides, by SQLite's NOCASE (which an index
may serve), or by the column's own collation narrowed to lower() on both sides, byte by byte."""

GeneratedKey = Literal["returning", "last_insert_rowid", "last_insert_id", "output_into"]
"""How the anchor that the database made comes back from an insertion. OUTPUT alone fails on a table of SQL Server that
has triggers; OUTPUT … INTO a variable works on any."""

ServerCursor = Literal["named", "unbuffered", "plain"]
"""How a driver is asked for rows that stay on the server until they are fetched; plain where that is its way, or
where its connection string says so (odbc_import_options)."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """One kind of database, reached by one kind of driver."""

    name: str
    """The kind of database: sqlite, postgresql, mysql."""
    catalogue: Mapping[str, str]
    """Which statement of the catalogue answers which question."""
    types: Mapping[str, Kind]
    """The database's type names, in lower case and without arguments."""
    parameters: Parameters = field(default_factory=Parameters)
    session: tuple[str, ...] = ()
    """Statements for each new connection; {ms} and {s} stand for the time limit of a statement."""
    import_session: tuple[str, ...] = ()
    """More of them for an import: one consistent moment, however long it takes."""
    server_cursor: ServerCursor = "plain"
    text_comparison: TextComparison = "lower"
    generated_key: GeneratedKey = "returning"
    inserts_return: bool = True
    """Whether INSERT … RETURNING hands out rows."""
    counts_many: bool = True
    """Whether the rows of many executions of one statement are counted together, rightly."""
    row_locks: bool = True
    """Whether SELECT … FOR UPDATE locks the row."""
    lock_hint: str = ""
    """What is said at the table instead, where FOR UPDATE is not known."""
    narrow_texts: frozenset[str] = frozenset()
    """Text types that the driver's parameters are wider than: compared as they come, no index would be used (§3.9)."""
    driver_limits: bool = False
    """Whether the driver enforces the time limit of a statement, since the database has none."""
    single_writer: bool = False
    """Whether only one connection may write at a time."""
    odbc_options: Mapping[str, str] = field(default_factory=dict)
    """Keywords that a driver needs to tell the truth; what the administrator writes goes before them. {ms} as above."""
    odbc_import_options: Mapping[str, str] = field(default_factory=dict)
    """More of them for an import: a cursor on the server, so that memory stays bounded (§3.2)."""


TEXT = Kind(Family.TEXT)
PADDED = Kind(Family.PADDED_TEXT)
DECIMAL = Kind(Family.DECIMAL)
SINGLE = Kind(Family.SINGLE)
DOUBLE = Kind(Family.DOUBLE)
BOOLEAN = Kind(Family.BOOLEAN)
MOMENT = Kind(Family.MOMENT)
NAIVE = Kind(Family.NAIVE_MOMENT)
DATE = Kind(Family.DATE)
TIME = Kind(Family.TIME)
UUID = Kind(Family.UUID)
BINARY = Kind(Family.BINARY)
UNKNOWN = Kind(Family.UNKNOWN)
MULTI = Kind(Family.MULTI_VALUED)


_PLAIN = frozenset({Family.TEXT, Family.INTEGER, Family.DECIMAL})
"""What every driver of a typed database hands out as text, int and Decimal."""


def _questions(prefix: str, **others: str) -> dict[str, str]:
    return {
        question: others.get(question, f"{prefix}_{question}.sql")
        for question in ("columns", "keys", "relations", "checks", "triggers")
    }


# ── SQLite ────────────────────────────────────────────────────────────────────────────────────────────────────────

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

SQLITE = Dialect(
    name="sqlite",
    catalogue=_questions("sqlite"),
    types=SQLITE_TYPES,
    parameters=_SQLITE_PARAMETERS,
    session=("PRAGMA busy_timeout = {ms}", "PRAGMA foreign_keys = ON"),
    text_comparison="nocase",
    row_locks=False,
    single_writer=True,
)

SQLITE_ODBC = Dialect(
    name="sqlite",
    catalogue=_questions("sqlite"),
    types=SQLITE_TYPES,
    parameters=replace(_SQLITE_PARAMETERS, clock_digits=0),
    session=("PRAGMA busy_timeout = {ms}", "PRAGMA foreign_keys = ON"),
    text_comparison="nocase",
    generated_key="last_insert_rowid",  # RETURNING yields no rows there (§3.4)
    inserts_return=False,
    counts_many=False,
    row_locks=False,
    single_writer=True,
    # The driver has a patience of its own, of 100 seconds, whatever the pragma says.
    odbc_options={"Timeout": "{ms}", "FKSupport": "1"},
)

# ── PostgreSQL ────────────────────────────────────────────────────────────────────────────────────────────────────

POSTGRESQL_TYPES: Mapping[str, Kind] = {
    "character varying": TEXT,
    "text": TEXT,
    "citext": TEXT,
    "name": TEXT,
    "xml": TEXT,
    "json": TEXT,
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
    "SET SESSION idle_in_transaction_session_timeout = {idle_ms}",
)

_POSTGRESQL_IMPORT = ("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",)

POSTGRESQL = Dialect(
    name="postgresql",
    server_cursor="named",
    catalogue=_questions("postgresql"),
    types=POSTGRESQL_TYPES,
    # The session's zone is UTC, and so are the moments that come.
    parameters=Parameters(
        plain=frozenset({Family.TEXT, Family.INTEGER, Family.DECIMAL, Family.BOOLEAN, Family.MOMENT})
    ),
    session=_POSTGRESQL_SESSION,
    import_session=_POSTGRESQL_IMPORT,
)

POSTGRESQL_ODBC = Dialect(
    name="postgresql",
    catalogue=_questions("postgresql"),
    types=POSTGRESQL_TYPES,
    # The driver drops the offset of a datetime, even for timestamptz (§3.3.3).
    parameters=Parameters(native_moments=False, plain=_PLAIN),
    session=_POSTGRESQL_SESSION,
    import_session=_POSTGRESQL_IMPORT,
    counts_many=False,
    odbc_import_options={"UseDeclareFetch": "1", "Fetch": "1000"},
    odbc_options={"BoolsAsChar": "0", "MaxVarcharSize": "8190", "Parse": "0"},
)

# ── MySQL and MariaDB ─────────────────────────────────────────────────────────────────────────────────────────────

MYSQL_TYPES: Mapping[str, Kind] = (
    dict.fromkeys(("varchar", "char", "text", "tinytext", "mediumtext", "longtext", "enum", "json"), TEXT)
    | {
        name + suffix: integers(bits, unsigned=bool(suffix))
        for name, bits in (("tinyint", 8), ("smallint", 16), ("mediumint", 24), ("int", 32), ("bigint", 64))
        for suffix in ("", " unsigned")
    }
    | dict.fromkeys(("decimal", "decimal unsigned"), DECIMAL)
    | {"float": SINGLE, "double": DOUBLE, "boolean": BOOLEAN, "year": Kind(Family.INTEGER, 1901, 2155)}
    # The session's zone is UTC, so TIMESTAMP and DATETIME are alike.
    | {"datetime": NAIVE, "timestamp": NAIVE, "date": DATE, "time": TIME, "uuid": UUID, "inet4": TEXT, "inet6": TEXT}
    | dict.fromkeys(("binary", "varbinary", "blob", "tinyblob", "mediumblob", "longblob", "bit"), BINARY)
    | {"set": MULTI}
)

_MYSQL_SESSION = (
    "SET SESSION time_zone = '+00:00'",
    # Without strict mode MySQL cuts long values and calls it success (§3.3.16).
    "SET SESSION sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO')",
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    "SET SESSION innodb_lock_wait_timeout = {s}",
)

_MYSQL_IMPORT = ("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",)

_MYSQL_PARAMETERS = Parameters(native_booleans=False, fraction_digits=0, plain=_PLAIN)

MYSQL = Dialect(
    name="mysql",
    server_cursor="unbuffered",
    catalogue=_questions("mysql"),
    types=MYSQL_TYPES,
    parameters=_MYSQL_PARAMETERS,
    session=(*_MYSQL_SESSION, "SET SESSION max_execution_time = {ms}"),
    text_comparison="collation",
    generated_key="last_insert_id",
    inserts_return=False,
)

MARIADB = Dialect(
    name="mysql",
    server_cursor="unbuffered",
    catalogue=_questions("mysql", checks="mariadb_checks.sql"),
    types=MYSQL_TYPES,
    parameters=_MYSQL_PARAMETERS,
    session=(*_MYSQL_SESSION, "SET SESSION max_statement_time = {s}"),
    import_session=_MYSQL_IMPORT,
    text_comparison="collation",
    generated_key="returning",
)

MARIADB_ODBC = Dialect(
    name="mysql",
    catalogue=_questions("mysql", checks="mariadb_checks.sql"),
    types=MYSQL_TYPES,
    # The driver cuts fractions of a second from datetime parameters; as text they survive (§3.3.4).
    parameters=Parameters(native_booleans=False, native_moments=False, fraction_digits=0, clock_digits=0, plain=_PLAIN),
    session=(*_MYSQL_SESSION, "SET SESSION max_statement_time = {s}"),
    import_session=_MYSQL_IMPORT,
    text_comparison="collation",
    generated_key="returning",
    counts_many=False,
    # OPTION=2: an UPDATE that changes nothing still counts the row that it found (§3.3.8).
    odbc_options={"OPTION": "2", "CHARSET": "utf8mb4"},
    odbc_import_options={"STREAMRS": "1", "FORWARDONLY": "1", "NO_CACHE": "1"},
)

# ── SQL Server ────────────────────────────────────────────────────────────────────────────────────────────────────

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

MSSQL = Dialect(
    name="mssql",
    catalogue=_questions("mssql"),
    types=MSSQL_TYPES,
    parameters=Parameters(plain=_PLAIN),
    session=("SET LOCK_TIMEOUT {ms}", "SET LANGUAGE us_english", "SET XACT_ABORT OFF"),
    text_comparison="collation",
    generated_key="output_into",
    counts_many=False,
    row_locks=False,
    lock_hint="WITH (UPDLOCK, ROWLOCK)",
    narrow_texts=frozenset({"varchar", "char"}),
    driver_limits=True,
    # What driver 18 does by itself, said so that driver 17 does it, too.
    odbc_options={"Encrypt": "yes", "TrustServerCertificate": "no", "APP": "connector-host"},
)

DIALECTS: Mapping[tuple[str, str], Dialect] = {
    ("sqlite", "pysqlite"): SQLITE,
    ("sqlite", "pyodbc"): SQLITE_ODBC,
    ("postgresql", "psycopg"): POSTGRESQL,
    ("postgresql", "pyodbc"): POSTGRESQL_ODBC,
    ("mysql", "pymysql"): MYSQL,
    ("mariadb", "pymysql"): MARIADB,
    ("mariadb", "pyodbc"): MARIADB_ODBC,
    ("mssql", "pyodbc"): MSSQL,
}

DEFAULT_DRIVERS: Mapping[str, str] = {
    "sqlite": "pysqlite",
    "postgresql": "psycopg",
    "mysql": "pymysql",
    "mariadb": "pymysql",
    "mssql": "pyodbc",
}

EXTRAS: Mapping[str, str] = {"psycopg": "postgresql", "pymysql": "mysql", "pyodbc": "odbc"}
"""Which extra of this package brings a driver."""


def dialect_of(url: URL) -> Dialect:
    """Return the facts for a database URL; raise ConfigurationError that names the forms that are served."""
    backend = url.get_backend_name()
    driver = driver_of(url)
    try:
        return DIALECTS[backend, driver]
    except KeyError:
        served = ", ".join(f"{name}+{by}" for name, by in DIALECTS)
        raise ConfigurationError(f"database: {backend}+{driver} is not served; use one of {served}.") from None


def driver_of(url: URL) -> str:
    """Return the driver that a database URL names, or the one that we choose for its kind of database."""
    _, plus, driver = url.drivername.partition("+")
    return driver if plus else DEFAULT_DRIVERS.get(url.get_backend_name(), "")


def kind_of(dialect: Dialect, declared: str) -> Kind:
    """Return the kind of a declared type; arguments and array brackets are looked at, too."""
    spelled = re.sub(r"\s+", " ", declared.strip().lower())
    if spelled.endswith("[]"):
        return MULTI
    if dialect.name == "mysql" and spelled in ("tinyint(1)", "bit(1)"):
        return BOOLEAN
    plain = re.sub(r"\s*\([^)]*\)", "", spelled).removesuffix(" zerofill").strip()
    return dialect.types.get(plain, UNKNOWN)
