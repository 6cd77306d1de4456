"""Driver errors, as data: from SQLSTATE or vendor code to what happened, and from that to our own errors.

Never by exception class: a deadlock is an OperationalError, an InternalError or a plain Error, depending on the
driver (sql-connectors.md §3.6). No driver's words leave this room: only names of columns and constraints do.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from connector_host.connectors.errors import (
    Busy,
    Conflict,
    ConnectorError,
    Denied,
    Immutable,
    InvalidValue,
    Unavailable,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy.exc import SQLAlchemyError

    from connector_host.connectors.sql.discovery import TableFacts


class Happened(StrEnum):
    """What went wrong, whatever the database calls it."""

    UNIQUE = "unique"
    NOT_NULL = "not null"
    FOREIGN_KEY = "foreign key"
    CHECK = "check"
    BAD_VALUE = "bad value"
    RULE = "rule"
    """A trigger refused the change, by its author's own decision."""
    COMPUTED = "computed column"
    DEADLOCK = "deadlock"
    """A deadlock or a serialisation failure: the whole transaction is undone, and may be tried again."""
    LOCKED = "locked"
    TIME_LIMIT = "time limit"
    CONNECTION = "connection"
    LOGIN = "login"
    NO_DRIVER = "no driver"
    """The ODBC driver or the data source is not known on this machine."""
    DENIED = "denied"
    SCHEMA = "schema"
    """The table or a column is not there, or not any more."""
    READ_ONLY = "read-only"
    FULL = "full"
    OTHER = "other"


_H = Happened

CODES: Mapping[str, Mapping[str, Happened]] = {
    # https://www.postgresql.org/docs/current/errcodes-appendix.html; a class of two digits stands for the rest of it.
    "postgresql": {
        "23505": _H.UNIQUE,
        "23P01": _H.UNIQUE,
        "23502": _H.NOT_NULL,
        "23503": _H.FOREIGN_KEY,
        "23001": _H.FOREIGN_KEY,
        "23514": _H.CHECK,
        "22": _H.BAD_VALUE,
        **dict.fromkeys(("P0001", "P0004", "09000", "45000"), _H.RULE),
        "428C9": _H.COMPUTED,
        "40": _H.DEADLOCK,
        "40003": _H.CONNECTION,
        "55P03": _H.LOCKED,
        "57014": _H.TIME_LIMIT,
        "08": _H.CONNECTION,
        "57P01": _H.CONNECTION,
        "57P02": _H.CONNECTION,
        "57P03": _H.CONNECTION,
        "57P05": _H.CONNECTION,
        "25P03": _H.CONNECTION,
        "53300": _H.CONNECTION,
        "3D000": _H.LOGIN,
        "28": _H.LOGIN,
        "42501": _H.DENIED,
        "42P01": _H.SCHEMA,
        "42703": _H.SCHEMA,
        "3F000": _H.SCHEMA,
        "25006": _H.READ_ONLY,
        "53": _H.FULL,
        "HYT00": _H.TIME_LIMIT,
        "HYT01": _H.CONNECTION,
    },
    # https://mariadb.com/kb/en/mariadb-error-codes/ and https://dev.mysql.com/doc/mysql-errors/8.4/en/
    "mysql": {
        **dict.fromkeys(("1062", "1586", "1169"), _H.UNIQUE),
        **dict.fromkeys(("1048", "1364"), _H.NOT_NULL),
        **dict.fromkeys(("1452", "1451", "1216", "1217"), _H.FOREIGN_KEY),
        **dict.fromkeys(("3819", "4025"), _H.CHECK),
        **dict.fromkeys(("1406", "1264", "1292", "1366", "1265", "1411", "1690"), _H.BAD_VALUE),
        **dict.fromkeys(("1642", "1643", "1644"), _H.RULE),
        **dict.fromkeys(("1906", "3105"), _H.COMPUTED),
        **dict.fromkeys(("1213", "1020"), _H.DEADLOCK),
        "1205": _H.LOCKED,
        **dict.fromkeys(("1969", "3024", "1317"), _H.TIME_LIMIT),
        **dict.fromkeys(("1040", "1053", "1159", "1160", "1161", "1203", "1927"), _H.CONNECTION),
        **dict.fromkeys(("2002", "2003", "2005", "2006", "2013", "2014", "2026", "2055", "4031", "0"), _H.CONNECTION),
        **dict.fromkeys(("1045", "1044", "1049", "1698", "1130"), _H.LOGIN),
        **dict.fromkeys(("1142", "1143", "1227", "1370"), _H.DENIED),
        **dict.fromkeys(("1146", "1054"), _H.SCHEMA),
        **dict.fromkeys(("1290", "1836", "1792"), _H.READ_ONLY),
        **dict.fromkeys(("1021", "1114", "1041", "1037"), _H.FULL),
    },
    # https://www.sqlite.org/rescode.html; extended codes first, then their last byte.
    "sqlite": {
        **dict.fromkeys(("2067", "1555", "2579"), _H.UNIQUE),
        "1299": _H.NOT_NULL,
        "787": _H.FOREIGN_KEY,
        "275": _H.CHECK,
        "1811": _H.RULE,
        **dict.fromkeys(("20", "3091", "18"), _H.BAD_VALUE),
        **dict.fromkeys(("5", "6"), _H.LOCKED),
        "9": _H.TIME_LIMIT,
        **dict.fromkeys(("14", "10", "11", "26"), _H.CONNECTION),
        **dict.fromkeys(("23", "3"), _H.DENIED),
        "8": _H.READ_ONLY,
        "13": _H.FULL,
    },
    # https://learn.microsoft.com/en-us/sql/relational-databases/errors-events/database-engine-events-and-errors
    "mssql": {
        **dict.fromkeys(("2627", "2601"), _H.UNIQUE),
        "515": _H.NOT_NULL,
        "547": _H.CHECK,  # foreign keys, too: one number for both
        **dict.fromkeys(("8152", "2628", "245", "241", "242", "8114", "8115", "220", "248"), _H.BAD_VALUE),
        **dict.fromkeys(("271", "544"), _H.COMPUTED),
        **dict.fromkeys(("1205", "3960", "3961"), _H.DEADLOCK),
        "1222": _H.LOCKED,
        **dict.fromkeys(("64", "233", "258", "10053", "10054", "10060", "10928", "10929"), _H.CONNECTION),
        **dict.fromkeys(("40197", "40501", "40613", "49918", "49919", "49920", "596"), _H.CONNECTION),
        **dict.fromkeys(("18456", "4060"), _H.LOGIN),
        **dict.fromkeys(("229", "230", "297", "300"), _H.DENIED),
        **dict.fromkeys(("208", "207"), _H.SCHEMA),
        **dict.fromkeys(("3906", "978"), _H.READ_ONLY),
        **dict.fromkeys(("1105", "9002"), _H.FULL),
        "50000": _H.RULE,
    },
    # What any ODBC driver says by itself.
    "odbc": {
        "23": _H.UNIQUE,
        "22": _H.BAD_VALUE,
        "45": _H.RULE,
        "40": _H.DEADLOCK,
        "08": _H.CONNECTION,
        "HYT00": _H.TIME_LIMIT,
        "HYT01": _H.CONNECTION,
        "28": _H.LOGIN,
        **dict.fromkeys(("IM002", "IM003", "IM004", "01000"), _H.NO_DRIVER),
        "42S02": _H.SCHEMA,
        "42S22": _H.SCHEMA,
    },
}

