"""Exports that run together: alike ones as one statement, all in one transaction that somebody else commits.

The fast way, taken first: no savepoints, few statements. Whatever the database refuses undoes all of it, and the
writer then runs the exports one by one, each in a savepoint, to find out which one was bad. So nothing here needs
to know what a driver's error means.
"""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING, TypeAlias

import sqlalchemy as sa

from connector_host.connectors.contract import Add, Delete, Entry, Export, Exported, Modify, to_text
from connector_host.connectors.errors import Conflict, NotFound, WrongRowCount
from connector_host.connectors.sql import conditions, doubles, exports, guarding, predicates, queries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sqlalchemy import Connection

    from connector_host.connectors.sql.shapes import Shape

Outcome: TypeAlias = Exported | BaseException

SIZES = (64, 48, 32, 24, 16, 12, 8, 7, 6, 5, 4, 3, 2, 1)
"""Rows of one INSERT: few different sizes, so that statements stay prepared, and mostly no more than two in a row."""
PARAMETERS_MAX = 2_000
"""Parameters of one INSERT: SQL Server takes no more than 2,100."""


class Disagreement(Exception):
    """The database met another number of rows than was meant, and does not say for which export."""


def carry_out(
    connection: Connection, shape: Shape, group: Sequence[Export], on_unreadable: Callable[[str], None]
) -> list[Outcome]:
    """Carry out exports together; returns what became of each, in order. Nothing is committed here.

    Raises Disagreement or a driver's error, after which the transaction must be rolled back. Exports of one anchor
    run in the order in which they came; others may change places.
    """
    if shape.scripts or shape.dialect.proves_writes:
        # What the administrator's own statements do, or a database of which nothing is known, is looked at one by one.
        raise Disagreement
    if not shape.enforced and any(isinstance(export, Add) for export in group):
        # Before any row is locked: who waits for it must not hold what others wait for.
        guarding.hold(connection, shape)
    outcomes: dict[int, Outcome] = {}
    for wave in _waves(shape, group):
        deletes = {number: export for number in wave if isinstance(export := group[number], Delete)}
        modifies = {number: export for number in wave if isinstance(export := group[number], Modify)}
        adds = {number: export for number in wave if isinstance(export := group[number], Add)}
        if deletes:
            outcomes |= _delete(connection, shape, deletes, on_unreadable)
        if modifies:
            outcomes |= _modify(connection, shape, modifies, on_unreadable)
        if adds:
            outcomes |= _add(connection, shape, adds, on_unreadable)
    return [outcomes[number] for number in range(len(group))]


def _waves(shape: Shape, group: Sequence[Export]) -> list[list[int]]:
    """Return the positions of the exports in waves, none of which holds an anchor twice."""
    waves: list[list[int]] = []
    turns: dict[str, int] = {}
    own = shape.object_type.anchor
    for number, export in enumerate(group):
        anchor = _anchor_text(own, export)
        turn = 0 if anchor is None else turns.get(anchor, 0)
        if anchor is not None:
            turns[anchor] = turn + 1
        if turn == len(waves):
            waves.append([])
        waves[turn].append(number)
    return waves


def _anchor_text(own: str, export: Export) -> str | None:
    """Return the anchor without regard to case, which a collation may not see either; None where it is made."""
    if not isinstance(export, Add):
        return export.anchor.casefold()
    given = export.values.get(own)
    return None if given is None else to_text(given).casefold()


# ── add ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _add(
    connection: Connection, shape: Shape, adds: Mapping[int, Add], on_unreadable: Callable[[str], None]
) -> dict[int, Outcome]:
    outcomes: dict[int, Outcome] = {}
    alike: dict[tuple[str, ...], dict[int, dict[str, object]]] = {}
    anchor = shape.object_type.anchor
    for number, export in adds.items():
        try:
            parameters = exports.creation(shape, export.values)
        except Exception as error:  # noqa: BLE001 - one bad export of many
            outcomes[number] = error
            continue
        if anchor in parameters and shape.enforced:
            alike.setdefault(tuple(parameters), {})[number] = parameters
        else:
            outcomes[number] = _add_alone(connection, shape, parameters, on_unreadable)
    if shape.guarded and doubles.among(
        connection, shape, ((None, row) for rows in alike.values() for row in rows.values())
    ):
        raise Disagreement
    keys = {number: exports.text_of_key(shape, row[anchor]) for rows in alike.values() for number, row in rows.items()}
    found: dict[str, Entry] = {}
    for columns, rows in alike.items():
        found |= _insert(connection, shape, columns, list(rows.values()), on_unreadable)
    if not shape.tells_all:
        found = queries.read(connection, shape, keys.values(), on_unreadable)
    if len(found) != len(keys):
        raise Disagreement
    return outcomes | {number: Exported(found[key], written=True) for number, key in keys.items()}


