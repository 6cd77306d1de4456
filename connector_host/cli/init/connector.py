"""What `init` asks, or decides, about the connector: database, table, anchor, attributes, name, directory."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from connector_host.cli.init.options import demand
from connector_host.cli.surveys import print_anchors, print_columns

if TYPE_CHECKING:
    from pathlib import Path

    from connector_host.cli.init.options import Options
    from connector_host.connectors.survey import Relation, TableSurvey
    from connector_host.setup.access import Login
    from connector_host.setup.plans import ConnectorPlan


def describe(options: Options) -> tuple[Login, ConnectorPlan]:
    """Ask or decide everything about the connector."""
    from connector_host.connectors.registry import list_relations, survey_table
    from connector_host.setup.access import written_for
    from connector_host.setup.directories import DIRECTORIES
    from connector_host.setup.plans import choose_anchor, exposed_columns, left_out, suggest_for
    from connector_host.setup.truths import to_write

    login = _login(options)
    table, schema = _table(options, list_relations(login.url, login.password))
    survey = survey_table(login.url, login.password, table=table, schema=schema)
    anchor, accepted = _anchor(options, survey)
    candidate = choose_anchor(survey, anchor, accept_unenforced=accepted)
    suggestions = suggest_for(survey, anchor)
    attributes = _attributes(options, survey, anchor)
    name = _name(options, table)
    directory = DIRECTORIES[_directory(options)]
    columns = options.columns or exposed_columns(survey, suggestions)
    truths = to_write(survey, attributes, mapped_only=options.no_suggestions)
    reasons = {found.column: found.reason for found in suggestions if attributes.get(found.column) == found.path}
    return login, _plan(
        options.config,
        name=name,
        login=login,
        table=table,
        schema=schema,
        anchor=anchor,
        attributes=attributes,
        reasons=reasons,
        accept_unenforced_anchor=not candidate.enforced,
        columns=columns,
        truths={name: truth for name, truth in truths.items() if columns is None or name in columns},
        left_out=left_out(survey, suggestions),
        preset=directory.preset,
        preset_reason=directory.reason,
        flows=options.flows,
        exports=written_for(login.url, options.exports),
        notes=options.notes,
    )


def _plan(config: Path, *, name: str, login: Login, **decided: Any) -> ConnectorPlan:  # noqa: ANN401 - passed on
    from connector_host.setup.plans import ConnectorPlan

    folder = config.absolute().parent
    return ConnectorPlan(
        name=name,
        database=login.url,
        password_sealed_file=folder / f"{name}.password.sealed" if login.password is not None else None,
        token_hash_file=folder / f"{name}.tokens",
        **decided,
    )


def _login(options: Options) -> Login:
    from connector_host.setup.access import of_url

    url = options.database_url
    if url is None:
        demand(options, "--database-url", "postgresql://scim@db.example.org/hr")
        click.echo("Which database holds the users? For example postgresql://scim@db.example.org/hr,")
        click.echo("mariadb://…, mysql://…, mssql://…, oracle://…, db2://…, odbc://…?dsn=…, or sqlite:///path/to/file.")
        url = click.prompt("database")
    login = of_url(str(url), options.password_file)
    if options.asks and login.may_need_password:
        typed = click.prompt("password (empty: none)", hide_input=True, default="", show_default=False)
        login = replace(login, password=typed or None)
    return login


def _table(options: Options, relations: tuple[Relation, ...]) -> tuple[str, str | None]:
    """Return table and schema: as given, the only one, or as chosen."""
    from connector_host.errors import ConfigurationError

    if options.table:
        return options.table, options.schema
    names = [one.name if one.schema is None else f"{one.schema}.{one.name}" for one in relations]
    if not relations:
        raise ConfigurationError("This login sees no table and no view. Grant it SELECT on the table of the users.")
    if len(relations) == 1:
        return relations[0].name, relations[0].schema
    demand(options, "--table", f"one of {', '.join(names[:20])}")
    for number, (one, name) in enumerate(zip(relations, names, strict=True), start=1):
        click.echo(f"  {number:>3}  {name}" + ("  (view)" if one.kind == "view" else ""))
    chosen = relations[click.prompt("Which one holds the users", type=click.IntRange(1, len(relations))) - 1]
    return chosen.name, chosen.schema


def _anchor(options: Options, survey: TableSurvey) -> tuple[str, bool]:
    """Return the anchor, and whether one that nothing enforces was accepted by name."""
    from connector_host.errors import ConfigurationError
    from connector_host.setup.plans import best_anchor

    best = best_anchor(survey)
    if options.anchor:
        return options.anchor, options.accept_unenforced_anchor
    if not options.asks:
        if best is None or not best.enforced:
            raise ConfigurationError(survey.refusal or "No column is an anchor as it stands; name one with --anchor.")
        return best.column, False
    click.secho("\nWhich column never changes and names each user once?", bold=True)
    print_anchors(survey)
    anchor = click.prompt("anchor", default=best.column if best else None)
    enforced = any(one.column == anchor and one.enforced for one in survey.anchors)
    accepted = options.accept_unenforced_anchor or enforced
    if not accepted:
        click.echo(
            f"The database does not keep {anchor} unique and not null. A unique key and NOT NULL would be better."
        )
        accepted = click.prompt(f"Type {anchor} again to accept that", default="", show_default=False) == anchor
    return anchor, accepted


def _attributes(options: Options, survey: TableSurvey, anchor: str) -> dict[str, str]:
    """Return column to path: what is proposed, then what was given, then what a person changed."""
    from connector_host.setup.mappings import merged, parse_mapping
    from connector_host.setup.plans import proposed_attributes, suggest_for

    suggestions = suggest_for(survey, anchor)
    columns = [column.name for column in survey.columns]
    attributes = {} if options.no_suggestions else proposed_attributes(suggestions)
    for text in options.mappings:
        attributes = merged(attributes, parse_mapping(text, columns))
    if options.asks:
        click.secho("\nWhat the columns probably are", bold=True)
        print_columns(survey, suggestions)
        click.echo(
            'Change a line as COLUMN=PATH (Email=emails[type eq "work"].value), COLUMN= to unmap; Enter to go on.'
        )
        while text := click.prompt("change", default="", show_default=False):
            attributes = _changed(attributes, text, columns)
    return attributes


def _changed(attributes: dict[str, str], text: str, columns: list[str]) -> dict[str, str]:
    from connector_host.errors import ConfigurationError
    from connector_host.setup.mappings import merged, parse_mapping

    try:
        return merged(attributes, parse_mapping(text, columns))
    except ConfigurationError as failure:
        click.secho(str(failure), fg="red")
        return attributes


def _name(options: Options, table: str) -> str:
    from connector_host.setup.mappings import connector_name

    proposed = connector_name(table)
    if options.name or not options.asks:
        return options.name or proposed
    return str(click.prompt("\nName of the connector, a part of its URL", default=proposed))


def _directory(options: Options) -> str:
    if options.directory or not options.asks:
        return options.directory or "other"
    return str(
        click.prompt("\nWhich directory will call", type=click.Choice(["entra", "okta", "other"]), default="entra")
    )
