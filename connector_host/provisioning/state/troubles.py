"""What a database says when it cannot keep the state, in words that repeat no value of a user."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from connector_host.databases.codes import Happened
from connector_host.databases.failures import understand

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.exc import SQLAlchemyError

NO_DATABASE: Final = ("sqlite", "26")
"""SQLite's code for a file that is something else (SQLITE_NOTADB)."""

TOLD: Final[Mapping[Happened, str]] = {
    Happened.CONNECTION: "its database cannot be reached: look at host and port, and whether the server runs",
    Happened.LOGIN: "its database does not accept the login, or is not there: look at the login, password and name",
    Happened.DENIED: "the login may not do this: grant it USAGE and CREATE on the schema, and all on its tables",
    Happened.READ_ONLY: "its database may only be read: let the account that runs this write the file and its folder",
    Happened.LOCKED: "somebody else holds its database locked: see who does",
    Happened.FULL: "there is no room left: make some",
}


def said(error: SQLAlchemyError, database: str) -> str:
    """Return what happened to a kind of database, and what may be done about it."""
    failure = understand(error, database)
    if (database, failure.code) == NO_DATABASE:
        return "the file is no SQLite database: name another one, which is made where it is not there"
    return TOLD.get(failure.happened, "its database refuses") + f" ({type(error).__name__}, code {failure.code})"
