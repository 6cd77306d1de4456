"""A change log that triggers feed: the statements that make one, and those that take it away.

    log table   number, anchor, at      one row for each change of a row, and for each deletion
                stamp                   a row version, where the database has them

The statements are printed for an administrator to run, never run by us. Only the anchor is written down; what became
of a row is read from the table itself (changelog). The time is the database's own. A change writes down the anchor as
it was and as it is: only exact comparison could tell that they are the same, and a collation may know none.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import sqlalchemy as sa

from connector_host.connectors.sql.columns import Family
from connector_host.connectors.sql.statements import quoted
from connector_host.errors import ConfigurationError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from connector_host.connectors.sql.shapes import Shape

SUFFIX = "_changes"
STAMP = "stamp"
STAMPS_SINCE = (13,)
"""The version of PostgreSQL that has xid8."""

POSTGRESQL_12 = (
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
POSTGRESQL = (
    POSTGRESQL_12[0],
    # Apart, since an administrator gives a log of before the same.
    "ALTER TABLE {log} ADD COLUMN stamp xid8 NOT NULL DEFAULT pg_current_xact_id();",
    "CREATE INDEX ON {log} (stamp);",
    *POSTGRESQL_12[1:],
)
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
        "[at] datetime2(6) NOT NULL DEFAULT sysutcdatetime(), [stamp] rowversion);"
    ),
    "CREATE INDEX {index} ON {log} ([at]);",
    "CREATE INDEX {stamps} ON {log} ([stamp]);\nGO",
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
    if templates is POSTGRESQL and connection.dialect.server_version_info < STAMPS_SINCE:  # type: ignore[operator]
        templates = POSTGRESQL_12
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
        "stamps": spelled(f"{log}_stamp"),
        "anchor": spelled(shape.object_type.anchor),
        **{event: schema * (shape.dialect.name in ("mysql", "db2")) + spelled(f"{log}_{event}") for event in _EVENTS},
    }
    return tuple(template.format(**names) for template in templates)


_EVENTS = ("insert", "update", "delete", "truncate")
