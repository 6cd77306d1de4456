"""Imports: every row at one moment, through a cursor that the server keeps, so that memory stays bounded."""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy.exc import DBAPIError

from connector_host.connectors.sql import (
    changelog,
    conditions,
    moments,
    queries,
    rowversions,
    shapes,
    sources,
    tracking,
)
from connector_host.connectors.sql.dialects import dialect_of
from connector_host.connectors.sql.engines import open_engine, parse_url
from connector_host.connectors.sql.passwords import password_of
from connector_host.connectors.sql.sqlstate import translated
from connector_host.errors import ConfigurationError
from connector_host.observability import events

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from connector_host.connectors.contract import ChangeLog, Condition, ObjectType, Row
    from connector_host.connectors.sql.dialect import ServerCursor
    from connector_host.connectors.sql.known import Known
    from connector_host.connectors.sql.shapes import Shape
    from connector_host.connectors.sql.statements import Statement
    from connector_host.settings import SqlSettings

log = structlog.get_logger()

IMPORT_S = 3_600.0
"""Seconds that one statement of an import may take: it may have to sort the whole table first."""
BATCH = 1_000
"""Rows that are fetched at once."""


class SqlImporter:
    """One connection in one consistent transaction."""

    def __init__(self, name: str, connection: Connection, shape: Shape) -> None:
        self._name = name
        self._connection = connection
        self._shape = shape
        self._reported: set[str] = set()

    @property
    def object_type(self) -> ObjectType:
        """The object type, as it was discovered when the importer was opened."""
        return self._shape.object_type

    def batches(self, condition: Condition, *, sort_by: str | None = None) -> Iterator[Sequence[Row]]:
        """Yield the rows that match (see contract.Importer)."""
        shape = self._shape
        values: list[object] = []
        question = conditions.ask(condition, shape, values)
        statement = queries.everything(self._connection, shape, question, sort_by)
        yield from self._stream(statement, {f"v{number}": value for number, value in enumerate(values)})

    def earliest(self, attribute: str, moment: datetime) -> datetime:
        """Return the earliest moment that any from this one on may read as (see contract.Importer)."""
        zone = self._shape.columns[attribute].codec.zone
        return moment if zone is None else moments.earliest(zone, moment)

    def horizon(self, column: str) -> int | None:
        """Return the row version below which everything is committed (see contract.Importer)."""
        if not rowversions.is_stamp(self._shape, column):
            return None
        with translated(self._shape.dialect.name):
            return rowversions.horizon(self._connection, self._shape)

    def stamped_since(self, column: str, version: int) -> Iterator[Sequence[Row]]:
        """Yield the rows with this row version or a later one (see contract.Importer)."""
        statement = rowversions.statement(self._connection, self._shape, column)
        yield from self._stream(statement, {rowversions.SINCE: str(version)})

    def _stream(self, statement: Statement, values: Mapping[str, object]) -> Iterator[Sequence[Row]]:
        """Yield the rows of a statement."""
        shape = self._shape
        given = statement.bound(values)
        # The driver's own cursor: SQLAlchemy's rows would cost as much again as reading them.
        with (
            translated(shape.dialect.name),
            _wrapped(self._connection),
            closing(_server_cursor(self._connection, shape.dialect.server_cursor)) as cursor,
        ):
            cursor.execute(statement.text, given)
            while part := cursor.fetchmany(BATCH):
                yield shape.decoded(part, self._unreadable)

    def entries(self, anchors: Sequence[str]) -> dict[str, Row]:
        """Return the rows with these anchors (see contract.Importer)."""
        with translated(self._shape.dialect.name):
            found = queries.read(self._connection, self._shape, anchors, self._unreadable)
        # The values of an entry are in the order of the columns.
        return {anchor: tuple(entry.values.values()) for anchor, entry in found.items()}

    def change_log(self) -> ChangeLog:
        """Return the log of the table's changes (see contract.Importer)."""
        if self._shape.is_query:
            raise ConfigurationError(
                "query: has no change log, which triggers of one table feed. Import by the profile full, snapshot or "
                "watermark."
            )
        found = changelog.opened(self._connection, self._shape) or tracking.opened(self._connection, self._shape)
        if found is None:
            raise ConfigurationError(
                f"The table {self._shape.table.name} has no change log: run what `connector-host change-log` "
                "prints as an administrator of the database."
            )
        return found

    def _unreadable(self, column: str) -> None:
        if column not in self._reported:
            self._reported.add(column)
            log.warning(events.COLUMN_UNREADABLE, connector=self._name, column=column)


@contextmanager
def open_importer(name: str, settings: SqlSettings, known: Known | None = None) -> Iterator[SqlImporter]:
    """Connect, discover the table, and give an importer; nothing is left open afterwards."""
    url = parse_url(settings.database, password_of(settings))
    dialect = dialect_of(url)
    engine = open_engine(url, size=1, statement_s=IMPORT_S, purpose="importing", reads_only=settings.query is not None)
    try:
        with translated(dialect.name), engine.connect() as connection:
            facts = sources.facts_of(connection, dialect, settings)
            shape = shapes.build(facts, settings, dialect, known)
            yield SqlImporter(name, connection, shape)
    finally:
        engine.dispose()


def _server_cursor(connection: Connection, kind: ServerCursor) -> Any:  # noqa: ANN401 - the driver's door
    """Return a cursor whose rows stay on the server until they are fetched."""
    driver: Any = connection.connection.driver_connection
    match kind:
        case "named":
            return driver.cursor(name="import")
        case "unbuffered":
            from pymysql.cursors import SSCursor  # noqa: PLC0415 - only where this driver is installed

            return driver.cursor(SSCursor)
        case "plain":
            return driver.cursor()


@contextmanager
def _wrapped(connection: Connection) -> Iterator[None]:
    """Wrap what the driver raises by itself as SQLAlchemy would."""
    try:
        yield
    except connection.dialect.loaded_dbapi.Error as error:
        raise DBAPIError(None, None, error) from error
