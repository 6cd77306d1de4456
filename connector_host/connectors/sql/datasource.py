"""What an ODBC data source tells of itself: through the driver's own catalogue functions, and by harmless trials.

    SQLGetInfo         quotes, transactions, the escape of patterns, the present database
    SQLColumns         names, types, nullability, defaults
    SQLPrimaryKeys     the one key that binds every row for certain
    SQLStatistics      unique indexes; psqlODBC does not say which of them are partial, so none is relied on
    trials             whether pages are cut by FETCH FIRST or LIMIT, and whether FOR UPDATE is understood

A trial is a SELECT that no row can match. Answers have the shape of the catalogue's own statements (see discovery).
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from connector_host.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Connection

    from connector_host.connectors.sql.describing import Row
    from connector_host.connectors.sql.dialect import Dialect, Paging

# What SQLGetInfo is asked for: https://learn.microsoft.com/en-us/sql/odbc/reference/syntax/sqlgetinfo-function
SEARCH_PATTERN_ESCAPE = 14
DATABASE_NAME = 16
DBMS_NAME = 17
IDENTIFIER_QUOTE_CHAR = 29
TXN_CAPABLE = 46

PAGES: Mapping[Paging, str] = {"fetch": "OFFSET 0 ROWS FETCH FIRST 1 ROWS ONLY", "limit": "LIMIT 1 OFFSET 0"}
"""How a page may be cut, the standard's way first."""

COLUMNS = {
    "table_cat": 0,
    "schema": 1,
    "table": 2,
    "name": 3,
    "code": 4,
    "declared": 5,
    "size": 6,
    "digits": 8,
    "nullable": 10,
    "comment_text": 11,
    "default_text": 12,
    "position": 16,
}
"""Where the answer of SQLColumns has what; drivers add more behind."""


def quote_of(driver: Any) -> str:  # noqa: ANN401 - the driver's door
    """Return the sign that quotes names; raises ConfigurationError where the data source lacks what a host needs."""
    if driver.getinfo(TXN_CAPABLE) == 0:
        raise ConfigurationError(
            "database: this data source knows no transactions, so what fails half-way would stay; it cannot be served."
        )
    quote = str(driver.getinfo(IDENTIFIER_QUOTE_CHAR)).strip()
    if len(quote) != 1:
        raise ConfigurationError(
            "database: this data source knows no quotes for names (SQL_IDENTIFIER_QUOTE_CHAR), so it cannot be served."
        )
    return quote


def product_of(connection: Connection) -> str:
    """Return what the data source calls itself."""
    driver: Any = connection.connection.driver_connection
    return str(driver.getinfo(DBMS_NAME)).strip()


def ask(connection: Connection, question: str, table: str | None = None, schema: str | None = None) -> list[Row]:
    """Return the rows that answer a question of the catalogue; see discovery."""
    driver: Any = connection.connection.driver_connection
    return _ANSWERS[question](driver, table, schema)


# ── the catalogue functions ───────────────────────────────────────────────────────────────────────────────────────


def _relations(driver: Any, _: str | None, __: str | None) -> list[Row]:  # noqa: ANN401 - the driver's door
    here = driver.getinfo(DATABASE_NAME)
    with closing(driver.cursor()) as cursor:
        rows = cursor.tables(tableType="TABLE,VIEW").fetchall()
    found = [
        {"name": row[2], "schema_name": row[1] or None, "kind": "view" if "VIEW" in str(row[3]).upper() else "table"}
        for row in rows
        if _is_here(row[0], here)
    ]
    schemas = {row["schema_name"] for row in found}
    # A schema that is the only one need not be written down.
    return [{**row, "schema_name": row["schema_name"] if len(schemas) > 1 else None} for row in found]


