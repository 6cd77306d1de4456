"""`connector-host config` and `connector-host reload`: what the configuration says, may say, and taking it over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from connector_host.cli.speaking import config_option, fail, json_option, print_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from connector_host.service.reloads import Reloaded

_PATIENCE_S: Final = 60.0
"""How long the running host is given to take everything over; each database is asked for its table."""


@click.group("config")
def configuration() -> None:
    """Show the configuration as it takes effect, or what it may say."""


@configuration.command("show")
@config_option
@json_option
def show(config: Path, *, as_json: bool) -> None:
    """Show every setting as it takes effect, defaults and environment included; secrets are left out.

    \b
    Example:
      connector-host config show
    """
    from connector_host.settings import load
    from connector_host.setup.showing import effective, lines

    shown = effective(load(config))
    if as_json:
        print_json(shown)
    else:
        click.echo("\n".join(lines(shown)))


@configuration.command("schema")
def schema() -> None:
    """Print the JSON Schema of the file, for editors that help while one writes.

    \b
    Example:
      connector-host config schema > connector-host.schema.json
      # then, as the first line of the file:  #:schema ./connector-host.schema.json
    """
    from connector_host.settings import Configuration

    print_json(Configuration.model_json_schema())


@configuration.command("reference")
def reference() -> None:
    """Print what every key means, with types, bounds and defaults: docs/configuration.md.

    \b
    Example:
      connector-host config reference | less
    """
    from connector_host.setup.reference import reference as page

    click.echo(page(), nl=False)


@click.command()
@config_option
@click.option(
    "--process", type=click.IntRange(1), help="The host's process, where the service manager knows it: its $MAINPID."
)
def reload(config: Path, *, process: int | None) -> None:
    """Check the configuration, let the running host take it over, and say what came of it.

    Connectors that did not change go on undisturbed; nothing is dropped. One that cannot be used as it stands now goes
    on as it was, and the exit code is 1. What takes effect at a restart only is named.

    \b
    Example:
      connector-host reload --config /etc/connector-host/connector-host.toml
    """
    from connector_host.service.processes import hang_up
    from connector_host.service.reloads import mark_of, wait_for_report
    from connector_host.settings import load

    state = load(config).host.state
    before = mark_of(state)
    hang_up(state, process)
    outcome = wait_for_report(state, before, _PATIENCE_S)
    if outcome is None:
        fail("The running host was asked to read its configuration, but has not said what came of it; see its log.")
    for line in _told(outcome):
        click.echo(line)
    raise SystemExit(0 if outcome.whole else 1)


def _told(outcome: Reloaded) -> Iterator[str]:
    """Say what the host took over, and what it did not."""
    if outcome.failure:
        yield f"The configuration was not taken over: {outcome.failure}"
        return
    what = "what can be used of the configuration" if outcome.refused else "the configuration"
    yield f"The running host has taken over {what}; connectors that it serves: {outcome.connectors}."
    for name, reason in outcome.refused.items():
        yield f"connectors.{name} {reason}"
    if outcome.restart:
        yield f"Takes effect at a restart only: {', '.join(outcome.restart)}."
