"""Discovery: what the database's own catalogue says of a table, its columns and its keys.

The catalogue is asked directly, by the same statements natively and over ODBC: SQLAlchemy's reflection loses
unique columns of SQLite, spells tinyint(1) as a number, and fails over ODBC (sql-connectors.md §3.3.12, §3.3.13).
Nothing here decides what becomes of a column; that is shapes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, text
from sqlalchemy.types import String

from connector_host.connectors.sql import datasource, meanings
from connector_host.connectors.sql.columns import ATTRIBUTE_TYPES, Family, Kind
from connector_host.connectors.sql.describing import READERS, plain, true
from connector_host.connectors.survey import ColumnFacts, Relation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Connection, TextClause

    from connector_host.connectors.sql.describing import Row
    from connector_host.connectors.sql.dialect import Dialect

UNNAMEABLE = (".", "[")
"""What the name of an attribute cannot hold: a path could not be told from it (ecma.md §1.5)."""


@dataclass(frozen=True, slots=True)
class Key:
    """A primary key or a unique index that binds every row."""

    name: str
    columns: tuple[str, ...]
    primary: bool
    deferred: bool = False
    """Whether it is looked at after the statement, or as late as at the commit: DEFERRABLE."""
    folds: bool = False
    """Whether it is known to take values for equal that differ in case only."""
    hearsay: bool = False
    """Whether it is not known to bind every row: it is named where it refuses a value, and not relied on."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: what the catalogue says, and the kind of its values."""

    facts: ColumnFacts
    kind: Kind


@dataclass(frozen=True, slots=True)
class TableFacts:
    """Everything that the catalogue says of one table or view."""

    relation: Relation
    columns: tuple[Column, ...]
    keys: tuple[Key, ...]
    checks: Mapping[str, tuple[str, ...]]
    """Check constraints by name, and the columns that each mentions."""
    triggers: int
    """How many triggers fire on writes."""
    cannot_undo: str = ""
    """The storage engine where it knows no transactions, such as MyISAM; empty where it does."""
    refined: Dialect | None = None
    """The dialect with what only the data source itself could tell."""
    behind: tuple[Relation, ...] = ()
    """The tables and views that a query names; none of a table."""


def relations(connection: Connection, dialect: Dialect) -> tuple[Relation, ...]:
    """Return the tables and views that the login sees."""
    return tuple(
        Relation(row["name"], row["schema_name"] or None, "view" if row["kind"] == "view" else "table")
        for row in _ask(connection, dialect, "relations")
    )


def discover(connection: Connection, dialect: Dialect, table: str, schema: str | None) -> TableFacts | None:
    """Return the facts of one table or view, spelled as the database spells it; None where there is none."""
    rows = _ask(connection, dialect, "columns", table=table, schema=schema)
    if not rows:
        return None
    keys = _keys(_ask(connection, dialect, "keys", table=table, schema=schema), rows, dialect)
    checks = _ask(connection, dialect, "checks", table=table, schema=schema)
    triggers = _ask(connection, dialect, "triggers", table=table, schema=schema)
    columns = tuple(_column(row, dialect, keys, checks) for row in rows)
    if int(triggers[0].get("fills") or 0):
        columns = tuple(replace(column, facts=replace(column.facts, filled=True)) for column in columns)
    names = [column.facts.name for column in columns]
    return TableFacts(
        relation=Relation(table, schema, "table"),
        columns=columns,
        keys=keys,
        checks={str(row["check_name"]): _mentioned(str(row["check_text"]), names) for row in checks},
        triggers=int(triggers[0]["triggers"]),
        cannot_undo=plain(triggers[0].get("cannot_undo") or ""),
        refined=None
        if dialect.catalogue
        else datasource.tried(connection, dialect, _place(connection, table, schema), names[0]),
    )


def _place(connection: Connection, table: str, schema: str | None) -> str:
    quote = connection.dialect.identifier_preparer.quote_identifier
    return ".".join(quote(part) for part in (schema, table) if part is not None)


def columns_of(connection: Connection, dialect: Dialect, table: str, schema: str | None) -> tuple[ColumnFacts, ...]:
    """Return what the catalogue says of each column alone; none where there is no such table that the login sees."""
    rows = _ask(connection, dialect, "columns", table=table, schema=schema)
    return tuple(READERS[dialect.name](row, dialect)[0] for row in rows)


def tracked(connection: Connection, dialect: Dialect, relation: Relation) -> Row | None:
    """Return what the database says of its own tracking of a table's changes; None where there is none."""
    if "tracking" not in dialect.catalogue:
        return None
    rows = _ask(connection, dialect, "tracking", table=relation.name, schema=relation.schema)
    return rows[0] if rows else None


def beneath(connection: Connection, dialect: Dialect, relation: Relation) -> list[tuple[str, str | None]]:
    """Return the tables that a table or view is made of, by name and schema; none where that need not be known."""
    if "beneath" not in dialect.catalogue:
        return []
    rows = _ask(connection, dialect, "beneath", table=relation.name, schema=relation.schema)
    # The schemas of DB2's catalogue may be filled with blanks.
    return [(str(row["name"]), str(row["schema_name"]).rstrip()) for row in rows]


@cache
def _statement(file: str) -> TextClause:
    """Return a statement of the catalogue without the comment that says what it answers: drivers stumble over it."""
    lines = (resources.files(__package__) / "catalogue" / file).read_text(encoding="utf-8").splitlines()
    source = "\n".join(line for line in lines if not line.startswith("--"))
    statement = text(source)
    # The drivers do not guess the type of a null that stands for "the default schema".
    names = re.findall(r"(?<!:):(\w+)", source)
    return statement.bindparams(*(bindparam(name, type_=String()) for name in dict.fromkeys(names)))


