"""The statements that an export would be, without executing them: for whatever a rollback would not undo."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from connector_host.connectors.contract import Add, Delete, Export, Modify, Spoken
from connector_host.connectors.sql import exports, keeping, predicates, queries
from connector_host.connectors.sql.undoing import operation_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy import Connection

    from connector_host.connectors.sql.scripted import Script
    from connector_host.connectors.sql.shapes import Shape


def spoken(connection: Connection, shape: Shape, export: Export) -> tuple[Spoken, ...]:
    """Return the statements that would write, without executing them; raises what is known before SQL."""
    if isinstance(export, Add):
        values = written = exports.creation(shape, export.values)
    else:
        row = keeping.find(connection, shape, export.anchor, lambda _: None)
        if isinstance(export, Delete) and export.guard is not None:
            export.guard(row.entry)
        written = exports.differences(shape, row.entry, export.revise(row.entry)) if isinstance(export, Modify) else {}
        if isinstance(export, Modify) and not written:
            return ()
        values = keeping.parameters(connection, shape, row) | written
    return tuple(_all(connection, shape, export, values, written))


def _all(
    connection: Connection, shape: Shape, export: Export, values: Mapping[str, object], written: Mapping[str, object]
) -> Iterator[Spoken]:
    """Yield what precedes the export, the export, and what follows it."""
    operation = operation_of(export)
    for key in (f"before_{operation}", operation, f"after_{operation}"):
        if key in shape.scripts:
            yield from _own(shape.scripts[key], values)
        elif key == operation:
            yield _ours(connection, shape, export, written)


def _own(script: Script, values: Mapping[str, object]) -> Iterator[Spoken]:
    for statement, parameters in script.statements:
        yield Spoken(statement.text, {name: values.get(of) for name, of in sorted(parameters.items())})


def _ours(connection: Connection, shape: Shape, export: Export, written: Mapping[str, object]) -> Spoken:
    statement: sa.Insert | sa.Update | sa.Delete
    if isinstance(export, Add):
        statement = sa.insert(shape.table).values(written)
    else:
        one_row = predicates.is_anchor(shape, "key_", queries.anchor_key(shape, export.anchor))
        changing = isinstance(export, Modify)
        statement = (sa.update(shape.table).values(written) if changing else sa.delete(shape.table)).where(one_row)
    compiled = statement.compile(dialect=connection.dialect)
    # The compiler names parameters by `quoted_name`, which is a text of its own kind that JSON encoders refuse.
    return Spoken(str(compiled), {str(name): value for name, value in compiled.params.items()})
