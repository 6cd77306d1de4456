"""From what happened in the database to our own errors.

No driver's words leave this room: only names of columns and constraints do.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from connector_host.connectors.errors import (
    Busy,
    Conflict,
    ConnectorError,
    Denied,
    Immutable,
    InvalidValue,
    Unavailable,
)
from connector_host.databases.codes import Happened
from connector_host.databases.failures import Failure, understand

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from connector_host.connectors.sql.discovery import TableFacts


ENDS_TRANSACTION = frozenset({Happened.DEADLOCK, Happened.CONNECTION, Happened.FULL, Happened.READ_ONLY})
"""After these nothing of the transaction is left, not even what came before the failed statement, or nothing worth
keeping."""


@contextmanager
def translated(database: str) -> Iterator[None]:
    """Let no driver's error leave this block: a ConnectorError does instead."""
    try:
        yield
    except DBAPIError as error:
        raise to_error(understand(error, database)) from error
    except SQLAlchemyError as error:
        raise to_error(Failure(Happened.CONNECTION, type(error).__name__)) from error


OF_VALUES: Mapping[Happened, str] = {
    Happened.NOT_NULL: "is required: the database takes no null here.",
    Happened.FOREIGN_KEY: "Another table is tied to this value or user, so the database refuses the change.",
    Happened.CHECK: "A check constraint of the database refuses this value.",
    Happened.RULE: "A rule of the database (a trigger, or a procedure) refuses this change.",
    Happened.BAD_VALUE: "The database cannot keep this value: it is too long, out of range, of another type, or in "
    "letters that the column's character set lacks.",
}
"""What is wrong where a value is to blame, in words that repeat none."""

OF_THE_SYSTEM: Mapping[Happened, Callable[[], ConnectorError]] = {
    Happened.DEADLOCK: lambda: Busy("The row or the database is locked by somebody else.", retry_after_s=1),
    Happened.LOCKED: lambda: Busy("The row or the database is locked by somebody else.", retry_after_s=1),
    Happened.TIME_LIMIT: lambda: Busy("The database took longer than the time limit for one statement."),
    Happened.CONNECTION: lambda: Unavailable("The database cannot be reached."),
    Happened.CROWDED: lambda: Unavailable(
        "The database takes no more connections: its limit, or our login's, is reached."
    ),
    Happened.LOGIN: lambda: Unavailable(
        "The database does not accept our login, or there is no such database.", retry_after_s=60
    ),
    Happened.NO_DRIVER: lambda: Unavailable(
        "The ODBC driver or data source is not installed on this machine.", retry_after_s=60
    ),
    Happened.DENIED: lambda: Denied("The database does not allow its login to do this."),
    Happened.SCHEMA: lambda: Unavailable(
        "The table is not as it was discovered; it is looked at again.", retry_after_s=1
    ),
    Happened.READ_ONLY: lambda: Unavailable("The database is read-only at present."),
    Happened.FULL: lambda: Unavailable("The database has no room left.", retry_after_s=60),
    Happened.EXHAUSTED: lambda: Unavailable(
        "The database has no number left for a column that it numbers itself: an administrator has to widen the column "
        "or its sequence.",
        retry_after_s=60,
    ),
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
