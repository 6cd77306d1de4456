"""The shape of the object type: from what was discovered to attributes, codecs, and the anchor.

Decides what is exposed, holds the anchor's rules (DESIGN §2.1), and keeps the known type of a column whose type
changed (DESIGN §2.8). Pure: proofs that need the rows are in anchors.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.sql import quoted_name

from connector_host.connectors.contract import (
    Attribute,
    AttributeType,
    Entry,
    Mutability,
    ObjectType,
    Row,
    Value,
    to_text,
)
from connector_host.connectors.sql import anchors, predicates, scripted, sources
from connector_host.connectors.sql.codecs import codec_for
from connector_host.connectors.sql.columns import AsDriver, Codec, Unfit
from connector_host.connectors.sql.statements import Statements
from connector_host.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from connector_host.connectors.sql.dialect import Dialect
    from connector_host.connectors.sql.discovery import Column, TableFacts
    from connector_host.connectors.sql.scripted import Script
    from connector_host.settings import SqlSettings

OPERATIONS = {"INSERT": "create", "UPDATE": "update", "DELETE": "delete"}
"""The operation of an export that each statement does."""


@dataclass(frozen=True, slots=True)
class SqlColumn:
    """One exposed column: the attribute, the way of its values, and its name in statements."""

    attribute: Attribute
    discovered: Column
    codec: Codec
    sql: sa.ColumnElement[object]


@dataclass(frozen=True)
class Shape:
    """What every statement about the table is built from."""

    source: sa.FromClause
    """What is read: the table or view, or the query."""
    columns: Mapping[str, SqlColumn]
    """The exposed columns by name, in the table's order; the anchor is one of them."""
    anchor: SqlColumn
    enforced: bool
    """Whether the database keeps the anchor unique and not null."""
    facts: TableFacts
    dialect: Dialect
    object_type: ObjectType
    scripts: Mapping[str, Script] = field(default_factory=dict)
    """The administrator's own statements by operation: create, update, delete, absent where ours are used; and what
    runs beside any of them: before_create, after_create and so on."""

    @property
    def table(self) -> sa.Table:
        """Return the table or view that statements of ours write; raises ConfigurationError where there is none."""
        if not isinstance(self.source, sa.Table):
            raise ConfigurationError(
                "query: statements of ours write to a table, and there is none; write statements of your own in "
                "exports.create, exports.update and exports.delete."
            )
        return self.source

    @property
    def is_query(self) -> bool:
        """Return whether the users live in a query, which no statement of ours writes."""
        return not isinstance(self.source, sa.Table)

    @cached_property
    def writes(self) -> tuple[str, ...]:
        """Return what our own statements do to the table: INSERT, UPDATE, DELETE, without what `exports` takes over."""
        if self.is_query:
            return ()
        return tuple(write for write, operation in OPERATIONS.items() if operation not in self.scripts)

    @cached_property
    def is_scripted(self) -> bool:
        """Return whether statements of the administrator's take the place of any of ours."""
        return any(operation in self.scripts for operation in OPERATIONS.values())

    def scripts_of(self, operation: str) -> Mapping[str, Script]:
        """Return the administrator's statements that an operation consists of, in order, by their keys of `exports`."""
        keys = (f"before_{operation}", operation, f"after_{operation}")
        return {key: self.scripts[key] for key in keys if key in self.scripts}

    @cached_property
    def may_commit(self) -> bool:
        """Return whether statements of one's own may commit by themselves, and with them what is beside them."""
        return self.dialect.name == "mysql" and any(script.calls for script in self.scripts.values())

    @cached_property
    def goes_apart(self) -> bool:
        """Return whether each export needs a transaction of its own."""
        return self.may_commit or not self.dialect.savepoints

    @cached_property
    def statements(self) -> Statements:
        """Return the statements that were built for this shape."""
        return Statements()

    @cached_property
    def tells_all(self) -> bool:
        """Return whether RETURNING tells the row as it is: no trigger changes it afterwards (§3.3.11)."""
        is_long = any(predicates.is_long(column, self) for column in self.columns.values())
        # OUTPUT of SQL Server hands out no text of the old long types.
        return self.dialect.inserts_return and self.facts.triggers == 0 and not is_long

    @cached_property
    def encoders(self) -> Mapping[str, Callable[[Value], object]]:
        """Return how a value of each column that may be written becomes a parameter; raises Unfit when called."""
        return {
            name: column.codec.encode
            for name, column in self.columns.items()
            if column.attribute.mutability is not Mutability.READ_ONLY
        }

    @cached_property
    def required(self) -> tuple[str, ...]:
        """Return the columns without which nothing is created."""
        return tuple(name for name, column in self.columns.items() if column.attribute.required)

    @cached_property
    def guarded(self) -> tuple[SqlColumn, ...]:
        """Return the columns whose unique key tells cases apart although comparisons do not (see `doubles`)."""
        if self.dialect.text_comparison == "collation":
            return ()
        folding = {key.columns for key in self.facts.keys if key.folds}
        return tuple(
            column
            for name, column in self.columns.items()
            if predicates.is_folded(column)
            and (column.attribute.unique or column is self.anchor)
            and (name,) not in folding
        )

    @cached_property
    def selected(self) -> sa.Select[*tuple[object, ...]]:
        """Return `SELECT` of every exposed column, in order."""
        columns = [column.sql for column in self.columns.values()]
        if self.dialect.labels_columns:
            columns = [column.label(f"c{number}_") for number, column in enumerate(columns)]
        return sa.select(*columns)

    def entries(self, rows: Sequence[Sequence[Any]], on_unreadable: Callable[[str], None]) -> list[Entry]:
        """Return rows as entries; a value that its column should not hold is null and reported by name."""
        names, place = self._names, self._place
        return [
            Entry(_anchor_text(values[place]), dict(zip(names, values, strict=True)))
            for values in self.decoded(rows, on_unreadable)
        ]

    def entry(self, row: Sequence[object], on_unreadable: Callable[[str], None]) -> Entry:
        """Return one row as an entry; see `entries`."""
        return self.entries([row], on_unreadable)[0]

    @cached_property
    def _names(self) -> tuple[str, ...]:
        return tuple(self.columns)

    @cached_property
    def _place(self) -> int:
        """Return where the anchor stands in a row."""
        return self._names.index(self.object_type.anchor)

    def decoded(self, rows: Sequence[Sequence[Any]], on_unreadable: Callable[[str], None]) -> Sequence[Row]:
        """Return rows as values in the order of the columns; see `entries`. What needs no decoding is given back."""
        if not self._decoders:
            return rows
        decoded: list[Row] = []
        for row in rows:
            values = list(row)
            for place, name, decode in self._decoders:
                if values[place] is not None:
                    try:
                        values[place] = decode(values[place])
                    except Unfit:
                        values[place] = None
                        on_unreadable(name)
            decoded.append(values)
        return decoded

    @cached_property
    def _decoders(self) -> tuple[tuple[int, str, Callable[[object], Value]], ...]:
        """Return the columns whose results are not values as they come, each with its place."""
        parameters = self.dialect.parameters
        return tuple(
            (place, name, column.codec.decode)
            for place, (name, column) in enumerate(self.columns.items())
            if column.discovered.kind.family not in parameters.plain
            or column.attribute.type is not column.discovered.facts.type
            or (parameters.misreads_unsigned and column.discovered.kind.low == 0)
        )


