"""Privileges: what the login may do with the table, as far as the database tells without a write."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import OID

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from connector_host.connectors.sql.dialects import Dialect

NEEDED = ("SELECT", "INSERT", "UPDATE", "DELETE")


def missing_privileges(
    connection: Connection, dialect: Dialect, table: str, schema: str | None
) -> tuple[str, ...] | None:
    """Return which of the needed privileges the login lacks; None where the database has no privileges.

    A privilege on every column alone counts as none: columns that appear later would not be covered.
    """
    match dialect.name:
        case "postgresql":
            return _postgresql(connection, table, schema)
        case "mysql":
            return _mysql(connection, table, schema)
        case _:
            return None


def _postgresql(connection: Connection, table: str, schema: str | None) -> tuple[str, ...]:
    found = sa.text(
        "SELECT c.oid FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace "
        "WHERE c.relname = :table AND n.nspname = coalesce(:schema, current_schema())"
    ).bindparams(sa.bindparam("table", table, sa.String()), sa.bindparam("schema", schema, sa.String()))
    oid = connection.execute(found).scalar_one()
    allowed = sa.select(*(sa.func.has_table_privilege(sa.cast(int(oid), OID), need).label(need) for need in NEEDED))
    row = connection.execute(allowed).mappings().one()
    return tuple(need for need in NEEDED if row[need] not in (True, 1, "1"))


def _mysql(connection: Connection, table: str, schema: str | None) -> tuple[str, ...]:
    """Ask information_schema at its three levels; each row is about the session's own login or its roles."""
    granted: set[str] = set()
    statements = (
        "SELECT privilege_type FROM information_schema.user_privileges",
        (
            "SELECT privilege_type FROM information_schema.schema_privileges "
            "WHERE coalesce(:schema, database()) LIKE table_schema"
        ),
        (
            "SELECT privilege_type FROM information_schema.table_privileges "
            "WHERE table_schema = coalesce(:schema, database()) AND table_name = :table"
        ),
    )
    for statement in statements:
        asked = sa.text(statement)
        names = {"schema": schema, "table": table}
        known = {name: value for name, value in names.items() if f":{name}" in statement}
        granted |= {str(value).upper() for value in connection.execute(asked, known).scalars()}
    return tuple(need for need in NEEDED if need not in granted)
