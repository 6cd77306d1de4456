"""Any SELECT of any database as a source, read through a server-side cursor.

The query is the administrator's own text and runs as it stands, wrapped where less than all is wanted.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import NoSuchModuleError, SQLAlchemyError

from connector_host.databases.odbc import adapt, as_declared
from connector_host.databases.opening import READS_ONLY, never_made
from connector_host.databases.postgresql import UTF_8, Spelled, spell_moments
from connector_host.databases.queries import escaped, nested
from connector_host.provisioning.errors import MarkTooOld, SourceFailed
from connector_host.provisioning.expressions.signatures import Kind
from connector_host.provisioning.sources.contract import BATCH, SourceUser, spoilt
from connector_host.provisioning.sources.keys import TEXT, conditions
from connector_host.provisioning.sources.refused_queries import failed
from connector_host.provisioning.sources.threads import batches, in_thread
from connector_host.provisioning.values import is_empty

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Mapping

    from sqlalchemy.sql import Executable

    from connector_host.provisioning.settings import SqlSettings
    from connector_host.provisioning.sources.contract import Batch
    from connector_host.provisioning.values import Value


class SqlSource:
    """One query; with a mark column it gives changes, and a full read every so often finds rows that are gone."""

    def __init__(self, settings: SqlSettings, password: str | None) -> None:
        self._settings = settings
        self.gives_changes = settings.mark is not None
        self.full_every = settings.full_every if settings.mark else 0
        try:
            url = never_made(sa.make_url(settings.database))
            self._engine = sa.create_engine(
                url if password is None else url.set(password=password),
                connect_args=dict(UTF_8) if url.get_dialect().driver == "psycopg" else {},
                pool_pre_ping=True,
                pool_size=1,
                # PostgreSQL is told for each transaction, which a pooler before it understands.
                execution_options={"postgresql_readonly": True},
            )
        except (SQLAlchemyError, ImportError, ValueError, TypeError) as failure:
            raise _unusable(failure) from failure
        _set_up_sessions(self._engine)
        self._mark: str | None = None
        self._like: object = None

    async def attributes(self) -> Mapping[str, Kind] | None:
        """Return the columns of the query."""
        return await in_thread(self._columns)

    async def kinds(self) -> Mapping[str, Kind]:
        """Return which columns are dates, as far as the driver says so (SQLite's doesn't)."""
        return {name: kind for name, kind in (await in_thread(self._columns)).items() if kind is not Kind.ANY}

    async def count(self) -> int | None:
        """Return how many rows the query has, as the database counts them."""
        return await in_thread(self._counted)

    def read(self, mark: str | None) -> AsyncGenerator[Batch, None]:
        """Yield the rows of the query, those at or after the mark where there is one."""
        self._mark = mark
        return batches(lambda: self._users(self._query(mark)), lambda: self._mark)

    async def fetch(self, key: str) -> SourceUser | None:
        """Return the row with this key."""
        return await in_thread(lambda: self._found(key))

    async def lacks(self, key: str) -> bool:
        """Return whether no user has this key, and no row is without one."""
        return await self.fetch(key) is None and not await in_thread(self._has_nameless)

    async def close(self) -> None:
        """Close the connections."""
        await in_thread(self._engine.dispose)

    def _found(self, key: str) -> SourceUser | None:
        column, rows = self._column(self._settings.key), sa.select(sa.text("*")).select_from(self._wrapped())
        for condition in conditions(column, key, self._key_like()):
            for number, row in enumerate(self._rows(rows.where(condition)), 1):
                user = _user(row, number, self._settings.key)
                if user.key == key:
                    return user
        return None

    def _key_like(self) -> object:
        """Return the key of some row as the driver gives it."""
        if self._like is None:
            known = self._column(self._settings.key).is_not(None)
            rows = sa.select(sa.text("*")).select_from(self._wrapped()).where(known)
            # The first mostly does, but other keys than `infinity` look otherwise.
            likes = (row[self._settings.key] for some in (rows.limit(1), rows) for row in self._rows(some))
            self._like = next((like for like in likes if not isinstance(like, Spelled)), None)
        return self._like

    def _has_nameless(self) -> bool:
        """Return whether the key of some row has no value: it may be anybody's."""
        column = self._column(self._settings.key)
        empty = sa.or_(column.is_(None), sa.cast(column, TEXT) == "")  # also of blanks alone, for some databases
        rows = self._rows(sa.select(sa.text("*")).select_from(self._wrapped()).where(empty))
        return any(not _user(row, 0, self._settings.key).key for row in rows)

    def _query(self, mark: str | None) -> Executable:
        if mark is None or self._settings.mark is None:
            return sa.text(escaped(self._settings.query))
        # At or after: rows that share the time of the last one must not be lost. Reading one twice changes nothing.
        return (
            sa.select(sa.text("*"))
            .select_from(self._wrapped())
            .where(self._column(self._settings.mark) >= _unwritten(mark))
        )

    def _wrapped(self) -> sa.TextClause:
        query = nested(self._settings.query, self._engine.dialect.name)
        # On a line of its own, where the query ends in a comment.
        return sa.text(f"({escaped(query)}\n) source_users")

    def _column(self, name: str) -> sa.ColumnClause[Any]:
        return sa.column(name)

    def _counted(self) -> int | None:
        try:
            with self._engine.connect() as connection:
                return connection.execute(sa.select(sa.func.count()).select_from(self._wrapped())).scalar_one()
        except SQLAlchemyError:
            return None  # such as WITH in a subquery of SQL Server: the query itself may well run

    def _columns(self) -> dict[str, Kind]:
        try:
            with (
                self._engine.connect() as connection,
                as_declared(connection) as name_of,
                self._streamed(connection, self._query(None)) as result,
            ):
                names = [name_of(name) for name in list(result.keys())]
                types = dict(zip(names, (column[1] for column in result.cursor.description), strict=False))
        except SQLAlchemyError as failure:
            raise self._failed(failure) from failure
        self._demand_columns(names)
        driver = self._engine.dialect.dbapi
        return {name: Kind.DATE if _is_date(driver, code) else Kind.ANY for name, code in types.items()}

    def _users(self, query: Executable) -> Iterator[SourceUser]:
        for number, row in enumerate(self._rows(query), 1):
            if self._settings.mark is not None:
                self._advance(row[self._settings.mark])
            yield _user(row, number, self._settings.key)

    def _rows(self, query: Executable) -> Iterator[sa.RowMapping]:
        try:
            # Closed before its connection is given back: drivers that stream would trip over what is unread.
            with self._engine.connect() as connection, self._streamed(connection, query) as result:
                self._demand_columns(list(result.keys()))
                yield from result.mappings()
        except SQLAlchemyError as failure:
            raise self._failed(failure) from failure

    @staticmethod
    def _streamed(connection: sa.Connection, query: Executable) -> sa.CursorResult[Any]:
        return connection.execution_options(stream_results=True, yield_per=BATCH).execute(query)

    def _demand_columns(self, names: list[str]) -> None:
        """Raise SourceFailed unless the columns have names of their own, and key and mark are among them."""
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise SourceFailed(f"the query has several columns {twice}.", "Give each a name of its own by AS.")
        for setting, name in (("key", self._settings.key), ("mark", self._settings.mark)):
            if name is not None and name not in names:
                raise SourceFailed(
                    f"the query has no column {name}: its columns are {', '.join(names)}.",
                    f"Name one of them as `{setting}`, spelled the same, or add it to `query`.",
                )

    def _failed(self, failure: SQLAlchemyError) -> SourceFailed:
        url = self._engine.url
        if url.query.get("mode") == "rw" and url.database:
            path = Path(unquote(url.database.removeprefix("file:")))
            if not path.exists():
                return SourceFailed(f"the database {path} of the source is not there.", "Mend the path in `database`.")
        return failed(failure, url.get_backend_name())

    def _advance(self, value: Any) -> None:  # noqa: ANN401 - a driver's value
        if value is None or _is_endless(value):
            return  # nothing would ever come after it
        if isinstance(value, bytearray | memoryview):
            value = bytes(value)
        try:
            if self._mark is None or value > _unwritten(self._mark):
                self._mark = _written(value)
        except TypeError as failure:
            raise MarkTooOld(f"the values of the mark column {self._settings.mark} cannot be compared.") from failure