def _columns(driver: Any, table: str | None, schema: str | None) -> list[Row]:  # noqa: ANN401 - the driver's door
    """Return the columns; what is asked for is a pattern, so that names are compared once more."""
    here, escape = driver.getinfo(DATABASE_NAME), driver.getinfo(SEARCH_PATTERN_ESCAPE)
    with closing(driver.cursor()) as cursor:
        answer = cursor.columns(table=_literally(table, escape), schema=_literally(schema, escape)).fetchall()
    rows = [{name: row[place] for name, place in COLUMNS.items()} for row in answer]
    rows = [
        row
        for row in rows
        if row["table"] == table and schema in (None, row["schema"] or None) and _is_here(row["table_cat"], here)
    ]
    schemas = sorted({row["schema"] or "" for row in rows})
    if len(schemas) > 1:
        raise ConfigurationError(
            f"schema: there are several tables {table}, in {' and '.join(schemas)}; name the schema of yours."
        )
    keys = [key["column_name"] for key in _primary(driver, table, schema)]
    return [{**row, "keys": keys} for row in sorted(rows, key=lambda row: int(row["position"]))]


def _keys(driver: Any, table: str | None, schema: str | None) -> list[Row]:  # noqa: ANN401 - the driver's door
    primary = _primary(driver, table, schema)
    with closing(driver.cursor()) as cursor:
        rows = cursor.statistics(table, schema=schema, unique=True).fetchall()
    columns = [row["column_name"] for row in primary]
    unique: dict[str, list[str]] = {}
    for row in sorted((row for row in rows if row[5] and row[8]), key=lambda row: int(row[7])):
        unique.setdefault(str(row[5]), []).append(row[8])
    # Not relied on, but named when one is violated; some drivers have the primary key among them.
    others = [
        {"key_name": name, "column_name": column, "is_primary": False, "is_partial": False, "is_hearsay": True}
        for name, parts in unique.items()
        if parts != columns
        for column in parts
    ]
    return [*primary, *others]


def _primary(driver: Any, table: str | None, schema: str | None) -> list[Row]:  # noqa: ANN401 - the driver's door
    with closing(driver.cursor()) as cursor:
        rows = cursor.primaryKeys(table, schema=schema).fetchall()
    return [
        {"key_name": row[5] or "PRIMARY", "column_name": row[3], "is_primary": True, "is_partial": False}
        for row in sorted(rows, key=lambda row: int(row[4]))
    ]


def _is_here(catalogue: str | None, here: str | None) -> bool:
    """Return whether a table is in the database that the connection is to, where the driver tells one from another."""
    return not catalogue or not here or catalogue == here


def _literally(name: str | None, escape: str | None) -> str | None:
    """Return a name as a pattern that means just the name."""
    if name is None or not escape:
        return name
    return "".join(escape + sign if sign in (escape, "_", "%") else sign for sign in name)


_ANSWERS: Mapping[str, Callable[[Any, str | None, str | None], list[Row]]] = {
    "relations": _relations,
    "columns": _columns,
    "keys": _keys,
    "checks": lambda *_: [],
    # ODBC has no word for triggers; each row is read back, and compared with what was asked for.
    "triggers": lambda *_: [{"triggers": 0}],
}


# ── trials ────────────────────────────────────────────────────────────────────────────────────────────────────────


def tried(connection: Connection, dialect: Dialect, place: str, column: str) -> Dialect:
    """Return the dialect with what the data source was found to understand; `place` is what stands behind FROM."""
    quote = connection.dialect.identifier_preparer.quote_identifier
    # Quoted names and constants of this module.
    nothing = f"SELECT {quote(column)} FROM {place} WHERE 1 = 0"  # noqa: S608
    ordered = f"{nothing} ORDER BY {quote(column)}"
    ways: list[Paging] = [way for way, words in PAGES.items() if _understands(connection, f"{ordered} {words}")]
    paging: Paging = ways[0] if ways else "cursor"
    return replace(dialect, paging=paging, row_locks=_understands(connection, f"{nothing} FOR UPDATE"))


def _understands(connection: Connection, statement: str) -> bool:
    """Return whether the data source takes a statement; a transaction that it spoils is begun anew."""
    driver: Any = connection.connection.driver_connection
    try:
        with closing(driver.cursor()) as cursor:
            cursor.execute(statement).fetchall()
    except connection.dialect.loaded_dbapi.Error:
        if not driver.autocommit:
            driver.rollback()
        return False
    return True
