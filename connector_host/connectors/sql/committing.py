"""Statements of one's own that commit by themselves, as a procedure of MySQL and MariaDB may: nobody undoes those.

A savepoint tells. It is gone after a commit, so where an export fails and its savepoint is not there any more, some of
it may be kept, and the answer is that nobody knows (DESIGN §2.5). PostgreSQL and SQLite let no procedure do that.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from connector_host.connectors.errors import ConnectorError, InDoubt
from connector_host.connectors.sql import undoing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from connector_host.connectors.contract import Export
    from connector_host.connectors.sql.shapes import Shape

SAVEPOINT = "before_statements"


@contextmanager
def watched(connection: Connection, shape: Shape, export: Export) -> Iterator[None]:
    """Raise InDoubt in place of whatever goes wrong in the block, where something of it may be committed already."""
    operation = undoing.operation_of(export)
    scripts = shape.scripts_of(operation).values()
    if shape.dialect.name != "mysql" or not any(script.calls for script in scripts):
        yield
        return
    commits = any(
        undoing.reason(connection, shape.dialect.name, one.text) for script in scripts for one, _ in script.statements
    )
    connection.exec_driver_sql(f"SAVEPOINT {SAVEPOINT}")
    try:
        yield
    except (DBAPIError, ConnectorError) as failure:
        # A deadlock and a lost connection take the savepoint, too: there the procedure's text tells, if it may be read.
        if commits and not _is_there(connection):
            keys = " and ".join(f"exports.{key}" for key in shape.scripts_of(operation))
            raise InDoubt(
                f"The statements of {keys} failed, but may have committed some of their work: look at the user. Leave "
                "the commit out of the procedure, or grant the login to read its text."
            ) from failure
        raise


def _is_there(connection: Connection) -> bool:
    """Return whether nothing was committed since the savepoint."""
    try:
        connection.exec_driver_sql(f"RELEASE SAVEPOINT {SAVEPOINT}")
    except SQLAlchemyError:
        return False
    return True
