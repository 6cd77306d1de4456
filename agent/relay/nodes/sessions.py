"""Sessions with other nodes over the fabric: opened, accepted, and each packet handed to the one that it is for.

packet      kind (1 byte), then
BEAT        a sealed Beat
OPEN        a sealed Opening; nothing comes of one that is replayed, because the other end draws a nonce, too
ACCEPT      a sealed Accepted
DATA        session (16 bytes), count and sealed bytes: `sockets`
"""

from __future__ import annotations

import asyncio
import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agent import events, logs
from agent.errors import AgentError
from agent.link.packing import decode, encode
from agent.relay.nodes.messages import Accepted, Beat, Opening
from agent.relay.nodes.seals import Unsealed
from agent.relay.nodes.sockets import SESSION_BYTES, NodeSocket

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.relay.nodes.fabric import Fabric
    from agent.relay.nodes.seals import Seals

OPEN_S: Final = 3.0
"""Seconds in which another node must answer an Opening, and be heard after its own was answered."""

_PENDING: Final = 1_000
"""Sessions that were accepted and have not begun; far above the number of nodes."""

_COMPLAIN_S: Final = 60.0


_BEAT: Final = b"\x01"
_OPEN: Final = b"\x02"
_ACCEPT: Final = b"\x03"
_DATA: Final = b"\x04"


@dataclass(frozen=True, slots=True)
class Ears:
    """Who wants to hear what."""

    beat: Callable[[Beat], None]
    session: Callable[[str, NodeSocket], None]
    """Called with the node that has begun a session, and its socket."""


class Sessions:
    """All sessions of this node; one ends with its link, all of them with the connection to NATS."""

    def __init__(self, node: str, seals: Seals, fabric: Fabric, ears: Ears) -> None:
        self._node = node
        self._seals = seals
        self._ears = ears
        self._fabric = fabric
        fabric.take = self._take
        self._live: dict[bytes, NodeSocket] = {}
        self._accepted: dict[bytes, tuple[str, NodeSocket]] = {}
        self._asked: dict[bytes, asyncio.Future[Accepted]] = {}
        self._answering: set[asyncio.Task[None]] = set()
        self._complained_s = -_COMPLAIN_S

    async def shout(self, beat: Beat) -> None:
        """Send a sign of life; raises OSError."""
        await self._fabric.shout(_BEAT + self._seals.seal(encode(beat), b"beat"))

    async def open(self, node: str) -> NodeSocket:
        """Return a new session with a node; raises OSError, and TimeoutError where the node does not answer."""
        opening = Opening(self._node, os.urandom(SESSION_BYTES), os.urandom(32))
        answer = self._asked[opening.session] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(OPEN_S):
                packet = _OPEN + self._seals.seal(encode(opening), b"open " + node.encode())
                await self._fabric.send(node, packet)
                accepted = await answer
        finally:
            del self._asked[opening.session]
        if accepted.sender != node:
            raise ConnectionError("another node answered")
        socket = self._socket(node, opening, accepted, opener=True)
        self._live[opening.session] = socket
        return socket

    def forget(self, socket: NodeSocket) -> None:
        """Keep no memory of a session whose link has ended."""
        self._live.pop(socket.session, None)

    def break_all(self, reason: str) -> None:
        """End all sessions: what was on its way is lost."""
        for socket in self._live.values():
            socket.break_off(reason)
        self._live.clear()
        self._accepted.clear()
        for answer in self._asked.values():
            if not answer.done():
                answer.set_exception(ConnectionError(reason))

    # ── what arrives ──────────────────────────────────────────────────────────────────────────────────────────────

    def _take(self, packet: bytes) -> None:
        """Take in one packet; what no node of this relay has sealed is passed over."""
        kind, rest = packet[:1], packet[1:]
        try:
            if kind == _DATA:
                self._take_data(rest[:SESSION_BYTES], rest[SESSION_BYTES:])
            elif kind == _BEAT:
                self._ears.beat(decode(Beat, self._seals.open(rest, b"beat")))
            elif kind == _OPEN:
                self._take_opening(decode(Opening, self._seals.open(rest, b"open " + self._node.encode())))
            elif kind == _ACCEPT:
                self._take_accepted(decode(Accepted, self._seals.open(rest, b"accept " + self._node.encode())))
        except Unsealed as failure:
            self._complain(str(failure))
        except AgentError as failure:
            self._complain(f"a message that cannot be understood: {failure}")

    def _take_data(self, session: bytes, rest: bytes) -> None:
        socket = self._live.get(session)
        if socket is None:
            if session not in self._accepted:
                return
            node, socket = self._accepted.pop(session)
            socket.take(rest)
            if not socket.has_begun:
                self._accepted[session] = (node, socket)
                return
            self._live[session] = socket
            self._ears.session(node, socket)
            return
        socket.take(rest)

    def _take_opening(self, opening: Opening) -> None:
        if opening.session in self._live or opening.session in self._accepted:
            # Replayed: other keys for a session that has begun would leave its two ends deaf to each other.
            return
        if len(self._accepted) >= _PENDING:
            return
        accepted = Accepted(self._node, opening.session, os.urandom(32))
        socket = self._socket(opening.sender, opening, accepted, opener=False)
        self._accepted[opening.session] = (opening.sender, socket)
        loop = asyncio.get_running_loop()
        loop.call_later(OPEN_S, self._accepted.pop, opening.session, None)
        packet = _ACCEPT + self._seals.seal(encode(accepted), b"accept " + opening.sender.encode())
        answering = loop.create_task(self._answer(opening.sender, packet))
        self._answering.add(answering)
        answering.add_done_callback(self._answering.discard)

    def _take_accepted(self, accepted: Accepted) -> None:
        answer = self._asked.get(accepted.session)
        if answer is not None and not answer.done():
            answer.set_result(accepted)

    async def _answer(self, node: str, packet: bytes) -> None:
        try:
            await self._fabric.send(node, packet)
        except OSError as failure:
            logs.event(events.NATS_TROUBLE, level=logging.WARNING, reason=str(failure))

    def _socket(self, node: str, opening: Opening, accepted: Accepted, *, opener: bool) -> NodeSocket:
        prefix = _DATA + opening.session

        async def send(rest: bytes) -> None:
            await self._fabric.send(node, prefix + rest)

        return NodeSocket(opening.session, self._seals.session(opening, accepted, opener=opener), send)

    def _complain(self, reason: str) -> None:
        """Log that somebody else speaks here, and not for every word."""
        time_s = asyncio.get_running_loop().time()
        if time_s - self._complained_s >= _COMPLAIN_S:
            self._complained_s = time_s
            logs.event(events.NODE_REFUSED, level=logging.WARNING, reason=reason)
