"""How many request bodies, or proofs of agents, are awaited at once: by one address and in all.

So silence costs the silent only. Knows nothing of tenants: what has not come is not yet anybody's.
"""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

from agent.errors import AgentError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.settings import LimitSettings


class TooManyAwaited(AgentError):
    """No more is awaited, of this address or of all."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} are awaited already")
        self.limit = limit


class WaitingRoom:
    """What is awaited now."""

    def __init__(self, limits: LimitSettings) -> None:
        self._limits = limits
        self._awaited: Counter[str] = Counter()
        self._all = 0

    @contextmanager
    def place(self, address: str) -> Iterator[None]:
        """Hold a place while something is awaited; raises TooManyAwaited where there is none."""
        if self._all >= self._limits.bodies:
            raise TooManyAwaited(self._limits.bodies)
        if self._awaited[address] >= self._limits.bodies_per_address:
            raise TooManyAwaited(self._limits.bodies_per_address)
        self._all += 1
        self._awaited[address] += 1
        try:
            yield
        finally:
            self._all -= 1
            self._awaited[address] -= 1
            if not self._awaited[address]:
                del self._awaited[address]
