"""A secret that an administrator gives in a file of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.errors import ConfigurationError
from connector_host.errors import ConfigurationError as Unusable
from connector_host.ownership import is_open
from connector_host.secret_files import read_secret_file, read_secret_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def read_secret(file: Path, key: str) -> str:
    """Return the secret without blanks around it; raises ConfigurationError that names `key` and quotes nothing."""
    return _read(read_secret_file, file, key)


def read_secret_lines(file: Path, key: str) -> str:
    """Return a secret of several lines, as credentials for NATS are; raises as `read_secret` does."""
    return _read(read_secret_text, file, key)


def _read(read: Callable[[Path, str], str], file: Path, key: str) -> str:
    try:
        return read(file, key).strip()
    except Unusable as failure:
        raise ConfigurationError(str(failure)) from failure


def refuse_open(file: Path, key: str) -> None:
    """Raise ConfigurationError that names `key` where everybody on this machine may read or write the file."""
    if is_open(file):
        raise ConfigurationError(f"{key}: everybody on this machine may use {file}: chmod 600 {file}")
