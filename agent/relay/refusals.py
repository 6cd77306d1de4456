"""Which refusals of connections stand in the log: who is refused without end does not fill the disk."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

APART_S: Final = 5.0
"""Seconds between two lines about the same client or tenant."""


class Refusals:
    """The refusals of one kind, by client or tenant."""

    def __init__(self) -> None:
        self._untold: dict[str, int] = {}
        """Of those who were told of within the last seconds, how many came since."""

    def take(self, name: str, tell: Callable[[int], None]) -> None:
        """Have one told of at once; those that follow it soon are told of together, by how many they were."""
        if name in self._untold:
            self._untold[name] += 1
            return
        tell(1)
        self._gather(name, tell)

    def _gather(self, name: str, tell: Callable[[int], None]) -> None:
        self._untold[name] = 0
        asyncio.get_running_loop().call_later(APART_S, self._settle, name, tell)

    def _settle(self, name: str, tell: Callable[[int], None]) -> None:
        if count := self._untold.pop(name):
            tell(count)
            self._gather(name, tell)
