"""Driver errors, understood: from SQLSTATE or vendor code to what happened.

Never by exception class: a deadlock is an OperationalError, an InternalError or a plain Error, depending on the
driver (sql-connectors.md §3.6).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from connector_host.databases.codes import CODES, SQLITE_CONSTRAINT, SQLITE_TEXTS, VENDORS, Happened

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

NUMBERS_END = "167"
"""What MariaDB and MySQL say where AUTO_INCREMENT left the range of its column."""

IDENTITY_IN_TEXT = "IDENTITY"
"""What SQL Server's 8115 says in place of a type where an identity left the range of its column, in any language:
`Arithmetic overflow error converting IDENTITY to data type int.` Whatever else stands there is a type, and no value.
"""

ORACLE_CODE = re.compile(r"\b(?:ORA|DPY)-\d{4,5}\b")
DB2_MESSAGE = re.compile(r".*?\[IBM\]\[CLI Driver\](?:\[[^\]]*\])?\s*(SQL\d{4,5}N)", re.DOTALL)

CONSTRAINT_OF_ORACLE = re.compile(r"ORA-\d{5}: [^(]*\([^().\"]+\.([^().\"]+)\)")
"""The constraint in `ORA-00001: unique constraint (HR.UQ_LOGIN) violated`, in whatever language it is said."""

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

CROWDED = re.compile(
    r"sorry, too many clients already|remaining connection slots are reserved|too many connections for (role|database) "
)
"""What it says where it has no connection left, of which no driver hands out the SQLSTATE either."""

VENDOR_WITHIN = 60
"""Characters of a message within which the tags of its speakers stand; what follows may be anybody's words."""


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
    if database == "odbc":
        database = next((vendor for tag, vendor in VENDORS.items() if tag in text[:VENDOR_WITHIN]), database)
    if database == "sqlite":
        return _sqlite(origin, text)
    code = _code(origin, text, database)
    happened = _look_up(database, code)
    if code in SAYS_NOTHING and any(words in text for words in LOST_TEXTS):
        happened = Happened.CONNECTION
    if code in ("08", "08001") and TURNED_AWAY.search(text):
        happened = Happened.LOGIN
    if (database, code) in (("postgresql", "08"), ("postgresql", "08001")) and CROWDED.search(text):
        happened = Happened.CROWDED
    if (database, code) == ("mssql", "8115") and IDENTITY_IN_TEXT in text:
        happened = Happened.EXHAUSTED
    if error.connection_invalidated and happened not in (Happened.LOGIN, Happened.NO_DRIVER, Happened.CROWDED):
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
    if database in ("db2", "oracle"):
        return _db2_code(origin, text) if database == "db2" else _oracle_code(origin, text)
    state = getattr(origin, "sqlstate", None) or getattr(origin, "pgcode", None)  # psycopg, psycopg2
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
        # Below 1,000 are numbers of the driver's own, save one that the storage engine has.
        is_servers = native is not None and (len(native[1]) > 3 or native[1] == NUMBERS_END)  # noqa: PLR2004 - the same
        return native[1] if database == "mysql" and native and is_servers else first
    # psycopg has no SQLSTATE of a value that it cannot read, nor where it could not speak with the server at all.
    return "" if type(origin).__name__ == "DataError" else "08"


def _oracle_code(origin: BaseException, text: str) -> str:
    """Return the code that the server or the driver says, in oracledb's error object or else in words."""
    code = str(getattr(origin.args[0] if origin.args else None, "full_code", "") or "")
    found = ORACLE_CODE.search(text)
    return code or (found[0] if found else "08")


def _db2_code(origin: BaseException, text: str) -> str:
    """Return the message's number where it tells more than the SQLSTATE, which IBM's driver also says at the end."""
    message = DB2_MESSAGE.match(text)
    if message and message[1] in CODES["db2"]:
        return message[1]
    states = re.findall(r"SQLSTATE=(\w{5})", text)
    return str(states[-1] if states else origin.args[0] if origin.args else "")


def _look_up(database: str, code: str) -> Happened:
    if code.startswith("ORA-20") and len(code) == len("ORA-20000"):
        code = "ORA-20"
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
    if constraint := CONSTRAINT_OF_ORACLE.match(first_line):
        return (constraint[1],)
    quoted = re.findall(r"[\"'`„«»](?:\w+\.)*([^\"'`“”«»]+)[\"'`“”«»]", first_line)
    return tuple(str(name) for name in (*told, *reversed(quoted)) if name)
