"""How many in a second: token buckets, by name or by address, that cost no timer and forget who is idle.

A bucket holds what two seconds bring at the most, and so lets a burst through that follows a quiet moment.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

BURST_S: Final = 2.0
KNOWN: Final = 10_000
"""Buckets that are kept before idle ones are looked for; those of addresses that went on are never dropped early."""


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at_s: float


@dataclass(slots=True)
class Rates:
    """The buckets of one kind, all of the same size."""

    per_s: float | None
    """None sets no limit, and keeps nothing."""
    _buckets: dict[str, _Bucket] = field(default_factory=dict)
    _sweep_at: int = KNOWN

    def take(self, name: str, now_s: float) -> int:
        """Take one token and return 0, or the whole seconds after which there is one again."""
        if self.per_s is None:
            return 0
        most = max(1.0, self.per_s * BURST_S)
        bucket = self._buckets.get(name)
        if bucket is None:
            if len(self._buckets) >= self._sweep_at:
                self._sweep(now_s)
            bucket = self._buckets[name] = _Bucket(most, now_s)
        bucket.tokens = min(most, bucket.tokens + (now_s - bucket.at_s) * self.per_s)
        bucket.at_s = now_s
        if bucket.tokens < 1.0:
            return max(1, math.ceil((1.0 - bucket.tokens) / self.per_s))
        bucket.tokens -= 1.0
        return 0

    def __len__(self) -> int:
        return len(self._buckets)

    def _sweep(self, now_s: float) -> None:
        """Forget buckets that are full again: a new one would be the same."""
        full_after_s = max(BURST_S, 1.0 / (self.per_s or 1.0))
        self._buckets = {name: one for name, one in self._buckets.items() if now_s - one.at_s < full_after_s}
        self._sweep_at = max(KNOWN, 2 * len(self._buckets))
