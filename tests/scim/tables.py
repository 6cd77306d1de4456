"""A real connector over a SQLite table, with a loop of its own: hypothesis runs its examples outside of pytest's."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import contextmanager

from connector_host.connectors.registry import open_connector
from connector_host.settings import SqlSettings


@contextmanager
def opened(database, ddl, *, table, anchor):
    """Yield a connection to the database, the connector, and what runs its coroutines."""
    connection = sqlite3.connect(database)
    connection.execute(ddl)
    given = {"database": f"sqlite:///{database}", "table": table, "anchor": anchor}
    with asyncio.Runner() as runner:
        connector = open_connector("T", SqlSettings.model_validate(given))
        yield connection, connector, runner.run
        runner.run(connector.close())
    connection.close()
