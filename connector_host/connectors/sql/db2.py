"""DB2's own way of telling the anchor that it made: a SELECT from the table of what an INSERT put there.

https://www.ibm.com/docs/en/db2/11.5.x?topic=statement-result-sets-from-sql-data-changes
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from connector_host.connectors.sql.statements import Statement

if TYPE_CHECKING:
    import sqlalchemy as sa


def insertion(
    statement: sa.Insert, anchor: sa.ColumnElement[object], dialect: sa.Dialect, *, has_triggers: bool
) -> Statement:
    """Return an insertion with bound values that hands out the anchor as its only row.

    FINAL TABLE is refused where an AFTER trigger changes the row (SQL0989N); NEW TABLE is the row before such triggers.
    """
    compiled: Any = statement.compile(dialect=dialect)
    name = dialect.identifier_preparer.quote_identifier(anchor.name)
    table = "NEW TABLE" if has_triggers else "FINAL TABLE"
    text = f"SELECT {name} FROM {table} ({compiled})"  # noqa: S608 - compiled with bound parameters
    return Statement(text, dict(compiled.params), tuple(compiled.positiontup))
