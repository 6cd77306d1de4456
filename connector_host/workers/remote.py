"""What a worker asks its parent for, in the shape of what the parent keeps: the trail, the record, the lock-out."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from connector_host.access.lockout import SOURCES_MAX
from connector_host.endpoint.outcomes import Recorded, Unrecordable
from connector_host.observability.audit import AuditUnavailable, settle, storable
from connector_host.workers.channel import ChannelLost, Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connector_host.endpoint.outcomes import Answer, Names
    from connector_host.workers.channel import Channel


@dataclass(slots=True)
class RemoteTrail:
    """The audit trail of the parent."""

    channel: Channel
    is_broken: bool = False
    """Whether the parent said that its last record could not be written."""
    _gathered: list[tuple[bytes, asyncio.Future[None]]] = field(default_factory=list, init=False)
    """The records of this turn of the event loop, which go as one question, and who waits for each."""
    _asking: set[asyncio.Task[None]] = field(default_factory=set, init=False)

    async def record(self, **fields: object) -> None:
        """Return once the parent has the record on disk; raises AuditUnavailable."""
        try:
            encoded = _encoded(fields)
        except Exception as failure:  # whatever a record holds, the export is what it is
            raise AuditUnavailable(f"The record cannot be written ({type(failure).__name__}).") from failure
        loop = asyncio.get_running_loop()
        written: asyncio.Future[None] = loop.create_future()
        if not self._gathered:
            loop.call_soon(self._send)
        # A client that hangs up does not take its export's record with it: it is said whoever waits.
        self._gathered.append((encoded, written))
        await written

    async def demand(self) -> None:
        """Return at once where the last record could be written, by whichever worker; else ask the parent."""
        if not self.is_broken:
            return
        try:
            await self.channel.ask("demand")
        except (Refused, ChannelLost) as failure:
            raise AuditUnavailable(str(failure)) from failure

    def _send(self) -> None:
        gathered, self._gathered = self._gathered, []
        asking = asyncio.create_task(self._ask(gathered))
        self._asking.add(asking)
        asking.add_done_callback(self._asking.discard)

    async def _ask(self, gathered: list[tuple[bytes, asyncio.Future[None]]]) -> None:
        """Have records written, and tell each that waits what became of its own."""
        reasons: list[str | None]
        try:
            reasons = await self.channel.ask("records", [encoded for encoded, _ in gathered])
        except (Refused, ChannelLost) as failure:
            reasons = [str(failure)] * len(gathered)
        settle(dict(zip((written for _, written in gathered), reasons, strict=True)))


def _encoded(fields: Mapping[str, object]) -> bytes:
    try:
        return msgspec.json.encode(fields, enc_hook=str)
    except UnicodeEncodeError:
        return msgspec.json.encode(storable(fields), enc_hook=str)


@dataclass(slots=True)
class RemoteRecord:
    """The record of outcomes of the parent."""

    channel: Channel
    identity: str

    async def begin(self, names: Names, request: bytes) -> Recorded | None:
        """Wait for the turn of these names among all workers, and take them; raises Unrecordable."""
        recorded = await self._ask("begin", [names, request])
        return None if recorded is None else msgspec.convert(recorded, Recorded)

    async def finish(self, names: Names, answer: Answer) -> None:
        """Keep the answer; raises Unrecordable."""
        await self._ask("finish", [names, answer])

    async def forget(self, names: Names, answer: Answer) -> None:
        """Let the key be used anew; raises Unrecordable."""
        await self._ask("forget", [names, answer])

    def leave(self, names: Names) -> None:
        """End the turn that `begin` began."""
        self.channel.tell("leave", [names, None])

    async def _ask(self, verb: str, body: object) -> Any:  # noqa: ANN401 - each verb has an answer of its own
        try:
            return await self.channel.ask(verb, body)
        except (Refused, ChannelLost) as failure:
            raise Unrecordable(str(failure)) from failure


@dataclass(slots=True)
class RemoteLockOut:
    """Who is locked out, as the parent counts for all workers; what is asked for each request is known here."""

    channel: Channel
    failures: int
    _until_s: OrderedDict[str, float] = field(default_factory=OrderedDict, init=False)
    """Sources with wrong tokens to their name, and until when they must wait, by the machine's monotonic clock."""

    def wait_s(self, source: str, now_s: float) -> float:
        """Return how long the source must still wait; 0 where it is not locked out."""
        return max(0.0, self._until_s.get(source, 0.0) - now_s)

    def count_failure(self, source: str, _now_s: float) -> bool:
        """Have a wrong token counted; the parent logs, and tells every worker, if it was one too many."""
        if self.failures:
            self.channel.tell("failed", source)
        return False

    def forgive(self, source: str) -> None:
        """Have the failures of a source forgotten, where it has any."""
        if source in self._until_s:
            self.channel.tell("forgive", source)

    def suspect(self, source: str, until_s: float) -> None:
        """Take over what the parent counted."""
        self._until_s[source] = until_s
        self._until_s.move_to_end(source)
        while len(self._until_s) > SOURCES_MAX:
            self._until_s.popitem(last=False)

    def forgiven(self, source: str) -> None:
        """Take over that the parent forgot."""
        self._until_s.pop(source, None)

    def begin(self, sources: Mapping[str, float]) -> None:
        """Take over everything that was counted before this worker began."""
        for source, until_s in sources.items():
            self.suspect(source, until_s)
