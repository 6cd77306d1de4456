"""Secrets of a job, from where the configuration says: read when they are used, never kept in a log or an error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connector_host.errors import ConfigurationError
from connector_host.secret_files import read_secret_file

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import SecretStr


def revealed(secret: SecretStr | None, file: Path | None, key: str = "secret_file") -> str | None:
    """Return the secret, None where none is configured; raises ConfigurationError where its file cannot be used."""
    if secret is not None:
        return secret.get_secret_value()
    if file is None:
        return None
    text = read_secret_file(file, key).strip()
    if not text:
        raise ConfigurationError(f"{key}: {file} is empty. Write the secret into it.")
    return text
