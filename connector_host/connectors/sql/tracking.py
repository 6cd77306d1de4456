"""SQL Server's change tracking as a change log: the keys of changed and deleted rows by version, kept by the server.

Read in one transaction under SNAPSHOT, as Microsoft advises: otherwise the clean-up may take rows between the look at
the oldest version and the reading, and what is committed meanwhile lies behind a mark that was taken too late.
https://learn.microsoft.com/en-us/sql/relational-databases/track-changes/work-with-change-tracking-sql-server

A row is known by its primary key, so that must be the anchor. A key that was written anew in another case only, under
a collation that does not tell cases apart, is one row to the server: its old spelling stays until a snapshot is taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.sql import quoted_name

from connector_host.connectors.contract import to_text
from connector_host.connectors.sql import discovery, predicates
from connector_host.connectors.sql.sqlstate import translated
from connector_host.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from connector_host.connectors.sql.describing import Row
    from connector_host.connectors.sql.shapes import Shape

PAGE = 1_000
SNAPSHOTS_ON = 1
"""snapshot_isolation_state of sys.databases."""

INSTALL = (
    (
        "IF NOT EXISTS (SELECT 1 FROM sys.change_tracking_databases WHERE database_id = DB_ID()) "
        "ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 7 DAYS, AUTO_CLEANUP = ON);"
    ),
    "ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION ON;",
    "ALTER TABLE {table} ENABLE CHANGE_TRACKING;",
)
REMOVE = ("ALTER TABLE {table} DISABLE CHANGE_TRACKING;",)
"""What the database was set to stays: other tables may be tracked, and other programs read snapshots."""


def statements(connection: Connection, shape: Shape, *, remove: bool) -> tuple[str, ...]:
    """Return what turns change tracking on for the table, or off; empty where the database has none.

    Raises ConfigurationError where the table cannot be followed by it.
    """
    if "tracking" not in shape.dialect.catalogue:
        return ()
    if not remove:
        _demand_key(shape)
    table = connection.dialect.identifier_preparer.format_table(shape.table)
    return tuple(template.format(table=table) for template in (REMOVE if remove else INSTALL))


def is_followed(connection: Connection, shape: Shape) -> bool:
    """Return whether the table's changes are tracked in a way that an import can use, whatever the login may."""
    return discovery.tracked(connection, shape.dialect, shape.facts.relation) is not None and _is_key(shape)


def opened(connection: Connection, shape: Shape) -> Tracking | None:
    """Return the log, as of one moment from now on; None where changes of the table are not tracked.

    Raises ConfigurationError where they are, and cannot be used as things stand.
    """
    with translated(shape.dialect.name):
        found = discovery.tracked(connection, shape.dialect, shape.facts.relation)
        if found is None:
            return None
        number = demanded(found, shape)
        # What was asked so far began a transaction, and one under SNAPSHOT begins with it.
        connection.rollback()
        connection.execution_options(isolation_level="SNAPSHOT")
        oldest, newest = connection.execute(versions(number)).one()
    return Tracking(connection, shape, oldest, newest)


def demanded(found: Row, shape: Shape) -> int:
    """Return the table's number; raises ConfigurationError that names what is missing."""
    _demand_key(shape)
    name = shape.table.name
    if found["oldest"] is None:
        raise ConfigurationError(
            f"The login may not see the changes of {name} that SQL Server tracks: run what `connector-host grants` "
            "prints (VIEW CHANGE TRACKING)."
        )
    if found["snapshots"] != SNAPSHOTS_ON:
        raise ConfigurationError(
            "Tracked changes are read as of one moment, which the database does not allow: run "
            "`ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION ON;` as its administrator."
        )
    return int(str(found["object_id"]))


def _is_key(shape: Shape) -> bool:
    return any(key.primary and key.columns == (shape.object_type.anchor,) for key in shape.facts.keys)


def _demand_key(shape: Shape) -> None:
    if not _is_key(shape):
        raise ConfigurationError(
            f"Change tracking knows a row by its primary key, and {shape.object_type.anchor} is not that of "
            f"{shape.table.name}: make the change log that `connector-host change-log` prints without --tracking, or "
            "import by snapshot."
        )


@dataclass(frozen=True, slots=True)
class Tracking:
    """Tracked changes as they are at one moment (see contract.ChangeLog); a mark is a version."""

    connection: Connection
    shape: Shape
    oldest: int
    """The version behind which everything is still known."""
    newest: int
    # No attribute has a blank at its start.
    name: str = " change tracking"

    def end(self, kept: str | None) -> str:
        """Return the version of this moment, whatever was kept: a database that was restored counts from lower."""
        del kept
        return str(self.newest)

    def reaches(self, mark: str) -> bool:
        """Return whether nothing behind the mark was cleaned up, truncated away, or counted anew."""
        return self.oldest <= int(mark) <= self.newest

    def anchors(self, mark: str, overlap: float | None) -> Iterator[list[str]]:
        """Yield what was changed or deleted behind the mark, a page at a time."""
        if overlap:
            raise ConfigurationError("overlap: change tracking needs none; leave it out.")
        # The driver sends an integer as one: CHANGETABLE takes no expression, so none may be cast.
        given: dict[str, object] = {"since": int(mark)}
        codec = self.shape.anchor.codec
        while True:
            with translated(self.shape.dialect.name):
                statement = page_of(self.connection.dialect, self.shape, later="after_" in given)
                found = self.connection.execute(statement, given).scalars().all()
            if not found:
                return
            values = [codec.decode(raw) for raw in found]
            given["after_"] = codec.encode(values[-1])
            yield [to_text(value) for value in values]


def versions(number: int) -> sa.Select[*tuple[int, int]]:
    """Return what asks for the oldest version that can be read on from, and for that of this moment."""
    return sa.select(
        sa.func.change_tracking_min_valid_version(number, type_=sa.BigInteger()).label("oldest"),
        sa.func.change_tracking_current_version(type_=sa.BigInteger()).label("newest"),
    )


def page_of(dialect: sa.Dialect, shape: Shape, *, later: bool) -> sa.Select[*tuple[object, ...]]:
    """Return what reads the keys that were changed behind the version :since, in order, from :after_ on if `later`."""
    # A colon in a name would be taken for a parameter.
    table = dialect.identifier_preparer.format_table(shape.table).replace(":", "\\:")
    source: Any = sa.text(f"CHANGETABLE(CHANGES {table}, :since) AS changed")
    key: sa.ColumnElement[Any] = sa.column(quoted_name(shape.object_type.anchor, quote=True))
    statement: sa.Select[Any] = sa.select(key).select_from(source).order_by(key).limit(PAGE)
    return statement.where(key > predicates.compared(shape.anchor, shape, "after_")) if later else statement
