"""The database password, from wherever the settings say that it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connector_host.errors import ConfigurationError

if TYPE_CHECKING:
    from connector_host.settings import SqlSettings


def password_of(settings: SqlSettings) -> str | None:
    """Return the database password; None where none is given. Raises ConfigurationError where it cannot be read."""
    if settings.password is not None:
        return settings.password.get_secret_value()
    if settings.password_file is None:
        return None
    try:
        return settings.password_file.read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as failure:
        raise ConfigurationError(
            f"password_file: {settings.password_file} cannot be read ({failure.strerror})."
        ) from failure
