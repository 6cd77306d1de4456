"""A table or query as `discover` and `init` show it: its columns, what they could be, and which could be the anchor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from connector_host.cli.speaking import findings_document, print_findings, print_json, print_table, printable

if TYPE_CHECKING:
    from connector_host.connectors.survey import ColumnFacts, Relation, TableSurvey
    from connector_host.errors import Finding
    from connector_host.scim.suggestions import Suggestion

COMMENT_CHARS = 60
OWN_NAME = "(own name)"


def print_relations(relations: tuple[Relation, ...], *, as_json: bool) -> None:
    """Print the tables and views that the login sees."""
    if as_json:
        print_json([{"name": one.name, "schema": one.schema, "kind": one.kind} for one in relations])
    elif not relations:
        click.echo("This login sees no table and no view. Grant it SELECT on the table of the users.")
    else:
        print_table(("table", "schema", "kind"), [(one.name, one.schema or "", one.kind) for one in relations])


def print_survey(
    survey: TableSurvey, suggestions: tuple[Suggestion, ...], proof: list[Finding] | None, *, as_json: bool
) -> None:
    """Print everything that is to know; `proof` is what a probe has found, where one was asked for."""
    if as_json:
        print_json(_document(survey, suggestions) | ({} if proof is None else findings_document({"probe": proof})))
        return
    is_query = survey.relation.kind == "query"
    click.secho("query" if is_query else f"{survey.relation.kind} {printable(survey.relation.name)}", bold=True)
    print_columns(survey, suggestions)
    click.echo()
    click.secho("could be the anchor", bold=True)
    print_anchors(survey)
    if proof is not None:
        click.echo()
        print_findings({"probe": proof})


def print_columns(survey: TableSurvey, suggestions: tuple[Suggestion, ...]) -> None:
    """Print each column with what its values are, what it probably is, and why."""
    rows = []
    for column, found in zip(survey.columns, suggestions, strict=True):
        path = found.path or (OWN_NAME if found.shown else "(not shown)")
        if column.left_out or not found.expose:
            path = "(left out)"
        sure = f"{found.confidence:.0%}" if found.path else ""
        why = column.left_out or found.reason
        if column.comment:
            why += f" (its comment: {_shortened(column.comment)})"
        cells = (column.name, column.spelled, _notes(column), _values(column), _counted(survey, column.name))
        rows.append((*cells, path, sure, why))
    print_table(("column", "type", "", "values", "in the rows", "SCIM attribute", "sure", "why"), rows)
    if any(OWN_NAME in row for row in rows):
        from connector_host.scim.vocabulary import ECMA

        click.echo(f"  {OWN_NAME} is {ECMA}:COLUMN")


def print_anchors(survey: TableSurvey) -> None:
    """Print the columns that could be the anchor, the best first, or why there is none."""
    for candidate in survey.anchors:
        mark = "enforced" if candidate.enforced else "NOT ENFORCED"
        click.echo(f"  {printable(candidate.column):<20} {mark:<13} {'; '.join(candidate.reasons)}")
    if survey.refusal:
        click.echo(f"  {printable(survey.refusal)}")


def _notes(column: ColumnFacts) -> str:
    notes = {
        "primary key": column.primary_key and column.unique,
        "unique": column.unique and not column.primary_key,
        "required": column.required,
        "computed": column.generated and not column.identity,
        "numbered": column.identity,
        "has a default": column.default is not None and not column.identity,
    }
    return ", ".join(text for text, so in notes.items() if so)


def _values(column: ColumnFacts) -> str:
    """Return what the values are to a directory, and how that is known where no table says it."""
    return f"{column.values} (by {column.known_by})" if column.values and column.known_by else column.values


def _counted(survey: TableSurvey, name: str) -> str:
    """Return what the first rows say of a column; no value is among it."""
    found = survey.samples.get(name)
    if found is None:
        return ""
    if not found.filled:
        return "none filled" if found.rows else "no rows"
    different = "all different" if found.distinct == found.filled else f"{found.distinct} different"
    said = [f"{found.filled / found.rows:.0%} filled", different, found.looks]
    return ", ".join(text for text in said if text)


def _shortened(comment: str) -> str:
    line = " ".join(comment.split())
    return line if len(line) <= COMMENT_CHARS else f"{line[: COMMENT_CHARS - 1]}…"


# ── for scripts ───────────────────────────────────────────────────────────────────────────────────────────────────


def _document(survey: TableSurvey, suggestions: tuple[Suggestion, ...]) -> dict[str, object]:
    return {
        "table": None if survey.relation.kind == "query" else survey.relation.name,
        "schema": survey.relation.schema,
        "kind": survey.relation.kind,
        "columns": [
            _column(column) | {"sample": _sample(survey, column.name)} | _suggestion(column, found)
            for column, found in zip(survey.columns, suggestions, strict=True)
        ],
        "anchors": [
            {"column": one.column, "enforced": one.enforced, "reasons": list(one.reasons)} for one in survey.anchors
        ],
        "refusal": survey.refusal,
    }


def _column(column: ColumnFacts) -> dict[str, object]:
    return {
        "name": column.name,
        "declared": column.declared,
        "type": column.type and column.type.value,
        "values": column.values,
        "known_by": column.known_by or "the table's own declaration",
        "length": column.length,
        "precision": column.precision,
        "scale": column.scale,
        "nullable": column.nullable,
        "default": column.default,
        "identity": column.identity,
        "allowed": list(column.allowed),
        "collation": column.collation,
        "comment": column.comment,
        "required": column.required,
        "generated": column.generated,
        "unique": column.unique,
    }


def _sample(survey: TableSurvey, name: str) -> dict[str, object] | None:
    found = survey.samples.get(name)
    if found is None:
        return None
    return {"rows": found.rows, "filled": found.filled, "distinct": found.distinct, "looks": found.looks}


def _suggestion(column: ColumnFacts, found: Suggestion) -> dict[str, object]:
    return {
        "left_out": column.left_out or ("" if found.expose else found.reason),
        "path": found.path,
        "confidence": found.confidence,
        "reason": found.reason,
    }
