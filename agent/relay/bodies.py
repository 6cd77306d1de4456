"""The body of a client's request: bounded, its beginning kept so that it can be sent again, the rest passed on once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from agent.errors import AgentError

if TYPE_CHECKING:
    from aiohttp import web

    from agent.settings import LimitSettings


class TooLarge(AgentError):
    """The client's body is over the limit."""


class WholeBody:
    """The body of a request that is here already."""

    __slots__ = ("first",)

    complete = True
    consumed = False

    def __init__(self, first: bytes) -> None:
        self.first = first

    async def more(self) -> bytes:
        """Return nothing more."""
        return b""


class ClientBody:
    """The body of a client's request, as `fate` sends it: the beginning is kept, the rest passes through once."""

    def __init__(self, request: web.BaseRequest, limits: LimitSettings) -> None:
        self.first = b""
        self.complete = not request.body_exists
        self.consumed = False
        self._content = request.content
        self._left = limits.body_bytes
        self._replay_bytes = limits.replay_bytes

    @property
    def is_here(self) -> bool:
        """Return whether nothing is to be waited for."""
        return self.complete or self._content.is_eof()

    async def begin(self, deadline: float) -> None:
        """Read what is kept; raises TooLarge, and TimeoutError where it is not here by then, by the loop's clock."""
        if not self.complete and self._content.is_eof() and self._content.total_bytes <= self._replay_bytes:
            # All of it is here already, as with nearly every SCIM request: no clock is needed.
            self.first, self.complete = await self._next(), True
        if self.complete:
            return
        stretches = []
        kept = 0
        async with asyncio.timeout_at(deadline):
            while not self.complete and kept <= self._replay_bytes:
                stretches.append(await self._next())
                kept += len(stretches[-1])
                self.complete = self._content.at_eof()
        self.first = b"".join(stretches)

    async def more(self) -> bytes:
        """Return the next stretch after the beginning, empty at the end; raises TooLarge."""
        self.consumed = True
        return await self._next()

    async def _next(self) -> bytes:
        data = await self._content.readany()
        self._left -= len(data)
        if self._left < 0:
            raise TooLarge
        return data
