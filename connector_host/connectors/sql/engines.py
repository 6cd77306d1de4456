"""Engines: from settings to pooled connections that are set up alike, with a time limit on every statement.

The only module that knows how a driver is asked to connect. Blocking drivers are used from threads (readers
and writers own theirs); nothing here is async.
"""

from __future__ import annotations

import sys
import time
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import structlog
from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from connector_host.connectors.sql import answers, odbc, portable  # noqa: F401 - registers its dialects
from connector_host.connectors.sql.connecting import mistakes_told, of_this_kind, tell_mistakes
from connector_host.connectors.sql.dialects import DEFAULT_DRIVERS, PACKAGES, dialect_of, driver_of
from connector_host.connectors.sql.poolers import refuse_shared
from connector_host.connectors.sql.silence import bounded_connect
from connector_host.databases.odbc import adapt
from connector_host.databases.opening import never_made
from connector_host.databases.postgresql import UTF_8
from connector_host.errors import ConfigurationError
from connector_host.observability import events

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import URL

    from connector_host.connectors.sql.dialect import Dialect

log = structlog.get_logger()

Purpose: TypeAlias = Literal["reading", "writing", "importing"]
"""What the connections of an engine are for: single statements, transactions that write, one long consistent read."""

CONNECT_S = 10
"""Seconds that a connection may take to come up."""
LOCK_SHARE = 1 / 3
"""How much of a statement's time may be spent on waiting for a lock: whoever is queued behind waits, too."""
IDLE_IN_TRANSACTION_S = 60
"""Seconds after which a server may end a transaction of ours that does nothing: a process that froze."""
ANSWER_S = 10
"""Seconds beyond a statement's limit after which a server that says nothing is given up: it is to speak first."""
RECYCLE_S = 1_500
"""Seconds after which a pooled connection is made anew: below the idle time of common firewalls."""
PROGRESS_OPCODES = 10_000
"""SQLite looks at its time limit once in so many steps of its virtual machine."""


def parse_url(database: str, password: str | None) -> URL:
    """Return the URL with our driver and the password in it; raise ConfigurationError that repeats neither."""
    try:
        url = make_url(database)
    except (ArgumentError, ValueError):
        raise ConfigurationError("database: is no URL such as postgresql://scim@db.example.org/hr.") from None
    backend = url.get_backend_name()
    if "+" not in url.drivername and backend in DEFAULT_DRIVERS:
        url = url.set(drivername=f"{backend}+{DEFAULT_DRIVERS[backend]}")
    if password is not None and driver_of(url) == "pysqlite":
        raise ConfigurationError("database: SQLite has no logins, so there is no password for it; leave it out.")
    if password is not None:
        url = url.set(password=password)
    return url


def open_engine(
    url: URL, *, size: int, statement_s: float, purpose: Purpose = "reading", reads_only: bool = False
) -> Engine:
    """Return an engine of at most `size` connections; it connects when it is first used.

    With `reads_only` the database refuses to change anything on them, where it can be told so.

    Raises ConfigurationError where the database is not served or its driver is not installed.
    """
    dialect = dialect_of(url)
    reading = purpose == "reading"
    try:
        with mistakes_told(driver_of(url)):
            engine = create_engine(
                _driver_url(url, dialect, statement_s, purpose),
                connect_args=_connect_arguments(url, statement_s),
                pool_size=size,
                max_overflow=0,
                pool_timeout=statement_s,
                pool_pre_ping=True,
                pool_recycle=RECYCLE_S,
                hide_parameters=True,
                # A read is one statement, so it needs no BEGIN and no ROLLBACK: one round trip instead of three.
                isolation_level="AUTOCOMMIT" if reading else None,
                skip_autocommit_rollback=reading,
                **_spelling(url),
            )
    except (ModuleNotFoundError, NoSuchModuleError) as missing:
        package = PACKAGES.get(driver_of(url))
        mend = "name another one in the URL" if package is None else f"{sys.executable} -m pip install '{package}'"
        raise ConfigurationError(f"database: the driver {driver_of(url)} is not installed: {mend}") from missing
    except ImportError as missing:  # pyodbc is there, but the system's ODBC library is not
        raise ConfigurationError(
            f"database: the driver {driver_of(url)} cannot be loaded; on Debian install the package unixodbc."
        ) from missing
    tell_mistakes(engine, bounded_connect(statement_s + ANSWER_S) if engine.driver == "psycopg" else None)
    _set_up_sessions(engine, dialect, statement_s, purpose, reads_only=reads_only)
    if purpose == "writing":
        answers.attend(engine)
    if dialect.name == "sqlite":
        _set_up_sqlite(engine, statement_s, purpose)
    return engine


