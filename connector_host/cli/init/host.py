"""What `init` asks, or decides, about the host: its name, where it listens, its certificate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from connector_host.cli.init.options import Options
    from connector_host.setup.plans import HostPlan

_LISTEN = "127.0.0.1"
_PORT = 8585


def refuse_host_options(options: Options) -> None:
    """Raise where an option for the host cannot be meant: what it says makes no sense, or the host is there already."""
    from connector_host.errors import ConfigurationError
    from connector_host.setup.listening import refuse_unknown_address
    from connector_host.tls.names import parse_name

    if options.add:
        names = ("host", "listen", "port", "certificate", "key", "issue_certificate")
        if given := [f"--{name.replace('_', '-')}" for name in names if getattr(options, name) is not None]:
            raise ConfigurationError(
                f"{' and '.join(given)} cannot be given with --add, which leaves [host] as it is: change it in "
                f"{options.config}."
            )
    if options.listen is not None:
        refuse_unknown_address(options.listen)
    if options.host is not None:
        parse_name(options.host)


def host_plan(options: Options) -> HostPlan:
    """Ask or decide name and certificate of the host; nothing is issued yet."""
    from connector_host.setup.certificates import certificate_for
    from connector_host.setup.plans import HostPlan

    name = options.host
    if name is None:
        text = "\nName that clients use for this host (localhost where the agent runs on this machine)"
        name = str(click.prompt(text, default="localhost")) if options.asks else "localhost"
    certificate, key = options.certificate, options.key
    if certificate is None and options.issue_certificate is None and options.asks:
        answer = click.prompt("\nYour certificate for it, PEM (empty: issue one)", default="", show_default=False)
        certificate = Path(answer) if answer else None
        key = Path(click.prompt("Its private key, PEM")) if answer else None
    chosen = certificate_for(name, certificate, key, certificates(options))
    return HostPlan(
        name,
        _LISTEN if options.listen is None else options.listen,
        _PORT if options.port is None else options.port,
        chosen.certificate,
        chosen.key,
        chosen.issue_into,
    )


def certificates(options: Options) -> Path:
    """Return the folder in which a certificate is issued."""
    return options.issue_certificate or options.config.absolute().parent / "tls"