def _anchor_text(anchor: Value | None) -> str:
    if isinstance(anchor, str):
        return anchor
    return "" if anchor is None else to_text(anchor)


def build(
    facts: TableFacts, settings: SqlSettings, dialect: Dialect, known: Mapping[str, Column] | None = None
) -> Shape:
    """Return the shape; raises ConfigurationError where the table cannot be served as configured."""
    dialect = facts.refined or dialect
    exposed = _exposed(facts, settings)
    anchor_name = settings.anchor
    enforced = _check_anchor(facts, exposed, settings)
    source = _source(exposed, settings, dialect)
    columns = {name: _sql_column(column, source.c[name], dialect, settings, known) for name, column in exposed.items()}
    object_type = ObjectType("User", anchor_name, tuple(column.attribute for column in columns.values()))
    scripts = {
        key: scripted.script(f"exports.{key}", statements, columns)
        for key in type(settings.exports).model_fields
        if (statements := getattr(settings.exports, key))
    }
    return Shape(source, columns, columns[anchor_name], enforced, facts, dialect, object_type, scripts)


def _source(exposed: Mapping[str, Column], settings: SqlSettings, dialect: Dialect) -> sa.FromClause:
    """Return what is read, with the exposed columns as the database spells them."""
    types = {name: dialect.conversions.get(column.kind.family, AsDriver()) for name, column in exposed.items()}
    if settings.table is None:
        columns = [sa.column(quoted_name(name, quote=True), type_) for name, type_ in types.items()]
        return sources.selection_of(settings, dialect.name).rows(columns)
    return sa.Table(
        settings.table,
        sa.MetaData(),
        *(sa.Column(name, type_, quote=True) for name, type_ in types.items()),
        schema=settings.database_schema,
        quote=True,
        quote_schema=True if settings.database_schema else None,
    )


def changed_types(known: Mapping[str, Column], facts: TableFacts) -> tuple[str, ...]:
    """Return the exposed columns whose type is no longer the known one."""
    return tuple(
        column.facts.name
        for column in facts.columns
        if (before := known.get(column.facts.name)) is not None and before.kind.family is not column.kind.family
    )


