"""Poolers that give a session of PostgreSQL to somebody else after each transaction, as pgbouncer can be told to.

What the host sets for its sessions, and statements that it prepared in them, would count for whoever gets one next: for
another program, or for another connection of the host, which would run one statement and mean another.
"""

from __future__ import annotations

from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any, Final

from connector_host.connectors.sql.silence import bounded_connect
from connector_host.errors import ConfigurationError

if TYPE_CHECKING:
    import psycopg

WAIT_S: Final = 3
"""Seconds that a second connection may take: a pooler of sessions has none left, where the host may have no more."""

_SHARED: Final = (
    "database: a pooler before PostgreSQL gives one session to several connections in turn: have it keep each for the "
    "length of a connection (`pool_mode = session` in pgbouncer), or name the server itself."
)


def refuse_shared(connection: psycopg.Connection[Any]) -> None:
    """Raise ConfigurationError where a second connection gets the session of this one, which is new and idle.

    It is made only where there is a pooler: where the server's process is another one than the handshake told.
    """
    import psycopg  # noqa: PLC0415 - only where this driver is installed

    with suppress(psycopg.Error):
        process = _process(connection)
        if process <= 0 or process == connection.info.backend_pid:
            return
        connect, info = bounded_connect(WAIT_S), connection.info
        with closing(connect(info.dsn, password=info.password, connect_timeout=WAIT_S)) as other:
            if _process(other) == process:
                raise ConfigurationError(_SHARED)


def _process(connection: psycopg.Connection[Any]) -> int:
    """Return the process of the server that serves this connection now."""
    with connection.cursor() as cursor:
        row = cursor.execute("SELECT pg_backend_pid()", prepare=False).fetchone()
    connection.rollback()
    return int(row[0]) if row is not None else 0
