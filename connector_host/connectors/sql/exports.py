"""Exports: one Add, Modify or Delete as statements inside a transaction that somebody else commits.

Every write demands exactly one row, and is read back in the same transaction: RETURNING does not show what
AFTER triggers did (sql-connectors.md §3.3.11). Raises our own errors for what is known before SQL; a driver's
errors pass through, since only the writer knows what they mean for the others in its transaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import sqlalchemy as sa

from connector_host.connectors.contract import (
    Add,
    Delete,
    Entry,
    Export,
    Exported,
    Modify,
    Mutability,
    Value,
    Values,
    to_text,
)
from connector_host.connectors.errors import Conflict, Immutable, InvalidValue, NotFound, WrongRowCount
from connector_host.connectors.sql import (
    beside,
    committing,
    db2,
    doubles,
    guarding,
    keeping,
    mssql,
    predicates,
    queries,
    statements,
)
from connector_host.connectors.sql.columns import Family, Unfit
from connector_host.connectors.sql.scripted import Done, NotOneRow

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Connection

    from connector_host.connectors.sql.keeping import Row
    from connector_host.connectors.sql.shapes import Shape, SqlColumn


def carry_out(connection: Connection, shape: Shape, export: Export, on_unreadable: Callable[[str], None]) -> Exported:
    """Carry out one export in the connection's transaction; nothing is committed here."""
    with committing.watched(connection, shape, export):
        match export:
            case Add():
                parameters = creation(shape, export.values)
                by = _add_by_script if "create" in shape.scripts else add
                done = by(connection, shape, parameters, on_unreadable)
                return beside.followed(connection, shape, "after_create", done, on_unreadable)
            case Modify():
                done = _modify(connection, shape, export, on_unreadable)
                return beside.followed(connection, shape, "after_update", done, on_unreadable)
            case Delete():
                return _delete(connection, shape, export, on_unreadable)


# ── add ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def add(
    connection: Connection, shape: Shape, parameters: dict[str, object], on_unreadable: Callable[[str], None]
) -> Exported:
    """Insert one row and read it back; raises Conflict where the database would take a second of what is unique."""
    given = parameters.get(shape.object_type.anchor)
    if given is not None and not shape.enforced:
        _guard(connection, shape, given)
    elif given is not None and shape.dialect.proves_writes and guarding.is_taken(connection, shape, given):
        # Not every driver says why it refused: one looks before.
        raise Conflict([shape.object_type.anchor])
    doubles.refuse(connection, shape, parameters)
    beside.run(connection, shape, "before_create", parameters)
    statement = sa.insert(shape.table)
    if given is not None:
        connection.execute(statement, parameters)
        key = given
    else:
        key = _insert_and_learn(connection, shape, statement, parameters)
    anchor = text_of_key(shape, key)
    entry = queries.read(connection, shape, [anchor], on_unreadable).get(anchor)
    if entry is None:
        raise WrongRowCount("The database reported success, but did not keep the user: look at the table's triggers.")
    prove(shape, entry, parameters)
    return Exported(entry, written=True)


def _add_by_script(
    connection: Connection, shape: Shape, parameters: dict[str, object], on_unreadable: Callable[[str], None]
) -> Exported:
    """Create by the administrator's own statements; a row that they hand out tells the anchor that they made."""
    given = parameters.get(shape.object_type.anchor)
    if given is not None and not shape.enforced:
        _guard(connection, shape, given)
    elif given is not None and guarding.is_taken(connection, shape, given):
        # Statements that pass over what is there already would hand out somebody else's row as the new one.
        raise Conflict([shape.object_type.anchor])
    doubles.refuse(connection, shape, parameters)
    beside.run(connection, shape, "before_create", parameters)
    done = _run(connection, shape, "create", parameters)
    key = done.key if given is None else given
    if key is None:
        raise WrongRowCount("The statements of exports.create handed out no anchor: end them with one that does.")
    try:
        anchor = text_of_key(shape, key)
    except Unfit:
        raise WrongRowCount("What the statements of exports.create handed out last is no anchor; undone.") from None
    entry = queries.read(connection, shape, [anchor], on_unreadable).get(anchor)
    if entry is None:
        raise WrongRowCount("The statements of exports.create made no user with this anchor, and were undone.")
    return Exported(entry, written=True)


def _run(connection: Connection, shape: Shape, operation: str, values: Mapping[str, object]) -> Done:
    try:
        return shape.scripts[operation].run(connection, values)
    except NotOneRow:
        raise WrongRowCount(f"A statement of exports.{operation} met several rows, and was undone.") from None


def text_of_key(shape: Shape, key: object) -> str:
    """Return the canonical text of a key as the driver has it."""
    return to_text(shape.anchor.codec.decode(key))