def _add_alone(
    connection: Connection, shape: Shape, parameters: dict[str, object], on_unreadable: Callable[[str], None]
) -> Outcome:
    """Insert a row whose anchor the database makes, or does not enforce."""
    try:
        return exports.add(connection, shape, parameters, on_unreadable)
    except Conflict as taken:  # found by looking, before anything was written
        return taken
    except WrongRowCount as wrong:
        raise Disagreement from wrong


def _insert(
    connection: Connection,
    shape: Shape,
    columns: tuple[str, ...],
    rows: list[dict[str, object]],
    on_unreadable: Callable[[str], None],
) -> dict[str, Entry]:
    """Insert rows of the same columns, and return the entries where the database tells all of them at once."""
    found: dict[str, Entry] = {}
    if not shape.dialect.multirow_insert:
        one = shape.statements.get(connection, ("insert", columns, 1), lambda: _insertion(shape, columns, 1))
        one.run_many(connection, [{f"{name}_0": row[column] for name, column in _named(columns)} for row in rows])
        return found
    for part in _parts(rows, len(columns)):
        size = len(part)
        statement = shape.statements.get(
            connection,
            ("insert", columns, size),
            lambda: _insertion(shape, columns, size),  # noqa: B023 - built at once
        )
        values = dict(zip(_names(len(columns), size), (row[column] for row in part for column in columns), strict=True))
        result = statement.run(connection, values)
        if shape.tells_all:
            found |= {entry.anchor: entry for entry in shape.entries(result.fetchall(), on_unreadable)}
    return found


def _parts(rows: list[dict[str, object]], parameters: int) -> Iterator[list[dict[str, object]]]:
    """Cut rows, of so many parameters each, into parts of the sizes above."""
    start = 0
    while start < len(rows):
        left = len(rows) - start
        size = next(size for size in SIZES if size <= left and (size == 1 or size * parameters <= PARAMETERS_MAX))
        yield rows[start : start + size]
        start += size