def discard(connection: Connection) -> None:
    """Let go of a connection of whose state nothing is known; one that is lost already does not fail here."""
    try:
        connection.invalidate()
        connection.close()
    except SQLAlchemyError as error:
        log.debug(events.DATABASE_ERROR, reason=type(error).__name__)


def _spelling(url: URL) -> dict[str, Any]:
    """Return how statements name their parameters, where that is not as SQLAlchemy would have it.

    PostgreSQL's own `$1` goes to the server as it is: psycopg looks through each statement for any other, and
    remembers what it found of short ones only.
    """
    return {"paramstyle": "numeric_dollar"} if driver_of(url) == "psycopg" else {}


def _connect_arguments(url: URL, statement_s: float) -> dict[str, Any]:
    match driver_of(url):
        case "pysqlite":
            # Our own BEGIN and COMMIT: the standard library's come too late for BEGIN IMMEDIATE.
            return {"timeout": statement_s, "check_same_thread": False, "isolation_level": None}
        case "psycopg":
            from psycopg import RawCursor  # noqa: PLC0415 - only where this driver is installed

            # Server-side statements are prepared from their second use on.
            return {
                "cursor_factory": RawCursor,
                "connect_timeout": CONNECT_S,
                "application_name": "connector-host",
                **UTF_8,
                "prepare_threshold": 1,
                # A peer that vanished without a word is noticed within the statement's own limit and a bit.
                "keepalives_idle": 30,
                "keepalives_interval": 10,
                "keepalives_count": 3,
                "tcp_user_timeout": round(statement_s + ANSWER_S) * 1_000,
            }
        case "pymysql":
            socket_s = int(statement_s) + ANSWER_S
            arguments = {"connect_timeout": CONNECT_S, "read_timeout": socket_s, "write_timeout": socket_s}
            # PyMySQL would send the text in Latin-1, and the server takes it for UTF-8.
            return arguments | ({"password": url.password.encode()} if url.password else {})
        case "oracledb":
            return {"tcp_connect_timeout": CONNECT_S}
        case _:
            return {"timeout": CONNECT_S}


def _driver_url(url: URL, dialect: Dialect, statement_s: float, purpose: Purpose) -> URL:
    """Return the URL as SQLAlchemy wants it for the driver."""
    if driver_of(url) == "pyodbc":
        options = {key: value.format(**_limits(statement_s)) for key, value in dialect.odbc_options.items()}
        if purpose == "importing":
            options |= dialect.odbc_import_options
        return odbc.driver_url(url, options)
    if dialect.name == "oracle" and url.database:
        # SQLAlchemy takes the path for a SID, which only old databases have.
        return url._replace(database=None).update_query_dict({"service_name": url.database})
    return never_made(url)


def _limits(statement_s: float) -> dict[str, int]:
    """Return the time limits as the databases want them spelled."""
    return {
        "ms": max(1, round(statement_s * 1_000)),
        "s": max(1, round(statement_s)),
        "lock_ms": max(1, round(statement_s * 1_000 * LOCK_SHARE)),
        "lock_s": max(1, round(statement_s * LOCK_SHARE)),
        "idle_ms": IDLE_IN_TRANSACTION_S * 1_000,
    }


