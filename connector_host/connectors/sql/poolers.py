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
    "database: a pooler before PostgreSQL does not keep one session for each connection: have it do so "
    "(`pool_mode = session` in pgbouncer, `statement_level_load_balance = off` in pgpool), or name the server itself."
)


def refuse_shared(connection: psycopg.Connection[Any]) -> None:
    """Raise ConfigurationError where a second connection gets the session of this one, or this one gets another.

    This one is new and idle. More is asked only where there is a pooler: where the server's process is another one than
    the handshake told.
    """
    import psycopg  # noqa: PLC0415 - only where this driver is installed

    with suppress(psycopg.Error):
        if _process(connection) in {0, connection.info.backend_pid}:
            return
        _keep(connection)
        process = _process(connection)
        if _process(connection) != process or _process_of_another(connection.info) == process:
            raise ConfigurationError(_SHARED)


def _keep(connection: psycopg.Connection[Any]) -> None:
    """Have a proxy keep the session from now on, where that is what it does after a setting, as Amazon's RDS Proxy.

    It is undone, so that nothing stays set in a session that somebody else gets.
    """
    connection.execute("SET lock_timeout TO DEFAULT", prepare=False)
    connection.rollback()


def _process_of_another(info: psycopg.ConnectionInfo) -> int:
    """Return the process that serves a second connection to the same place."""
    with closing(bounded_connect(WAIT_S)(info.dsn, password=info.password, connect_timeout=WAIT_S)) as other:
        return _process(other)


def _process(connection: psycopg.Connection[Any]) -> int:
    """Return the process of the server that serves this connection now."""
    with connection.cursor() as cursor:
        row = cursor.execute("SELECT pg_backend_pid()", prepare=False).fetchone()
    connection.rollback()
    return int(row[0]) if row is not None else 0
