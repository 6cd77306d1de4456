"""Adding a token to a connector: the hash goes into its file, the token to whoever asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connector_host import clock
from connector_host.access.tokens import hash_token, make_token
from connector_host.errors import ConfigurationError
from connector_host.tls.issuing import write_private

if TYPE_CHECKING:
    from pathlib import Path

    from connector_host.settings import Configuration, SqlSettings


def connector_named(configuration: Configuration, name: str | None) -> tuple[str, SqlSettings]:
    """Return the connector of this name, or the only one; raises ConfigurationError that names those there are."""
    names = ", ".join(configuration.connectors)
    if name is None:
        if len(configuration.connectors) > 1:
            raise ConfigurationError(f"There are several connectors; name one with --connector: {names}.")
        name = next(iter(configuration.connectors))
    if name not in configuration.connectors:
        raise ConfigurationError(f"There is no connector {name}; there are: {names}.")
    return name, configuration.connectors[name]


def add_token(file: Path | None, name: str) -> str:
    """Return a new token, after its hash was added to the file; those that are there stay valid.

    Raises ConfigurationError where the connector has no file for hashes, or where it cannot be written.
    """
    if file is None:
        raise ConfigurationError(f"connectors.{name}: set token_hash_file, so that there is a place for the hash.")
    token = make_token()
    line = f"{hash_token(token)}  # made {clock.now():%Y-%m-%d %H:%M} UTC\n"
    try:
        old = file.read_text(encoding="utf-8") if file.exists() else ""
        write_private(file, (old + ("" if not old or old.endswith("\n") else "\n") + line).encode())
    except OSError as failure:
        raise ConfigurationError(f"{file}: cannot be written ({failure.strerror}).") from failure
    return token
