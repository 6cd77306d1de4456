"""Rights to read what a query names, or a change log: the statements that grant them.

What else a query needs, such as EXECUTE on a function, cannot be read off its text; running it tells whether it
suffices.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import sqlalchemy as sa

from connector_host.connectors.sql import privileges
from connector_host.connectors.sql.statements import quoted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

    from connector_host.connectors.sql.dialect import Dialect
    from connector_host.connectors.sql.selecting import Named

GRANTS: Mapping[str, tuple[str, str]] = {
    "postgresql": ("GRANT SELECT ON {place} TO {login};", "SELECT current_schema()"),
    "mysql": ("GRANT SELECT ON {place} TO {login};", "SELECT database()"),
    "mssql": ("GRANT SELECT ON {place} TO {login};", "SELECT schema_name()"),
    "oracle": ("GRANT SELECT ON {place} TO {login};", "SELECT sys_context('USERENV', 'CURRENT_SCHEMA') FROM dual"),
    "db2": ("GRANT SELECT ON TABLE {place} TO USER {login};", "VALUES CURRENT SCHEMA"),
}
"""By database: what lets a login read a table, and what asks for the schema of a table that is named without one."""


def grants(connection: Connection, dialect: Dialect, tables: Sequence[Named], login: str) -> tuple[str, ...]:
    """Return the statements that let a login read each of the tables; empty where there are no rights."""
    if dialect.name not in GRANTS:
        return ()
    template, asked = GRANTS[dialect.name]
    quote = partial(quoted, connection)
    whom = privileges.account(connection, login) if dialect.name == "mysql" else quote(login)
    default = ""
    if any(named.schema is None for named in tables):
        default = str(connection.scalar(sa.text(asked))).strip()
    places = [(named.schema or default, named.name) for named in tables]
    usage = dict.fromkeys(schema for schema, _ in places) if dialect.name == "postgresql" else ()
    return (
        *(f"GRANT USAGE ON SCHEMA {quote(schema)} TO {whom};" for schema in usage),
        *(template.format(place=f"{quote(schema)}.{quote(name)}", login=whom) for schema, name in places),
    )
