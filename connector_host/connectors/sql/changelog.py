"""A change log that triggers feed (logtables), as it is read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from connector_host.connectors.contract import to_text
from connector_host.connectors.sql import discovery, rowversions
from connector_host.connectors.sql.columns import AsDriver, Family, Unfit
from connector_host.connectors.sql.logtables import STAMP, SUFFIX
from connector_host.connectors.sql.moments import to_moment
from connector_host.connectors.sql.sqlstate import translated
from connector_host.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection

    from connector_host.connectors.sql.shapes import Shape

PAGE = 1_000


@dataclass(frozen=True, slots=True)
class _Mark:
    """How far the log was read."""

    latest: datetime
    """The latest time in it; a slow transaction commits late with an earlier one."""
    number: int
    """The greatest number in it: what was pruned unread shows by the first that is left."""
    moment: str
    """The time of the row with that number, which shows whether it is a row of this log; empty where it is gone."""
    horizon: int | None = None
    """The row version below which everything is committed; None where the log has none."""

    @classmethod
    def read(cls, text: str) -> _Mark:
        latest, number, moment, horizon = [*text.split(" "), "", ""][:4]
        return cls(datetime.fromisoformat(latest), int(number), moment, int(horizon) if horizon else None)

    @property
    def text(self) -> str:
        horizon = "" if self.horizon is None else str(self.horizon)
        return f"{self.latest.isoformat()} {self.number} {self.moment} {horizon}".rstrip()


@dataclass(frozen=True, slots=True)
class TriggerLog:
    """The log as it is read (see contract.ChangeLog): from a horizon on where its rows are stamped, else by their time.

    By the time it is read again from a while before the mark, since a slow transaction commits late with an early one.
    """

    connection: Connection
    shape: Shape
    stamped: bool
    """Whether its rows have row versions."""
    # No attribute has a blank at its start.
    name: str = " change log"

    def end(self, kept: str | None) -> str:
        """Return the mark of the end of the log; one of a log that never had a row is before all times."""
        with translated(self.shape.dialect.name):
            # Before anything is read: what is committed from now on is at the horizon or beyond it.
            horizon = rowversions.horizon(self.connection, self.shape) if self.stamped else None
            latest, number = self.connection.execute(end_of(self.shape)).one()
        if latest is not None:
            return _Mark(to_moment(latest), int(number), self._moment_of(int(number)), horizon).text
        return _Mark(NEVER, 0, "", horizon).text if kept is None else kept

    def reaches(self, mark: str) -> bool:
        """Return whether the first row that is left follows the mark's, or the mark's is still there.

        A log that has numbers on both sides of the mark's and another row under it was made anew; of one that was
        empty, or was emptied, nobody knows what was in it. A number that a transaction took and gave back makes a gap
        that looks like pruned rows; then too much is read.
        """
        with translated(self.shape.dialect.name):
            first, last = self.connection.execute(ends_of(self.shape)).one()
        read = _Mark.read(mark)
        if first is None or read.number == 0:
            return first is None and read.number == 0
        if int(first) > read.number:
            return int(first) == read.number + 1
        return int(last) >= read.number and read.moment == self._moment_of(read.number)

    def _moment_of(self, number: int) -> str:
        """Return the time of a row; empty where it is gone."""
        with translated(self.shape.dialect.name):
            moment = self.connection.scalar(moment_of(self.shape, number))
        return "" if moment is None else to_moment(moment).isoformat()

    def anchors(self, mark: str, overlap: float | None) -> Iterator[list[str]]:
        """Yield what was written down since, a page at a time, each anchor once a page."""
        read = _Mark.read(mark)
        if self.stamped and overlap:
            raise ConfigurationError("overlap: the change log has row versions, which need none; leave it out.")
        by_stamp = self.stamped and read.horizon is not None
        since = read.latest - timedelta(seconds=OVERLAP_S if overlap is None else overlap)
        bound = str(read.horizon) if by_stamp else _bound(self.shape, since)
        number = 0
        while True:
            asked = page_of(self.shape, read.number, number, by_stamp=by_stamp)
            with translated(self.shape.dialect.name):
                page: Sequence[Any] = self.connection.execute(asked, {rowversions.SINCE: bound}).all()
            if not page:
                return
            number = page[-1][0]
            yield list(dict.fromkeys(_canonical(self.shape, str(anchor)) for _, anchor in page))


NEVER = datetime(1970, 1, 1, tzinfo=UTC)
OVERLAP_S = 300.0
"""How far before its mark the log is read again (sql-connectors.md §3.7)."""


def opened(connection: Connection, shape: Shape) -> TriggerLog | None:
    """Return the log of a table; None where there is none that the login may see."""
    with translated(shape.dialect.name):
        columns = discovery.columns_of(connection, shape.dialect, shape.table.name + SUFFIX, shape.table.schema)
    stamped = any(column.name == STAMP and rowversions.is_kept_in(column, shape.dialect) for column in columns)
    return TriggerLog(connection, shape, stamped) if columns else None


def end_of(shape: Shape) -> sa.Select[*tuple[Any, ...]]:
    """Return what asks for the latest time and the greatest number."""
    log = _log(shape)
    return sa.select(sa.func.max(log.c.at).label("latest_at"), sa.func.max(log.c.number).label("last_number"))


def ends_of(shape: Shape) -> sa.Select[*tuple[Any, ...]]:
    """Return what asks for the least and the greatest number."""
    number = _log(shape).c.number
    return sa.select(sa.func.min(number).label("first_number"), sa.func.max(number).label("last_number"))


def moment_of(shape: Shape, number: int) -> sa.Select[*tuple[Any, ...]]:
    """Return what asks for the time of one row."""
    log = _log(shape)
    return sa.select(log.c.at).where(log.c.number == number)


def _bound(shape: Shape, since: datetime) -> object:
    """Return a time as it is compared with the log's own."""
    if shape.dialect.name == "postgresql":
        return since if shape.dialect.parameters.native_moments else since.isoformat(" ", "microseconds")
    digits = "microseconds" if shape.dialect.name != "sqlite" else "milliseconds"
    return since.replace(tzinfo=None).isoformat(" ", digits)


