"""A query by its grammar: whether it is one SELECT that changes nothing. Pure, and asks no database.

What a function does that the query calls cannot be read off its name: a connection that runs it has to be told to
change nothing, too.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import Token, TokenType

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


GRAMMARS: Mapping[str, str] = {
    "sqlite": "sqlite",
    "postgresql": "postgres",
    "mysql": "mysql",
    "mariadb": "mysql",
    "mssql": "tsql",
    "oracle": "oracle",
}
"""What sqlglot calls each database; of DB2 and unnamed data sources it knows the common grammar alone."""

WITHOUT_WITH = frozenset({"mssql", "db2", "ibm_db_sa"})
"""Databases, by our name and SQLAlchemy's, that take no WITH inside of parentheses."""

LOCKING_HINTS = frozenset({"UPDLOCK", "XLOCK", "TABLOCKX", "TABLOCK", "HOLDLOCK", "PAGLOCK", "ROWLOCK"})

NO_SELECT = "is no SELECT; write one SELECT, or several joined by UNION."
SEVERAL = "holds several statements; write one SELECT."


def escaped(text: str) -> str:
    """Return text of SQL in which no colon is taken for a parameter's."""
    return text.replace(":", "\\:")


def statements(query: str, database: str) -> list[exp.Expr]:
    """Return what the text holds; raises SqlglotError where the grammar does not know it."""
    parsed = sqlglot.parse(query, dialect=GRAMMARS.get(database))
    return [one for one in parsed if one and not isinstance(one, exp.Semicolon)]


def nested(query: str, database: str) -> str:
    """Return the query as it may stand within another one: without what ends a statement, and without its order.

    No row depends on an order that nothing limits, and SQL Server takes none there. What no grammar of its own reads
    keeps its order.
    """
    grammar = GRAMMARS.get(database)
    try:
        tokens = sqlglot.tokenize(query, dialect=grammar)
    except SqlglotError:
        return query.rstrip().rstrip(";")
    while tokens and tokens[-1].token_type is TokenType.SEMICOLON:
        tokens.pop()
    if not tokens:
        return query
    whole = query[: tokens[-1].end + 1]
    order = _order(tokens)
    if grammar is None or order is None or not _is_only_ordered(whole, grammar):
        return whole
    return query[: order.start].rstrip()


def _order(tokens: Sequence[Token]) -> Token | None:
    """Return where the order of the whole query begins: the last ORDER BY outside of all parentheses."""
    depth, found = 0, None
    for token in tokens:
        depth += (token.token_type is TokenType.L_PAREN) - (token.token_type is TokenType.R_PAREN)
        if depth == 0 and token.token_type is TokenType.ORDER_BY:
            found = token
    return found


def _is_only_ordered(query: str, grammar: str) -> bool:
    """Return whether the order comes last, and decides of no row whether it is there."""
    try:
        tree = sqlglot.parse_one(query, dialect=grammar)
    except SqlglotError:
        return False
    distinct = tree.args.get("distinct")
    if isinstance(distinct, exp.Distinct) and distinct.args.get("on"):
        return False
    asked = {name for name, part in tree.args.items() if part}
    return "order" in asked and not asked & {"limit", "offset", "locks", "options", "for_"}


def begins_as_select(tokens: Sequence[Token]) -> bool:
    """Return whether the first word is one with which a SELECT begins."""
    first = next((token for token in tokens if token.text != "("), None)
    return first is not None and first.text.upper() in ("SELECT", "WITH")


def more_than_reads(tree: exp.Query) -> Iterator[str]:
    """Yield what a query does or asks for besides reading, and the mend."""
    changing = tree.find(exp.Delete, exp.Insert, exp.Update, exp.Merge, exp.Create, exp.Command)
    if changing is not None:
        yield f"holds {changing.key.upper()}, and a source of users only reads; leave it out."
    if tree.find(exp.Into):
        yield "has an INTO, and a source of users only reads; leave it out."
    hints = (str(hint).upper() for found in tree.find_all(exp.WithTableHint) for hint in found.expressions)
    if tree.find(exp.Lock) or LOCKING_HINTS & set(hints):
        yield "locks the rows that it reads (FOR UPDATE, FOR SHARE, or a hint); leave that out."
    if tree.find(exp.QueryOption):
        yield "has a FOR XML or FOR JSON, which makes one text of all users; leave it out."
    if tree.find(exp.NextValueFor):
        yield "draws from a sequence, and a source of users only reads; leave it out."
    if tree.find(exp.Parameter, exp.Placeholder):
        yield "holds a parameter or variable, and nobody gives it a value; write the value itself."


def not_nested(tree: exp.Query, database: str) -> Iterator[str]:
    """Yield why the database does not take the query as a part of another one, and the mend."""
    if database in WITHOUT_WITH and tree.find(exp.With):
        yield (
            "holds WITH, which this database does not take where the query is to stand (in FROM); write sub-queries, "
            "or make it a view."
        )


def refusal(query: str, database: str) -> str | None:
    """Return why a text is no query that only reads, None where nothing speaks against it.

    What the grammar cannot read is left to the database: it knows its own words better.
    """
    try:
        if not begins_as_select(sqlglot.tokenize(query, dialect=GRAMMARS.get(database))):
            return NO_SELECT
        found = statements(query, database)
    except SqlglotError:
        return None
    if len(found) != 1:
        return SEVERAL
    tree = found[0]
    if not isinstance(tree, exp.Query):
        return NO_SELECT
    return next(chain(more_than_reads(tree), not_nested(tree, database)), None)
