"""`connector-host import`: every user, or what has changed, as NDJSON or CSV."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from connector_host.cli.speaking import config_option, json_option, print_json, print_table

if TYPE_CHECKING:
    from connector_host.runs.state import Counts, Run


@click.command("import")
@click.argument("connector", required=False)
@config_option
@click.option(
    "--profile",
    type=click.Choice(["full", "snapshot", "watermark", "changes"]),
    default="full",
    show_default=True,
    help="Everything, what differs from the last run, what has a later --watermark, or what a change log names.",
)
@click.option("--watermark", metavar="COLUMN", help="A time, number or row version that grows with each change.")
@click.option("--overlap", type=float, help="How far a time or number reaches back: 300 unless you say.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="A file instead of standard output.")
@click.option("--format", "form", type=click.Choice(["ndjson", "csv"]), default="ndjson", show_default=True)
@click.option(
    "--state",
    type=click.Path(dir_okay=False, path_type=Path),
    help="What is remembered between runs; a file beside the configuration unless you say.",
)
@click.option("--accept-deletions", is_flag=True, help="Deliver deletions however many they are.")
@click.option("--history", is_flag=True, help="Show the last runs instead of running.")
@json_option
def import_users(  # noqa: PLR0913, PLR0917 - one parameter an option
    connector: str | None,
    config: Path,
    profile: str,
    watermark: str | None,
    overlap: float | None,
    output: Path | None,
    form: str,
    state: Path | None,
    *,
    accept_deletions: bool,
    history: bool,
    as_json: bool,
) -> None:
    """Import the users of CONNECTOR: all of them, or what has changed since the last run.

    A snapshot sees additions, changes and deletions on any database. A watermark reads less, but cannot see
    deletions: run a snapshot beside it now and then. A row version (SQL Server's rowversion, PostgreSQL's xid8) needs
    no --overlap. An output file appears when the run is whole, or not at all.

    \b
    Examples:
      connector-host import HR --output users.ndjson
      connector-host import HR --profile snapshot --output changes.ndjson
      connector-host import HR --profile watermark --watermark ChangedAt --format csv
      connector-host import HR --history
    """
    from contextlib import ExitStack

    from connector_host.connectors.registry import open_importer
    from connector_host.errors import HostError
    from connector_host.observability import logs
    from connector_host.runs.imports import Request, run
    from connector_host.runs.state import ImportState
    from connector_host.settings import load
    from connector_host.setup.access import connector_of

    logs.configure("auto", "warning")
    configuration = load(config)
    name, settings = connector_of(configuration, connector)
    with ImportState(state or config.with_name(f"imports-{name}.sqlite")) as kept:
        if history:
            runs = kept.history()
            _print_history(runs, under_way=bool(runs) and runs[0].ended is None and kept.is_in_use, as_json=as_json)
            return
        request = Request(
            profile=profile,  # type: ignore[arg-type] # one of the choices
            output=output,
            form=form,  # type: ignore[arg-type] # the same
            watermark=watermark,
            overlap=overlap,
            accept_deletions=accept_deletions,
        )
        with ExitStack() as opened:
            try:
                importer = opened.enter_context(open_importer(name, settings, configuration.host.state))
            except HostError as failure:
                kept.note(profile, str(failure))
                raise
            counts = run(importer, kept, request, _progress if os.isatty(2) else lambda _: None)
    _print_counts(counts, as_json=as_json)


@click.command("change-log")
@click.argument("connector", required=False)
@config_option
@click.option("--tracking", is_flag=True, help="By SQL Server's change tracking instead of a table and triggers.")
@click.option("--remove", is_flag=True, help="Print what takes the log away again.")
def change_log(connector: str | None, config: Path, *, tracking: bool, remove: bool) -> None:
    """Print the statements that make a change log for CONNECTOR's table, fed by triggers.

    It holds the anchor and the time of each change, so that `connector-host import --profile changes` reads what has
    changed, deletions included, and no more. With --tracking SQL Server keeps such a log by itself, where the anchor is
    the primary key. Nothing is executed: run them as an administrator of the database.

    \b
    Examples:
      connector-host change-log HR | psql hr
      connector-host change-log HR --remove | psql hr
      connector-host change-log HR --tracking | sqlcmd -d hr
    """
    from connector_host.connectors.registry import change_log as needed
    from connector_host.settings import load
    from connector_host.setup.access import settings_of

    statements = needed(settings_of(load(config), connector), remove=remove, by_tracking=tracking)
    if not statements and tracking:
        raise click.ClickException("Only SQL Server tracks changes by itself: leave --tracking out.")
    if not statements:
        raise click.ClickException("No change log is known for this database: import by snapshot instead.")
    for statement in statements:
        click.echo(statement)


def _progress(counts: Counts) -> None:
    sys.stderr.write(f"\r{counts.read:,} read ")
    sys.stderr.flush()


def _print_counts(counts: Counts, *, as_json: bool) -> None:
    """Say what the run met, on stderr: standard output may be the import itself."""
    numbers = {"read": counts.read, "adds": counts.adds, "modifies": counts.modifies, "deletes": counts.deletes}
    if as_json:
        import json

        click.echo(json.dumps(numbers), err=True)
        return
    clear = "\r" if os.isatty(2) else ""
    words = ", ".join(f"{count:,} {what}" for what, count in numbers.items())
    click.echo(clear + words, err=True)


def _print_history(runs: list[Run], *, under_way: bool, as_json: bool) -> None:
    unended = ["under way" if under_way else "cut off", *["cut off"] * len(runs)]
    rows = [
        {
            "run": one.number,
            "profile": one.profile,
            "started": one.started,
            "ended": one.ended,
            "read": one.counts.read,
            "adds": one.counts.adds,
            "modifies": one.counts.modifies,
            "deletes": one.counts.deletes,
            "error": one.error if one.ended else what,
        }
        for one, what in zip(runs, unended, strict=False)
    ]
    if as_json:
        print_json(rows)
    elif rows:
        print_table(list(rows[0]), [["" if cell is None else str(cell) for cell in row.values()] for row in rows])
    else:
        click.echo("No run yet.")
