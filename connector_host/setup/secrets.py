"""The secrets of a configuration: sealing a password for a connector, and putting the open one into its settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import SecretStr

from connector_host.errors import ConfigurationError
from connector_host.tls.issuing import write_private
from connector_host.vault.keys import find_key, make_key
from connector_host.vault.sealing import seal, unseal

if TYPE_CHECKING:
    from pathlib import Path

    from connector_host.settings import SqlSettings


def purpose_of(name: str) -> str:
    """Return what a connector's password is sealed for."""
    return f"connectors.{name}.password"


def seal_password(name: str, password: str, file: Path) -> None:
    """Write the password, sealed, with the key that there is, or a new one beside the file.

    Raises ConfigurationError where key or file cannot be used.
    """
    try:
        key = find_key(file.parent) or make_key(file.parent)
        write_private(file, seal(password, purpose_of(name), key))
    except OSError as failure:
        raise ConfigurationError(f"{failure.filename or file}: cannot be written ({failure.strerror}).") from failure


def opened(name: str, settings: SqlSettings) -> SqlSettings:
    """Return the settings with the password that was sealed; raises SecretUnusable where it does not open."""
    file = settings.password_sealed_file
    if file is None:
        return settings
    password = unseal(file, purpose_of(name), find_key(file.parent))
    return settings.model_copy(update={"password": SecretStr(password), "password_sealed_file": None})