def _set_up_sessions(
    engine: Engine, dialect: Dialect, statement_s: float, purpose: Purpose, *, reads_only: bool
) -> None:
    session = dialect.session + (dialect.import_session if purpose == "importing" else ())
    session += dialect.reads_only if reads_only else ()
    statements = [statement.format(**_limits(statement_s)) for statement in session]

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, _: object) -> None:  # noqa: ANN401 - the driver's door
        if engine.driver == "psycopg":
            refuse_shared(connection)
            _stream_as_spelled(connection)
            _read_infinity_as_text(connection)
            _read_as_text(connection)
        if engine.driver == "pyodbc":
            adapt(connection)
        cursor = connection.cursor()
        with of_this_kind(cursor, dialect.name):
            for statement in statements:
                cursor.execute(statement)
        cursor.close()
        if dialect.driver_limits:
            _limit(connection, dialect, statement_s)
        if not getattr(connection, "autocommit", True):
            connection.commit()


def _limit(connection: Any, dialect: Dialect, statement_s: float) -> None:  # noqa: ANN401 - the driver's door
    """Have the driver end statements that take too long; one that cannot is left as it is (psqlODBC, §3.3.7)."""
    if dialect.name == "oracle":
        connection.call_timeout = round(statement_s * 1_000)
        return
    try:
        connection.timeout = max(1, round(statement_s))
    except Exception as error:
        if dialect.catalogue:
            raise
        log.warning(events.DATABASE_ERROR, reason=f"no time limit for statements: {type(error).__name__}")


def _stream_as_spelled(connection: Any) -> None:  # noqa: ANN401 - the driver's door
    """Have cursors of the server take statements as all others do (see _spelling)."""
    from psycopg import RawServerCursor  # noqa: PLC0415 - only where this driver is installed

    connection.server_cursor_factory = RawServerCursor


def _read_infinity_as_text(connection: Any) -> None:  # noqa: ANN401 - the driver's door
    """Read a moment that Python has none of as text: psycopg would fail, and one such row would stop a whole page.

    Its own loaders cannot be built upon: they are fast where they are C, and then nothing of a class above them is
    called; in Python one costs as much as the rest of a row. The session's DateStyle is ISO.
    """
    from psycopg.adapt import Loader  # noqa: PLC0415 - only where this driver is installed

    def or_text(read: Callable[[str], object]) -> type[Loader]:
        class OrText(Loader):
            def load(self, data: Any) -> object:  # noqa: ANN401 - psycopg's protocol
                text = str(data, "ascii")
                try:
                    return read(text)
                except ValueError:
                    return text

        return OrText

    for name, kind in (("timestamptz", datetime), ("timestamp", datetime), ("date", date)):
        connection.adapters.register_loader(name, or_text(kind.fromisoformat))


def _read_as_text(connection: Any) -> None:  # noqa: ANN401 - the driver's door
    """Read a document as it is kept: psycopg would parse it, and what it was spelled like would be lost.

    The time 24:00:00, which Python has none of, would fail a whole page.
    """
    from psycopg.types.string import TextLoader  # noqa: PLC0415 - only where this driver is installed

    for name in ("json", "jsonb", "time"):
        connection.adapters.register_loader(name, TextLoader)


def _text_or_bytes(raw: bytes) -> str | bytes:
    """Read text that is no UTF-8, which SQLite keeps like any other, as bytes: one such row would stop a whole page."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def _set_up_sqlite(engine: Engine, statement_s: float, purpose: Purpose) -> None:
    """Take the write lock at the start: a transaction that reads first and writes then fails at once (§3.5)."""
    if purpose != "reading":
        begin = "BEGIN IMMEDIATE" if purpose == "writing" else "BEGIN"

        @event.listens_for(engine, "begin")
        def begin_by_hand(connection: Connection) -> None:
            connection.exec_driver_sql(begin)

    if engine.driver != "pysqlite":
        return
    deadlines: dict[int, float] = {}

    @event.listens_for(engine, "connect")
    def limit(connection: Any, _: object) -> None:  # noqa: ANN401 - the driver's door
        connection.text_factory = _text_or_bytes
        key = id(connection)
        connection.set_progress_handler(lambda: time.monotonic() > deadlines.get(key, float("inf")), PROGRESS_OPCODES)

    @event.listens_for(engine, "before_cursor_execute")
    def start(connection: Connection, *_: object) -> None:
        deadlines[id(connection.connection.dbapi_connection)] = time.monotonic() + statement_s
