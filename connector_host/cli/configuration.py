"""`connector-host config` and `connector-host reload`: what the configuration says, may say, and taking it over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from connector_host.cli.speaking import config_option, json_option, print_json

if TYPE_CHECKING:
    from pathlib import Path


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
def reload(config: Path) -> None:
    """Check the configuration, and ask the running host to take it over.

    Connectors that did not change go on undisturbed; nothing is dropped. What needs a restart is said in the log.

    \b
    Example:
      connector-host reload --config /etc/connector-host/connector-host.toml
    """
    from connector_host.service.processes import hang_up
    from connector_host.settings import load

    hang_up(load(config).host.state)
    click.echo("The running host was asked to read its configuration; the log says what it took over.")