# SQLite's ODBC driver says HY000 to everything, and its native library one code for several facts: only the text
# tells (sql-connectors.md §3.6). These texts are constants of SQLite's source and are not translated; a trigger may
# say the same, so that a code which tells goes before them.
SQLITE_CONSTRAINT = 19
SQLITE_TEXTS: Mapping[str, Happened] = {
    "UNIQUE constraint failed": _H.UNIQUE,
    "NOT NULL constraint failed": _H.NOT_NULL,
    "FOREIGN KEY constraint failed": _H.FOREIGN_KEY,
    "CHECK constraint failed": _H.CHECK,
    "datatype mismatch": _H.BAD_VALUE,
    "cannot INSERT into generated column": _H.COMPUTED,
    "cannot UPDATE generated column": _H.COMPUTED,
    "no such table": _H.SCHEMA,
    "no such column": _H.SCHEMA,
    "has no column named": _H.SCHEMA,
    "database is locked": _H.LOCKED,
    "database table is locked": _H.LOCKED,
    "interrupted": _H.TIME_LIMIT,
    "readonly database": _H.READ_ONLY,
    "database or disk is full": _H.FULL,
    "unable to open database file": _H.CONNECTION,
    "Can't open lib": _H.NO_DRIVER,
    "Data source name not found": _H.NO_DRIVER,
}

LOST_TEXTS = (
    "internal SAVEPOINT failed",
    "connection lost",
    "connection has been lost",
    "connection is down",
    "Connection broken",
    "server closed the connection",
    "server has gone away",
)
"""What ODBC drivers say under a SQLSTATE that says nothing (HY000) when their connection is gone. After the first
of these psqlODBC even calls a COMMIT a success, so the transaction must be given up at once."""

NATIVE_CODE = re.compile(r".*\((\d+)\) \(SQL\w+\)", re.DOTALL)
"""The vendor's code in pyodbc's text: the last number before the name of the ODBC function. What stands before it may
be anybody's words: MariaDB repeats the value in `Duplicate entry 'x (2013)' for key 'PRIMARY' (1062) (SQLExecDirectW)`.
"""

