"""What a database says to a source's query, in words that repeat no value of a user.

Words about the query itself (a table that is not there, a mistake of grammar) name what the administrator wrote, and
are passed on; words about rows may quote them, and are not.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sqlalchemy.exc import DataError, DBAPIError, ProgrammingError, ResourceClosedError, SQLAlchemyError

from connector_host.databases.codes import CODES, Happened
from connector_host.databases.failures import understand
from connector_host.provisioning.errors import SourceFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

BACKENDS: Final[Mapping[str, str]] = {"mariadb": "mysql", "ibm_db_sa": "db2"}
"""What SQLAlchemy calls otherwise than the table of codes does."""

WORDS_MAX: Final = 200

OF_THE_QUERY: Final = re.compile(
    r"42\w{3}"  # SQLSTATE: syntax error or access rule violation
    r"|17?|ORA-009\d\d"  # SQLite, Oracle
    r"|10(?:5[24]|6[04]|66)|1146|1247|1248|1305|1630"  # MariaDB, MySQL
    r"|10[24]|156|195|20[78]|209|4104|8120|8156"  # SQL Server
)
"""Codes of what a database says when it reads a query, before it looks at a row."""

TOLD: Final[Mapping[Happened, tuple[str, str]]] = {
    Happened.CONNECTION: (
        "the database of the source cannot be reached, or broke off",
        "Look at host and port in `database`, and whether the server runs.",
    ),
    Happened.CROWDED: (
        "the database of the source takes no more connections: its limit, or the login's, is reached",
        "Raise the limit, or close what others leave open.",
    ),
    Happened.LOGIN: (
        "the database of the source does not accept the login, or there is no such database",
        "Look at the login and the name in `database`, and at the password in `secret_file`.",
    ),
    Happened.NO_DRIVER: (
        "the ODBC driver or data source is not installed on this machine",
        "Install it, or name one that is there in `database`.",
    ),
    Happened.DENIED: ("the login of the source may not read what the query names", "Grant SELECT on it to the login."),
    Happened.READ_ONLY: (
        "the query would change something, and a source of users only reads",
        "Leave what changes something out of `query`: a function that it calls, for one.",
    ),
    Happened.BAD_VALUE: (
        "the query meets a value that it cannot convert or compute with",
        "Look at casts, comparisons and computations in `query`.",
    ),
    Happened.LOCKED: ("what the query reads is locked by somebody else", "Wait, or see who holds the lock."),
    Happened.DEADLOCK: ("what the query reads is locked by somebody else", "Wait, or see who holds the lock."),
    Happened.TIME_LIMIT: (
        "the query took longer than the database allows",
        "Make it faster (an index), or raise the database's time limit for the login.",
    ),
    Happened.FULL: ("the database of the source has no room left", "Make room there."),
}
"""What happened, and what may be done about it."""

REFUSED: Final = ("the database refused the query", "Mend `query`, and try it in the database's own client.")
BROKEN_OFF: Final = ("the database refused or broke off the query", REFUSED[1])


def failed(error: SQLAlchemyError, backend: str) -> SourceFailed:
    """Return what an error of the database or its driver says to an administrator."""
    if isinstance(error, ResourceClosedError):
        return SourceFailed("the query gives no rows.", "Write one SELECT in `query`.")
    if not isinstance(error, DBAPIError) or error.orig is None:
        return _said(BROKEN_OFF, f" ({type(error).__name__})")
    database = BACKENDS.get(backend, backend)
    failure = understand(error, database)
    if database not in CODES or (failure.code == "08" and isinstance(error, (ProgrammingError, DataError))):
        return _said(BROKEN_OFF, f" ({type(error).__name__})")  # a driver whose codes nobody knows
    of_query = OF_THE_QUERY.fullmatch(failure.code) is not None
    words = f": {_first_line(error.orig)}" if of_query else f" (code {failure.code})"
    if failure.happened in TOLD:
        return _said(TOLD[failure.happened], words)
    return _said(REFUSED if of_query else BROKEN_OFF, words)


def _said(told: tuple[str, str], words: str) -> SourceFailed:
    return SourceFailed(f"{told[0]}{words}.", told[1])


def _first_line(origin: BaseException) -> str:
    """Return the first line of what the database said: PostgreSQL's next ones repeat the query."""
    texts = [str(part) for part in origin.args if isinstance(part, str)]
    text = (texts[-1] if texts else str(origin)).strip().split("\n", 1)[0].rstrip(".")
    return text if len(text) <= WORDS_MAX else f"{text[:WORDS_MAX]}…"
