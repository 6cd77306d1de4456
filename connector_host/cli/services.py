"""`connector-host service`: the host as a service of this machine."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from connector_host.cli.speaking import config_option, fail

if TYPE_CHECKING:
    from connector_host.settings import Configuration
    from connector_host.units.descriptions import Unit

NAME = "connector-host"


@click.group()
def service() -> None:
    """Run the host as a service: installed once, started with the machine, restarted when it fails."""


@service.command("install")
@config_option
@click.option("--no-start", is_flag=True, help="Only put it in place.")
@click.option("--print", "only_print", is_flag=True, help="Print what would be put in place, and change nothing.")
def install(config: Path, *, no_start: bool, only_print: bool) -> None:
    """Install the host as a hardened service with an account of its own, and start it.

    The folder of the configuration is handed to that account, so give the configuration a folder of its own. On Linux
    this is a systemd unit, and the key that passwords are sealed with is handed over to systemd, which gives it to this
    service alone. On Windows it is a service of the account NT SERVICE\\connector-host.

    \b
    Example:
      sudo connector-host service install --config /etc/connector-host/connector-host.toml
    """
    from connector_host.settings import load
    from connector_host.units.managers import of_this_machine

    configuration = load(config)
    unit, manager = unit_of(config.absolute(), configuration), of_this_machine()
    if only_print:
        click.echo(manager.show(unit))
        return
    _demand_own_folder(unit.folder)
    manager.install(unit, start=not no_start)
    for path in out_of_reach(configuration):
        click.echo(f"But the account {NAME} may not write {path}: sudo chown {NAME} {path}", err=True)
    click.echo(f"{NAME} is installed{'' if no_start else ' and runs'}. Its log: {manager.log_of(NAME)}")


@service.command("uninstall")
def uninstall() -> None:
    """Stop the service and take it away; configuration, state and account stay.

    \b
    Example:
      sudo connector-host service uninstall
    """
    from connector_host.units.managers import of_this_machine

    of_this_machine().uninstall(NAME)
    click.echo(f"{NAME} is no service any more; its configuration and state are untouched.")


@service.command("start")
def start() -> None:
    """Start the service.

    \b
    Example:
      sudo connector-host service start
    """
    from connector_host.units.managers import of_this_machine

    of_this_machine().start(NAME)
    click.echo(f"{NAME} runs.")


@service.command("stop")
def stop() -> None:
    """Stop the service, after the requests in hand have ended.

    \b
    Example:
      sudo connector-host service stop
    """
    from connector_host.units.managers import of_this_machine

    of_this_machine().stop(NAME)
    click.echo(f"{NAME} has stopped.")


@service.command("status")
def status() -> None:
    """Say whether the service runs, with the end of its log; exits with 1 where it does not.

    \b
    Example:
      connector-host service status
    """
    from connector_host.units.managers import of_this_machine

    running, text = of_this_machine().status(NAME)
    click.echo(text)
    raise SystemExit(0 if running else 1)


def unit_of(config: Path, configuration: Configuration) -> Unit:
    """Return the host as a unit; folders of SQLite databases must stay writable inside its sandbox."""
    from connector_host.units.descriptions import Unit
    from connector_host.vault.keys import KEY_NAME, has_key

    databases = {file.parent for file in _files_of(configuration)}
    own = {configuration.host.state, configuration.audit.folder or configuration.host.state}
    program = _program()
    outside = databases | {folder for folder in own if not folder.is_relative_to(config.parent)}
    return Unit(
        name=NAME,
        description="Connector host: SCIM 2.0 for SQL databases",
        entry="connector_host.cli:main",
        command=(program, "serve", "--config", str(config)),
        folder=config.parent,
        port=configuration.host.port,
        # An export in hand is waited for as long as its statement may take: a kill would leave its outcome unknown.
        stop_s=configuration.stop_max_s,
        reload=(program, "reload", "--config", str(config), "--process"),
        watchdog_s=30,
        writable=tuple(sorted(outside - {config.parent})),
        credential=KEY_NAME if has_key(config.parent) else "",
    )


def out_of_reach(configuration: Configuration) -> list[Path]:
    """Return those, and their folders, that the service may not write: SQLite puts its journal beside the file."""
    from connector_host.ownership import may_write

    paths = [path for file in _files_of(configuration) if file.exists() for path in (file, file.parent)]
    return [path for path in dict.fromkeys(paths) if not may_write(NAME, path)]


def _files_of(configuration: Configuration) -> list[Path]:
    """Return the databases that are files."""
    from connector_host.setup.access import read_url

    urls = [read_url(connector.database) for connector in configuration.connectors.values()]
    return [Path(url.database) for url in urls if url.get_backend_name() == "sqlite" and url.database]


def _program() -> str:
    found = shutil.which("connector-host", path=str(Path(sys.executable).parent)) or shutil.which("connector-host")
    if found is None:
        fail("The program connector-host is not on the PATH.")
    return str(Path(found).absolute())


def _demand_own_folder(folder: Path) -> None:
    # The folders of the system and of people are one or two parts long, or a home.
    if len(folder.parts) <= _SHORTEST or folder.parent == Path("/home") or folder == Path.home():
        fail(f"{folder} would be handed to the service's account. Move the configuration to /etc/connector-host first.")


_SHORTEST = 2