KEY_OF_CLASH = re.compile(r".*' for key '(?:\w+\.)?([^']+)'", re.DOTALL)
"""The key in MySQL's `Duplicate entry '…' for key '…'`: the value before it may hold quotation marks of any kind."""

SAYS_NOTHING = frozenset({"HY000", "S1000"})
"""SQLSTATEs of a driver that has none for what happened; only its own words are left then."""

TURNED_AWAY = re.compile(
    r"authentication failed|no password supplied|no pg_hba\.conf entry|permission denied for database"
    r"|(role|database) \".*\" (does not exist|is not permitted to log in)"
)
"""What PostgreSQL says where it answered but does not want the login. No driver hands out the SQLSTATE of a connection
that did not come about (psycopg has none, psqlODBC says 08001 to everything), so only there the words decide."""

ENDS_TRANSACTION = frozenset({Happened.DEADLOCK, Happened.CONNECTION, Happened.FULL})
"""After these nothing of the transaction is left, not even what came before the failed statement."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One driver error, understood."""

    happened: Happened
    code: str
    """SQLSTATE or vendor code, for the log."""
    names: tuple[str, ...] = ()
    """Constraints and columns that the database named, the most telling first."""
    all_named: bool = False
    """Whether every name is meant: SQLite names each column of a composite key. Elsewhere values may stand among them.
    """


def understand(error: SQLAlchemyError, database: str) -> Failure:
    """Return what a driver's error means on this kind of database; one of SQLAlchemy's own is a lost connection."""
    if not isinstance(error, DBAPIError):
        return Failure(Happened.CONNECTION, type(error).__name__)
    origin = error.orig if error.orig is not None else error
    text = " ".join(str(part) for part in origin.args)
    if database == "sqlite":
        return _sqlite(origin, text)
    code = _code(origin, text, database)
    happened = _look_up(database, code)
    if code in SAYS_NOTHING and any(words in text for words in LOST_TEXTS):
        happened = Happened.CONNECTION
    if code in ("08", "08001") and TURNED_AWAY.search(text):
        happened = Happened.LOGIN
    if error.connection_invalidated and happened is not Happened.LOGIN:
        happened = Happened.CONNECTION
    return Failure(happened, code, _names(origin, text))


def _sqlite(origin: BaseException, text: str) -> Failure:
    number: int | None = getattr(origin, "sqlite_errorcode", None)
    native = NATIVE_CODE.match(text)
    if number is None and native is not None:
        number = int(native[1])
    message = re.sub(r"^HY000 \[HY000\] \[SQLite\]", "", text)
    _, _, tail = message.partition("constraint failed: ")
    names = tuple(part.strip().rpartition(".")[2].split(" ")[0].rstrip(")") for part in tail.split(",")) if tail else ()
    code = "HY000" if number is None else str(number)
    return Failure(_sqlite_happened(number, message), code, names, all_named=True)


def _sqlite_happened(number: int | None, message: str) -> Happened:
    """Return what a code means; the text is asked only where the code stands for several facts."""
    table = CODES["sqlite"]
    if number is not None and (known := table.get(str(number)) or table.get(str(number & 0xFF))):
        return known
    told = next((meaning for words, meaning in SQLITE_TEXTS.items() if words in message), Happened.OTHER)
    if number is None or number & 0xFF != SQLITE_CONSTRAINT:
        return told
    # Over ODBC every constraint has this one code, and so has what a trigger says by RAISE.
    return told if re.match(r"(\w+ ){1,2}constraint failed", message) else Happened.RULE


def _code(origin: BaseException, text: str, database: str) -> str:
    """Return the code by which the error is classified, wherever the driver keeps it."""
    state = getattr(origin, "sqlstate", None)
    if database == "postgresql" and state:
        return str(state)
    first = origin.args[0] if origin.args else None
    if isinstance(first, int):  # PyMySQL
        return str(first)
    if isinstance(first, str) and re.fullmatch(r"[0-9A-Z]{5}", first):  # pyodbc: SQLSTATE, and the number in the text
        native = NATIVE_CODE.match(text)
        if database == "mssql":
            # A lost connection has the operating system's number there, a time limit none.
            return native[1] if native and native[1] in CODES["mssql"] else first
        # Below 1,000 are numbers of the driver's own.
        return native[1] if database == "mysql" and native and len(native[1]) > 3 else first  # noqa: PLR2004 - the same
    # psycopg has no SQLSTATE where it could not speak with the server at all, or was turned away by it.
    return "08"


def _look_up(database: str, code: str) -> Happened:
    for table in (CODES.get(database, {}), CODES["odbc"]):
        if happened := table.get(code) or table.get(code[:2] if len(code) == 5 else code):  # noqa: PLR2004 - a SQLSTATE
            return happened
    return Happened.OTHER


