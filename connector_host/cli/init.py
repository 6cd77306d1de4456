"""`connector-host init`: from a database URL to a configuration that is checked, by questions or by options."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import astuple, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from connector_host.cli.speaking import DEFAULT_CONFIG, findings_document, json_option, print_findings, print_json
from connector_host.cli.surveys import print_anchors, print_columns

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connector_host.connectors.survey import Relation, TableSurvey
    from connector_host.errors import Finding
    from connector_host.setup.access import Login
    from connector_host.setup.plans import ConnectorPlan, HostPlan
    from connector_host.setup.writing import Written

_PORT = 8585
_FILE = click.Path(dir_okay=False, path_type=Path)


@dataclass(frozen=True, slots=True)
class Options:
    """What was given on the command line; None is what is asked for, or proposed."""

    config: Path
    database_url: str | None
    password_file: Path | None
    table: str | None
    schema: str | None
    anchor: str | None
    accept_unenforced_anchor: bool
    mappings: tuple[str, ...]
    no_suggestions: bool
    name: str | None
    directory: str | None
    host: str | None
    listen: str
    port: int | None
    certificate: Path | None
    key: Path | None
    issue_certificate: Path | None
    token_file: Path | None
    from_ecma2host: Path | None
    add: bool
    force: bool
    yes: bool
    as_json: bool
    columns: tuple[str, ...] | None = None
    flows: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def asks(self) -> bool:
        """Return whether there is a person to ask."""
        return not (self.yes or self.as_json) and sys.stdin.isatty()


@click.command()
@click.option("--config", type=_FILE, default=DEFAULT_CONFIG, show_default=True, help="The file to write.")
@click.option("--database-url", envvar="CONNECTOR_HOST_DATABASE_URL", help="The database, as a SQLAlchemy URL.")
@click.option("--password-file", type=_FILE, help="A file with the database password.")
@click.option("--table", help="The table or view with one row for each user.")
@click.option("--schema", help="The schema of the table.")
@click.option("--anchor", help="The column that becomes the SCIM id: unique, not null, never changed.")
@click.option("--accept-unenforced-anchor", is_flag=True, help="Take an anchor that the database does not enforce.")
@click.option("--map", "mappings", multiple=True, metavar="COLUMN=PATH", help="Map a column; an empty PATH unmaps it.")
@click.option("--no-suggestions", is_flag=True, help="Map only what --map names.")
@click.option("--name", help="The connector's name: a part of the URL.")
@click.option("--directory", type=click.Choice(["entra", "okta", "other"]), help="Which directory will call.")
@click.option("--host", help="The name that clients use; the certificate must be for it.  [default: localhost]")
@click.option("--listen", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65_535), help="The TLS port.  [default: 8585]")
@click.option("--certificate", type=_FILE, help="Your certificate and its chain, PEM.")
@click.option("--key", type=_FILE, help="Its private key, PEM.")
@click.option(
    "--issue-certificate",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Issue a certificate into DIR where none is given.  [default: tls beside the file]",
)
@click.option(
    "--token-file",
    type=_FILE,
    help="Write the token there (readable by you only) instead of showing it; replaces only a token.",
)
@click.option("--from-ecma2host", type=_FILE, metavar="FILE.xml", help="Take over an export of Microsoft's ECMA2Host.")
@click.option("--add", is_flag=True, help="Add a connector to a configuration that is there.")
@click.option("--force", is_flag=True, help="Replace a configuration, or files of a connector, that are there.")
@click.option("--yes", is_flag=True, help="Ask nothing: take what is proposed.")
@json_option
def init(**given: Any) -> None:  # noqa: ANN401 - click's door; Options types it
    """Describe a table, step by step, and write the configuration.

    Lists the tables, proposes the anchor and a SCIM attribute for each column with the reason, writes the file, a
    token and a certificate, and runs the check. Every question can be answered by an option. The password is asked
    for, taken out of the URL, read from --password-file, or from CONNECTOR_HOST_DATABASE_PASSWORD; it is kept
    sealed, with a key that stays on this machine.

    \b
    Examples:
      connector-host init
      connector-host init --yes --database-url sqlite:///contoso.sqlite --table Employees --anchor ContosoLogin \\
          --map 'Email=emails[type eq "work"].value' --token-file scim-token
      connector-host init --add --name CRM --database-url mariadb://scim@crm.example.org/crm
      connector-host init --from-ecma2host export.xml --database-url mssql+pyodbc://scim@db/hr
    """
    from connector_host.errors import failures
    from connector_host.setup.writing import add, prepare_folder, refuse_overwriting, write

    options = _taken_over(Options(**given))
    refuse_overwriting(options.config, force=options.force or options.add)
    _refuse_token_file(options)
    prepare_folder(options.config)
    login, connector = _describe(options)
    _refuse_token_file(options, connector.token_hash_file, connector.password_sealed_file)
    if options.add:
        written = add(options.config, connector, login.password, force=options.force)
    else:
        written = write(options.config, partial(_host_plan, options), connector, login.password, force=options.force)
    sections = asyncio.run(_check(written))
    _report(options, written, connector, sections)
    raise SystemExit(1 if any(failures(findings) for findings in sections.values()) else 0)


def _taken_over(options: Options) -> Options:
    """Lay what another product's export says under what was given; mappings in the directory go on to work."""
    if options.from_ecma2host is None:
        return options
    from connector_host.setup.ecma2host import choose, read_export

    found = choose(read_export(options.from_ecma2host), options.name)
    for note in found.notes:
        click.secho(f"note: {note}", err=True, fg="yellow")
    return replace(
        options,
        name=found.name,
        port=found.port if options.port is None else options.port,
        table=options.table or found.table,
        schema=options.schema or (None if options.table else found.schema),
        anchor=options.anchor or found.anchor or None,
        no_suggestions=True,
        directory=options.directory or "entra",
        columns=found.columns or None,
        flows=found.flows,
        notes=found.notes,
    )


