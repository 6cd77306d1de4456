"""SQL Server's own way of telling the anchor that it made: OUTPUT into a variable, which works with triggers, too.

OUTPUT alone is refused on a table with enabled triggers (error 334), and SCOPE_IDENTITY() knows no uniqueidentifier
(sql-connectors.md §3.4).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from connector_host.connectors.sql.columns import Family
from connector_host.connectors.sql.statements import Statement

if TYPE_CHECKING:
    import sqlalchemy as sa

SCRIPT = "SET NOCOUNT ON; DECLARE @made TABLE (anchor {kept_as}); {insertion}; SELECT anchor FROM @made"


def insertion(statement: sa.Insert, anchor: sa.ColumnElement[object], dialect: sa.Dialect, family: Family) -> Statement:
    """Return an insertion with bound values that hands out the anchor as its only row.

    Bytes would be taken for the letters of a text.
    """
    kept_as = "binary(16)" if family is Family.BINARY_UUID else "nvarchar(450)"
    compiled: Any = statement.returning(anchor).compile(dialect=dialect)
    output = f"OUTPUT inserted.{dialect.identifier_preparer.quote_identifier(anchor.name)}"
    text = str(compiled).replace(output, f"{output} INTO @made", 1)
    order = tuple(compiled.positiontup) if compiled.positional else None
    return Statement(SCRIPT.format(kept_as=kept_as, insertion=text), dict(compiled.params), order)