def _user(row: sa.RowMapping, number: int, key: str) -> SourceUser:
    values = {name: _value(value) for name, value in row.items()}
    said = row[key] if _is_endless(row[key]) else values[key]
    if said in (None, ""):
        return spoilt(f"row {number} of the query: the key {key} has no value (leave such rows out by WHERE).")
    return SourceUser(str(said), values)


def _is_endless(value: object) -> bool:
    """Return whether it is what no value stands for: infinity or the like of a moment or a number, or NaN."""
    return isinstance(value, Spelled) or (isinstance(value, float | Decimal) and is_empty(value))


def _is_date(driver: object, code: object) -> bool:
    """Return whether a column's type is a date: the type itself, or equal to one of the driver's (PEP 249)."""
    if code in {datetime, date, time}:
        return True
    return code is not None and any(
        code == getattr(driver, name, None) for name in ("DATETIME", "TIMESTAMP", "DATE", "TIME")
    )


def _written(value: Any) -> str:  # noqa: ANN401, PLR0911 - a driver's value, a line for each type
    """Return a mark as text that says its type, so that it comes back as what the column holds."""
    match value:
        case datetime():
            return f"datetime:{value.isoformat()}"
        case date():
            return f"date:{value.isoformat()}"
        case time():
            return f"time:{value.isoformat()}"
        case UUID():
            return f"uuid:{value}"
        case float():
            return f"float:{value!r}"
        case int() | Decimal():
            return f"number:{value}"
        case bytes():
            return f"bytes:{value.hex()}"
        case str():
            return f"text:{value}"
        case _:
            raise SourceFailed(f"the mark column cannot be of the type {type(value).__name__}.")


