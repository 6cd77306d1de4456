"""What a node does for another one: a request from there goes to an agent that is linked here, and its answer back.

Streams are joined, so that flow control, cancellation and deadlines reach from end to end; nothing is decided here:
what becomes of a request is the asking node's to say, which is told whether the agent may have seen it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from agent.errors import AgentError, LinkLost, ProtocolViolation, StreamFailed
from agent.link.messages import Failure, Reason
from agent.link.packing import decode
from agent.link.packing import encode as pack
from agent.relay.nodes.messages import Errand
from agent.relay.nodes.whispers import NODE, hear

if TYPE_CHECKING:
    from agent.link.streams import Stream
    from agent.relay.nodes.roster import Numbered
    from agent.relay.unknown import UnknownOutcomes


class Errands:
    """Answers the streams that other nodes open."""

    def __init__(self, numbered: Numbered, unknown: UnknownOutcomes) -> None:
        self.under_way = 0
        self._unknown = unknown
        self._numbered = numbered

    async def serve(self, stream: Stream, packed: bytes) -> None:
        """Carry one stream until it is over, however it ends."""
        self.under_way += 1
        try:
            await self._serve(stream, packed)
        finally:
            self.under_way -= 1

    async def _serve(self, near: Stream, packed: bytes) -> None:
        try:
            errand = decode(Errand, packed)
            if errand.number == NODE:
                hear(self._unknown, near, errand.head)
                return
        except ProtocolViolation as violation:
            _fail(near, Reason.MALFORMED, f"The other node sent {violation}", sent=False)
            return
        link = self._numbered.find(errand.tenant, errand.number)
        if link is None or not link.usable:
            _fail(near, Reason.LINK_LOST, "Its link has ended, or takes no more requests", sent=False)
            return
        body = near.whole() if near.has_ended or link.takes(near.at_hand_bytes) else None
        far = link.open(errand.head, body or b"", end=body is not None)
        try:
            await _join(near, far)
        except StreamFailed as failed:
            near.fail(failed.payload)
        except LinkLost as lost:
            _fail(near, Reason.LINK_LOST, f"The link broke ({lost.reason})", sent=not lost.unsent)
        except AgentError:
            _fail(near, Reason.LINK_LOST, "The agent gave the request up", sent=True)
        finally:
            link.forget(far)


async def _join(near: Stream, far: Stream) -> None:
    """Carry both bodies; raises what broke the way to the agent, or the way back."""
    inward = None if near.has_ended else asyncio.create_task(_pour(near, far))
    try:
        answer = await far.answer()
        body = far.whole() if far.has_ended or near.takes(far.at_hand_bytes) else None
        near.respond(answer, body or b"", end=body is not None)
        if body is None:
            await _pour(far, near)
        if inward is not None:
            # The asking node gives the stream up where an answer that came early is all it wants.
            await inward
    finally:
        if inward is not None:
            inward.cancel()
            await asyncio.gather(inward, return_exceptions=True)


async def _pour(source: Stream, target: Stream) -> None:
    while not source.has_ended:
        data = await source.read()
        await target.write(data, end=source.has_ended)


def _fail(stream: Stream, reason: Reason, detail: str, *, sent: bool) -> None:
    stream.fail(pack(Failure(reason, sent, f"{detail}.")))
