"""Where the relay's store lives: a SQLite file of one node, or a PostgreSQL database that several share.

Statements are written once, with `?` for values; both give `execute` and cursors of the same shape (PEP 249). Each
transaction is short, and blocks: whoever runs an event loop calls from a thread.
"""

from __future__ import annotations

import sqlite3
import sys
import threading
import time
from contextlib import closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import parse_qs, urlsplit

from agent.errors import AgentError, ConfigurationError, Unavailable
from connector_host.ownership import make_file, make_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path
    from types import ModuleType

    import psycopg

WAIT_S: Final = 5
"""Seconds that a statement, or a connection, may take."""
_SILENCE_S: Final = WAIT_S + 1.0
"""Seconds without an answer after which a server is not waited for: one that hangs cannot end a statement itself."""

_SLOW_S: Final = 1.0
"""A failure that took longer was a silence."""
_REST_S: Final = 2.0
"""After a silence nobody asks for so long."""

_WANTED: Final = "relay.store: write postgresql://USER@HOST/DATABASE."
_APART: Final = "relay.store: put the password into the file of relay.store_password_file."
_NO_PLACE: Final = {
    "sslmode": "leave it out",
    "sslrootcert": "use relay.store_trust",
    "host": "put it first",
    "service": "write host and database here",
}
_PLACE: Final = ("host", "hostaddr"), ("port",)
_PORTS: Final = range(1, 65_536)
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


_SQLITE_MENDS: Final = {
    sqlite3.SQLITE_READONLY: "make the file and its folder writable for the relay's account",
    sqlite3.SQLITE_CANTOPEN: "make the file and its folder readable and writable for the relay's account",
    sqlite3.SQLITE_PERM: "make the file and its folder readable and writable for the relay's account",
    sqlite3.SQLITE_NOTADB: "take the file from a backup, or away, and all agents enrol anew",
    sqlite3.SQLITE_CORRUPT: "take the file from a backup, or away, and all agents enrol anew",
}
_GRANTS: Final = (
    "let the relay's role make its tables (GRANT CREATE ON SCHEMA public TO ROLE), or have `relay tenant list` make "
    "them as another role, and GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO ROLE"
)
_POSTGRESQL_MENDS: Final = {"42501": _GRANTS, "3F000": _GRANTS}
"""By SQLSTATE: what does not pass by itself."""
_READ_ONLY: Final = "25006"

_BEGIN: Final = "SELECT set_config('statement_timeout', %s, true), current_setting('transaction_read_only')"
"""For this transaction: a pooler may give the next one another session, and this one to somebody else."""
_UNKNOWN: Final = "password authentication failed"


class StoreUnavailable(AgentError):
    """The store cannot be asked just now."""


class StoreUnusable(StoreUnavailable):
    """The store cannot be asked until an administrator mends what the text says."""


@contextmanager
def needed() -> Iterator[None]:
    """Take a store that cannot be asked for a wrong configuration, Unavailable where that may pass."""
    try:
        yield
    except StoreUnavailable as failure:
        kind = ConfigurationError if isinstance(failure, StoreUnusable) else Unavailable
        raise kind(f"{failure}.") from failure


class Cursor(Protocol):
    """What came of a statement."""

    @property
    def rowcount(self) -> int:
        """How many rows it changed."""

    def fetchall(self) -> list[Any]:
        """Return all rows."""


class Transaction(Protocol):
    """Statements that hold together."""

    def execute(self, statement: str, values: tuple[object, ...] = ()) -> Cursor:
        """Run one statement."""

    def executemany(self, statement: str, rows: Sequence[tuple[object, ...]]) -> object:
        """Run one statement with each of these values, without a wait for each."""


class Database(Protocol):
    """A place for the store."""

    shared: bool
    """Whether other nodes use it, too."""
    counter: str
    """The type of a column that numbers its rows; no number is ever given again."""
    key: str
    """What names it in the configuration."""
    tables: str
    """The query for the names of the tables that are there."""
    clock: str
    """The query for its own time, in whole seconds since 1970."""

    def transaction(self) -> AbstractContextManager[Transaction]:
        """Return a transaction that is committed at the end of the block; raises StoreUnavailable."""

    def demand_writes(self) -> None:
        """Raise StoreUnavailable where the last transaction might only read: what it read may be old, then."""

    def close(self) -> None:
        """Let go of what is open."""


