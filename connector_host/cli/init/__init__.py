"""`connector-host init`: from a database URL to a configuration that is checked, by questions or by options."""

from __future__ import annotations

import asyncio
from dataclasses import astuple, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from connector_host.cli.init.connector import describe
from connector_host.cli.init.host import certificates, host_plan, refuse_host_options
from connector_host.cli.init.options import Options
from connector_host.cli.speaking import DEFAULT_CONFIG, findings_document, json_option, print_findings, print_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connector_host.errors import Finding
    from connector_host.setup.plans import ConnectorPlan
    from connector_host.setup.writing import Written

_FILE = click.Path(dir_okay=False, path_type=Path)


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
@click.option("--listen", help="The address to listen on.  [default: 127.0.0.1]")
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

    options = Options(**given)
    refuse_host_options(options)
    options = _taken_over(options)
    refuse_overwriting(options.config, force=options.force or options.add)
    _refuse_token_file(options)
    prepare_folder(options.config)
    login, connector = describe(options)
    _refuse_token_file(options, connector.token_hash_file, connector.password_sealed_file)
    if options.add:
        written = add(options.config, connector, login.password, force=options.force)
    else:
        written = write(options.config, host_plan(options), connector, login.password, force=options.force)
    sections = asyncio.run(_check(written))
    _report(options, written, connector, sections)
    raise SystemExit(1 if any(failures(findings) for findings in sections.values()) else 0)


def _taken_over(options: Options) -> Options:
    """Lay what another product's export says under what was given; mappings in the directory go on to work."""
    if options.from_ecma2host is None:
        return options
    from connector_host.setup.ecma2host import choose, read_export

    found = choose(read_export(options.from_ecma2host), options.name)
    notes = (*_on_the_port(options, found.port), *found.notes)
    for note in notes:
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
        exports=found.exports,
        notes=notes,
    )


def _on_the_port(options: Options, port: int | None) -> Iterator[str]:
    """Yield what becomes of the tenant URL where a host that is there listens on another port than the old product."""
    from connector_host.settings import load

    if options.add and port is not None and (ours := load(options.config).host.port) != port:
        yield (
            f"The export's port is {port}, this host's is {ours}, so the tenant URL changes: put the new one into "
            f"Entra, or write port = {port} in [host]."
        )


def _refuse_token_file(options: Options, *more: Path | None) -> None:
    """Raise where --token-file would replace what this command reads or writes, or any other file but a token."""
    from connector_host.setup.tokens import refuse_token_file
    from connector_host.tls.issuing import IssuedFiles

    if options.token_file is not None:
        issued = astuple(IssuedFiles.within(certificates(options)))
        refuse_token_file(options.token_file, options.config, options.password_file, *issued, *more)


async def _check(written: Written) -> dict[str, list[Finding]]:
    from connector_host import app

    return await app.check(written.configuration, written.config)


def _report(options: Options, written: Written, connector: ConnectorPlan, sections: dict[str, list[Finding]]) -> None:
    from connector_host import app
    from connector_host.setup.tokens import write_token

    url = app.url_of(written.configuration.host, connector.name)
    if options.token_file is not None:
        write_token(options.token_file, written.token)
    if options.as_json:
        print_json(
            {
                "config": str(written.config),
                "url": url,
                **({"token_file": str(options.token_file)} if options.token_file else {"token": written.token}),
                "anchor": connector.anchor,
                "attributes": dict(connector.attributes),
                "left_out": dict(connector.left_out),
                **({"notes": list(connector.notes)} if connector.notes else {}),
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