def _ask(connection: Connection, dialect: Dialect, question: str, **parameters: str | None) -> Sequence[Row]:
    if not dialect.catalogue:
        return datasource.ask(connection, question, **parameters)
    statement = _statement(dialect.catalogue[question])
    known = {name: value for name, value in parameters.items() if name in statement._bindparams}  # noqa: SLF001 - no public way
    return [dict(row) for row in connection.execute(statement, known).mappings()]


# ── keys and checks ───────────────────────────────────────────────────────────────────────────────────────────────


def _keys(rows: Iterable[Row], columns: Iterable[Row], dialect: Dialect) -> tuple[Key, ...]:
    """Return the keys that bind every row and consist of plain columns."""
    grouped: dict[str, list[Row]] = {}
    for row in map(_expressed, rows):
        grouped.setdefault(str(row["key_name"]), []).append(row)
    keys = [
        Key(
            name,
            tuple(str(part["column_name"]) for part in parts),
            bool(parts[0]["is_primary"]),
            deferred=true(parts[0].get("is_deferred")),
            folds=all(true(part.get("folds")) for part in parts),
            hearsay=true(parts[0].get("is_hearsay")),
        )
        for name, parts in grouped.items()
        if all(part["column_name"] is not None and not part["is_partial"] for part in parts)
    ]
    if dialect.name == "sqlite" and not any(key.primary for key in keys):
        # The key of an ordinary SQLite table with INTEGER PRIMARY KEY is the row's own number, without an index.
        primary = sorted((row["key_position"], row["name"]) for row in columns if row["key_position"])
        if primary:
            keys.append(Key("", tuple(name for _, name in primary), primary=True))
    return tuple(keys)


def _expressed(row: Row) -> Row:
    """Return a part of a key over `lower(column)` as one that takes no second value in another case."""
    expression = row.get("expression")
    if expression is None:
        return row
    found = re.fullmatch(r'\s*LOWER\s*\(\s*"?(?P<column>[^"()]+)"?\s*\)\s*', str(expression), re.IGNORECASE)
    return {**row, "column_name": found and found["column"], "folds": found is not None}


def _mentioned(check: str, names: Iterable[str]) -> tuple[str, ...]:
    """Return the columns that a check constraint speaks of."""
    words = set(re.findall(r"\w+", check))
    return tuple(name for name in names if name in words)


def _allowed(name: str, checks: Iterable[Row]) -> tuple[str, ...]:
    """Return the values that a check constraint of the form `column IN ('a', 'b')` allows.

    PostgreSQL rewrites it to `(column)::text = ANY (ARRAY['a'::…])`, and MariaDB takes the blanks out. Anything
    longer is no list of values, and the database decides.
    """
    spelled = rf"[\"`\[(]*{re.escape(name)}[\"`\])]*(?:::[\w ]+)?"
    listed = re.compile(
        rf"CHECK\s*\(+\s*{spelled}\s*(?:IN|=\s*ANY)\s*\(+(?:ARRAY\s*\[)?(?P<list>[^()\]]*)", re.IGNORECASE
    )
    for check in checks:
        body = str(check["check_text"])
        found = listed.search(body if "check" in body.lower() else f"CHECK ({body})")
        if found is None:
            continue
        beyond = found["list"] + body[found.end() :].split(",", maxsplit=1)[0]
        if not re.search(r"\b(AND|OR)\b", beyond, re.IGNORECASE):
            return tuple(label.replace("''", "'") for label in re.findall(r"'((?:[^']|'')*)'", found["list"]))
    return ()


# ── columns ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _column(row: Row, dialect: Dialect, keys: Sequence[Key], checks: Sequence[Row]) -> Column:
    facts, kind = READERS[dialect.name](row, dialect)
    facts = replace(
        facts,
        unique=any(key.columns == (facts.name,) and not key.hearsay for key in keys),
        primary_key=any(key.primary and facts.name in key.columns for key in keys),
        allowed=facts.allowed or _allowed(facts.name, checks),
    )
    return finished(facts, kind, dialect)


def finished(facts: ColumnFacts, kind: Kind, dialect: Dialect) -> Column:
    """Return a column with its attribute's type, or with the reason why it cannot be one."""
    facts = replace(facts, type=ATTRIBUTE_TYPES.get(kind.family), values=meanings.values_of(facts, kind))
    reason = _left_out(facts, kind, dialect)
    return Column(replace(facts, left_out=reason, type=None, values="") if reason else facts, kind)


def _left_out(facts: ColumnFacts, kind: Kind, dialect: Dialect) -> str:
    """Return why a column cannot be an attribute; empty where it can."""
    if any(mark in facts.name for mark in UNNAMEABLE):
        return "its name holds '.' or '[', which no SCIM path can"
    if dialect.row_versions is not None and facts.declared.lower() in dialect.row_versions.types:
        return f"row versions ({facts.declared}) are the database's own; an import takes them as --watermark"
    match kind.family:
        case Family.BINARY:
            stated = f'say how they are kept: column."{facts.name}".uuid = "standard"'
            return f"binary values ({facts.declared}) are not provisioned; if they are UUIDs, {stated}"
        case Family.MULTI_VALUED:
            return f"several values in one column ({facts.declared}) are not provisioned"
        case Family.UNKNOWN:
            return f"its type ({facts.declared or 'none is declared'}) is not known here"
        case _:
            return ""