def _refuse_token_file(options: Options, *more: Path | None) -> None:
    """Raise where --token-file would replace what this command reads or writes, or any other file but a token."""
    from connector_host.setup.tokens import refuse_token_file
    from connector_host.tls.issuing import IssuedFiles

    if options.token_file is not None:
        issued = astuple(IssuedFiles.within(_certificates(options)))
        refuse_token_file(options.token_file, options.config, options.password_file, *issued, *more)


async def _check(written: Written) -> dict[str, list[Finding]]:
    from connector_host import app

    return await app.check(written.configuration, written.config)


# ── the connector ─────────────────────────────────────────────────────────────────────────────────────────────────


def _describe(options: Options) -> tuple[Login, ConnectorPlan]:
    """Ask or decide everything about the connector."""
    from connector_host.connectors.registry import list_relations, survey_table
    from connector_host.setup.directories import DIRECTORIES
    from connector_host.setup.plans import choose_anchor, exposed_columns, left_out, suggest_for

    login = _login(options)
    table, schema = _table(options, list_relations(login.url, login.password))
    survey = survey_table(login.url, login.password, table=table, schema=schema)
    anchor, accepted = _anchor(options, survey)
    candidate = choose_anchor(survey, anchor, accept_unenforced=accepted)
    suggestions = suggest_for(survey, anchor)
    attributes = _attributes(options, survey, anchor)
    name = _name(options, table)
    directory = DIRECTORIES[_directory(options)]
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
        columns=options.columns or exposed_columns(survey, suggestions),
        left_out=left_out(survey, suggestions),
        preset=directory.preset,
        preset_reason=directory.reason,
        flows=options.flows,
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
        _demand(options, "--database-url", "postgresql://scim@db.example.org/hr")
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
    _demand(options, "--table", f"one of {', '.join(names[:20])}")
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


# ── the host ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _host_plan(options: Options) -> HostPlan:
    """Ask or decide name and certificate of the host; issues a certificate where none is given."""
    from connector_host.setup.certificates import certificate_for
    from connector_host.setup.plans import HostPlan

    name = options.host
    if name is None:
        text = "\nName that clients use for this host (localhost where the agent runs on this machine)"
        name = str(click.prompt(text, default="localhost")) if options.asks else "localhost"
    certificate, key = options.certificate, options.key
    if certificate is None and options.issue_certificate is None and options.asks:
        answer = click.prompt("\nYour certificate for it, PEM (empty: issue one)", default="", show_default=False)
        certificate = Path(answer) if answer else None
        key = Path(click.prompt("Its private key, PEM")) if answer else None
    certificate, key = certificate_for(name, certificate, key, _certificates(options))
    return HostPlan(name, options.listen, _PORT if options.port is None else options.port, certificate, key)


def _certificates(options: Options) -> Path:
    """Return the folder in which a certificate is issued."""
    return options.issue_certificate or options.config.absolute().parent / "tls"


# ── the end ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _report(options: Options, written: Written, connector: ConnectorPlan, sections: dict[str, list[Finding]]) -> None:
    from connector_host import app
    from connector_host.tls.issuing import write_private

    url = app.url_of(written.configuration.host, connector.name)
    if options.token_file is not None:
        write_private(options.token_file, f"{written.token}\n".encode(), give_away=False)
    if options.as_json:
        print_json(
            {
                "config": str(written.config),
                "url": url,
                **({"token_file": str(options.token_file)} if options.token_file else {"token": written.token}),
                "anchor": connector.anchor,
                "attributes": dict(connector.attributes),
                "left_out": dict(connector.left_out),
                "findings": findings_document(sections),
            }
        )
        return
    click.secho(f"\n{written.config} is written.", bold=True)
    for column, path in connector.attributes.items():
        click.echo(f"  {column:<20} {path:<44} {connector.reasons.get(column, 'as you said')}")
    for column, reason in connector.left_out.items():
        click.echo(f"  {column:<20} {'(left out)':<44} {reason}")
    click.echo()
    print_findings(sections)
    click.echo(f"\nTenant URL    {url}")
    shown = f"in {options.token_file}" if options.token_file else f"{written.token}   (shown this once)"
    click.echo(f"Secret token  {shown}")
    click.echo(f"Next          connector-host serve --config {written.config}")


def _demand(options: Options, option: str, example: str) -> None:
    """Raise where something that has no proposal is missing and nobody can be asked."""
    from connector_host.errors import ConfigurationError

    if not options.asks:
        raise ConfigurationError(f"Give {option}: {example}.")
