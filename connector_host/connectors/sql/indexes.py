"""Indexes: whether the columns that a directory looks users up by can be found without reading the whole table.

A lookup ignores case (RFC 7643 §2.2), so an index must serve that comparison: which one does is each database's own.
Writes nothing; it says which statement an administrator may want to run.
"""

from __future__ import annotations

import re
from functools import partial
from importlib import resources
from typing import TYPE_CHECKING, Final

from sqlalchemy import String, bindparam, text

from connector_host.connectors.sql import views
from connector_host.connectors.sql.predicates import is_folded
from connector_host.connectors.sql.statements import quoted
from connector_host.errors import Finding, Level

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection

    from connector_host.connectors.sql.shapes import Shape, SqlColumn
    from connector_host.settings import SqlSettings

MATCHED_BY: Final = frozenset({"username", "externalid"})
"""The paths that directories match users by, unless an administrator chooses another (ecma.md §4.2)."""


def check_indexes(connection: Connection, shape: Shape, settings: SqlSettings) -> Iterator[Finding]:
    """Yield a warning for each column that users are probably matched by and that no index serves."""
    if not shape.is_query:
        yield from _unserved(connection, shape, settings)
    for column in {one.attribute.name: one for one in (shape.anchor, *_matched_by(shape, settings))}.values():
        if _folds_accents(column):
            yield Finding(
                Level.WARNING,
                column.attribute.name,
                "Its collation takes é for e, which a directory does not: where there is a zoe, it does not find zoé, "
                "and is then refused to create it, again and again.",
                "Use a collation that tells accents apart, such as utf8mb4_uca1400_as_ci or utf8mb4_bin.",
            )


def _unserved(connection: Connection, shape: Shape, settings: SqlSettings) -> Iterator[Finding]:
    """Yield what an index of the table should serve or refuse, and none does."""
    is_view = views.passed_over(connection, shape, settings) is not None
    leading = _leading(connection, shape, settings)
    for column in _matched_by(shape, settings):
        if is_view:
            words = (
                "A view has no index: see that one of the table behind it serves the lookup of users by this column."
            )
            yield Finding(Level.OK, column.attribute.name, words)
            continue
        served = column.attribute.unique and not is_folded(column)
        if not served and not any(_serves(shape, column, expression, collation) for expression, collation in leading):
            yield Finding(
                Level.WARNING,
                column.attribute.name,
                "No index serves the lookup of users by this column, so every lookup reads the whole table.",
                f"Create one: {_statement(connection, shape, column, settings)}",
            )
    for column in shape.guarded:
        yield Finding(
            Level.WARNING,
            column.attribute.name,
            "The database would take a second value that differs in case only. The host looks before each write, which "
            "reads the whole table where no index serves it; another program, or another host at that moment, is not "
            "held back.",
            "Let the database refuse it, by such a unique index on the table behind the view."
            if is_view
            else f"Let the database refuse it: {_statement(connection, shape, column, settings, unique=True)}",
        )


def _folds_accents(column: SqlColumn) -> bool:
    """Return whether a collation of MariaDB or MySQL is one of those that do not tell letters with accents apart."""
    name = (column.discovered.facts.collation or "").lower()
    return "_ai_ci" in name or (name.endswith("_ci") and "_as_" not in name and name.startswith(_ACCENT_FOLDING))


_ACCENT_FOLDING: Final = ("utf8", "ucs2", "utf16", "utf32", "latin1", "latin2", "cp1250", "uca")


def _matched_by(shape: Shape, settings: SqlSettings) -> list[SqlColumn]:
    """Return the columns that users are probably matched by: by their path, or else the anchor."""
    paths = {name.lower(): path.rpartition(":")[2].lower() for name, path in settings.attributes.items()}
    found = [column for name, column in shape.columns.items() if paths.get(name.lower()) in MATCHED_BY]
    return found or [shape.anchor]


def _leading(connection: Connection, shape: Shape, settings: SqlSettings) -> Sequence[tuple[str, str]]:
    """Return what each index of the table leads with, and its collation where the database has one for each index."""
    if not shape.dialect.catalogue:
        return [(str(key.columns[0]), "") for key in shape.facts.keys]
    file = resources.files(__package__) / "catalogue" / f"{shape.dialect.name}_indexes.sql"
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if not line.startswith("--")]
    given = {"table": settings.place, "schema": settings.database_schema}
    source = "\n".join(lines)
    known = {name: value for name, value in given.items() if f":{name}" in source}
    statement = text(source).bindparams(*(bindparam(name, type_=String()) for name in known))
    rows = [dict(row) for row in connection.execute(statement, known).mappings()]
    return [(str(row.get("expression") or row["first_key"]), str(row["collation_name"] or "")) for row in rows]


def _serves(shape: Shape, column: SqlColumn, leading: str, collation: str) -> bool:
    """Return whether an index that leads with this is used for the comparison that `predicates` writes."""
    plain, name = _bare(re.sub(r"::[\w ]+", "", leading)), _bare(column.attribute.name)
    if not is_folded(column):
        return plain == name
    match shape.dialect.text_comparison:
        case "nocase":
            return plain == name and collation.upper() == "NOCASE"
        case "lower" | "unknown":
            return plain == f"lower{name}"
        case "collation":
            return plain == name


def _bare(text: str) -> str:
    """Return a name or an expression without what databases put around names, and add between words."""
    return re.sub(r"[\s()\"`\[\]]", "", text).lower()


def _statement(
    connection: Connection, shape: Shape, column: SqlColumn, settings: SqlSettings, *, unique: bool = False
) -> str:
    """Return the statement that creates the index, with the database's own quotes."""
    quote = partial(quoted, connection)
    name = column.attribute.name
    table = ".".join(quote(part) for part in (settings.database_schema, settings.place) if part is not None)
    expression = quote(name)
    if is_folded(column) and shape.dialect.text_comparison == "nocase":
        expression = f"{expression} COLLATE NOCASE"
    elif is_folded(column) and shape.dialect.text_comparison == "lower":
        expression = f"lower({expression})"
    kind, suffix = ("UNIQUE INDEX", "any_case") if unique else ("INDEX", "lookup")
    return f"CREATE {kind} {quote(f'{settings.place}_{name}_{suffix}')} ON {table} ({expression});"
