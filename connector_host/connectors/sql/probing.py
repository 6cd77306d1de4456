"""Probes: awkward values written by the very exports, read back through the very codecs, and rolled back.

    one user who is there ── UPDATE ─▶ read ─▶ ROLLBACK ─▶ read: nothing stayed      each column but the anchor
    a copy of the user    ── INSERT ─▶ read ─▶ ROLLBACK ─▶ read: nobody is there     the anchor; all, where nobody is

Each value has a transaction of its own. The first that stays behind ends the probe. No value of a user is repeated.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from connector_host.connectors.contract import Add, Modify, Mutability, to_text
from connector_host.connectors.errors import Busy, Conflict, ConnectorError, Denied, Immutable, InvalidValue
from connector_host.connectors.sql import awkward, differing, exports, guarding, queries, rehearsing, undoing
from connector_host.connectors.sql.columns import Unfit
from connector_host.connectors.sql.sqlstate import to_error
from connector_host.databases.codes import Happened
from connector_host.databases.failures import understand
from connector_host.errors import Finding, Level

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy import Connection

    from connector_host.connectors.contract import Entry, Export, Value
    from connector_host.connectors.sql.awkward import Trial
    from connector_host.connectors.sql.known import Known
    from connector_host.connectors.sql.shapes import Shape, SqlColumn
    from connector_host.settings import SqlSettings

SAMPLE_ROWS = 20
"""How many rows are looked at for one whose anchor can be read."""

OF_RULES = frozenset({Happened.CHECK, Happened.RULE})
"""Refusals that somebody meant: no sign that the column loses anything."""


class Verdict(StrEnum):
    """What became of a value."""

    SURVIVES = "survives"
    CUT = "cut"
    CHANGED = "changed"
    REFUSED = "refused"
    NOT_PROBED = "not probed"


@dataclass(frozen=True, slots=True)
class Tried:
    """One value that was tried on one column."""

    column: str
    what: str
    verdict: Verdict
    how: str = ""
    """How it was cut or changed, or why it was refused or not probed."""
    mend: str = ""
    """What to do about it; empty where it is as it should be."""


class Stayed(ConnectorError):
    """What was rolled back is there nevertheless."""


MENDS = {
    Verdict.CUT: "Look at the column's type and at the table's triggers: users will not read back as they were sent.",
    Verdict.CHANGED: "Look at the column's type, its character set and the table's triggers: users will not read back "
    "as they were sent.",
    Verdict.REFUSED: "Widen the column or its character set, or see to it that the directory sends no such values.",
}
GRANTS = "Run what `connector-host grants` prints as an administrator of the database."


def probe(settings: SqlSettings, known: Known) -> list[Finding]:
    """Return what became of awkward values in each column; blocks.

    Raises ConfigurationError or a ConnectorError where there is nothing to probe on.
    """
    with rehearsing.connected(settings) as (_, connection, dialect):
        shape = rehearsing.looked_up(connection, dialect, settings, known)
        row = _somebody(connection, shape)
        obstacle = _obstacle(connection, shape, settings, row)
        if obstacle:
            return [Finding(Level.WARNING, "probe", f"Not probed, since a rollback would not undo it: {obstacle}")]
        probed = _Probed(connection, shape, settings, row)
        try:
            if row is None:
                probed.undone(Add(probed.addition()), "", None)
        except (DBAPIError, ConnectorError) as error:
            why = probed.understood(error)[0]
            fact = f"Not probed: there is no user to try on, and none could be made: {_reason(why)}"
            return [Finding(Level.WARNING, "probe", fact, "Create one user by hand, and probe again.")]
        tried = [one for column in shape.columns.values() for one in probed.column(column)]
        return [*_findings(tried), *_closing(shape, row, tried)]


def _somebody(connection: Connection, shape: Shape) -> Entry | None:
    """Return a user to try on: one whose anchor can be read, and finds exactly the user."""
    try:
        for row in queries.sample(connection, shape, SAMPLE_ROWS):
            anchor = shape.entry(row, lambda _: None).anchor
            found = queries.read(connection, shape, [anchor], lambda _: None).get(anchor) if anchor else None
            if found is not None:
                return found
        return None
    finally:
        connection.rollback()


def _obstacle(connection: Connection, shape: Shape, settings: SqlSettings, row: Entry | None) -> str:
    """Return why a rollback would not undo what is tried; empty where it would."""
    meant: list[Export] = [Add({})] if row is None else [Add({}), Modify(row.anchor, lambda _: {})]
    try:
        return next((why for one in meant if (why := undoing.obstacle(connection, shape, settings, one))), "")
    finally:
        connection.rollback()


class _Probed:
    """One connection, one table, and the user that values are tried on."""

    def __init__(self, connection: Connection, shape: Shape, settings: SqlSettings, row: Entry | None) -> None:
        self._connection = connection
        self._shape = shape
        self._settings = settings
        self._row = row

    def column(self, column: SqlColumn) -> Iterator[Tried]:
        """Try each value that is awkward for a column."""
        name, facts = column.attribute.name, column.discovered.facts
        is_anchor = column is self._shape.anchor
        if column.attribute.mutability is Mutability.READ_ONLY or (is_anchor and facts.identity):
            yield Tried(name, "", Verdict.NOT_PROBED, "the database makes it")
            return
        meant = self._settings.column.get(name)
        zone = meant.zone if meant is not None else None
        for trial in awkward.trials(column, self._shape.dialect.parameters, zone, is_anchor=is_anchor):
            try:
                entry = self.undone(self._export(name, trial.value, is_anchor=is_anchor), name, trial.value)
            except (DBAPIError, ConnectorError) as error:
                why, happened = self.understood(error)
                yield _failed(name, trial, why, happened)
                if isinstance(why, Denied):
                    return
            else:
                yield _judged(column, trial, entry.values[name])

    def addition(self, name: str = "", value: Value | None = None) -> dict[str, Value | None]:
        """Return a new user with a value in one column, and otherwise like the one that is there."""
        values: dict[str, Value | None] = {}
        copied: Mapping[str, Value | None] = self._row.values if self._row is not None else {}
        for column in self._shape.columns.values():
            attribute, own = column.attribute, column.attribute.name
            if attribute.mutability is Mutability.READ_ONLY:
                continue
            if own == name:
                values[own] = value
            elif column.discovered.facts.identity:
                continue
            elif column is self._shape.anchor or (attribute.unique and attribute.required):
                values[own] = awkward.plain(column)
            elif copied.get(own) is not None and not attribute.unique:
                values[own] = copied[own]
            elif attribute.required:
                values[own] = awkward.plain(column)
        return values

    def undone(self, export: Export, name: str, value: Value | None) -> Entry:
        """Carry out an export, read the user, roll back, and look that nothing stayed; raises Stayed otherwise."""
        shape, entry = self._shape, None
        if isinstance(export, Add) and self._there(self._given(export)) is not None:
            raise Conflict([shape.object_type.anchor])
        try:
            entry = exports.carry_out(self._connection, shape, export, lambda _: None).entry
            rehearsing.look_at_deferred(self._connection, shape)
        finally:
            self._connection.rollback()
            guarding.let_go(self._connection, shape.dialect.name)
            self._demand_nothing_stayed(export, name, value, entry)
        return entry

    def understood(self, error: Exception) -> tuple[ConnectorError, Happened | None]:
        """Return a failure as our own error; one that is no word about the value ends the probe."""
        happened = None
        if isinstance(error, DBAPIError):
            failure = understand(error, self._shape.dialect.name)
            happened, error = failure.happened, to_error(failure, self._shape.facts)
        if isinstance(error, Stayed) or happened in (Happened.CONNECTION, Happened.FULL, Happened.READ_ONLY):
            raise error
        return error if isinstance(error, ConnectorError) else ConnectorError(str(error)), happened

    def _export(self, name: str, value: Value, *, is_anchor: bool) -> Export:
        if self._row is None or is_anchor:
            return Add(self.addition(name, value))
        return Modify(self._row.anchor, lambda _: {name: value})

    def _demand_nothing_stayed(self, export: Export, name: str, value: Value | None, entry: Entry | None) -> None:
        """Read once more after the rollback; what other programs change meanwhile is not taken for ours."""
        shape = self._shape
        now = self._there(
            export.anchor if isinstance(export, Modify) else entry.anchor if entry else self._given(export)
        )
        stayed = now is not None
        if now is not None and isinstance(export, Modify) and self._row is not None:
            wrote = {repr(entry.values[name]) if entry else None, repr(_kept(shape.columns[name], value))}
            stayed = now.values[name] != self._row.values[name] and repr(now.values[name]) in wrote
        if stayed:
            raise Stayed(
                f"{name or shape.object_type.anchor}: what was rolled back is in the table nevertheless; the probe "
                "ended there. Look for that user, and for what commits by itself: a trigger, or another engine."
            )

    def _there(self, anchor: str) -> Entry | None:
        """Return the user with an anchor as everybody sees it, in a transaction of its own."""
        try:
            return queries.read(self._connection, self._shape, [anchor], lambda _: None).get(anchor)
        finally:
            self._connection.rollback()

    def _given(self, export: Export) -> str:
        """Return the anchor that a new user was to have; empty where the database is to make it."""
        given = export.values.get(self._shape.object_type.anchor) if isinstance(export, Add) else None
        kept = _kept(self._shape.anchor, given)
        return "" if kept is None else to_text(kept)


def _kept(column: SqlColumn, value: Value | None) -> Value | None:
    """Return what the host means to keep of a value; None where it keeps nothing of it."""
    try:
        return None if value is None else column.codec.decode(column.codec.encode(value))
    except Unfit:
        return None


def _judged(column: SqlColumn, trial: Trial, read: Value | None) -> Tried:
    """Compare what was read back with what was sent, and with what the host meant to keep of it."""
    name = column.attribute.name
    if read == trial.wanted:
        return Tried(name, trial.what, Verdict.SURVIVES)
    loss = differing.cut(trial.wanted, read)
    verdict = Verdict.CUT if loss else Verdict.CHANGED
    # What the host cuts by itself is what the column is known not to keep; docs/sql.md says so. Blanks at the end of a
    # CHAR are no part of the value: some databases cut them on reading, for others the host does.
    padded = column.discovered.facts.declared.lower().startswith("char") and read == str(trial.wanted).rstrip(" ")
    mend = "" if padded or read == _kept(column, trial.value) else MENDS[verdict]
    return Tried(name, trial.what, verdict, loss or differing.changed(trial.wanted, read), mend)


def _failed(name: str, trial: Trial, error: ConnectorError, happened: Happened | None) -> Tried:
    """Say whether the column cannot have the value, or the row could not be tried."""
    match error:
        case Denied():
            return Tried(name, "", Verdict.NOT_PROBED, "the login may not write it", GRANTS)
        case Conflict():
            return Tried(name, trial.what, Verdict.NOT_PROBED, "a unique key refuses it here: another user has it")
        case Busy() | Immutable():
            return Tried(name, trial.what, Verdict.NOT_PROBED, _reason(error))
        case InvalidValue() if happened is Happened.FOREIGN_KEY or error.attribute not in (name, ""):
            return Tried(name, trial.what, Verdict.NOT_PROBED, _reason(error))
        case _:
            mend = "" if happened in OF_RULES else MENDS[Verdict.REFUSED]
            return Tried(name, trial.what, Verdict.REFUSED, _reason(error), mend)


def _reason(error: ConnectorError) -> str:
    return str(error).rstrip(".")


# ── what is said ──────────────────────────────────────────────────────────────────────────────────────────────────


def _findings(tried: list[Tried]) -> Iterator[Finding]:
    """Yield one finding for each fate of a column's values."""
    order = list(Verdict)
    for column, of_column in groupby(tried, key=lambda one: one.column):
        alike = sorted(of_column, key=lambda one: (order.index(one.verdict), one.how, one.mend))
        for (verdict, how, mend), group in groupby(alike, key=lambda one: (one.verdict, one.how, one.mend)):
            what = ", ".join(one.what for one in group if one.what)
            fact = ": ".join(part for part in (verdict.value, what) if part) + (f" ({how})" if how else "")
            is_good = not mend and (verdict is not Verdict.NOT_PROBED or not what)
            yield Finding(Level.OK if is_good else Level.WARNING, column, f"{fact}.", mend)


def _closing(shape: Shape, row: Entry | None, tried: list[Tried]) -> Iterator[Finding]:
    written = sum(one.verdict in (Verdict.SURVIVES, Verdict.CUT, Verdict.CHANGED) for one in tried)
    whom = "a user who is there" if row is not None else "a user made for it"
    yield Finding(
        Level.OK,
        "probe",
        f"{written} values were written to {whom}, read back and rolled back, each by itself; none stayed. "
        "Numbers that the database gave out meanwhile are not given again.",
    )
    remarks = [rehearsing.TRIGGERS] * bool(shape.facts.triggers) + [rehearsing.PROCEDURES] * bool(shape.scripts)
    yield from (Finding(Level.OK, "probe", remark) for remark in remarks)
