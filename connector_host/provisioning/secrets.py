"""Secrets of a job, from where the configuration says: read when they are used, never kept in a log or an error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connector_host.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import SecretStr


def revealed(secret: SecretStr | None, file: Path | None) -> str | None:
    """Return the secret, None where none is configured; raises ConfigurationError where its file cannot be read."""
    if secret is not None:
        return secret.get_secret_value()
    if file is None:
        return None
    try:
        text = file.read_text(encoding="utf-8").strip()
    except OSError as failure:
        raise ConfigurationError(f"{file}: cannot be read ({failure.strerror}).") from failure
    if not text:
        raise ConfigurationError(f"{file}: is empty.")
    return text
