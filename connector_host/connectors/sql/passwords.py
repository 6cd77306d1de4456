"""The database password, from wherever the settings say that it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connector_host.secret_files import read_secret_file

if TYPE_CHECKING:
    from connector_host.settings import SqlSettings


def password_of(settings: SqlSettings) -> str | None:
    """Return the database password; None where none is given. Raises ConfigurationError where it cannot be read."""
    if settings.password is not None:
        return settings.password.get_secret_value()
    if settings.password_file is None:
        return None
    return read_secret_file(settings.password_file, "password_file")
