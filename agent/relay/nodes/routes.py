"""An agent's link that another node holds, as this node's matching sees it: one route among others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.link.messages import VERSIONS, Health, Hello
from agent.link.packing import encode
from agent.link.session import WINDOW_BYTES
from agent.relay.nodes.messages import Errand

if TYPE_CHECKING:
    from agent.link.links import Link
    from agent.link.streams import Stream
    from agent.relay.nodes.messages import Held


class FarLink:
    """Satisfies `agent.relay.matching.Route`; streams travel over the session with the node that holds the link."""

    __slots__ = ("_node", "_open", "held", "peer")

    def __init__(self, node: Link, held: Held) -> None:
        self.held = held
        """What the other node said last."""
        self.peer = Hello(VERSIONS, WINDOW_BYTES, held.name, held.software, instance=held.instance)
        """Of the agent's hello, what matters here."""
        self._node = node
        self._open = 0

    @property
    def node(self) -> str:
        """Return what administrators call the node."""
        return self._node.peer.name

    @property
    def health(self) -> Health:
        """Return how the agent says its host is."""
        return self.held.health

    @property
    def usable(self) -> bool:
        """Return whether streams may be opened now."""
        return self.held.usable and self._node.usable

    @property
    def in_flight(self) -> int:
        """Return how many streams are open: by this node's own count where it is ahead of what the other one said."""
        return max(self.held.in_flight, self._open)

    def takes(self, size_bytes: int) -> bool:
        """Return whether so much of the body of a fresh stream would leave at once."""
        return self._node.takes(size_bytes)

    def open(self, head: bytes, body: bytes = b"", *, end: bool) -> Stream:
        """Open a stream, with the whole of its body where one is given; only while it `takes` that, and is `usable`."""
        stream = self._node.open(encode(Errand(self.held.tenant, self.held.number, head)), body, end=end)
        self._open += 1
        return stream

    def is_unsent(self, stream: Stream) -> bool:
        """Return whether the stream's request never left this node."""
        return self._node.is_unsent(stream)

    def forget(self, stream: Stream) -> None:
        """Give the stream up and keep no memory of it."""
        self._node.forget(stream)
        self._open -= 1
