"""A change log that triggers feed: the statements that make one, the statements that take it away, and reading it.

    log table   number, anchor, at      one row for each change of a row, and for each deletion

The statements are printed for an administrator to run, never run by us. Only the anchor is written down; what became
of a row is read from the table itself. The time is the database's own. A change writes down the anchor as it was and as
it is: only exact comparison could tell that they are the same, and a collation may know none.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from connector_host.connectors.contract import to_text
from connector_host.connectors.sql import discovery
from connector_host.connectors.sql.columns import AsDriver, Family, Unfit
from connector_host.connectors.sql.moments import to_moment
from connector_host.connectors.sql.sqlstate import translated
from connector_host.connectors.sql.statements import quoted
from connector_host.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection

    from connector_host.connectors.sql.shapes import Shape

PAGE = 1_000
SUFFIX = "_changes"

POSTGRESQL = (
    (
        "CREATE TABLE {log} (number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, anchor text NOT NULL, "
        "at timestamptz NOT NULL DEFAULT clock_timestamp());"
    ),
    "CREATE INDEX ON {log} (at);",
    (
        "CREATE FUNCTION {routine}() RETURNS trigger LANGUAGE plpgsql "
        "SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$ BEGIN IF TG_OP = 'TRUNCATE' THEN "
        "INSERT INTO {log} (anchor) VALUES (''); DELETE FROM {log}; INSERT INTO {log} (anchor) VALUES (''); "
        "RETURN NULL; END IF; "
        "IF TG_OP <> 'INSERT' THEN INSERT INTO {log} (anchor) VALUES (OLD.{anchor}); END IF; "
        "IF TG_OP <> 'DELETE' THEN INSERT INTO {log} (anchor) VALUES (NEW.{anchor}); END IF; RETURN NULL; END $$;"
    ),
    "CREATE TRIGGER {trigger} AFTER INSERT OR UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION {routine}();",
    "CREATE TRIGGER {truncate} AFTER TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION {routine}();",
)
"""A TRUNCATE names nobody, so it leaves a gap in the numbers, after which an import reads the table. Nobody else's
triggers fire for it."""
MYSQL = (
    (
        "CREATE TABLE {log} (number bigint AUTO_INCREMENT PRIMARY KEY, anchor varchar(450) NOT NULL, "
        "at timestamp(6) NOT NULL DEFAULT current_timestamp(6), KEY (at)) ENGINE=InnoDB;"
    ),
    "CREATE TRIGGER {insert} AFTER INSERT ON {table} FOR EACH ROW INSERT INTO {log} (anchor) VALUES (NEW.{anchor});",
    (
        "CREATE TRIGGER {update} AFTER UPDATE ON {table} FOR EACH ROW "
        "INSERT INTO {log} (anchor) VALUES (OLD.{anchor}), (NEW.{anchor});"
    ),
    "CREATE TRIGGER {delete} AFTER DELETE ON {table} FOR EACH ROW INSERT INTO {log} (anchor) VALUES (OLD.{anchor});",
)
SQLITE = (
    (
        "CREATE TABLE {log} (number INTEGER PRIMARY KEY AUTOINCREMENT, anchor text NOT NULL, "
        "at datetime NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now')));"
    ),
    "CREATE TRIGGER {insert} AFTER INSERT ON {table} BEGIN INSERT INTO {log} (anchor) VALUES (NEW.{anchor}); END;",
    (
        "CREATE TRIGGER {update} AFTER UPDATE ON {table} "
        "BEGIN INSERT INTO {log} (anchor) VALUES (OLD.{anchor}), (NEW.{anchor}); END;"
    ),
    "CREATE TRIGGER {delete} AFTER DELETE ON {table} BEGIN INSERT INTO {log} (anchor) VALUES (OLD.{anchor}); END;",
)
# Of each of the following, the columns are quoted since the names that we ask for are in lower case.
MSSQL = (
    (
        "CREATE TABLE {log} ([number] bigint IDENTITY PRIMARY KEY, [anchor] nvarchar(450) NOT NULL, "
        "[at] datetime2(6) NOT NULL DEFAULT sysutcdatetime());"
    ),
    "CREATE INDEX {index} ON {log} ([at]);\nGO",
    (
        "CREATE TRIGGER {routine} ON {table} AFTER INSERT, UPDATE, DELETE AS BEGIN SET NOCOUNT ON; "
        "INSERT INTO {log} ([anchor]) SELECT {anchor} FROM inserted UNION ALL SELECT {anchor} FROM deleted; END;\nGO"
    ),
)
ORACLE = (
    (
        'CREATE TABLE {log} ("number" number(19) GENERATED ALWAYS AS IDENTITY PRIMARY KEY, '
        '"anchor" varchar2(450 CHAR) NOT NULL, "at" timestamp(6) DEFAULT sys_extract_utc(systimestamp) NOT NULL);'
    ),
    'CREATE INDEX {schema}{index} ON {log} ("at");',
    (
        "CREATE TRIGGER {routine} AFTER INSERT OR UPDATE OR DELETE ON {table} FOR EACH ROW BEGIN "
        'IF NOT INSERTING THEN INSERT INTO {log} ("anchor") VALUES (:OLD.{anchor}); END IF; '
        'IF NOT DELETING THEN INSERT INTO {log} ("anchor") VALUES (:NEW.{anchor}); END IF; END;\n/'
    ),
)
# The default of a column of DB2 cannot be computed, and its CURRENT TIMESTAMP is the server's own clock.
DB2 = (
    (
        'CREATE TABLE {log} ("number" bigint NOT NULL GENERATED ALWAYS AS IDENTITY PRIMARY KEY, '
        '"anchor" varchar(450) NOT NULL, "at" timestamp(6) NOT NULL);'
    ),
    'CREATE INDEX {schema}{index} ON {log} ("at");',
    (
        "CREATE TRIGGER {insert} AFTER INSERT ON {table} REFERENCING NEW AS n FOR EACH ROW "
        'INSERT INTO {log} ("anchor", "at") VALUES (varchar(n.{anchor}), CURRENT TIMESTAMP - CURRENT TIMEZONE);'
    ),
    (
        "CREATE TRIGGER {update} AFTER UPDATE ON {table} REFERENCING OLD AS o NEW AS n FOR EACH ROW "
        'INSERT INTO {log} ("anchor", "at") VALUES (varchar(o.{anchor}), CURRENT TIMESTAMP - CURRENT TIMEZONE), '
        "(varchar(n.{anchor}), CURRENT TIMESTAMP - CURRENT TIMEZONE);"
    ),
    (
        "CREATE TRIGGER {delete} AFTER DELETE ON {table} REFERENCING OLD AS o FOR EACH ROW "
        'INSERT INTO {log} ("anchor", "at") VALUES (varchar(o.{anchor}), CURRENT TIMESTAMP - CURRENT TIMEZONE);'
    ),
)
INSTALL = {
    "postgresql": POSTGRESQL,
    "mysql": MYSQL,
    "sqlite": SQLITE,
    "mssql": MSSQL,
    "oracle": ORACLE,
    "db2": DB2,
}
REMOVE = {
    "postgresql": (
        "DROP TRIGGER {trigger} ON {table};",
        "DROP TRIGGER {truncate} ON {table};",
        "DROP FUNCTION {routine}();",
        "DROP TABLE {log};",
    ),
    "mysql": ("DROP TRIGGER {insert};", "DROP TRIGGER {update};", "DROP TRIGGER {delete};", "DROP TABLE {log};"),
    "sqlite": ("DROP TRIGGER {insert};", "DROP TRIGGER {update};", "DROP TRIGGER {delete};", "DROP TABLE {log};"),
    "mssql": ("DROP TRIGGER {routine};", "DROP TABLE {log};"),
    "oracle": ("DROP TRIGGER {routine};", "DROP TABLE {log} PURGE;"),
    "db2": ("DROP TRIGGER {insert};", "DROP TRIGGER {update};", "DROP TRIGGER {delete};", "DROP TABLE {log};"),
}


def statements(connection: Connection, shape: Shape, *, remove: bool) -> tuple[str, ...]:
    """Return what makes the log, or takes it away; empty where none is known for the database.

    Names are quoted by SQLAlchemy's own rules for the database, whatever they hold.
    """
    if shape.anchor.discovered.kind.family is Family.BINARY_UUID and not remove:
        raise ConfigurationError(
            f"{shape.object_type.anchor} is kept as bytes, and a change log keeps text: import by snapshot instead."
        )
    templates = (REMOVE if remove else INSTALL).get(shape.dialect.name, ())
    name = shape.table.schema
    if name is None and shape.dialect.name == "postgresql":
        # The routine runs with its owner's rights, so nothing in it may depend on the caller's search path.
        name = str(connection.scalar(sa.text("SELECT current_schema()")))
    schema = "" if name is None else quoted(connection, name) + "."
    log = shape.table.name + SUFFIX
    spelled = partial(quoted, connection)
    names = {
        "table": schema + spelled(shape.table.name),
        "log": schema + spelled(log),
        "routine": schema + spelled(f"{log}_log"),
        "trigger": spelled(f"{log}_log"),
        "schema": schema,
        "index": spelled(f"{log}_at"),
        "anchor": spelled(shape.object_type.anchor),
        **{event: schema * (shape.dialect.name in ("mysql", "db2")) + spelled(f"{log}_{event}") for event in _EVENTS},
    }
    return tuple(template.format(**names) for template in templates)


_EVENTS = ("insert", "update", "delete", "truncate")


@dataclass(frozen=True, slots=True)
class TriggerLog:
    """The log as it is read (see contract.ChangeLog).

    A mark is the latest time, the greatest number, and the time of the row with that. By the first the log is read
    again from a while before, since a slow transaction commits late with an early time; by the number it is known
    whether rows were pruned unread, and by its row's own time whether it is a row of this log.
    """

    connection: Connection
    shape: Shape
    # No attribute has a blank at its start.
    name: str = " change log"

    def end(self, kept: str | None) -> str:
        """Return the mark of the end of the log; one of a log that never had a row is before all times."""
        with translated(self.shape.dialect.name):
            moment, number = self.connection.execute(end_of(self.shape)).one()
        if moment is None:
            return f"{NEVER.isoformat()} 0" if kept is None else kept
        return f"{to_moment(moment).isoformat()} {number} {self._moment_of(int(number))}"

    def reaches(self, mark: str) -> bool:
        """Return whether the first row that is left follows the mark's, or the mark's is still there.

        A log that has numbers on both sides of the mark's and another row under it was made anew; of one that was
        empty, or was emptied, nobody knows what was in it. A number that a transaction took and gave back makes a gap
        that looks like pruned rows; then too much is read.
        """
        with translated(self.shape.dialect.name):
            first, last = self.connection.execute(ends_of(self.shape)).one()
        _, number, *rest = mark.split(" ")
        if first is None or number == "0":
            return first is None and number == "0"
        if int(first) > int(number):
            return int(first) == int(number) + 1
        return int(last) >= int(number) and rest == [self._moment_of(int(number))]

    def _moment_of(self, number: int) -> str:
        """Return the time of a row; empty where it is gone."""
        with translated(self.shape.dialect.name):
            moment = self.connection.scalar(moment_of(self.shape, number))
        return "" if moment is None else to_moment(moment).isoformat()

    def anchors(self, mark: str, overlap: float | None) -> Iterator[list[str]]:
        """Yield what was written down since, a page at a time, each anchor once a page."""
        since = datetime.fromisoformat(mark.split(" ", maxsplit=1)[0])
        since -= timedelta(seconds=OVERLAP_S if overlap is None else overlap)
        with translated(self.shape.dialect.name):
            yield from _anchors(self.connection, self.shape, since)


NEVER = datetime(1970, 1, 1, tzinfo=UTC)
OVERLAP_S = 300.0
"""How far before its mark the log is read again (sql-connectors.md §3.7)."""


def opened(connection: Connection, shape: Shape) -> TriggerLog | None:
    """Return the log of a table; None where there is none that the login may see."""
    with translated(shape.dialect.name):
        there = discovery.exists(connection, shape.dialect, shape.table.name + SUFFIX, shape.table.schema)
    return TriggerLog(connection, shape) if there else None


def end_of(shape: Shape) -> sa.Select[*tuple[Any, ...]]:
    """Return what asks for the latest time and the greatest number."""
    log = _log(shape)
    return sa.select(sa.func.max(log.c.at).label("latest_at"), sa.func.max(log.c.number).label("last_number"))


def ends_of(shape: Shape) -> sa.Select[*tuple[Any, ...]]:
    """Return what asks for the least and the greatest number."""
    number = _log(shape).c.number
    return sa.select(sa.func.min(number).label("first_number"), sa.func.max(number).label("last_number"))


def moment_of(shape: Shape, number: int) -> sa.Select[*tuple[Any, ...]]:
    """Return what asks for the time of one row."""
    log = _log(shape)
    return sa.select(log.c.at).where(log.c.number == number)


def _anchors(connection: Connection, shape: Shape, since: datetime) -> Iterator[list[str]]:
    """Yield the anchors that were written down at this time or later."""
    parameters = shape.dialect.parameters
    bound: object = since
    if not parameters.native_moments or shape.dialect.name != "postgresql":
        bound = since.replace(tzinfo=None) if shape.dialect.name != "postgresql" else since
        bound = bound.isoformat(" ", "microseconds" if shape.dialect.name != "sqlite" else "milliseconds")
    number = 0
    while True:
        page: Sequence[Any] = connection.execute(page_of(shape, bound, number)).all()
        if not page:
            return
        number = page[-1][0]
        yield list(dict.fromkeys(_canonical(shape, str(anchor)) for _, anchor in page))


def page_of(shape: Shape, bound: object, number: int) -> sa.Select[*tuple[object, ...]]:
    """Return what reads the next page of the log behind a number, from a time on."""
    log = _log(shape)
    asked = sa.select(log.c.number, log.c.anchor).where(log.c.at >= bound, log.c.number > number)
    asked = asked.order_by(log.c.number)
    return asked.fetch(PAGE) if shape.dialect.paging == "fetch" else asked.limit(PAGE)


def _canonical(shape: Shape, text: str) -> str:
    """Return an anchor as it is spelled everywhere else: triggers write a UUID in upper case, or blanks behind it."""
    try:
        return to_text(shape.anchor.codec.decode(text))
    except Unfit:
        return text


def _log(shape: Shape) -> sa.Table:
    return sa.Table(
        shape.table.name + SUFFIX,
        sa.MetaData(),
        *(sa.Column(name, AsDriver(), quote=True) for name in ("number", "anchor")),
        sa.Column("at", shape.dialect.conversions.get(Family.NAIVE_MOMENT, AsDriver()), quote=True),
        schema=shape.table.schema,
        quote=True,
        quote_schema=None if shape.table.schema is None else True,
    )
