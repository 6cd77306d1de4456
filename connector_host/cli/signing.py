"""`connector-host signing`: keys for requests that are signed from end to end."""

from __future__ import annotations

from pathlib import Path

import click


@click.group()
def signing() -> None:
    """Make keys for requests that are signed from end to end, so that a taken-over relay cannot forge one."""


@signing.command("new")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def new(file: Path) -> None:
    """Make a key for whoever signs: FILE stays with the signer, FILE.pub goes to the host.

    \b
    Example:
      connector-host signing new engine.key
    """
    from connector_host.signing.keys import make_key

    made = make_key(file)
    click.echo(f"The signer keeps {file}: signing_key in [jobs.NAME.target], or key in [sign].")
    click.echo(f"The host trusts {made.public_file}: keys in [connectors.NAME.signing].")
    click.echo(f"Key id: {made.id}")


@signing.command("show")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def show(file: Path) -> None:
    """Say the id of a public key, as the host's log and a signature's keyid name it.

    \b
    Example:
      connector-host signing show engine.key.pub
    """
    from connector_host.signing.keys import id_of, load_public_key

    click.echo(id_of(load_public_key(file)))
