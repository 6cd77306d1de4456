"""Sources: the one door to the facts of the place where the users live, be it a table, a view, or a query.

Of a query: what the catalogue says of a column that is a table's own, else what the database or its driver says of the
result, else what the configuration states. It has no keys, takes no writes of ours, and every column may be null.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from connector_host.connectors.sql import datasource, discovery
from connector_host.connectors.sql.columns import Family, Kind, integers
from connector_host.connectors.sql.dialect import BOOLEAN, DATE, DECIMAL, NAIVE, TEXT, UNKNOWN
from connector_host.connectors.sql.discovery import TableFacts
from connector_host.connectors.sql.sqlstate import to_error
from connector_host.connectors.survey import ColumnFacts, Relation
from connector_host.databases.codes import Happened
from connector_host.databases.failures import understand
from connector_host.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import Connection

    from connector_host.connectors.sql.dialect import Dialect
    from connector_host.connectors.sql.discovery import Column
    from connector_host.connectors.sql.resulting import Told
    from connector_host.connectors.sql.selecting import Named, Selection
    from connector_host.settings import SqlSettings

STATED: Mapping[str, Kind] = {
    "text": TEXT,
    "integer": integers(64),
    "decimal": DECIMAL,
    "boolean": BOOLEAN,
    "datetime": NAIVE,
    "date": DATE,
}
"""The types that a configuration may state."""

PASSING = frozenset(
    {
        *(Happened.CONNECTION, Happened.CROWDED, Happened.LOGIN, Happened.NO_DRIVER),
        *(Happened.TIME_LIMIT, Happened.LOCKED, Happened.DEADLOCK),
    }
)
"""What is no word about the query."""


def facts_of(connection: Connection, dialect: Dialect, settings: SqlSettings) -> TableFacts:
    """Return the facts of the configured place; raises ConfigurationError that names what is wrong with it."""
    if settings.table is None:
        return _of_query(connection, dialect, settings)
    facts = discovery.discover(connection, dialect, settings.table, settings.database_schema)
    if facts is None:
        raise ConfigurationError(missing_table(connection, dialect, settings.table, settings.database_schema))
    return replace(facts, columns=tuple(_meant(column, dialect, settings) for column in facts.columns))


def _meant(column: Column, dialect: Dialect, settings: SqlSettings) -> Column:
    """Return a column with the kind that the configuration gives to its bytes."""
    meant = settings.column.get(column.facts.name)
    if meant is None or meant.uuid is None or column.kind.family is not Family.BINARY:
        return column
    return discovery.finished(replace(column.facts, left_out=""), Kind(Family.BINARY_UUID), dialect)


def selection_of(settings: SqlSettings, database: str) -> Selection:
    """Return the query that is configured, as it is read; raises ConfigurationError."""
    from connector_host.connectors.sql import selecting  # noqa: PLC0415 - a grammar that only a query needs

    return selecting.read(settings.query or "", database)


def missing_table(connection: Connection, dialect: Dialect, table: str, schema: str | None) -> str:
    """Say that there is no such table, and which one may have been meant."""
    named = f"{schema}.{table}" if schema else table
    near = [one for one in discovery.relations(connection, dialect) if one.name.lower() == table.lower()]
    if near:
        spelled = f"{near[0].schema}.{near[0].name}" if near[0].schema else near[0].name
        return f"table: there is no {named} that the login can see, but there is {spelled}."
    return f"table: there is no {named} that the login can see."


# ── a query ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _of_query(connection: Connection, dialect: Dialect, settings: SqlSettings) -> TableFacts:
    from connector_host.connectors.sql import lineage  # noqa: PLC0415 - as above

    selection = selection_of(settings, dialect.name)
    told = _told(connection, dialect, selection)
    found: dict[Named, TableFacts | None] = {
        named: discovery.discover(connection, dialect, named.name, named.schema) for named in selection.reads
    }
    followed = lineage.columns_of(selection, dialect.name, found.get)
    _demand_names(column.name for column in told)
    # SQLite gives the second of two columns of one name another one by itself.
    _demand_names(name for name, _ in followed or ())
    is_known = followed is not None and len(followed) == len(told)
    own = [column for _, column in followed or ()] if is_known else [None] * len(told)
    columns = tuple(
        _column(one, None if column is None else lineage.as_read(column, one.name), dialect, settings)
        for one, column in zip(told, own, strict=True)
    )
    behind = tuple(Relation(named.name, named.schema, "table") for named in selection.reads)
    return TableFacts(
        relation=Relation(settings.place, None, "query"),
        columns=columns,
        keys=(),
        checks={},
        triggers=0,
        refined=None if dialect.catalogue else _refined(connection, dialect, selection, told[0].name),
        behind=behind,
    )


def _told(connection: Connection, dialect: Dialect, selection: Selection) -> tuple[Told, ...]:
    """Ask the database for the columns; its refusal is a word about the query, and is said without its text."""
    from connector_host.connectors.sql import resulting  # noqa: PLC0415 - as above

    try:
        return resulting.told(connection, dialect, selection)
    except DBAPIError as error:
        failure = understand(error, dialect.name)
        if failure.happened in PASSING:
            raise
        if failure.happened is Happened.DENIED:
            raise to_error(failure) from error
        if failure.happened is Happened.READ_ONLY:
            raise ConfigurationError(
                "query: a function that it calls changes something, and a source of users only reads; leave it out."
            ) from error
        raise ConfigurationError(
            f"query: the database refuses it (code {failure.code or 'unknown'}): a table or column that is not there, "
            "two columns of one name, or a word that it does not know. Try it in the database's own client, as a "
            "sub-query."
        ) from error


def _demand_names(names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name.lower() in seen:
            raise ConfigurationError(f"query: has several columns {name}; give each a name of its own by AS.")
        seen.add(name.lower())


def _column(told: Told, own: Column | None, dialect: Dialect, settings: SqlSettings) -> Column:
    return _meant(_found(told, own, dialect, settings), dialect, settings)


def _found(told: Told, own: Column | None, dialect: Dialect, settings: SqlSettings) -> Column:
    meant = settings.column.get(told.name)
    stated = STATED[meant.type] if meant is not None and meant.type is not None else None
    if own is not None:
        if stated is not None and stated.family is not own.kind.family:
            raise ConfigurationError(
                f"column.{told.name}.type: the column is {own.facts.declared} in its table; leave the type out, or "
                "write a CAST in the query."
            )
        return discovery.finished(replace(own.facts, known_by="its table"), own.kind, dialect)
    kind = stated or told.kind
    declared = told.declared if stated is None else str(meant.type if meant else "")
    facts = ColumnFacts(told.name, declared, type=None, collation=told.collation, allowed=told.allowed)
    facts = replace(facts, known_by="what the database says of the result" if stated is None else "the configuration")
    column = discovery.finished(facts, kind, dialect)
    if kind is not UNKNOWN or not column.facts.left_out:
        return column
    reason = f'the database does not tell its type; state it: column."{told.name}".type = "text"'
    return replace(column, facts=replace(column.facts, left_out=reason))


def _refined(connection: Connection, dialect: Dialect, selection: Selection, column: str) -> Dialect:
    """Return the dialect with what an unnamed data source was found to understand."""
    nothing: sa.Select[Any] = sa.select(sa.column(column)).select_from(selection.rows())
    place = str(nothing.compile(dialect=connection.dialect)).split("FROM", maxsplit=1)[1].strip()
    return datasource.tried(connection, dialect, place, column)