def page_of(shape: Shape, read: int, behind: int, *, by_stamp: bool) -> sa.Select[*tuple[object, ...]]:
    """Return what reads the next page of the log behind a number: what is new, and what may have been committed late.

    New is what has a greater number than was read: a clock may be set back, and a copy of the database may count its
    transactions anew. Late is what has the bound row version, or else the bound time, or a later one.
    """
    log = _log(shape)
    late = rowversions.since(shape, log.c[STAMP]) if by_stamp else log.c.at >= sa.bindparam(rowversions.SINCE)
    asked = sa.select(log.c.number, log.c.anchor).where(sa.or_(log.c.number > read, late), log.c.number > behind)
    asked = asked.order_by(log.c.number)
    return asked.fetch(PAGE) if shape.dialect.paging == "fetch" else asked.limit(PAGE)


def _canonical(shape: Shape, text: str) -> str:
    """Return an anchor as it is spelled everywhere else: triggers write a UUID in upper case, or blanks behind it."""
    try:
        return to_text(shape.anchor.codec.decode(text))
    except Unfit:
        return text


def _log(shape: Shape) -> sa.Table:
    return sa.Table(
        shape.table.name + SUFFIX,
        sa.MetaData(),
        *(sa.Column(name, AsDriver(), quote=True) for name in ("number", "anchor", STAMP)),
        sa.Column("at", shape.dialect.conversions.get(Family.NAIVE_MOMENT, AsDriver()), quote=True),
        schema=shape.table.schema,
        quote=True,
        quote_schema=None if shape.table.schema is None else True,
    )
