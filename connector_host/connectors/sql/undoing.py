"""Whether a rollback undoes an export: asked before a rehearsal or a probe, which must leave nothing behind.

Four things are not undone: what a driver commits by itself, rows of a storage engine without transactions, statements
that end the transaction (COMMIT, and DDL where it commits), and procedures that hold such a statement. What cannot be
looked into counts as one that does.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import sqlalchemy as sa

from connector_host.connectors.contract import Add, Modify
from connector_host.connectors.sql.scripted import ROWS, first_word, unquoted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

    from connector_host.connectors.contract import Export
    from connector_host.connectors.sql.shapes import Shape
    from connector_host.settings import SqlSettings

CALLS = frozenset({"CALL", "EXEC", "EXECUTE", "{CALL", "BEGIN", "DECLARE"})
"""How one begins that runs a procedure, or a block of the database's own language."""

ENDS = re.compile(
    r"\b(COMMIT|START\s+TRANSACTION|BEGIN\s+WORK|ROLLBACK(?!\s+(WORK\s+)?TO\b)|LOCK\s+TABLES?|UNLOCK\s+TABLES"
    r"|CREATE(?!\s+(OR\s+REPLACE\s+)?TEMPORARY\b)|ALTER|DROP(?!\s+TEMPORARY\b)|TRUNCATE|RENAME|GRANT|REVOKE"
    r"|PREPARE|EXECUTE|autocommit)\b",
    re.IGNORECASE,
)
"""What ends a transaction of MySQL and MariaDB, from inside a procedure, too (their manuals, "implicit commit")."""

CALLED = re.compile(r"\bCALL\s+(?:`?(\w+)`?\.)?`?(\w+)`?", re.IGNORECASE)


def obstacle(connection: Connection, shape: Shape, settings: SqlSettings, export: Export) -> str:
    """Return why a rollback would not undo the export, as a sentence; empty where it would."""
    # SQLite's BEGIN is our own, whatever its drivers call themselves.
    if shape.dialect.name != "sqlite" and _commits_each(connection):
        return "The driver commits each statement by itself (autocommit): take that out of the URL or the data source."
    if shape.dialect.name == "mysql" and _keeps_rows(connection, shape, settings):
        return "A storage engine without transactions cannot undo a change."
    for key, script in shape.scripts_of(operation_of(export)).items():
        for number, (statement, _) in enumerate(script.statements):
            why = reason(connection, shape.dialect.name, statement.text)
            if why:
                return f"exports.{key}[{number}] {why}"
    return ""


def operation_of(export: Export) -> str:
    """Return the operation of `exports` that an export is."""
    return "create" if isinstance(export, Add) else "update" if isinstance(export, Modify) else "delete"


def _commits_each(connection: Connection) -> bool:
    """Return whether the driver commits each statement by itself: `?autocommit=1` in the URL turns that on."""
    driver = connection.connection.dbapi_connection
    asked = getattr(driver, "get_autocommit", None)
    return bool((asked() if asked is not None else getattr(driver, "autocommit", False)) is True)


def reason(connection: Connection, database: str, text: str) -> str:
    """Return why a rollback would not undo a statement, as the rest of a sentence."""
    plain, word = unquoted(text), first_word(text)
    if word in ("CALL", "{CALL") or (word in CALLS and database != "mysql"):
        if database == "postgresql":
            return ""  # inside of a transaction it lets no procedure end it: 2D000
        if database == "mysql":
            return _obstacle_in_procedures(connection, CALLED.findall(text))
        return "runs a procedure, which this database lets commit by itself."
    if word in ROWS and not (database == "mysql" and re.search(r"\bautocommit\b", plain, re.IGNORECASE)):
        return ""
    if database in ("postgresql", "sqlite", "mssql") and word in ("CREATE", "ALTER", "DROP", "TRUNCATE", "REFRESH"):
        return ""  # undone like any other statement
    return f"begins with {word}, which a rollback does not undo for certain."


def _obstacle_in_procedures(connection: Connection, called: Iterable[tuple[str, str]]) -> str:
    """Look into procedures of MySQL and MariaDB, and into those that they call."""
    waiting = list(called)
    seen: set[tuple[str, str]] = set()
    while waiting:
        schema, name = waiting.pop()
        if (schema, name) in seen:
            continue
        seen.add((schema, name))
        body = _body(connection, schema, name)
        if body is None:
            return f"calls {name}, whose text this login may not read: it may commit by itself."
        plain = unquoted(body)
        ends = ENDS.search(plain)
        if ends:
            return f"calls {name}, which commits by itself ({ends[0].upper()})."
        waiting += [(inner or schema, other) for inner, other in CALLED.findall(body)]
    return ""


def _body(connection: Connection, schema: str, name: str) -> str | None:
    asked = sa.text(
        "SELECT routine_definition FROM information_schema.routines WHERE routine_type = 'PROCEDURE' "
        "AND routine_schema = coalesce(nullif(:schema, ''), database()) AND routine_name = :name"
    ).bindparams(sa.bindparam("schema", type_=sa.String()), sa.bindparam("name", type_=sa.String()))
    found = connection.execute(asked, {"schema": schema, "name": name}).scalar()
    return None if found is None else str(found)


def _keeps_rows(connection: Connection, shape: Shape, settings: SqlSettings) -> bool:
    """Return whether a table keeps a write that is rolled back; MyISAM, Aria and the like say nothing about it."""
    # A view and statements of one's own may reach any table of the schema: all of them must be able to undo.
    anywhere = bool(shape.scripts) or not shape.facts.keys
    asked = sa.text(
        "SELECT count(*) FROM information_schema.tables AS t "
        "JOIN information_schema.engines AS e ON e.engine = t.engine "
        "WHERE e.transactions <> 'YES' AND (:anywhere = 1 OR t.table_name = :table) "
        "AND t.table_schema = coalesce(:schema, database())"
    )
    names = {"table": settings.table, "schema": settings.database_schema, "anywhere": int(anywhere)}
    return connection.execute(asked, names).scalar() != 0
