"""Which refusals of connections stand in the log: who is refused without end does not fill the disk."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Final

from agent.rates import Rates

_TOLD_PER_S: Final = 0.2


class Refusals:
    """The refusals of one kind, by client or tenant."""

    def __init__(self) -> None:
        self._rates = Rates(_TOLD_PER_S)
        self._untold: Counter[str] = Counter()

    def due(self, name: str) -> int:
        """Count one; return how many of this name are to be told of now, once in five seconds, else 0."""
        self._untold[name] += 1
        if self._rates.take(name, asyncio.get_running_loop().time()):
            return 0
        return self._untold.pop(name)

    def forget(self, name: str) -> None:
        """Tell of no more of them: it is gone."""
        self._untold.pop(name, None)
