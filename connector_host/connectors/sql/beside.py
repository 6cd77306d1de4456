"""What the administrator wants done beside an export, whichever statements do that: before it and after it.

In the export's transaction, so that neither is ever done without the other. Unlike the statements of the export itself
these may meet any number of rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from connector_host.connectors.contract import Exported
from connector_host.connectors.errors import NotFound, WrongRowCount
from connector_host.connectors.sql import keeping

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Connection

    from connector_host.connectors.sql.shapes import Shape


def run(connection: Connection, shape: Shape, key: str, values: Mapping[str, object]) -> None:
    """Execute the statements of one key of `exports`, such as before_create, where there are any."""
    if key in shape.scripts:
        shape.scripts[key].run(connection, values, any_rows=True)


def followed(
    connection: Connection, shape: Shape, key: str, done: Exported, on_unreadable: Callable[[str], None]
) -> Exported:
    """Execute what follows a creation or a change, with the row's own values; returns the user as it is then.

    Raises WrongRowCount where the user is gone afterwards.
    """
    if key not in shape.scripts or not done.written:
        return done
    anchor = done.entry.anchor
    row = keeping.find(connection, shape, anchor, on_unreadable)
    run(connection, shape, key, keeping.parameters(connection, shape, row))
    try:
        return Exported(keeping.find(connection, shape, anchor, on_unreadable).entry, written=True)
    except NotFound:
        raise WrongRowCount(f"The statements of exports.{key} left no user, and all was undone.") from None
