"""What this node does for others: tells them which agents it holds, and carries their requests there."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from agent.relay.nodes.errands import Errands
from agent.relay.nodes.roster import Numbered, news

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from agent.link.links import Link
    from agent.link.streams import Stream
    from agent.relay.admission import Admission
    from agent.relay.matching import Agents
    from agent.relay.nodes.messages import Held

_TOLD_S: Final = 1.0
"""At the latest after this other nodes hear how busy this node's agents are; of what comes and goes at once."""

_GATHER_S: Final = 0.02
"""What changes within this time is told together."""

_FAREWELL: Final = "the node is about to stop"


class Serving:
    """The sessions that other nodes have opened."""

    def __init__(self, agents: Agents, admission: Admission) -> None:
        self._numbered = Numbered(agents, admission)
        self._errands = Errands(self._numbered, agents.unknown)
        self._told: dict[Link, dict[int, Held]] = {}
        self._moved = asyncio.Event()
        self._leaving = False
        agents.on_change = self._moved.set

    @property
    def under_way(self) -> int:
        """Return how many requests of other nodes are carried."""
        return self._errands.under_way

    @property
    def answer(self) -> Callable[[Stream, bytes], Coroutine[object, object, None]]:
        """Return what answers the streams of such a session."""
        return self._errands.serve

    async def hold(self, link: Link) -> str:
        """Tell the other node of all agents, serve it until its session ends, and return why that ended."""
        told = self._told[link] = {}
        if self._leaving:
            link.drain(_FAREWELL)
        _say(link, told, self._numbered.look())
        try:
            return await link.run()
        finally:
            del self._told[link]

    async def tell(self) -> None:
        """Tell other nodes how this node's agents are, for ever."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_TOLD_S):
                    await self._moved.wait()
                    await asyncio.sleep(_GATHER_S)
            self._moved.clear()
            held = self._numbered.look() if self._told else {}
            for link, told in self._told.items():
                _say(link, told, held)

    def leave(self) -> None:
        """Take no more requests of other nodes; sessions end once what they carry has ended."""
        self._leaving = True
        for link in self._told:
            link.drain(_FAREWELL)


def _say(link: Link, told: dict[int, Held], held: dict[int, Held]) -> None:
    for piece in news(told, held):
        link.note(piece)
    told.clear()
    told.update(held)