def _exposed(facts: TableFacts, settings: SqlSettings) -> dict[str, Column]:
    """Return the columns to expose, in the table's order."""
    usable = {column.facts.name: column for column in facts.columns if not column.facts.left_out}
    if settings.columns is None:
        return usable
    unknown = [name for name in settings.columns if name not in {column.facts.name for column in facts.columns}]
    if unknown:
        raise ConfigurationError(f"columns: {_place(settings)} has no column {_named(unknown)}.")
    wanted = {*settings.columns, settings.anchor}
    return {name: column for name, column in usable.items() if name in wanted}


def _named(names: Sequence[str]) -> str:
    return " and no column ".join(names)


def _place(settings: SqlSettings) -> str:
    return "the query" if settings.table is None else f"the table {settings.table}"


def _check_anchor(facts: TableFacts, exposed: Mapping[str, Column], settings: SqlSettings) -> bool:
    """Return whether the database enforces the anchor; raise ConfigurationError where it may not be one."""
    name = settings.anchor
    column = next((column for column in facts.columns if column.facts.name == name), None)
    if column is None:
        near = [other.facts.name for other in facts.columns if other.facts.name.lower() == name.lower()]
        hint = f" Did you mean {near[0]}?" if near else ""
        raise ConfigurationError(f"anchor: {_place(settings)} has no column {name}.{hint}")
    if name not in exposed:
        raise ConfigurationError(f"anchor: {name} cannot be the anchor: {column.facts.left_out}.")
    if column.kind.family in anchors.NOT_ANCHORS:
        raise ConfigurationError(f"anchor: {name} cannot be the anchor: its type is {column.facts.declared}.")
    if column.facts.unique and not column.facts.nullable:
        return True
    if settings.accept_unenforced_anchor:
        return False
    raise ConfigurationError(_unenforced(facts, column))


def _unenforced(facts: TableFacts, column: Column) -> str:
    """Say why the column is no anchor as it stands, and what is."""
    name = column.facts.name
    composite = next((key for key in facts.keys if name in key.columns and len(key.columns) > 1), None)
    if composite is not None and not column.facts.unique:
        why = f"it is unique only together with {', '.join(part for part in composite.columns if part != name)}"
    elif not column.facts.unique:
        why = "the database does not keep it unique"
    else:
        why = "the database allows it to be null"
    candidates = [candidate.column for candidate in anchors.rank(facts) if candidate.enforced]
    instead = (
        f"Choose {' or '.join(candidates)} instead" if candidates else "Add a unique key on a column that is not null"
    )
    return (
        f"anchor: {name} cannot be the anchor: {why}. {instead}, or accept it by name with "
        "accept_unenforced_anchor = true: it is then proven on the rows at start, and guarded at each creation."
    )


def _sql_column(
    column: Column,
    sql: sa.ColumnElement[object],
    dialect: Dialect,
    settings: SqlSettings,
    known: Mapping[str, Column] | None,
) -> SqlColumn:
    """Return the column as it is used; one whose type changed keeps the known type (DESIGN §2.8)."""
    before = (known or {}).get(column.facts.name)
    if before is not None and before.kind.family is not column.kind.family:
        column = before
    facts = column.facts
    try:
        codec = codec_for(column.kind, facts, dialect.parameters, settings.column.get(facts.name))
    except Unfit as unfit:
        raise ConfigurationError(f"column.{facts.name}: the column {unfit}.") from None
    attribute = Attribute(
        name=facts.name,
        type=codec.type,
        # What the administrator's own statements need of a client, and what they make, is theirs to know.
        required=facts.required and not settings.exports.create,
        nullable=facts.nullable,
        mutability=_mutability(column, is_anchor=facts.name == settings.anchor),
        case_exact=is_case_exact(facts.collation),
        unique=facts.unique,
        max_length=facts.length if codec.type is AttributeType.STRING else None,
        canonical_values=facts.allowed if codec.type is AttributeType.STRING else (),
        description=facts.comment,
    )
    return SqlColumn(attribute, column, codec, sql)


def _mutability(column: Column, *, is_anchor: bool) -> Mutability:
    if column.facts.always:
        return Mutability.READ_ONLY
    return Mutability.IMMUTABLE if is_anchor else Mutability.READ_WRITE


def is_case_exact(collation: str | None) -> bool:
    """Return whether an administrator chose a collation that tells upper case from lower case.

    Only a collation that says so counts: PostgreSQL's and SQLite's defaults do tell them apart, but nobody
    chose that, and user names are to be found whatever their case (RFC 7643 §4.1.1).
    """
    if collation is None:
        return False
    name = collation.lower()
    return name.endswith(("_bin", "_bin2", "_cs")) or "_cs_" in name