class SQLite:
    """A file; each transaction has a connection of its own."""

    shared = False
    counter = "INTEGER PRIMARY KEY AUTOINCREMENT"
    key = "relay.state"
    tables = "SELECT name FROM sqlite_master"
    clock = "SELECT CAST(strftime('%s', 'now') AS INTEGER)"

    def __init__(self, file: Path) -> None:
        """Make the file where it is not there; raises ConfigurationError where that fails."""
        self._file = file
        try:
            make_folder(file.parent, 0o700)
            # An administrator types `tenant add` as root, and the relay has an account of its own.
            make_file(file)
        except OSError as failure:
            raise ConfigurationError(f"relay.state: {file} cannot be used ({failure}).") from failure

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Return a transaction; raises StoreUnavailable."""
        try:
            with closing(sqlite3.connect(self._file, timeout=WAIT_S)) as connection, connection:
                yield connection
        except sqlite3.Error as failure:
            raise self._told(failure) from failure

    def demand_writes(self) -> None:
        """Raise nothing: a file that cannot be written is not behind another one."""

    def close(self) -> None:
        """Nothing stays open between transactions."""

    def _told(self, failure: sqlite3.Error) -> StoreUnavailable:
        fact = f"relay.state: {self._file}: {failure}"
        mend = _SQLITE_MENDS.get(getattr(failure, "sqlite_errorcode", 0) & 0xFF)  # without what extends the code
        return StoreUnavailable(fact) if mend is None else StoreUnusable(f"{fact}: {mend}")


class PostgreSQL:
    """A database that all nodes use, over one connection that is made anew where it broke."""

    shared = True
    counter = "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
    key = "relay.store"
    tables = "SELECT relname FROM pg_class WHERE pg_table_is_visible(oid)"
    clock = "SELECT CAST(extract(epoch FROM now()) AS BIGINT)"

    def __init__(self, url: str, trust: Path | None, password: Callable[[], str | None]) -> None:
        """Prepare; raises ConfigurationError where the URL or the extra cannot be used. Connects when it is asked.

        `password` is called for each connection, and may raise ConfigurationError.
        """
        self._library = _library()
        self._url = url
        self._options = _options(url, trust)
        self._password = password
        self._read_only = False
        self._lock = threading.Lock()
        self._rest_until_s = 0.0
        self._silence = ""
        """Why nobody asks until then."""
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Return a transaction; raises StoreUnavailable."""
        with self._lock:
            begin_s = time.monotonic()
            if begin_s < self._rest_until_s:
                raise StoreUnavailable(self._silence)
            try:
                connection = self._connection = self._connection or self._connect()
                with connection.transaction():
                    begun = connection.execute(_BEGIN, (f"{WAIT_S}s",)).fetchall()
                    self._read_only = begun[0][1] == "on"
                    yield _Percent(connection)
            except self._library.Error as failure:
                self._forget()
                told = _told(failure)
                if time.monotonic() - begin_s > _SLOW_S:
                    # A hundred agents that ask behind this one are not to wait for as long, one after another.
                    self._rest_until_s, self._silence = time.monotonic() + _REST_S, str(told)
                raise told from failure

    def demand_writes(self) -> None:
        """Raise StoreUnavailable where the server takes no writes; the next transaction looks for another one."""
        with self._lock:
            if self._read_only:
                self._forget()
                raise _told(self._library.errors.ReadOnlySqlTransaction("the server takes no writes"))

    def close(self) -> None:
        """Let go of the connection; the next transaction makes another."""
        with self._lock:
            self._forget()

    def _forget(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        try:
            password = self._password()
        except ConfigurationError as failure:
            raise StoreUnavailable(str(failure)) from failure
        # Prepared statements belong to a session, which a pooler may give to another node with statements of its own.
        connection: psycopg.Connection[tuple[Any, ...]] = self._library.connect(
            self._url,
            autocommit=True,
            prepare_threshold=None,
            connect_timeout=WAIT_S,
            password=password,
            **self._options,
        )
        # What psycopg waits with for whatever the server is to say.
        connection.wait = partial(connection.wait, timeout=_SILENCE_S)  # type: ignore[method-assign]
        return connection


class _Percent:
    """A connection of psycopg, whose values are marked by `%s`."""

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        self._connection = connection

    def execute(self, statement: str, values: tuple[object, ...] = ()) -> Cursor:
        """Run one statement of this package's own."""
        return self._connection.execute(_marked(statement), values)

    def executemany(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        """Run one statement of this package's own with each of these values, all in one round trip."""
        with self._connection.cursor() as cursor:
            cursor.executemany(_marked(statement), rows)


def _marked(statement: str) -> bytes:
    return statement.replace("?", "%s").encode()


def _told(failure: psycopg.Error) -> StoreUnavailable:
    # What libpq says may go over several lines, and names user and host, never the password.
    # Of several servers it says the last one's failure twice.
    said = failure.diag.message_primary or " ".join(str(failure).split()).rpartition("All failures were: ")[2]
    fact = f"relay.store: {said}"
    if failure.sqlstate == _READ_ONLY:
        return StoreUnavailable(f"{fact}: name a server that takes writes, and no replica")
    if _UNKNOWN in fact or (failure.pgconn is not None and failure.pgconn.needs_password):
        return StoreUnavailable(f"{fact}: put the role's password into the file of relay.store_password_file")
    mend = _POSTGRESQL_MENDS.get(failure.sqlstate or "")
    return StoreUnavailable(fact) if mend is None else StoreUnusable(f"{fact}: {mend}")


def _library() -> ModuleType:
    try:
        import psycopg  # noqa: PLC0415 - an extra, which a single node does without
    except ImportError:
        mend = f"{sys.executable} -m pip install 'psycopg[binary]'"
        raise ConfigurationError(f"relay.store: needs psycopg: {mend}") from None
    return psycopg


def _options(url: str, trust: Path | None) -> dict[str, str]:
    """Return how the server is verified: by certificate and name, save on this machine; no URL turns that off."""
    try:
        parsed = urlsplit(url)
    except ValueError:
        raise ConfigurationError(_WANTED) from None
    if parsed.scheme not in {"postgresql", "postgres"}:
        raise ConfigurationError(_WANTED)
    if parsed.password:
        raise ConfigurationError(_APART)
    given, options = _given(url), parse_qs(parsed.query)
    # Each reader has an end of its own for a password with / ? or #: the rest of it is part of the path then.
    if "password" in given or "@" in str(given.get("dbname")):
        raise ConfigurationError(_APART)
    for key, mend in _NO_PLACE.items():
        if key in options:
            raise ConfigurationError(f"relay.store: {key} has no place in the URL: {mend}.")
    keepalive = {"tcp_user_timeout": str(1000 * WAIT_S)}
    targets = _targets(given)
    if len(targets) > 1:
        # The one that was promoted, say, and not the one that follows it.
        keepalive["target_session_attrs"] = given.get("target_session_attrs", "read-write")
    if all(target.startswith("/") or target.lower() in _LOOPBACK for target in targets):
        return keepalive
    return keepalive | {"sslmode": "verify-full", "sslrootcert": str(trust) if trust is not None else "system"}


def _given(url: str) -> dict[str, Any]:
    """Return what libpq reads in the URL; raises ConfigurationError that quotes nothing of it."""
    from psycopg import Error, conninfo  # noqa: PLC0415 - an extra, which a single node does without

    try:
        return conninfo.conninfo_to_dict(url)
    except Error as failure:
        fact = " ".join(str(failure).split()).partition(': "')[0]
        raise ConfigurationError(f"{_WANTED} What is there is not read: {fact}.") from None


def _targets(given: dict[str, Any]) -> list[str]:
    """Return all names and addresses that libpq goes by: several where the URL has several, or its environment one.

    Raises ConfigurationError where one, or a port, is none that can be.
    """
    from psycopg import pq  # noqa: PLC0415 - an extra, which a single node does without

    environment = {one.keyword.decode(): one.val.decode() for one in pq.Conninfo.get_defaults() if one.val}
    place = environment | given
    targets, ports = ([one for key in keys for one in str(place.get(key) or "").split(",") if one] for keys in _PLACE)
    if not all(port.isascii() and port.isdecimal() and int(port) in _PORTS for port in ports):
        raise ConfigurationError(f"{_WANTED} A port is a number from 1 to 65535.")
    for target in targets:
        try:
            target.encode("idna")
        except UnicodeError:  # the resolver would say so, and psycopg would not take it for a failure to connect
            if not target.startswith("/"):
                raise ConfigurationError(f"{_WANTED} {target} is no name that a host can have.") from None
    return targets
