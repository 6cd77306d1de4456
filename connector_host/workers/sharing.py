"""What the parent keeps for all workers: the audit trail, the record of outcomes, and who is locked out.

Each worker has a desk, where its questions are answered; the desk of one that is gone gives back what that one held.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import structlog

from connector_host import clock
from connector_host.endpoint.outcomes import Answer, Names
from connector_host.errors import HostError
from connector_host.observability import events
from connector_host.observability.audit import Trail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from connector_host.access.lockout import LockOut
    from connector_host.endpoint.outcomes import Record, Recorded


class WatchedTrail(Trail, Protocol):
    """A trail that tells whether its last record could be written, and takes many."""

    is_broken: bool

    async def record_all(self, records: Iterable[Mapping[str, Any]]) -> list[BaseException | None]:
        """Return once each record is on disk, or why it is not."""


@dataclass(slots=True)
class Shared:
    """One for the host."""

    trail: WatchedTrail | None
    outcomes: Record | None
    lock_out: LockOut
    tell_all: Callable[[str, object], None] = lambda _verb, _body: None
    """Gives news to every worker."""
    _told_broken: bool = field(default=False, init=False)

    def state(self) -> dict[str, object]:
        """Return what a worker that begins must know."""
        now_s = clock.monotonic_s()
        locked = {source: self.lock_out.wait_s(source, now_s) + now_s for source in self.lock_out.sources()}
        return {
            "audited": self.trail is not None,
            "record": None if self.outcomes is None else self.outcomes.identity,
            "sources": locked,
            "broken": self._told_broken,
        }

    async def write(self, records: list[bytes]) -> list[str | None]:
        """Return once each record, as JSON, is on disk, or why it is not."""
        if self.trail is None:
            raise HostError("no audit trail is kept")
        try:
            failures = await self.trail.record_all(map(msgspec.json.decode, records))
        finally:
            self._tell_broken()
        return [None if failure is None else str(failure) for failure in failures]

    async def demand(self) -> None:
        """Raise AuditUnavailable where the trail cannot be written now."""
        if self.trail is None:
            raise HostError("no audit trail is kept")
        try:
            await self.trail.demand()
        finally:
            self._tell_broken()

    def _tell_broken(self) -> None:
        broken = self.trail is not None and self.trail.is_broken
        if broken != self._told_broken:
            self._told_broken = broken
            self.tell_all("broken", broken)

    def count_failure(self, source: str) -> None:
        """Count a wrong token, and tell every worker."""
        now_s = clock.monotonic_s()
        if self.lock_out.count_failure(source, now_s):
            structlog.get_logger().warning(events.SOURCE_LOCKED_OUT, source=source)
        self.tell_all("suspected", [source, self.lock_out.wait_s(source, now_s) + now_s])

    def forgive(self, source: str) -> None:
        """Forget the wrong tokens of a source, and tell every worker."""
        self.lock_out.forgive(source)
        self.tell_all("forgiven", source)


@dataclass(slots=True)
class Desk:
    """Answers one worker."""

    shared: Shared
    _turns: set[Names] = field(default_factory=set, init=False)
    _beginning: set[asyncio.Future[Recorded | None]] = field(default_factory=set, init=False)
    """What the worker has not heard of yet, so that it has done nothing under those names."""
    _is_closed: bool = field(default=False, init=False)

    async def answer(self, verb: str, body: Any) -> object:  # noqa: ANN401 - each verb has a body of its own
        """Do what a worker asks."""
        shared = self.shared
        match verb:
            case "records":
                return await shared.write(body)
            case "demand":
                await shared.demand()
            case "begin":
                return await self._begin(msgspec.convert(body[0], Names), body[1])
            case "finish" | "forget" | "leave":
                await self._end(verb, msgspec.convert(body[0], Names), body[1])
            case "failed":
                shared.count_failure(body)
            case "forgive":
                shared.forgive(body)
            case "alive":
                pass  # that it was heard is all
            case _:
                raise HostError(f"nobody answers {verb}")
        return None

    def close(self) -> None:
        """End the turns of a worker that is gone: what it began stays unknown, and whoever waits hears so."""
        self._is_closed = True
        for beginning in self._beginning:
            beginning.cancel()
        for names in self._turns:
            self._record.leave(names)
        self._turns.clear()

    @property
    def _record(self) -> Record:
        if self.shared.outcomes is None:
            raise HostError("no record of outcomes is kept")
        return self.shared.outcomes

    async def _begin(self, names: Names, request: bytes) -> Recorded | None:
        beginning = asyncio.ensure_future(self._record.begin(names, request))
        self._beginning.add(beginning)
        beginning.add_done_callback(self._beginning.discard)
        recorded = await beginning
        if self._is_closed:
            self._record.leave(names)
        else:
            self._turns.add(names)
        return recorded

    async def _end(self, verb: str, names: Names, answer: object) -> None:
        match verb:
            case "finish":
                await self._record.finish(names, msgspec.convert(answer, Answer))
            case "forget":
                await self._record.forget(names, msgspec.convert(answer, Answer))
            case _ if names in self._turns:
                self._turns.remove(names)
                self._record.leave(names)
