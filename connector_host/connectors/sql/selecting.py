"""A query in place of a table: read by its grammar, refused where it is more than one plain SELECT.

Pure: nothing here asks the database. What a function does that the query calls cannot be read off its name, so the
connections that run it are told to change nothing (Dialect.reads_only).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import sqlalchemy as sa
import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import TokenType

from connector_host.databases.queries import (
    GRAMMARS,
    NO_SELECT,
    SEVERAL,
    begins_as_select,
    escaped,
    more_than_reads,
    not_nested,
    statements,
)
from connector_host.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlglot.tokenizer_core import Token

FOLDED: Mapping[str, str] = {"postgresql": "lower", "oracle": "upper", "db2": "upper"}
"""What becomes of a name without quotes, where it does not stay as it is written."""

COMMENTS = ("--", "#", "/*")
"""How a comment begins; a hint of Oracle's is none to the grammar."""

ALIAS = "source"
"""What the rows of the query are called in our own statements."""


@dataclass(frozen=True, slots=True)
class Named:
    """A table as the query names it, spelled as the database is to know it."""

    name: str
    schema: str | None


@dataclass(frozen=True, slots=True)
class Selection:
    """A query that was read and found good."""

    text: str
    """As it is sent: without comments, and without a semicolon at its end."""
    tree: exp.Query
    reads: tuple[Named, ...]
    """The tables and views that it names, each once."""

    def rows(self, columns: Sequence[sa.ColumnClause[object]] = ()) -> sa.Subquery:
        """Return the query as what is selected from."""
        return sa.text(escaped(self.text)).columns(*columns).subquery(ALIAS)


@lru_cache(maxsize=64)
def read(query: str, database: str) -> Selection:
    """Return the query as it is read; raises ConfigurationError that says what it may not be, and the mend."""
    try:
        tokens = sqlglot.tokenize(query, dialect=GRAMMARS.get(database))
        _demand_plain(tokens)
        found = statements(query, database)
    except SqlglotError:
        raise ConfigurationError(
            "query: cannot be read as a SELECT of this database. Mend it, or make it a view and name that in `table`."
        ) from None
    if len(found) != 1:
        raise ConfigurationError(f"query: {SEVERAL}")
    tree = found[0]
    if not isinstance(tree, exp.Query):
        raise ConfigurationError(f"query: {NO_SELECT}")
    for refusal in _refusals(tree, database):
        raise ConfigurationError(f"query: {refusal}")
    return Selection(_plain(query, tokens), tree, tuple(dict.fromkeys(_reads(tree, database))))


def _plain(query: str, tokens: Sequence[Token]) -> str:
    """Return the query without comments, in which some drivers look for parameters, and without its semicolon."""
    parts: list[str] = []
    end = 0
    for token in tokens:
        if token.token_type is TokenType.SEMICOLON:
            break
        between = query[end : token.start]
        parts += [" " if between.lstrip().startswith(COMMENTS) else between, query[token.start : token.end + 1]]
        end = token.end + 1
    return "".join(parts).strip()


def _demand_plain(tokens: Sequence[Token]) -> None:
    """Raise ConfigurationError for what would mislead the grammar: see each message."""
    if not begins_as_select(tokens):
        raise ConfigurationError(f"query: {NO_SELECT}")
    for token in tokens:
        if any(comment.startswith(("!", "M!")) for comment in token.comments):
            raise ConfigurationError("query: holds /*! … */, which some servers run and others do not; leave it out.")
        if token.token_type is TokenType.PLACEHOLDER:
            raise ConfigurationError(
                "query: holds a ?, which drivers take for a parameter, and nobody gives it a value; for an operator "
                "of PostgreSQL write its function, such as jsonb_exists(a, 'b')."
            )


def _refusals(tree: exp.Query, database: str) -> Iterator[str]:
    """Yield what the query may not be."""
    yield from more_than_reads(tree)
    yield from not_nested(tree, database)
    if tree.args.get("order") and not (tree.args.get("limit") or tree.args.get("offset")):
        yield "has an ORDER BY, but each request sorts for itself; leave it out."
    if (tree.args.get("limit") or tree.args.get("offset")) and not tree.args.get("order"):
        yield "cuts its rows (LIMIT, TOP, FETCH or OFFSET), and which ones is chance; say which by ORDER BY."
    yield from _names(tree)


def _names(tree: exp.Query) -> Iterator[str]:
    """Yield what is wrong with the names of the columns, as far as they can be read off."""
    seen: set[str] = set()
    if not tree.selects:
        yield "selects no column."
    for number, column in enumerate(tree.selects, 1):
        if column.is_star:
            continue
        name = column.alias_or_name
        if not name or not isinstance(column, (exp.Alias, exp.Column)):
            yield f"has no name for its column {number}; write AS and a name behind it."
        if name.lower() in seen:
            yield f"has several columns {name}; give each a name of its own by AS."
        seen.add(name.lower())


def _reads(tree: exp.Query, database: str) -> Iterator[Named]:
    """Yield the tables that are named anywhere; what WITH defines, and functions that give rows, are none."""
    own = {folded(found.args["alias"].this, database) for found in tree.find_all(exp.CTE)}
    for table in tree.find_all(exp.Table):
        named = table_of(table, database)
        if named is not None and not (named.schema is None and named.name in own):
            yield named


def table_of(table: exp.Table, database: str) -> Named | None:
    """Return a table as it is named in a query; None for a function, and for a table of another server."""
    if not isinstance(table.this, exp.Identifier) or table.args.get("catalog"):
        return None
    schema = table.args.get("db")
    name = folded(table.this, database)
    if database == "oracle" and name == "DUAL":
        return None
    return Named(name, folded(schema, database) if isinstance(schema, exp.Identifier) else None)


def folded(name: exp.Identifier, database: str) -> str:
    """Return a name as the database keeps it."""
    text = str(name.this)
    if name.args.get("quoted"):
        return text
    match FOLDED.get(database):
        case "lower":
            return text.lower()
        case "upper":
            return text.upper()
        case _:
            return text
