"""`connector-host serve`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from connector_host.cli.speaking import config_option, fail

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@config_option
def serve(config: Path) -> None:
    """Serve every connector of the configuration until told to stop.

    Refuses to start with a certificate that is not for this host (exit code 78). SIGTERM or Ctrl-C: takes no new
    requests, finishes those in hand, closes the connectors, and exits with 0.

    \b
    Example:
      connector-host serve --config /etc/connector-host/connector-host.toml
    """
    from connector_host import app
    from connector_host.errors import ConfigurationError
    from connector_host.service.lifecycle import EXIT_CONFIGURATION
    from connector_host.settings import load

    try:
        configuration = load(config)
    except ConfigurationError as failure:
        fail(str(failure), EXIT_CONFIGURATION)
    raise SystemExit(app.run(configuration, config))
