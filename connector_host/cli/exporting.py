"""`connector-host export` and `connector-host grants`: one change by hand, rehearsed first, and the rights for it."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click

from connector_host.cli.speaking import config_option, json_option, print_json, printable

if TYPE_CHECKING:
    from pathlib import Path

    from connector_host.connectors.contract import Export, Exported, ObjectType, Rehearsal
    from connector_host.settings import AuditSettings, SqlSettings


@click.command("export")
@click.argument("connector", required=False)
@config_option
@click.option("--create", metavar="JSON", help="Create a user with these values, by column name.")
@click.option("--update", metavar="ID", help="Change the user with this id; --values says to what.")
@click.option("--delete", metavar="ID", help="Delete the user with this id.")
@click.option("--values", metavar="JSON", help="What to change; null clears a column.")
@click.option("--dry-run", is_flag=True, help="Execute the very statements, show them, and undo everything.")
@json_option
def export_user(  # noqa: PLR0913, PLR0917 - one parameter an option
    connector: str | None,
    config: Path,
    create: str | None,
    update: str | None,
    delete: str | None,
    values: str | None,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Create, change or delete one user of CONNECTOR by hand, or see what that would do.

    A dry run executes the very statements in a transaction that is rolled back, so that constraints, triggers and
    rights say what they would say. Numbers that the database gives out meanwhile are not given again. Exits with 1
    if the export fails, or would. What is done by hand stands in the audit trail with the account that typed it; a dry
    run does not.

    \b
    Examples:
      connector-host export HR --dry-run --create '{"Login": "anna", "Name": "Anna"}'
      connector-host export HR --dry-run --update anna --values '{"Name": "Anne"}'
      connector-host export HR --delete anna
    """
    from connector_host.connectors.registry import rehearse
    from connector_host.observability import logs
    from connector_host.settings import load
    from connector_host.setup.access import connector_of

    logs.configure("auto", "warning")
    if sum(given is not None for given in (create, update, delete)) != 1:
        raise click.UsageError("Give one of --create, --update and --delete.")
    if (update is None) != (values is None):
        raise click.UsageError("--update and --values go together.")
    configuration = load(config)
    name, settings = connector_of(configuration, connector)
    state, audit = configuration.host.state, None if dry_run else configuration.audit
    export, done = asyncio.run(_export(name, settings, state, (create, update, delete, values), audit))
    if dry_run:
        _print_rehearsal(rehearse(settings, export, name=name, state=state), as_json=as_json)
    elif done is not None:
        print_json(_outcome(done))


async def _export(
    name: str,
    settings: SqlSettings,
    state: Path,
    given: tuple[str | None, str | None, str | None, str | None],
    audit: AuditSettings | None,
) -> tuple[Export, Exported | None]:
    """Return the export, and what became of it where it is meant, which is where there are settings for its record."""
    from connector_host.app.by_hand import carry_out
    from connector_host.connectors.registry import open_connector

    connector = open_connector(name, settings, state)
    try:
        export = _meant(await connector.describe(), *given)
        return export, None if audit is None else await carry_out(connector, export, audit)
    finally:
        await connector.close()


def _meant(
    described: ObjectType, create: str | None, update: str | None, delete: str | None, values: str | None
) -> Export:
    from connector_host.runs import singles

    if create is not None:
        return singles.addition(described, _document(create))
    if update is not None:
        return singles.modification(described, update, _document(values or "{}"))
    return singles.deletion(delete or "")


def _document(text: str) -> dict[str, Any]:
    """Return a JSON object; fractions are read as decimals, so that nothing is lost."""
    try:
        document = json.loads(text, parse_float=Decimal)
    except json.JSONDecodeError as failure:
        raise click.UsageError(f"This is no JSON: {failure}.") from failure
    if not isinstance(document, dict):
        raise click.UsageError('Give the values as a JSON object: {"Login": "anna"}.')
    return document


def _print_rehearsal(found: Rehearsal, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "executed": found.executed,
                "statements": [{"text": one.text, "parameters": dict(one.parameters)} for one in found.statements],
                "outcome": None if found.outcome is None else _outcome(found.outcome),
                "error": None if found.error is None else str(found.error),
                "remark": found.remark,
            }
        )
    else:
        for one in found.statements:
            click.echo(one.text)
            for name, value in one.parameters.items():
                click.echo(f"    {printable(name)} = {value!r}")
        if found.remark:
            click.secho(found.remark, fg="yellow")
        if found.outcome is not None:
            words = "would be written" if found.outcome.written else "is so already; nothing would be written"
            click.secho(f"{printable(found.outcome.entry.anchor)}: {words}. Everything was undone.", fg="green")
        if found.error is not None:
            click.secho(f"It would fail: {printable(str(found.error))}", fg="red")
    raise SystemExit(0 if found.outcome is not None else 1)


def _outcome(done: Exported) -> dict[str, object]:
    return {"id": done.entry.anchor, "written": done.written, "values": dict(done.entry.values)}


@click.command()
@click.argument("connector", required=False)
@config_option
@click.option("--login", required=True, help="The database login that the host is to use.")
def grants(connector: str | None, config: Path, login: str) -> None:
    """Print the GRANT statements that CONNECTOR's mapping needs, and no more.

    Where the configuration names its columns, only these are granted; otherwise the whole table is, since columns that
    appear later are to be served, too. Nothing is executed: run them as an administrator of the database.

    \b
    Example:
      connector-host grants HR --login scim | psql hr
    """
    from connector_host.connectors.registry import grants as needed
    from connector_host.observability import logs
    from connector_host.settings import load
    from connector_host.setup.access import settings_of

    logs.configure("auto", "warning")
    statements = needed(settings_of(load(config), connector), login)
    if not statements:
        click.echo("This database has no rights to grant: who may write the file may do everything.", err=True)
    for statement in statements:
        click.echo(statement)
