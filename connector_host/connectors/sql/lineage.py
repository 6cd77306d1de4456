"""Where the columns of a query come from: those that are a table's own column, whose facts the catalogue tells.

A column is followed through aliases, joins, sub-queries, WITH and UNION, as far as no function is in between.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from sqlglot import exp

from connector_host.connectors.sql import selecting

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from connector_host.connectors.sql.discovery import Column, TableFacts
    from connector_host.connectors.sql.selecting import Named, Selection

    FactsOf: TypeAlias = Callable[[Named], TableFacts | None]

Output: TypeAlias = "tuple[str, Column | None]"
"""A column of a query by its name, and the table's own column that it is, if it is one."""


@dataclass(frozen=True, slots=True)
class _Scope:
    """What names stand for at one place of a query."""

    database: str
    facts_of: FactsOf
    defined: Mapping[str, tuple[Output, ...] | None]
    """What WITH defined; None where its columns are not known."""


def columns_of(selection: Selection, database: str, facts_of: FactsOf) -> tuple[Output, ...] | None:
    """Return the columns of the query in order; None where a star stands for what is not known."""
    return _outputs(selection.tree, _Scope(database, facts_of, {}))


def _outputs(tree: exp.Expr, scope: _Scope) -> tuple[Output, ...] | None:
    match tree:
        case exp.Subquery():
            return _outputs(tree.this, _within(tree, scope))
        case exp.SetOperation():
            inner = _within(tree, scope)
            return _joined(_outputs(tree.this, inner), _outputs(tree.expression, inner))
        case exp.Select():
            return _selected(tree, _within(tree, scope))
        case _:
            return None


def _within(tree: exp.Expr, scope: _Scope) -> _Scope:
    """Return the scope with what the query defines by WITH; each may name those before it, none itself."""
    found = tree.args.get("with_")
    if found is None:
        return scope
    for definition in found.expressions:
        alias = definition.args["alias"]
        name = selecting.folded(alias.this, scope.database)
        is_plain = not alias.columns and not found.args.get("recursive")
        outputs = _outputs(definition.this, scope) if is_plain else None
        scope = replace(scope, defined={**scope.defined, name: outputs})
    return scope


def _joined(left: tuple[Output, ...] | None, right: tuple[Output, ...] | None) -> tuple[Output, ...] | None:
    """Return the columns of a UNION: of the first part's names, and a table's own where both are of one kind."""
    if left is None or right is None or len(left) != len(right):
        return None
    return tuple(
        (name, one if one is not None and other is not None and one.kind == other.kind else None)
        for (name, one), (_, other) in zip(left, right, strict=True)
    )


def _selected(tree: exp.Select, scope: _Scope) -> tuple[Output, ...] | None:
    start = tree.args.get("from_")
    first = [start.this] if start is not None else []
    joins = [*(join for part in first for join in part.args.get("joins") or ()), *(tree.args.get("joins") or ())]
    # Of columns that a join shares, a star stands for one.
    shares = any(join.args.get("using") or join.method.upper() == "NATURAL" for join in joins)
    sources = [
        (part.alias_or_name.lower(), _columns_of(part, scope)) for part in [*first, *(join.this for join in joins)]
    ]
    found: list[Output] = []
    for column in tree.selects:
        if not column.is_star:
            found.append((column.alias_or_name, _own(column.unalias(), sources, scope.database)))
            continue
        wanted = column.table.lower() if isinstance(column, exp.Column) else ""
        for alias, outputs in sources:
            if wanted in ("", alias):
                if outputs is None or shares:
                    return None
                found += outputs
    return tuple(found)


def _columns_of(part: exp.Expr, scope: _Scope) -> tuple[Output, ...] | None:
    """Return the columns of one thing that is selected from."""
    if isinstance(part, exp.Subquery):
        return None if part.args["alias"] is not None and part.args["alias"].columns else _outputs(part, scope)
    named = selecting.table_of(part, scope.database) if isinstance(part, exp.Table) else None
    if named is None:
        return None
    if named.schema is None and named.name in scope.defined:
        return scope.defined[named.name]
    facts = scope.facts_of(named)
    return None if facts is None else tuple((column.facts.name, column) for column in facts.columns)


def _own(column: exp.Expr, sources: list[tuple[str, tuple[Output, ...] | None]], database: str) -> Column | None:
    """Return the table's column that an expression is; None where it is none, or may be one of several."""
    if not isinstance(column, exp.Column) or not isinstance(column.this, exp.Identifier):
        return None
    wanted = selecting.folded(column.this, database)
    asked = [outputs for alias, outputs in sources if column.table.lower() in ("", alias)]
    if any(outputs is None for outputs in asked):
        return None
    found = [own for outputs in asked for name, own in outputs or () if _is_named(name, wanted, database)]
    return found[0] if len(found) == 1 else None


def _is_named(name: str, wanted: str, database: str) -> bool:
    return name == wanted or (name.lower() == wanted.lower() and database not in selecting.FOLDED)


def as_read(column: Column, name: str) -> Column:
    """Return a table's column as it stands in the query: of its type, without what the table makes of writes."""
    facts = replace(
        column.facts,
        name=name,
        left_out="",
        nullable=True,
        default=None,
        generated=False,
        identity=False,
        always=False,
        unique=False,
        primary_key=False,
    )
    return replace(column, facts=facts)
