"""The guard over an anchor that the database doesn't enforce (DESIGN §2.1): one creation at a time, whoever creates.

A look before the insertion is worth nothing while somebody else looks at the same moment: another worker process, or
another host. So creations hold a lock of the database until their transaction has ended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.sql import quoted_name

from connector_host.connectors.errors import Busy
from connector_host.connectors.sql import discovery, predicates

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy import Connection

    from connector_host.connectors.sql.shapes import Shape

NAME = "concat('connector-host:', md5(lower(concat(coalesce(:schema, database()), '.', :table))))"
"""MySQL's lock, in lower case since a server may not tell apart how a table is spelled (lower_case_table_names)."""

TAKING: Mapping[str, str] = {
    # Both end with the transaction.
    "postgresql": (
        "SELECT CASE WHEN pg_advisory_xact_lock(hashtextextended("
        "'connector-host:' || coalesce(:schema, current_schema()) || '.' || :table, 0)) IS NULL THEN 1 ELSE 1 END"
    ),
    "mssql": (
        # A name of at most 255 characters, the same whether the schema is said or is the login's own.
        "SET NOCOUNT ON; DECLARE @got int, @name nvarchar(255) = CONCAT('connector-host:', CONVERT(varchar(64), "
        "HASHBYTES('SHA2_256', lower(CONCAT(coalesce(:schema, schema_name()), '.', :table))), 2)); "
        "EXEC @got = sp_getapplock @Resource = @name, @LockMode = 'Exclusive', @LockOwner = 'Transaction'; "
        "SELECT CASE WHEN @got >= 0 THEN 1 ELSE 0 END"
    ),
    # Ends with the session, so that it is given back after the commit. At most 64 characters.
    "mysql": f"SELECT GET_LOCK({NAME}, @@innodb_lock_wait_timeout)",
}
"""Takes the lock and answers 1. SQLite needs none: its transactions that write begin with the lock of the file."""

LOCKING: Mapping[str, str] = {
    # Of a query, each table that it names.
    "oracle": "LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE",
    "db2": "LOCK TABLE {table} IN EXCLUSIVE MODE",
}
"""Locks the table itself until the transaction ends, where a named lock would need a right of its own."""

GIVING_BACK: Mapping[str, str] = {"mysql": f"SELECT RELEASE_LOCK({NAME})"}

HELD = "connector-host anchor"
"""The key under which a connection remembers the lock that outlives its transaction."""


def hold(connection: Connection, shape: Shape) -> None:
    """Wait until nobody else creates; raises Busy where that takes too long. Costs nothing where it is held already."""
    if locking := LOCKING.get(shape.dialect.name):
        for name, schema in _locked(connection, shape):
            place = sa.table(quoted_name(name, quote=True), schema=_quoted(schema))
            spelled = connection.dialect.identifier_preparer.format_table(place)
            connection.exec_driver_sql(locking.format(table=spelled))
        return
    statement = TAKING.get(shape.dialect.name)
    if statement is None or HELD in connection.info:
        return
    names = {"table": shape.facts.relation.name, "schema": shape.facts.relation.schema}
    if connection.execute(_about(statement), names).scalar() not in (1, "1"):
        raise Busy("Somebody else creates users at this moment.", retry_after_s=1)
    if shape.dialect.name in GIVING_BACK:
        connection.info[HELD] = names


def _locked(connection: Connection, shape: Shape) -> Iterator[tuple[str, str | None]]:
    """Yield what is locked, by name and schema: DB2 locks tables only, of a view those that it is made of."""
    for relation in shape.facts.behind or (shape.facts.relation,):
        yield from discovery.beneath(connection, shape.dialect, relation) or [(relation.name, relation.schema)]


def _quoted(name: str | None) -> str | None:
    return None if name is None else quoted_name(name, quote=True)


def is_taken(connection: Connection, shape: Shape, key: object) -> bool:
    """Return whether a row has the anchor already, as the column's own collation compares."""
    return connection.execute(taken(shape, key)).first() is not None


def taken(shape: Shape, key: object) -> sa.Select[*tuple[object, ...]]:
    """Return what finds a row with the anchor."""
    found: sa.Select[*tuple[object, ...]] = sa.select(sa.literal_column("1")).select_from(shape.source)
    return found.where(predicates.is_anchor(shape, "key_", key))


def let_go(connection: Connection, database: str) -> None:
    """Give back the lock after the transaction ended, where it doesn't end by itself."""
    names = connection.info.pop(HELD, None)
    if names is not None:
        connection.execute(_about(GIVING_BACK[database]), names)
        connection.rollback()


def _about(statement: str) -> sa.TextClause:
    return sa.text(statement).bindparams(*(sa.bindparam(name, type_=sa.String()) for name in ("schema", "table")))
