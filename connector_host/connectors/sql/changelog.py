"""A change log that triggers feed: the statements that make one, the statements that take it away, and reading it.

    log table   number, anchor, at      one row for each change of a row, and for each deletion

The statements are printed for an administrator to run, never run by us. Only the anchor is written down; what became
of a row is read from the table itself. The time is the database's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from connector_host.connectors.sql import discovery
from connector_host.connectors.sql.columns import AsDriver
from connector_host.connectors.sql.moments import to_moment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from sqlalchemy import Connection

    from connector_host.connectors.sql.shapes import Shape

PAGE = 1_000
SUFFIX = "_changes"

POSTGRESQL = (
    (
        "CREATE TABLE {log} (number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, anchor text NOT NULL, "
        "at timestamptz NOT NULL DEFAULT now());"
    ),
    "CREATE INDEX ON {log} (at);",
    (
        "CREATE FUNCTION {routine}() RETURNS trigger LANGUAGE plpgsql "
        "SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$ BEGIN "
        "IF TG_OP <> 'INSERT' THEN INSERT INTO {log} (anchor) VALUES (OLD.{anchor}); END IF; "
        "IF TG_OP <> 'DELETE' THEN INSERT INTO {log} (anchor) VALUES (NEW.{anchor}); END IF; RETURN NULL; END $$;"
    ),
    "CREATE TRIGGER {trigger} AFTER INSERT OR UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION {routine}();",
)
MYSQL = (
    (
        "CREATE TABLE {log} (number bigint AUTO_INCREMENT PRIMARY KEY, anchor varchar(450) NOT NULL, "
        "at timestamp(6) NOT NULL DEFAULT current_timestamp(6), KEY (at)) ENGINE=InnoDB;"
    ),
    "CREATE TRIGGER {insert} AFTER INSERT ON {table} FOR EACH ROW INSERT INTO {log} (anchor) VALUES (NEW.{anchor});",
    (
        "CREATE TRIGGER {update} AFTER UPDATE ON {table} FOR EACH ROW "
        "INSERT INTO {log} (anchor) SELECT OLD.{anchor} UNION SELECT NEW.{anchor};"
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
        "BEGIN INSERT INTO {log} (anchor) SELECT OLD.{anchor} UNION SELECT NEW.{anchor}; END;"
    ),
    "CREATE TRIGGER {delete} AFTER DELETE ON {table} BEGIN INSERT INTO {log} (anchor) VALUES (OLD.{anchor}); END;",
)
INSTALL = {"postgresql": POSTGRESQL, "mysql": MYSQL, "sqlite": SQLITE}
REMOVE = {
    "postgresql": ("DROP TRIGGER {trigger} ON {table};", "DROP FUNCTION {routine}();", "DROP TABLE {log};"),
    "mysql": ("DROP TRIGGER {insert};", "DROP TRIGGER {update};", "DROP TRIGGER {delete};", "DROP TABLE {log};"),
    "sqlite": ("DROP TRIGGER {insert};", "DROP TRIGGER {update};", "DROP TRIGGER {delete};", "DROP TABLE {log};"),
}


def statements(connection: Connection, shape: Shape, *, remove: bool) -> tuple[str, ...]:
    """Return what makes the log, or takes it away; empty where none is known for the database.

    Names are quoted by SQLAlchemy's own rules for the database, whatever they hold.
    """
    templates = (REMOVE if remove else INSTALL).get(shape.dialect.name, ())
    preparer = connection.dialect.identifier_preparer
    name = shape.table.schema
    if name is None and shape.dialect.name == "postgresql":
        # The routine runs with its owner's rights, so nothing in it may depend on the caller's search path.
        name = str(connection.scalar(sa.text("SELECT current_schema()")))
    schema = "" if name is None else preparer.quote_identifier(name) + "."
    log = shape.table.name + SUFFIX

    def quoted(name: str) -> str:
        return preparer.quote_identifier(name).replace("%%", "%")

    names = {
        "table": schema + quoted(shape.table.name),
        "log": schema + quoted(log),
        "routine": schema + quoted(f"{log}_log"),
        "trigger": quoted(f"{log}_log"),
        "anchor": quoted(shape.object_type.anchor),
        **{event: schema * (shape.dialect.name == "mysql") + quoted(f"{log}_{event}") for event in _EVENTS},
    }
    return tuple(template.format(**names) for template in templates)


_EVENTS = ("insert", "update", "delete")


def exists(connection: Connection, shape: Shape) -> bool:
    """Return whether the log is there, and the login may see it."""
    return discovery.exists(connection, shape.dialect, shape.table.name + SUFFIX, shape.table.schema)


def last(connection: Connection, shape: Shape) -> datetime | None:
    """Return the time of the latest change that is written down; None where there is none yet."""
    found = connection.execute(sa.select(sa.func.max(_log(shape).c.at))).scalar()
    return None if found is None else to_moment(found)


def anchors(connection: Connection, shape: Shape, since: datetime) -> Iterator[list[str]]:
    """Yield the anchors that were written down at this time or later, a page at a time, each once a page."""
    log = _log(shape)
    parameters = shape.dialect.parameters
    bound: object = since
    if not parameters.native_moments or shape.dialect.name != "postgresql":
        bound = since.replace(tzinfo=None) if shape.dialect.name != "postgresql" else since
        bound = bound.isoformat(" ", "microseconds" if shape.dialect.name != "sqlite" else "milliseconds")
    number = 0
    while True:
        page = connection.execute(
            sa.select(log.c.number, log.c.anchor)
            .where(log.c.at >= bound, log.c.number > number)
            .order_by(log.c.number)
            .limit(PAGE)
        ).all()
        if not page:
            return
        number = page[-1][0]
        yield list(dict.fromkeys(str(anchor) for _, anchor in page))


def _log(shape: Shape) -> sa.Table:
    return sa.Table(
        shape.table.name + SUFFIX,
        sa.MetaData(),
        *(sa.Column(name, AsDriver(), quote=True) for name in ("number", "anchor", "at")),
        schema=shape.table.schema,
        quote=True,
        quote_schema=None if shape.table.schema is None else True,
    )