def _named(columns: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Return a short name of a parameter for each column, whose own name may hold anything."""
    return ((f"c{number}", column) for number, column in enumerate(columns))


@cache
def _names(columns: int, rows: int) -> tuple[str, ...]:
    """Return the same for so many columns in so many rows, one row after the other."""
    return tuple(f"c{column}_{row}" for row in range(rows) for column in range(columns))


def _insertion(shape: Shape, columns: tuple[str, ...], size: int) -> sa.Insert:
    rows = [
        {column: predicates.parameter(f"{name}_{number}") for name, column in _named(columns)} for number in range(size)
    ]
    statement = sa.insert(shape.table).values(rows if size > 1 else rows[0])
    return statement.returning(*(column.sql for column in shape.columns.values())) if shape.tells_all else statement


# ── modify and delete ─────────────────────────────────────────────────────────────────────────────────────────────


def _modify(
    connection: Connection, shape: Shape, modifies: Mapping[int, Modify], on_unreadable: Callable[[str], None]
) -> dict[int, Outcome]:
    anchors = [export.anchor for export in modifies.values()]
    before = queries.read(connection, shape, anchors, on_unreadable, locked=True)
    outcomes: dict[int, Outcome] = {}
    changed: dict[int, str] = {}
    alike: dict[tuple[str, ...], list[dict[str, object]]] = {}
    written: list[tuple[str | None, dict[str, object]]] = []
    for number, export in modifies.items():
        entry = before.get(export.anchor)
        if entry is None:
            outcomes[number] = NotFound(export.anchor)
            continue
        try:
            changes = exports.differences(shape, entry, export.revise(entry))
        except Exception as error:  # noqa: BLE001 - one bad export of many
            outcomes[number] = error
            continue
        if changes:
            changed[number] = export.anchor
            written.append((export.anchor, changes))
            key = queries.anchor_key(shape, export.anchor)
            alike.setdefault(tuple(changes), []).append({**_short(changes), "key_": key})
        else:
            outcomes[number] = Exported(entry, written=False)
    if doubles.among(connection, shape, written):
        raise Disagreement
    after: dict[str, Entry] = {}
    for columns, rows in alike.items():
        after |= _update(connection, shape, columns, rows, on_unreadable)
    if untold := [anchor for anchor in changed.values() if anchor not in after]:
        after |= queries.read(connection, shape, untold, on_unreadable)
    if len(after) != len(changed):
        raise Disagreement
    return outcomes | {number: Exported(after[anchor], written=True) for number, anchor in changed.items()}


def _short(changes: Mapping[str, object]) -> dict[str, object]:
    return {f"c{number}": value for number, value in enumerate(changes.values())}


def _update(
    connection: Connection,
    shape: Shape,
    columns: tuple[str, ...],
    rows: list[dict[str, object]],
    on_unreadable: Callable[[str], None],
) -> dict[str, Entry]:
    """Update rows in the same columns, and return the entries where the database tells all of them at once."""
    is_text = all(conditions.is_text(shape.columns[column]) for column in columns)
    if shape.dialect.updates_many and shape.tells_all and is_text and len(rows) > 1:
        return _update_together(connection, shape, columns, rows, on_unreadable)
    statement = shape.statements.get(connection, ("update", columns), lambda: _updating(shape, columns))
    if shape.dialect.counts_many and len(rows) > 1:
        if statement.run_many(connection, rows).rowcount != len(rows):
            raise Disagreement
        return {}
    for row in rows:
        if statement.met(connection, row, shape.dialect.counting) != 1:
            raise Disagreement
    return {}


def _update_together(
    connection: Connection,
    shape: Shape,
    columns: tuple[str, ...],
    rows: list[dict[str, object]],
    on_unreadable: Callable[[str], None],
) -> dict[str, Entry]:
    """Update rows by one statement for many."""
    after: dict[str, Entry] = {}
    for part in _parts(rows, 2 + len(columns)):
        size = len(part)
        key = ("update", columns, size)
        statement = shape.statements.get(connection, key, partial(_updating_many, shape, columns, size))
        values = {f"{name}_{number}": value for number, row in enumerate(part) for name, value in row.items()}
        told = shape.entries(statement.run(connection, values).fetchall(), on_unreadable)
        if len(told) != size:
            raise Disagreement
        after |= {entry.anchor: entry for entry in told}
    return after


def _updating_many(shape: Shape, columns: tuple[str, ...], size: int) -> sa.Update:
    """Return an UPDATE of so many rows: `SET c = CASE WHEN anchor = :key_0 THEN :c0_0 … ELSE c END`, with RETURNING.

    The ELSE is what gives the parameters the type of the column.
    """
    anchor = shape.anchor
    keys = [predicates.compared(anchor, shape, f"key__{number}") for number in range(size)]
    changes = {
        column: sa.case(
            *((anchor.sql == key, predicates.parameter(f"{name}_{number}")) for number, key in enumerate(keys)),
            else_=shape.columns[column].sql,
        )
        for name, column in _named(columns)
    }
    statement = sa.update(shape.table).values(changes).where(anchor.sql.in_(keys))
    return statement.returning(*(column.sql for column in shape.columns.values()))


def _updating(shape: Shape, columns: tuple[str, ...]) -> sa.Update:
    changes = {column: predicates.parameter(name) for name, column in _named(columns)}
    return sa.update(shape.table).values(changes).where(predicates.is_anchor(shape, "key_"))


def _delete(
    connection: Connection, shape: Shape, deletes: Mapping[int, Delete], on_unreadable: Callable[[str], None]
) -> dict[int, Outcome]:
    anchors = [export.anchor for export in deletes.values()]
    before = queries.read(connection, shape, anchors, on_unreadable, locked=True)
    outcomes: dict[int, Outcome] = {}
    keys: list[object] = []
    for number, export in deletes.items():
        entry = before.get(export.anchor)
        try:
            if entry is None:
                raise NotFound(export.anchor)  # noqa: TRY301 - an outcome like the guard's own
            if export.guard is not None:
                export.guard(entry)
        except Exception as error:  # noqa: BLE001 - one bad export of many
            outcomes[number] = error
        else:
            keys.append(queries.anchor_key(shape, export.anchor))
            outcomes[number] = Exported(entry, written=True)
    if keys:
        _remove(connection, shape, keys)
    return outcomes


def _remove(connection: Connection, shape: Shape, keys: list[object]) -> None:
    """Delete rows by key, in statements of few different sizes; each key must meet one row."""
    for start in range(0, len(keys), queries.AT_ONCE_MAX):
        part = keys[start : start + queries.AT_ONCE_MAX]
        size = 1 << (len(part) - 1).bit_length()
        statement = shape.statements.get(connection, ("delete", size), partial(_deletion, shape, size))
        padded = part + part[-1:] * (size - len(part))
        values = {f"k{number}": key for number, key in enumerate(padded)}
        if statement.met(connection, values, shape.dialect.counting) != len(part):
            raise Disagreement


def _deletion(shape: Shape, size: int) -> sa.Delete:
    names = [predicates.compared(shape.anchor, shape, f"k{number}") for number in range(size)]
    anchor = shape.anchor.sql
    return sa.delete(shape.table).where(anchor == names[0] if size == 1 else anchor.in_(names))
