"""Locking out a source that keeps on giving wrong tokens; bounded in memory, and forgetful by design."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Protocol

SOURCES_MAX = 10_000
"""Sources that are remembered; the longest silent one is forgotten first."""


class Counter(Protocol):
    """What the door asks, wherever the counting is done: here, or at the process that started this one."""

    def wait_s(self, source: str, now_s: float) -> float:
        """Return how long the source must still wait."""

    def count_failure(self, source: str, now_s: float) -> bool:
        """Count one wrong token; return whether the source is locked out by just this one."""

    def forgive(self, source: str) -> None:
        """Forget the failures of a source."""


@dataclass(slots=True)
class _Record:
    failures: int
    since_s: float


@dataclass(slots=True)
class LockOut:
    """Counts wrong tokens by source; times are seconds on the monotonic clock."""

    failures: int = 10
    """How many wrong tokens a source may give within the period; 0 locks nobody out."""
    period_s: float = 60.0
    """Both how long failures count, and how long a source then stays locked out."""
    _records: OrderedDict[str, _Record] = field(default_factory=OrderedDict, init=False)

    def wait_s(self, source: str, now_s: float) -> float:
        """Return how long the source must still wait; 0 where it is not locked out."""
        record = self._records.get(source)
        if not self.failures or record is None or record.failures < self.failures:
            return 0.0
        return max(0.0, record.since_s + self.period_s - now_s)

    def count_failure(self, source: str, now_s: float) -> bool:
        """Count one wrong token; return whether the source is locked out by just this one."""
        record = self._records.get(source)
        if record is None or now_s - record.since_s >= self.period_s:
            record = self._records[source] = _Record(0, now_s)
        record.failures += 1
        locked = record.failures == self.failures
        if locked:
            record.since_s = now_s
        self._records.move_to_end(source)
        while len(self._records) > SOURCES_MAX:
            self._records.popitem(last=False)
        return locked

    def forgive(self, source: str) -> None:
        """Forget the failures of a source that has given a valid token."""
        self._records.pop(source, None)

    def sources(self) -> tuple[str, ...]:
        """Return every source that has failures to its name."""
        return tuple(self._records)
