"""The secrets of a configuration: sealing a password for a connector, and putting the open one into its settings."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from pydantic import SecretStr

from connector_host.errors import ConfigurationError, Finding, Level
from connector_host.settings import read_document
from connector_host.setup.showing import holds_secret
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


def plain_passwords(file: Path) -> dict[str, Finding]:
    """Return the connectors whose database password stands in the configuration itself, for all to read who may.

    Raises ConfigurationError where the file cannot be read. What comes from the environment stands in no file.
    """
    connectors = read_document(file, {}).get("connectors", {})
    return {
        name: _plain(file, name)
        for name, one in connectors.items()
        if one.get("password") or holds_secret(str(one.get("database", "")))
    }


def _plain(file: Path, name: str) -> Finding:
    fact = "The database password stands in the configuration in plain text"
    exposed = os.name == "posix" and file.stat().st_mode & stat.S_IROTH
    fact += ", which everybody on this machine may read." if exposed else "."
    mend = (
        f'Take it out, add password_sealed_file = "{name}.password.sealed", run `connector-host secret set --connector '
        f"{name}`, then `connector-host reload`."
    )
    return Finding(Level.WARNING, "password", fact, mend)


def opened(name: str, settings: SqlSettings) -> SqlSettings:
    """Return the settings with the password that was sealed; raises SecretUnusable where it does not open."""
    file = settings.password_sealed_file
    if file is None:
        return settings
    password = unseal(file, purpose_of(name), find_key(file.parent))
    return settings.model_copy(update={"password": SecretStr(password), "password_sealed_file": None})
