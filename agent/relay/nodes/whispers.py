"""What nodes tell each other of writes with an unknown outcome: all of it when a session begins, then what is new.

Each batch is a stream of its own, whose answer says that the other node knows it now.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from agent.errors import AgentError
from agent.link.packing import decode, encode
from agent.relay.nodes.messages import Errand, Unknown
from agent.relay.replicas import Replica

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from agent.link.links import Link
    from agent.link.streams import Stream
    from agent.relay.noted import Noted
    from agent.relay.unknown import UnknownOutcomes

PIECE: Final = 100
"""Notes in one message at the most: far below what the head of a stream holds, whatever records are called."""

ANSWER_S: Final = 2.0
"""How long another node's answer is waited for, before it is told again."""

NODE: Final = 0
"""The number of no link: what has it is for the node itself."""


class Whispers:
    """Keeps the other nodes informed, and takes in what they say."""

    def __init__(self, unknown: UnknownOutcomes, links: Callable[[], Iterable[Link]]) -> None:
        """Prepare; `links` returns those by which other nodes are asked just now."""
        self.replica = Replica(self._tell_all)
        self._unknown = unknown
        self._links = links
        unknown.replicas.append(self.replica)

    async def begin(self, link: Link) -> None:
        """Tell a node everything, once it can be asked."""
        await link.greeted.wait()
        while not await _tell(link, self._unknown.all()):
            pass

    async def _tell_all(self, notes: list[Noted]) -> bool:
        """Tell every node; returns whether none of them has to be told again."""
        return all(await asyncio.gather(*(_tell(link, notes) for link in self._links())))


async def _tell(link: Link, notes: list[Noted]) -> bool:
    """Return whether the other node knows it now, or will be told everything anew: each session begins with that."""
    for first in range(0, len(notes), PIECE):
        if not link.usable:
            break
        stream = link.open(encode(Errand("", NODE, encode(Unknown(notes[first : first + PIECE])))), end=True)
        try:
            async with asyncio.timeout(ANSWER_S):
                await stream.answer()
        except TimeoutError:
            return False
        except AgentError:
            # The session has ended, or the node is older than this and knows of no such thing.
            break
        finally:
            link.forget(stream)
    return True


def hear(unknown: UnknownOutcomes, stream: Stream, packed: bytes) -> None:
    """Take in what another node tells; raises ProtocolViolation."""
    unknown.learn(decode(Unknown, packed).notes)
    stream.respond(b"", end=True)
