"""Where a database is that is a file of SQLite: beside the configuration, wherever the program was started."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from pathlib import Path

_SQLITE_URI: Final = re.compile(r"sqlite(?:\+pysqlite)?:///file:", re.IGNORECASE)
"""One that names a file of SQLite by an address within the address, which SQLite would read by rules of its own."""
_SQLITE_FILE: Final = re.compile(r"(?P<scheme>sqlite(?:\+\w+)?:///)(?!:memory:|file:)(?P<path>[^?]+)(?P<rest>.*)")
"""A SQLAlchemy URL that names a file of SQLite by its path."""


def refuse_uri(url: str) -> None:
    """Raise ValueError, with the mend, for a SQLAlchemy URL whose file no folder could be put before."""
    if _SQLITE_URI.match(url):
        raise ValueError("names its file by file:, which is relative to wherever somebody starts: write sqlite:///PATH")


def placed_database(url: str, folder: Path) -> str:
    """Return a SQLAlchemy URL whose file, where it is one of SQLite, is relative to the folder no more."""
    file = _SQLITE_FILE.fullmatch(url)
    if file is None:
        return url
    written = PurePath(quote(str(folder), safe=" +/:"))  # in a URL `%` and `?` stand for something else
    return f"{file['scheme']}{written / file['path']}{file['rest']}"
