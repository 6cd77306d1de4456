"""How long to wait before the relay is dialled again: at random, longer each time, and forgiving once a link held."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Final

FIRST_S: Final = 0.5
HELD_S: Final = 10.0
"""A link that lived this long has held; one that is cut right after its hello has not."""


@dataclass(slots=True)
class Backoff:
    """Full jitter: each pause is drawn between nothing and a bound that doubles up to `longest_s`.

    Drawn over the whole range, so that a thousand agents whose relay restarts do not return in waves.
    """

    longest_s: float
    draw: random.Random = field(default_factory=random.SystemRandom)
    failures: int = 0

    def pause_s(self, held_s: float) -> float:
        """Return the seconds to wait after a link that lived for `held_s`; 0 for one that never came about."""
        self.failures = 0 if held_s >= HELD_S else self.failures + 1
        # The bound on the exponent keeps the float finite after weeks without a relay.
        bound_s = min(self.longest_s, FIRST_S * 2 ** min(self.failures, 20))
        return self.draw.uniform(0, bound_s)
