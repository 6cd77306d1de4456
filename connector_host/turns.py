"""What is done at the end of a turn of the event loop, once for all who want it in that turn.

So what comes in one turn goes on together, in one query or to the disk in one, and wakes a thread once. Knows nothing
of what that is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable


class EachTurn:
    """One thing to do, in whichever event loop it is wanted."""

    def __init__(self, act: Callable[[], object]) -> None:
        self._act = act
        self._wanted_in: asyncio.AbstractEventLoop | None = None

    def want(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have it done at the end of the present turn of this loop; called in that loop."""
        if self._wanted_in is not loop:
            self._wanted_in = loop
            loop.call_soon(self._do)

    def _do(self) -> None:
        self._wanted_in = None
        self._act()