def _unwritten(mark: str) -> Any:  # noqa: ANN401, PLR0911 - a driver's value, a line for each type
    kind, _, text = mark.partition(":")
    match kind:
        case "datetime":
            return datetime.fromisoformat(text)
        case "date":
            return date.fromisoformat(text)
        case "time":
            return time.fromisoformat(text)
        case "uuid":
            return UUID(text)
        case "float":
            return float(text)
        case "number":
            return int(text) if text.lstrip("-").isdigit() else Decimal(text)
        case "bytes":
            return bytes.fromhex(text)
        case _:
            return text


def _value(value: Any) -> Value:  # noqa: ANN401, PLR0911 - a driver's value, a line for each type
    match value:
        case datetime():
            return value if value.tzinfo else value.replace(tzinfo=UTC)
        case date():
            return value.isoformat()
        case time() | UUID():
            return str(value)
        case bytes() | memoryview():
            return bytes(value).hex()
        case list():
            return tuple(one for one in value if not _is_endless(one))
        case Spelled():
            return None
        case float() | Decimal():
            return None if _is_endless(value) else value
        case None | str() | bool() | int():
            return value
        case _:
            return str(value)


def _set_up_sessions(engine: sa.Engine) -> None:
    """Have the database refuse to change anything, where it can be told so, and its driver read what it holds."""
    statement = READS_ONLY.get(engine.dialect.name)

    @sa.event.listens_for(engine, "connect")
    def set_up(connection: Any, _: object) -> None:  # noqa: ANN401 - the driver's door
        if engine.driver == "pyodbc":
            adapt(connection)
        if engine.driver == "psycopg":
            spell_moments(connection)
        if statement is None:
            return
        cursor = connection.cursor()
        cursor.execute(statement)
        cursor.close()
        connection.commit()


def _unusable(failure: Exception) -> SourceFailed:
    """Return what is wrong with a URL; a driver's other words might repeat a part of it."""
    if isinstance(failure, ImportError | NoSuchModuleError):
        return SourceFailed(
            f"the driver that the database URL of the source names is not installed ({failure}).",
            "Install it, or name one that is in `database`, such as mysql+pymysql://…",
        )
    return SourceFailed(f"the database URL of the source cannot be used ({type(failure).__name__}).")