def _names(origin: BaseException, text: str) -> tuple[str, ...]:
    """Return what the error's first line puts between quotation marks, the last first: values stand before names."""
    diagnosis = getattr(origin, "diag", None)
    told = [getattr(diagnosis, key, None) for key in ("constraint_name", "column_name")]
    if clash := KEY_OF_CLASH.match(text):
        return (clash[1],)
    first_line = text.split("\n", 1)[0]
    quoted = re.findall(r"[\"'`„«»](?:\w+\.)?([^\"'`“”«»]+)[\"'`“”«»]", first_line)
    return tuple(str(name) for name in (*told, *reversed(quoted)) if name)


# ── to our own errors ─────────────────────────────────────────────────────────────────────────────────────────────


OF_VALUES: Mapping[Happened, str] = {
    Happened.NOT_NULL: "is required: the database takes no null here.",
    Happened.FOREIGN_KEY: "Another table is tied to this value or user, so the database refuses the change.",
    Happened.CHECK: "A check constraint of the database refuses this value.",
    Happened.RULE: "A rule of the database (a trigger) refuses this change.",
    Happened.BAD_VALUE: "The database cannot keep this value: it is too long, out of range, of another type, or in "
    "letters that the column's character set lacks.",
}
"""What is wrong where a value is to blame, in words that repeat none."""

OF_THE_SYSTEM: Mapping[Happened, Callable[[], ConnectorError]] = {
    Happened.DEADLOCK: lambda: Busy("The row or the database is locked by somebody else.", retry_after_s=1),
    Happened.LOCKED: lambda: Busy("The row or the database is locked by somebody else.", retry_after_s=1),
    Happened.TIME_LIMIT: lambda: Busy("The database took longer than the time limit for one statement."),
    Happened.CONNECTION: lambda: Unavailable("The database cannot be reached."),
    Happened.LOGIN: lambda: Unavailable("The database does not accept our login.", retry_after_s=60),
    Happened.NO_DRIVER: lambda: Unavailable(
        "The ODBC driver or data source is not installed on this machine.", retry_after_s=60
    ),
    Happened.DENIED: lambda: Denied("The database does not allow its login to do this."),
    Happened.SCHEMA: lambda: Unavailable(
        "The table is not as it was discovered; it is looked at again.", retry_after_s=1
    ),
    Happened.READ_ONLY: lambda: Unavailable("The database is read-only at present."),
    Happened.FULL: lambda: Unavailable("The database has no room left.", retry_after_s=60),
}
"""The error where no value is to blame."""


def to_error(failure: Failure, facts: TableFacts | None = None) -> ConnectorError:
    """Return the error that tells a caller what happened, with attribute names where the database told them."""
    attributes = _attributes(failure, facts) if facts is not None else ()
    first = attributes[0] if attributes else ""
    if failure.happened is Happened.UNIQUE:
        return Conflict(attributes)
    if failure.happened is Happened.COMPUTED:
        return Immutable(first, "is computed by the database.")
    if failure.happened in OF_VALUES:
        return InvalidValue(first, OF_VALUES[failure.happened] + _type_of(first, failure, facts))
    if failure.happened in OF_THE_SYSTEM:
        return OF_THE_SYSTEM[failure.happened]()
    return ConnectorError(f"The database refused the statement (code {failure.code}).")


def _type_of(name: str, failure: Failure, facts: TableFacts | None) -> str:
    """Return what the column is, as the database spells it, where a value does not fit into it."""
    columns = facts.columns if facts is not None and failure.happened is Happened.BAD_VALUE else ()
    declared = next((column.facts.declared for column in columns if column.facts.name == name), "")
    return f" The column is {declared}{_RANGES.get(declared.partition('(')[0].lower(), '')}." if declared else ""


_RANGES: Mapping[str, str] = {
    "tinytext": ", 255 bytes of text",
    "text": ", 65535 bytes of text",
    "year": ", the years 1901 to 2155",
    "timestamp": ", mostly the years 1970 to 2038",
}
"""Limits of types of MariaDB and MySQL that their names do not tell."""


def _attributes(failure: Failure, facts: TableFacts) -> tuple[str, ...]:
    """Return the columns of the first name that is a key, a check or a column of the table."""
    columns = {column.facts.name for column in facts.columns}
    named: dict[str, tuple[str, ...]] = {name: (name,) for name in columns}
    named |= dict(facts.checks)
    named |= {key.name: key.columns for key in facts.keys if key.name}
    if failure.happened is Happened.UNIQUE:
        named.setdefault("PRIMARY", next((key.columns for key in facts.keys if key.primary), ()))
    told = [name for name in failure.names if name in named]
    if failure.all_named and len(told) > 1 and all(name in columns for name in told):
        return tuple(told)
    return named[told[0]] if told else ()
