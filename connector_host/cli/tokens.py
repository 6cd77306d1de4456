"""`connector-host token` and `connector-host secret`: what directories call with, and what the host logs in with."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from connector_host.cli.speaking import config_option, fail, json_option, print_json, print_table

if TYPE_CHECKING:
    from datetime import datetime

_FILE = click.Path(dir_okay=False, path_type=Path)
_CONNECTOR = click.option("--connector", help="Which connector; needed only where there are several.")


@click.group()
def token() -> None:
    """Make, list and revoke the tokens that directories call with.

    Only a hash is kept, so a token is shown once. Several may be valid at a time: add the new one, change the
    directory over, then revoke the old one. The running host sees each change at once.
    """


@token.command("new")
@config_option
@_CONNECTOR
@click.option("--name", default="", help="A word to know it by later.")
@click.option("--expires", type=click.DateTime(["%Y-%m-%d"]), help="The day from which it is not valid any more.")
@click.option("--token-file", type=_FILE, help="Write the token there (readable by you only) instead of printing it.")
@click.option(
    "--from-stdin", is_flag=True, help="Take a token of your own from standard input: 12 characters at least."
)
def new(  # noqa: PLR0913 - one parameter an option
    config: Path,
    connector: str | None,
    name: str,
    expires: datetime | None,
    *,
    token_file: Path | None,
    from_stdin: bool,
) -> None:
    """Make a token, keep its hash, and show the token once.

    \b
    Example:
      connector-host token new --name entra --expires 2027-11-23
    """
    from connector_host import clock
    from connector_host.access.tokens import accept_token
    from connector_host.app import url_of
    from connector_host.settings import load
    from connector_host.setup.tokens import add_token, connector_named, refuse_token_file, write_token

    configuration = load(config)
    connector, settings = connector_named(configuration, connector)
    given = accept_token(sys.stdin.readline().strip(), url_of(configuration.host, connector)) if from_stdin else None
    ends = _aware(expires)
    if ends is not None and ends <= clock.now():
        fail(f"--expires: {ends:%Y-%m-%d} has begun already, so the token would never be valid. Give a later day.")
    if token_file is not None:
        refuse_token_file(token_file, config, settings.token_hash_file, settings.password_sealed_file)
    made = add_token(settings.token_hash_file, connector, token=given, name=name, expires=ends)
    if token_file is not None:
        write_token(token_file, made)
        click.echo(f"The token is in {token_file}.")
    elif given is None:
        click.echo(made)
    else:
        click.echo("The token is valid now.")


def _aware(moment: datetime | None) -> datetime | None:
    from datetime import UTC

    return None if moment is None else moment.replace(tzinfo=UTC)


@token.command("list")
@config_option
@_CONNECTOR
@json_option
def show(config: Path, connector: str | None, *, as_json: bool) -> None:
    """List the tokens by the id that the audit trail names, with name and expiry.

    \b
    Example:
      connector-host token list
    """
    from connector_host import clock
    from connector_host.settings import load
    from connector_host.setup.tokens import connector_named, list_tokens

    connector, settings = connector_named(load(config), connector)
    now = clock.now()
    rows = [
        {
            "id": known.id,
            "name": known.name,
            "made": known.made,
            "expires": f"{known.expires:%Y-%m-%d}" if known.expires else "",
            "state": "valid" if known.is_valid(now) else "EXPIRED",
        }
        for known in list_tokens(settings)
    ]
    if as_json:
        print_json(rows)
    elif rows:
        print_table(tuple(rows[0]), [tuple(row.values()) for row in rows])
    else:
        click.echo(f"No token of {connector} is kept. Make one with: connector-host token new")


@token.command("revoke")
@click.argument("token_id", metavar="ID-OR-NAME")
@config_option
@_CONNECTOR
def revoke(token_id: str, config: Path, connector: str | None) -> None:
    """Take a token away; whoever calls with it is turned away from now on.

    \b
    Example:
      connector-host token revoke 9f86d081
    """
    from connector_host.settings import load
    from connector_host.setup.tokens import connector_named, revoke_token

    connector, settings = connector_named(load(config), connector)
    gone = revoke_token(settings, connector, token_id)
    click.echo(f"{gone.id} {gone.name} is not valid any more.".replace("  ", " "))


@click.group()
def secret() -> None:
    """Set the passwords that the host logs in to databases with, sealed for this machine."""


@secret.command("set")
@config_option
@_CONNECTOR
@click.option("--from-stdin", is_flag=True, help="Take it from standard input instead of asking.")
def put(config: Path, connector: str | None, *, from_stdin: bool) -> None:
    """Seal a new database password; then run `connector-host reload`.

    The connector must name the file: password_sealed_file = "HR.password.sealed".

    \b
    Example:
      connector-host secret set --connector HR
    """
    from connector_host.settings import load
    from connector_host.setup.secrets import seal_password
    from connector_host.setup.tokens import connector_named

    connector, settings = connector_named(load(config), connector)
    if settings.password_sealed_file is None:
        line = f'password_sealed_file = "{connector}.password.sealed"'
        fail(f"connectors.{connector} has no password_sealed_file; add: {line}")
    if from_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = click.prompt("password", hide_input=True, confirmation_prompt=True)
    if not password:
        fail("The password is empty; nothing was changed.")
    seal_password(connector, password, settings.password_sealed_file)
    click.echo(f"{settings.password_sealed_file} is written. Take it over with: connector-host reload")
