"""`connector-host check` and `connector-host discover`: what is so, before and after the configuration is written."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from connector_host.cli.speaking import (
    config_option,
    findings_document,
    json_option,
    print_findings,
    print_json,
    print_table,
)

if TYPE_CHECKING:
    from connector_host.connectors.survey import Relation, TableSurvey
    from connector_host.errors import Finding
    from connector_host.scim.suggestions import Suggestion


@click.command()
@config_option
@click.option("--accept-types", is_flag=True, help="Accept types of columns that changed since they were first seen.")
@click.option("--probe", is_flag=True, help="Write awkward values to each column, read them back, and roll back.")
@json_option
def check(config: Path, *, accept_types: bool, probe: bool, as_json: bool) -> None:
    """Check configuration, certificate, port, database and privileges.

    Says what is wrong and what to do about it. Nothing is changed, save by --accept-types.
    Exits with 1 if the host could not serve.

    With --probe it is proven, column by column, that values survive: one user who is there is changed, or one is
    made, in transactions that are rolled back. Triggers fire, and numbers that the database gives out meanwhile are
    not given again. Where a rollback is not possible, nothing is written.

    \b
    Examples:
      connector-host check --json
      connector-host check --probe
    """
    from connector_host import app
    from connector_host.errors import failures
    from connector_host.settings import load

    sections = asyncio.run(app.check(load(config), accept=accept_types, probe=probe))
    report(sections, as_json=as_json)
    raise SystemExit(1 if any(failures(findings) for findings in sections.values()) else 0)


def report(sections: dict[str, list[Finding]], *, as_json: bool) -> None:
    """Print findings for a person or for a script."""
    if as_json:
        print_json(findings_document(sections))
    else:
        print_findings(sections)


@click.command()
@click.argument("table", required=False)
@config_option
@click.option("--connector", help="Which connector of the configuration; needed only where there are several.")
@click.option(
    "--database-url",
    envvar="CONNECTOR_HOST_DATABASE_URL",
    help="A SQLAlchemy URL, instead of a connector's (also: CONNECTOR_HOST_DATABASE_URL).",
)
@click.option("--password-file", type=click.Path(dir_okay=False, path_type=Path), help="A file with the password.")
@click.option("--schema", help="The schema of the table.")
@json_option
def discover(  # noqa: PLR0913, PLR0917 - one parameter an option
    table: str | None,
    config: Path,
    connector: str | None,
    database_url: str | None,
    password_file: Path | None,
    schema: str | None,
    *,
    as_json: bool,
) -> None:
    """Show the database's tables, or what one TABLE, or a connector's query, could be to a directory.

    For a table or query: its columns and types, which could be the anchor, the SCIM attribute that each column
    probably is, and what would be left out. The password is asked for, or read from CONNECTOR_HOST_DATABASE_PASSWORD.

    \b
    Examples:
      connector-host discover --database-url postgresql://scim@db.example.org/hr
      connector-host discover Employees --database-url sqlite:///contoso.sqlite
    """
    from connector_host.connectors.registry import list_relations, survey_query, survey_table
    from connector_host.setup.access import of_settings, of_url, settings_of
    from connector_host.setup.plans import best_anchor, suggest_for

    query = None
    if database_url:
        login = of_url(database_url, password_file)
    else:
        from connector_host.settings import load

        settings = settings_of(load(config), connector)
        login = of_settings(settings)
        query = settings if settings.query is not None and table is None else None
        table, schema = table or login.table, schema or login.schema
    if query is None and table is None:
        _print_relations(list_relations(login.url, login.password), as_json=as_json)
        return
    survey = survey_query(query) if query else survey_table(login.url, login.password, table=table or "", schema=schema)
    best = best_anchor(survey)
    _print_survey(survey, suggest_for(survey, best.column if best else ""), as_json=as_json)


def _print_relations(relations: tuple[Relation, ...], *, as_json: bool) -> None:

    if as_json:
        print_json([{"name": one.name, "schema": one.schema, "kind": one.kind} for one in relations])
    elif not relations:
        click.echo("This login sees no table and no view. Grant it SELECT on the table of the users.")
    else:
        print_table(("table", "schema", "kind"), [(one.name, one.schema or "", one.kind) for one in relations])


def _print_survey(survey: TableSurvey, suggestions: tuple[Suggestion, ...], *, as_json: bool) -> None:
    if as_json:
        print_json(_survey_document(survey, suggestions))
        return
    is_query = survey.relation.kind == "query"
    click.secho("query" if is_query else f"{survey.relation.kind} {survey.relation.name}", bold=True)
    print_columns(survey, suggestions)
    click.echo()
    click.secho("could be the anchor", bold=True)
    print_anchors(survey)


def print_columns(survey: TableSurvey, suggestions: tuple[Suggestion, ...]) -> None:
    """Print each column with what it probably is and why."""
    rows = []
    for column, found in zip(survey.columns, suggestions, strict=True):
        notes = [text for text, so in (("required", column.required), ("made by the database", column.generated)) if so]
        path = "(left out)" if column.left_out or not found.expose else found.path or "(own name)"
        sure = f"{found.confidence:.0%}" if found.path else ""
        rows.append((column.name, column.declared, ", ".join(notes), path, sure, column.left_out or found.reason))
    print_table(("column", "type", "", "SCIM attribute", "sure", "why"), rows)


def print_anchors(survey: TableSurvey) -> None:
    """Print the columns that could be the anchor, the best first, or why there is none."""
    for candidate in survey.anchors:
        mark = "enforced" if candidate.enforced else "NOT ENFORCED"
        click.echo(f"  {candidate.column:<20} {mark:<13} {'; '.join(candidate.reasons)}")
    if survey.refusal:
        click.echo(f"  {survey.refusal}")


def _survey_document(survey: TableSurvey, suggestions: tuple[Suggestion, ...]) -> dict[str, object]:
    return {
        "table": None if survey.relation.kind == "query" else survey.relation.name,
        "schema": survey.relation.schema,
        "kind": survey.relation.kind,
        "columns": [
            {
                "name": column.name,
                "declared": column.declared,
                "type": column.type and column.type.value,
                "required": column.required,
                "generated": column.generated,
                "unique": column.unique,
                "left_out": column.left_out or ("" if found.expose else found.reason),
                "path": found.path,
                "confidence": found.confidence,
                "reason": found.reason,
            }
            for column, found in zip(survey.columns, suggestions, strict=True)
        ],
        "anchors": [
            {"column": one.column, "enforced": one.enforced, "reasons": list(one.reasons)} for one in survey.anchors
        ],
        "refusal": survey.refusal,
    }
