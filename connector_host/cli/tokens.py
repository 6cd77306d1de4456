"""`connector-host token`: the bearer tokens that directories call with."""

from __future__ import annotations

from pathlib import Path

import click

from connector_host.cli.speaking import config_option


@click.group()
def token() -> None:
    """Make the tokens that directories call with.

    Only a hash is kept, so a token is shown once. Several may be valid at a time: add the new one, change the
    directory over, then take the old one away.
    """


@token.command("new")
@config_option
@click.option("--connector", help="Which connector; needed only where there are several.")
@click.option(
    "--token-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the token there (readable by you only) instead of printing it.",
)
def new(config: Path, connector: str | None, token_file: Path | None) -> None:
    """Make a token, keep its hash, and show the token once. The running host takes it at once.

    \b
    Example:
      connector-host token new --connector HR
    """
    from connector_host.settings import load
    from connector_host.setup.tokens import add_token, connector_named

    name, settings = connector_named(load(config), connector)
    made = add_token(settings.token_hash_file, name)
    if token_file is None:
        click.echo(made)
    else:
        from connector_host.tls.issuing import write_private

        write_private(token_file, f"{made}\n".encode())
        click.echo(f"The token is in {token_file}.")