def creation(shape: Shape, values: Values) -> dict[str, object]:
    """Return the parameters of an insertion; what is absent is left to the column's default, a null is stored."""
    anchor, encoders = shape.object_type.anchor, shape.encoders
    parameters: dict[str, object] = {}
    for name, value in values.items():
        if value is None and name == anchor:
            continue
        if (encode := encoders.get(name)) is None:
            _refuse_to_write(shape, name)
        if value is not None:
            parameters[name] = _encoded(name, encode, value)
        else:
            _demand_nullable(shape.columns[name])
            parameters[name] = None
    for name in shape.required:
        if name not in parameters:
            raise InvalidValue(name, "is required: the column takes no null and has no default.")
    return parameters


def _refuse_to_write(shape: Shape, name: str) -> NoReturn:
    if name not in shape.columns:
        raise InvalidValue(name, "There is no such attribute.")
    raise Immutable(name, "is computed by the database.")


def _encoded(name: str, encode: Callable[[Value], object], value: Value) -> object:
    try:
        return encode(value)
    except Unfit as unfit:
        raise InvalidValue(name, f"{unfit}.") from None


def _demand_nullable(column: SqlColumn) -> None:
    if not column.attribute.nullable:
        raise InvalidValue(column.attribute.name, "takes no null.")


def _guard(connection: Connection, shape: Shape, key: object) -> None:
    """Refuse a second row with the anchor, since the database would not (DESIGN §2.1)."""
    guarding.hold(connection, shape)
    if guarding.is_taken(connection, shape, key):
        raise Conflict([shape.object_type.anchor])


def _insert_and_learn(
    connection: Connection, shape: Shape, statement: sa.Insert, parameters: dict[str, object]
) -> object:
    """Insert a row and return the anchor that the database made for it."""
    anchor = shape.anchor.sql
    match shape.dialect.generated_key:
        case "returning":
            returned = connection.execute(statement.returning(anchor), parameters).scalars().all()
            if len(returned) != 1:
                raise WrongRowCount("The database did not keep the user: look at the table's triggers.")
            return returned[0]
        case "output_into":
            family = shape.anchor.discovered.kind.family
            telling = mssql.insertion(statement.values(parameters), anchor, connection.dialect, family)
            return telling.run(connection, {}).scalar_one()
        case "by_values":
            connection.execute(statement, parameters)
            return _key_by_values(connection, shape, parameters)
        case "last_insert_rowid":
            connection.execute(statement, parameters)
            number = sa.literal_column("rowid") == sa.func.last_insert_rowid()
            made = sa.select(anchor.label("key_")).select_from(shape.table).where(number)
            return connection.execute(made).scalar_one()
        case "final_table":
            return (
                db2.insertion(
                    statement.values(parameters), anchor, connection.dialect, has_triggers=shape.facts.triggers > 0
                )
                .run(connection, {})
                .scalar_one()
            )
        case "last_insert_id":
            if not shape.anchor.discovered.facts.identity:
                raise InvalidValue(
                    anchor.name,
                    "is made by the database, which does not tell it: give it, or create users by exports.create.",
                )
            connection.execute(statement, parameters)
            return connection.execute(sa.select(sa.func.last_insert_id())).scalar_one()


def _key_by_values(connection: Connection, shape: Shape, parameters: Mapping[str, object]) -> object:
    """Return the anchor of the only row with these values: the new row has them, so that it is the one.

    Long text cannot be compared everywhere, and floating point is rounded: both are left out of the comparison.
    """
    same = [
        shape.columns[name].sql == predicates.parameter(name)
        for name, value in parameters.items()
        if value is not None and _is_comparable(shape, shape.columns[name])
    ]
    made = sa.select(shape.anchor.sql.label("key_")).where(sa.true(), *same)
    found = connection.execute(made, dict(parameters)).scalars().all()
    if not found:
        raise WrongRowCount(
            "No user has the values that were written, so all was undone: the database keeps one of them otherwise, "
            "or a trigger changes it. Create users by statements in exports.create, or leave that value out."
        )
    if len(found) != 1:
        raise WrongRowCount(
            f"The database makes {shape.object_type.anchor}, and ODBC does not tell it: {len(found)} users have the "
            "values that were written. Give a value that no other user has, or create users by statements in "
            "exports.create that hand it out."
        )
    return found[0]


def _is_comparable(shape: Shape, column: SqlColumn) -> bool:
    floating = column.discovered.kind.family in (Family.SINGLE, Family.DOUBLE)
    return not floating and not predicates.is_long(column, shape)


def prove(shape: Shape, entry: Entry, parameters: Mapping[str, object]) -> None:
    """Raise InvalidValue where a value reads back as another, on a database that could not tell what it keeps."""
    if not shape.dialect.proves_writes:
        return
    for name, value in parameters.items():
        meant = None if value is None else shape.columns[name].codec.decode(value)
        if entry.values[name] != meant:
            raise InvalidValue(
                name,
                "reads back as another value than was written, so nothing was changed: this database cannot keep the "
                "value, or a trigger changes it.",
            )


# ── modify and delete ─────────────────────────────────────────────────────────────────────────────────────────────


