"""Watermarks: from where a delta import reads on, and the mark that it leaves for the next one.

    Latest     the latest time that was met; read again from an overlap before it, since a transaction that took its
               time commits late with an early one (sql-connectors.md §3.7)
    Highest    the same of numbers, with some of the highest left out of account: nobody knows what they count to today
    Horizon    the row version below which the connected system says that everything is committed; needs no overlap

Neither sees deletions. What is met again is known by its digest.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeAlias

from connector_host import clock
from connector_host.connectors.contract import (
    EVERYTHING,
    AnyOf,
    AttributeType,
    Comparator,
    Compare,
    Not,
    Present,
    Value,
)
from connector_host.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from connector_host.connectors.contract import Attribute, Condition, Importer, Row
    from connector_host.runs.state import ImportState

    Rows = Sequence[Row]

OVERLAP_S = 300.0
"""How far a time or a number goes back."""
STRAYS_MAX = 100
"""Rows with the highest numbers that are read each time: one fewer may be far ahead and still hide nothing."""


def of(importer: Importer, state: ImportState, name: str, overlap: float | None) -> Mark:
    """Return the mark of a column or an attribute; raises ConfigurationError where it cannot be one.

    `overlap` is in seconds, or in numbers where the attribute counts; None is OVERLAP_S.
    """
    kept = state.mark(name)
    attribute = importer.object_type.by_name.get(name)
    if attribute is not None and attribute.type in (AttributeType.DATE_TIME, AttributeType.INTEGER):
        return _growing(importer, attribute, kept, OVERLAP_S if overlap is None else overlap)
    horizon = importer.horizon(name) if name else None
    if horizon is None:
        raise ConfigurationError(
            f"{name or 'No attribute'} can be no watermark: name an attribute that is a date and "
            "time or a whole number, and that grows with each change, or a column of row versions."
        )
    if overlap:
        raise ConfigurationError(f"overlap: {name} holds row versions, which need none; leave it out.")
    start = None if kept is None or int(kept) > horizon else int(kept)
    return Horizon(name, start, horizon)


def _growing(importer: Importer, attribute: Attribute, kept: str | None, overlap: float) -> Latest | Highest:
    if attribute.type is AttributeType.INTEGER:
        return Highest(attribute, None if kept is None else int(kept) - int(overlap))
    if kept is None:
        return Latest(attribute, None, None)
    moment = datetime.fromisoformat(kept)
    start = importer.earliest(attribute.name, moment - timedelta(seconds=overlap))
    return Latest(attribute, start, moment)


@dataclass(frozen=True, slots=True)
class Horizon:
    """The column of row versions, from where to read, and the horizon as it was before anything was read."""

    column: str
    start: int | None
    """None reads everything: at first, and where the horizon is below the mark: the database was restored."""
    horizon: int

    def batches(self, importer: Importer) -> Iterator[Rows]:
        """Yield what was not committed when the last run began, or was changed since; everything at first."""
        if self.start is None:
            return importer.batches(EVERYTHING)
        return importer.stamped_since(self.column, self.start)

    def move(self, state: ImportState) -> None:
        """Move the mark to the horizon, also where rows beyond it were met: others may yet come to light below them."""
        state.move_mark(self.column, str(self.horizon))


@dataclass(slots=True)
class Latest:
    """The attribute that grows, from where to read, and the latest time that was met."""

    attribute: Attribute
    start: datetime | None
    latest: datetime | None

    def batches(self, importer: Importer) -> Iterator[Rows]:
        """Yield what is not earlier than the last run's mark and the overlap, or has no mark; everything at first."""
        for rows in importer.batches(_since(self.attribute, self.start)):
            for value in _values(importer, self.attribute, rows):
                if isinstance(value, datetime) and (self.latest is None or value > self.latest):
                    self.latest = value
            yield rows

    def move(self, state: ImportState) -> None:
        """Move the mark to the latest time that was met, but never beyond today.

        One row that is dated 9999 would hide every change to come. A clock of ours that is slow only reads more.
        """
        if self.latest is not None:
            mark = min(self.latest.astimezone(UTC), clock.now())
            state.move_mark(self.attribute.name, mark.isoformat())


@dataclass(slots=True)
class Highest:
    """The attribute that counts, from where to read, and the highest numbers that were met, the lowest first."""

    attribute: Attribute
    start: int | None
    highest: list[int] = field(default_factory=list)

    def batches(self, importer: Importer) -> Iterator[Rows]:
        """Yield what is not below the last run's mark and the overlap, or has no mark; everything at first."""
        for rows in importer.batches(_since(self.attribute, self.start)):
            for value in _values(importer, self.attribute, rows):
                if isinstance(value, int):
                    self._meet(value)
            yield rows

    def _meet(self, number: int) -> None:
        if len(self.highest) < STRAYS_MAX:
            heapq.heappush(self.highest, number)
        elif number > self.highest[0]:
            heapq.heapreplace(self.highest, number)

    def move(self, state: ImportState) -> None:
        """Move the mark to the lowest of the highest numbers; with fewer rows it stays where it is.

        One row with a number far ahead would hide every change to come, and unlike a time it cannot be told from one
        that is right.
        """
        if len(self.highest) == STRAYS_MAX:
            state.move_mark(self.attribute.name, str(self.highest[0]))


def _since(attribute: Attribute, start: datetime | int | None) -> Condition:
    if start is None:
        return EVERYTHING
    return AnyOf((Compare(attribute.name, Comparator.GE, start), Not(Present(attribute.name))))


def _values(importer: Importer, attribute: Attribute, rows: Rows) -> Iterator[Value | None]:
    place = importer.object_type.attributes.index(attribute)
    return (row[place] for row in rows)


Mark: TypeAlias = Latest | Highest | Horizon
