"""Watermarks: from where a delta import reads on, and the mark that it leaves for the next one.

    Greatest   the greatest time or number that was met; read again from an overlap below it, since a transaction that
               took its time commits late with an early one (sql-connectors.md §3.7)
    Horizon    the row version below which the connected system says that everything is committed; needs no overlap

Neither sees deletions. What is met again is known by its digest.
"""

from __future__ import annotations

from dataclasses import dataclass
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


def of(importer: Importer, state: ImportState, name: str, overlap: float | None) -> Mark:
    """Return the mark of a column or an attribute; raises ConfigurationError where it cannot be one.

    `overlap` is in seconds, or in numbers where the attribute counts; None is OVERLAP_S.
    """
    kept = state.mark(name)
    attribute = importer.object_type.by_name.get(name)
    if attribute is not None and attribute.type in (AttributeType.DATE_TIME, AttributeType.INTEGER):
        return _greatest(attribute, kept, OVERLAP_S if overlap is None else overlap)
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


def _greatest(attribute: Attribute, kept: str | None, overlap: float) -> Greatest:
    if kept is None:
        return Greatest(attribute, None, None)
    if attribute.type is AttributeType.INTEGER:
        return Greatest(attribute, int(kept) - int(overlap), int(kept))
    moment = datetime.fromisoformat(kept)
    return Greatest(attribute, moment - timedelta(seconds=overlap), moment)


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
class Greatest:
    """The attribute that grows, from where to read, and the greatest value that was met."""

    attribute: Attribute
    start: datetime | int | None
    greatest: datetime | int | None

    def batches(self, importer: Importer) -> Iterator[Rows]:
        """Yield what is not earlier than the last run's mark and the overlap, or has no mark; everything at first."""
        condition: Condition = EVERYTHING
        if self.start is not None:
            name = self.attribute.name
            condition = AnyOf((Compare(name, Comparator.GE, self.start), Not(Present(name))))
        place = importer.object_type.attributes.index(self.attribute)
        for rows in importer.batches(condition):
            for row in rows:
                self._meet(row[place])
            yield rows

    def _meet(self, value: Value | None) -> None:
        if isinstance(value, datetime):
            self.greatest = value if not isinstance(self.greatest, datetime) else max(self.greatest, value)
        elif isinstance(value, int):
            self.greatest = value if not isinstance(self.greatest, int) else max(self.greatest, value)

    def move(self, state: ImportState) -> None:
        """Move the mark to the greatest value that was met, but never beyond today.

        One row that is dated 9999 would hide every change to come. A clock of ours that is slow only reads more.
        """
        match self.greatest:
            case datetime():
                mark = min(self.greatest.astimezone(UTC), clock.now())
                state.move_mark(self.attribute.name, mark.isoformat())
            case int():
                state.move_mark(self.attribute.name, str(self.greatest))


Mark: TypeAlias = Greatest | Horizon
