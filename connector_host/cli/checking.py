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
)
from connector_host.cli.surveys import print_relations, print_survey

if TYPE_CHECKING:
    from connector_host.connectors.survey import TableSurvey
    from connector_host.errors import Finding
    from connector_host.settings import SqlSettings
    from connector_host.setup.access import Login


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

    sections = asyncio.run(app.check(load(config), config, accept=accept_types, probe=probe))
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
@click.option("--probe", is_flag=True, help="Prove what survives each column: write, read back, and roll back.")
@json_option
def discover(  # noqa: PLR0913, PLR0917 - one parameter an option
    table: str | None,
    config: Path,
    connector: str | None,
    database_url: str | None,
    password_file: Path | None,
    schema: str | None,
    *,
    probe: bool,
    as_json: bool,
) -> None:
    """Show the database's tables, or what one TABLE, or a connector's query, could be to a directory.

    For a table or query: its columns and types, what their values are to a directory, what the first rows say of them
    in counts and shapes (no value is shown), which could be the anchor, the SCIM attribute that each column probably
    is, and what would be left out. The password is asked for, or read from CONNECTOR_HOST_DATABASE_PASSWORD.

    With --probe awkward values are written to each column, read back, and rolled back, as `check --probe` does it.

    \b
    Examples:
      connector-host discover --database-url postgresql://scim@db.example.org/hr
      connector-host discover Employees --database-url sqlite:///contoso.sqlite
      connector-host discover Employees --probe
    """
    from connector_host.connectors.registry import list_relations, survey_query, survey_table
    from connector_host.setup.access import of_settings, of_url, settings_of
    from connector_host.setup.plans import best_anchor, suggest_for

    settings = query = None
    if database_url:
        login = of_url(database_url, password_file)
    else:
        from connector_host.settings import load

        settings = settings_of(load(config), connector)
        login = of_settings(settings)
        query = settings if settings.query is not None and table is None else None
        table, schema = table or login.table, schema or login.schema
    if query is None and table is None:
        if probe:
            raise click.UsageError("Name the table whose columns are to be probed.")
        print_relations(list_relations(login.url, login.password), as_json=as_json)
        return
    survey = survey_query(query) if query else survey_table(login.url, login.password, table=table or "", schema=schema)
    best = best_anchor(survey)
    proof = _probed(settings, login, survey) if probe else None
    print_survey(survey, suggest_for(survey, best.column if best else ""), proof, as_json=as_json)


def _probed(settings: SqlSettings | None, login: Login, survey: TableSurvey) -> list[Finding]:
    """Probe the connector's own table or query by its settings, and any other table by its best anchor."""
    from connector_host.connectors.registry import probe
    from connector_host.setup.access import settings_to_probe

    return probe("", settings_to_probe(settings, login, survey))
