"""Surveys: what a database offers before anything is configured, as plain facts for `init` and `discover`."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from connector_host.connectors.sql import (
    anchors,
    changelog,
    discovery,
    logtables,
    privileges,
    reading_rights,
    sampling,
    selecting,
    shapes,
    sources,
    tracking,
)
from connector_host.connectors.sql.dialects import dialect_of
from connector_host.connectors.sql.engines import open_engine, parse_url
from connector_host.connectors.sql.passwords import password_of
from connector_host.connectors.sql.sources import missing_table
from connector_host.connectors.sql.sqlstate import translated
from connector_host.connectors.survey import AnchorCandidate, TableSurvey
from connector_host.errors import ConfigurationError
from connector_host.settings import SqlSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy import Connection

    from connector_host.connectors.sql.dialect import Dialect
    from connector_host.connectors.sql.discovery import TableFacts
    from connector_host.connectors.survey import ColumnSample, Relation

STATEMENT_S = 30.0
"""Seconds that one look at the catalogue may take; a person waits for it."""


def list_relations(database: str, password: str | None) -> tuple[Relation, ...]:
    """Return the tables and views that the login sees."""
    with _connected(database, password) as (connection, dialect):
        return discovery.relations(connection, dialect)


def survey_table(database: str, password: str | None, *, table: str, schema: str | None) -> TableSurvey:
    """Return everything that is to know about one table; raises ConfigurationError where there is none."""
    with _connected(database, password) as (connection, dialect):
        facts = discovery.discover(connection, dialect, table, schema)
        if facts is None:
            raise ConfigurationError(missing_table(connection, dialect, table, schema))
        samples = sampling.sampled(connection, dialect, facts, _plain_settings(database, table, schema))
        kinds = {(relation.name, relation.schema): relation for relation in discovery.relations(connection, dialect)}
    candidates = _with_counts(anchors.rank(facts), samples)
    return TableSurvey(
        relation=kinds.get((table, schema), facts.relation),
        columns=tuple(column.facts for column in facts.columns),
        anchors=candidates,
        samples=samples,
        refusal=_refusal(facts, candidates),
    )


def survey_query(settings: SqlSettings) -> TableSurvey:
    """Return everything that is to know about the query of a connector; raises ConfigurationError."""
    with _connected(settings.database, password_of(settings), reads_only=True) as (connection, dialect):
        facts = sources.facts_of(connection, dialect, settings)
        samples = sampling.sampled(connection, dialect, facts, settings)
    return TableSurvey(
        relation=facts.relation,
        columns=tuple(column.facts for column in facts.columns),
        anchors=_with_counts(anchors.rank(facts), samples),
        samples=samples,
        refusal=(
            "A query has no keys: its anchor is accepted by name (accept_unenforced_anchor), proven on the rows at "
            "start, and guarded at each creation."
        ),
    )


def _plain_settings(database: str, table: str, schema: str | None) -> SqlSettings:
    """Return settings that say where a table is, and nothing of its columns."""
    return SqlSettings(database=database, table=table, schema=schema, anchor="")


def _with_counts(
    candidates: tuple[AnchorCandidate, ...], samples: Mapping[str, ColumnSample]
) -> tuple[AnchorCandidate, ...]:
    """Return the candidates with what the rows say of those that the database does not enforce.

    Where it enforces none, columns are among them that tell the users apart in the rows.
    """
    known = {one.column for one in candidates}
    if not any(one.enforced for one in candidates):
        found_by_rows = (name for name, found in samples.items() if name not in known and sampling.tells_apart(found))
        candidates += tuple(AnchorCandidate(name, enforced=False, reasons=(UNKEPT,)) for name in found_by_rows)
    return tuple(
        one
        if one.enforced or (found := samples.get(one.column)) is None or not found.rows
        else replace(one, reasons=(*one.reasons, _counted(found)))
        for one in candidates
    )


UNKEPT = "the database does not keep it unique"


def _counted(found: ColumnSample) -> str:
    missing, doubles = found.rows - found.filled, found.filled - found.distinct
    if not missing and not doubles:
        return f"is different in each of the first {found.rows} rows"
    said = [f"{missing} have none"] * bool(missing) + [f"{doubles} repeat another's"] * bool(doubles)
    return f"of the first {found.rows} rows {' and '.join(said)}"


def grants(settings: SqlSettings, login: str) -> tuple[str, ...]:
    """Return the statements that give a login what the mapping needs and no more."""
    with _connected(settings.database, password_of(settings)) as (connection, dialect):
        if settings.query is not None:
            selection = sources.selection_of(settings, dialect.name)
            return reading_rights.grants(connection, dialect, selection.reads, login)
        shape = shapes.build(sources.facts_of(connection, dialect, settings), settings, dialect, None)
        followed = tracking.is_followed(connection, shape)
        granted = privileges.grants(connection, shape, settings, login, tracked=followed)
        if changelog.opened(connection, shape) is None:
            return granted
        log = selecting.Named(shape.table.name + logtables.SUFFIX, shape.table.schema)
        return tuple(dict.fromkeys((*granted, *reading_rights.grants(connection, dialect, [log], login))))


def change_log(settings: SqlSettings, *, remove: bool, by_tracking: bool) -> tuple[str, ...]:
    """Return the statements that make a change log fed by triggers, or take it away; or those of change tracking."""
    if settings.query is not None:
        raise ConfigurationError(
            "query: has no change log, which triggers of one table feed. Import by the profile full, snapshot or "
            "watermark."
        )
    with _connected(settings.database, password_of(settings)) as (connection, dialect):
        shape = shapes.build(sources.facts_of(connection, dialect, settings), settings, dialect, None)
        if by_tracking:
            return tracking.statements(connection, shape, remove=remove)
        return logtables.statements(connection, shape, remove=remove)


@contextmanager
def _connected(
    database: str, password: str | None, *, reads_only: bool = False
) -> Iterator[tuple[Connection, Dialect]]:
    """Open one connection for a moment; no driver's error leaves this block."""
    url = parse_url(database, password)
    dialect = dialect_of(url)
    engine = open_engine(url, size=1, statement_s=STATEMENT_S, reads_only=reads_only)
    try:
        with translated(dialect.name), engine.connect() as connection:
            yield connection, dialect
    finally:
        engine.dispose()


def _refusal(facts: TableFacts, candidates: tuple[AnchorCandidate, ...]) -> str:
    """Say why no column is an anchor as it stands; empty where one is."""
    if any(candidate.enforced for candidate in candidates):
        return ""
    composite = next((key for key in facts.keys if len(key.columns) > 1), None)
    why = (
        f"The only key is composite ({', '.join(composite.columns)}), and the anchor is a single column."
        if composite is not None
        else "No column is unique and not null by the database's own rules."
    )
    names = [candidate.column for candidate in candidates]
    hope = f" Single columns that could be it, if you make them unique or accept them by name: {', '.join(names)}."
    return why + (hope if names else " Add a column with a unique key that is not null.")
