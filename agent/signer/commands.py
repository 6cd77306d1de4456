"""`provisioning-agent sign`: a key for signed requests, and the proxy that signs for a client that cannot."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from agent import memory
from agent.errors import ConfigurationError

if TYPE_CHECKING:
    import argparse
    import asyncio
    from collections.abc import Callable, Coroutine

    Serve = Callable[[Callable[[asyncio.Event], Coroutine[object, object, None]]], None]


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser], serve: Serve) -> None:
    """Add `sign` with its actions to the command line; `serve` runs something until it is told to stop."""
    actions = commands.add_parser(
        "sign",
        help="sign requests for a SCIM client that cannot",
        description="Sign a SCIM client's requests (RFC 9421), so that the connector host can tell them from what a "
        "taken-over relay made up. Runs beside the client and listens on loopback only.",
    ).add_subparsers(required=True, metavar="ACTION")
    new = actions.add_parser("new", help="make a key: FILE stays here, FILE.pub goes to the host")
    new.add_argument("file", type=Path, metavar="FILE", help="where the private key goes")
    new.set_defaults(command=_new)
    run = actions.add_parser(
        "run",
        help="sign and pass on what arrives on loopback",
        description="Sign and pass on what arrives on loopback, until SIGTERM or Ctrl-C. "
        "Every key may also be set by an environment variable, PROVISIONING_SIGNER__SIGN__PORT for `port`.",
    )
    run.add_argument("--config", type=Path, required=True, metavar="sign.toml", help="the signer's configuration")
    run.set_defaults(command=lambda parsed: _run(parsed, serve))


def _new(parsed: argparse.Namespace) -> int:
    from connector_host.errors import ConfigurationError as NotMade  # noqa: PLC0415 - `--help` answers without it
    from connector_host.signing.keys import make_key  # noqa: PLC0415 - the same

    try:
        made = make_key(parsed.file)
    except NotMade as failure:
        raise ConfigurationError(str(failure)) from failure
    print(f"The signer keeps {parsed.file}: key in [sign].")  # noqa: T201 - for the person who typed the command
    print(f"The host trusts {made.public_file}: keys in [connectors.NAME.signing].")  # noqa: T201 - the same
    print(f"Key id: {made.id}")  # noqa: T201 - the same
    return 0


def _run(parsed: argparse.Namespace, serve: Serve) -> int:
    from agent import logs  # noqa: PLC0415 - the same

    with memory.lean_imports():
        from agent.signer import service  # noqa: PLC0415 - the same
    from agent.signer.settings import load_signer  # noqa: PLC0415 - the same

    settings = load_signer(parsed.config).sign
    logs.configure(settings.log_format, settings.log_level)
    serve(lambda stop: service.run(settings, stop))
    return 0
