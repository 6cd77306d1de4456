"""Views: whether the database can write through one, by itself or by INSTEAD OF triggers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from connector_host.databases.failures import understand

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from connector_host.connectors.sql.shapes import Shape
    from connector_host.settings import SqlSettings

WRITES = ("INSERT", "UPDATE", "DELETE")

_POSTGRESQL_BITS = {"UPDATE": 1 << 2, "INSERT": 1 << 3, "DELETE": 1 << 4}
"""Of pg_relation_is_updatable(): one bit a command, in the order of PostgreSQL's enum CmdType."""

_ASKED = {
    "postgresql": (
        "SELECT pg_relation_is_updatable(c.oid, true) FROM pg_class AS c "
        "JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.relkind IN ('v', 'm') "
        "AND c.relname = :table AND n.nspname = coalesce(:schema, current_schema())"
    ),
    "mysql": (
        "SELECT is_updatable FROM information_schema.views "
        "WHERE table_name = :table AND table_schema = coalesce(:schema, database())"
    ),
    "sqlite": (
        "SELECT coalesce(group_concat(t.sql, ' '), '') FROM sqlite_master AS v LEFT JOIN sqlite_master AS t "
        "ON t.type = 'trigger' AND t.tbl_name = v.name COLLATE NOCASE "
        "WHERE v.type = 'view' AND v.name = :table COLLATE NOCASE GROUP BY v.name"
    ),
}


_NOT_THROUGH_A_JOIN = frozenset({"1288", "1393", "1394", "1395", "1471"})
"""What MariaDB and MySQL say to a write that a view cannot take (https://mariadb.com/kb/en/mariadb-error-codes/)."""


def passed_over(connection: Connection, shape: Shape, settings: SqlSettings) -> tuple[str, ...] | None:
    """Return the writes that the database cannot do through the view; None where it is no view, or cannot be told."""
    dialect = shape.dialect
    statement = _ASKED.get(dialect.name)
    if statement is None or settings.query is not None:
        return None
    names = {"table": settings.table, "schema": settings.database_schema}
    given = {name: value for name, value in names.items() if f":{name}" in statement}
    asked = sa.text(statement).bindparams(*(sa.bindparam(name, type_=sa.String()) for name in given))
    answer = connection.execute(asked, given).scalar()
    match dialect.name:
        case _ if answer is None:
            return None
        case "postgresql":
            return tuple(write for write in WRITES if not int(answer) & _POSTGRESQL_BITS[write])
        case "mysql":
            return _refused(connection, shape) if str(answer).upper() == "YES" else WRITES
        case _:
            return tuple(
                write for write in WRITES if not re.search(rf"\bINSTEAD\s+OF\s+{write}\b", str(answer), re.IGNORECASE)
            )


def _refused(connection: Connection, shape: Shape) -> tuple[str, ...]:
    """Return the writes that MariaDB or MySQL refuses through a view that they call updatable, as every join is."""
    columns = {name: column.sql for name, column in shape.columns.items() if not column.discovered.facts.always}
    none = sa.select(*columns.values()).where(sa.false())
    tried: Mapping[str, sa.Insert | sa.Update | sa.Delete] = {
        "INSERT": sa.insert(shape.table).from_select(list(columns), none),
        "UPDATE": sa.update(shape.table).values(columns).where(sa.false()),
        "DELETE": sa.delete(shape.table).where(sa.false()),
    }
    refused: list[str] = []
    for write, statement in tried.items():
        try:
            # Says what it would do, and does nothing.
            connection.exec_driver_sql(f"EXPLAIN {statement.compile(connection)}").close()
        except DBAPIError as error:
            if understand(error, shape.dialect.name).code in _NOT_THROUGH_A_JOIN:
                refused.append(write)
    return tuple(refused)
