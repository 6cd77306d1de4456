"""How a database is opened by whoever only reads it: nothing is made, and nothing is changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import URL

READS_ONLY: Final[Mapping[str, str]] = {
    "sqlite": "PRAGMA query_only = ON",
    "mysql": "SET SESSION TRANSACTION READ ONLY",
    "mariadb": "SET SESSION TRANSACTION READ ONLY",
}
"""What has a session change nothing, where that means the same to whoever pools connections before the database."""


def never_made(url: URL) -> URL:
    """Return the URL so that SQLite makes no empty database where its path has a mistake in it."""
    if url.get_backend_name() != "sqlite" or not url.database or url.database.startswith(("file:", ":memory:")):
        return url
    return url.set(database=f"file:{quote(url.database)}").update_query_dict({"mode": "rw", "uri": "true"})