def _modify(connection: Connection, shape: Shape, export: Modify, on_unreadable: Callable[[str], None]) -> Exported:
    row = _locked(connection, shape, export.anchor, on_unreadable)
    before = row.entry
    changes = differences(shape, before, export.revise(before))
    if not changes:
        return Exported(before, written=False)
    doubles.refuse(connection, shape, changes, export.anchor)
    key = queries.anchor_key(shape, export.anchor)
    done: Done | None = None
    values = _values(connection, shape, "update", row) | changes
    beside.run(connection, shape, "before_update", values)
    if "update" in shape.scripts:
        done = _run(connection, shape, "update", values)
        if done.met_none:
            raise NotFound(export.anchor)
    else:
        is_anchor = predicates.is_anchor(shape, "key_", key)
        _demand_one_row(connection, shape, sa.update(shape.table).values(changes).where(is_anchor))
    after = queries.read(connection, shape, [export.anchor], on_unreadable).get(export.anchor)
    if after is None:
        where = "the query, which gives this user no more" if shape.is_query else "the table's triggers"
        raise WrongRowCount(f"The database reported success, but the user is gone: look at {where}.")
    if done is not None:
        _demand_change(done, before, after, changes)
    prove(shape, after, changes)
    return Exported(after, written=True)


def _demand_change(done: Done, before: Entry, after: Entry, changes: Mapping[str, object]) -> None:
    """Raise WrongRowCount where a statement met no row, and a value is what it was: it was that row's."""
    kept = [name for name in changes if after.values[name] == before.values[name]]
    if done.missed and kept:
        statements = " and ".join(f"exports.update[{number}]" for number in done.missed)
        raise WrongRowCount(
            f"{statements} met no row, so {' and '.join(kept)} could not be changed, and all was undone: let the "
            "statements make the row that is missing."
        )


def differences(shape: Shape, before: Entry, wanted: Values) -> dict[str, object]:
    """Return the parameters of what differs from the row; what cannot be changed may be repeated, but not changed."""
    changes: dict[str, object] = {}
    for name, value in wanted.items():
        column = shape.columns.get(name)
        if column is None:
            raise InvalidValue(name, "There is no such attribute.")
        encoded = None if value is None else _encoded(name, column.codec.encode, value)
        after = None if encoded is None else column.codec.decode(encoded)
        if after == before.values[name] and (after is not None or value is None):
            continue
        changes[name] = _changeable(shape, column, encoded)
    return changes


def _changeable(shape: Shape, column: SqlColumn, encoded: object) -> object:
    name = column.attribute.name
    if column is shape.anchor:
        raise Immutable(name, "is the anchor, which never changes; delete the user and create another.")
    if column.attribute.mutability is Mutability.READ_ONLY:
        raise Immutable(name, "is computed by the database.")
    if encoded is None and not column.attribute.nullable:
        raise InvalidValue(name, "is required and cannot be removed.")
    return encoded


def _delete(connection: Connection, shape: Shape, export: Delete, on_unreadable: Callable[[str], None]) -> Exported:
    row = _locked(connection, shape, export.anchor, on_unreadable)
    before = row.entry
    if export.guard is not None:
        export.guard(before)
    values = _values(connection, shape, "delete", row)
    beside.run(connection, shape, "before_delete", values)
    if "delete" in shape.scripts:
        done = _run(connection, shape, "delete", values)
        if queries.read(connection, shape, [export.anchor], on_unreadable):
            raise WrongRowCount("The statements of exports.delete left the user where it was, and were undone.")
        if done.met_none:  # somebody else deleted the user meanwhile
            raise NotFound(export.anchor)
    else:
        key = queries.anchor_key(shape, export.anchor)
        _demand_one_row(connection, shape, sa.delete(shape.table).where(predicates.is_anchor(shape, "key_", key)))
    beside.run(connection, shape, "after_delete", values)
    return Exported(before, written=True)


def _values(connection: Connection, shape: Shape, operation: str, row: Row) -> dict[str, object]:
    """Return every column of the row as a parameter, where statements of one's own may want it."""
    return keeping.parameters(connection, shape, row) if shape.scripts_of(operation) else {}


def _locked(connection: Connection, shape: Shape, anchor: str, on_unreadable: Callable[[str], None]) -> Row:
    """Return the row with exactly this anchor, locked where the database can; raises NotFound."""
    if shape.is_query:
        # Its rows cannot be locked: whoever writes one waits for whoever writes another.
        guarding.hold(connection, shape)
    # What the administrator's own statements lock is theirs to say; a join may not be locked at all.
    return keeping.find(connection, shape, anchor, on_unreadable, locked=not shape.is_scripted)


def _demand_one_row(connection: Connection, shape: Shape, statement: sa.Update | sa.Delete) -> None:
    counting = shape.dialect.counting
    if counting is None:
        count = connection.execute(statement).rowcount
    else:
        count = statements.compiled(connection, statement).met(connection, {}, counting)
    if count != 1:
        raise WrongRowCount(f"The statement met {count} rows instead of one, and was undone.")
