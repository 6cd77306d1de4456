"""What one cycle works with and on: the job's parts, the report, and the way of each user's outcome into the state."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

import structlog

from connector_host import clock
from connector_host.observability import events
from connector_host.provisioning import faults, mappings
from connector_host.provisioning.acting import Turn
from connector_host.provisioning.deciding import Create, Leave, Stage, Update
from connector_host.provisioning.errors import ProvisioningError, StateUnavailable, TargetError, TargetUnavailable
from connector_host.provisioning.faults import Cause
from connector_host.provisioning.reports import Ending, Kind, Planned, Report
from connector_host.provisioning.state.records import ALLOWED, Action, Changes, Failure, JobState, Link, Staged
from connector_host.provisioning.state.tables import KEY_CHARS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from connector_host.provisioning.acting import Context
    from connector_host.provisioning.mappings import Flow
    from connector_host.provisioning.settings import JobSettings
    from connector_host.provisioning.sources.contract import Source, SourceUser
    from connector_host.provisioning.state.store import State
    from connector_host.provisioning.targets import Target

T = TypeVar("T")

_LOG = structlog.stdlib.get_logger()

KEY_SHOWN_CHARS: Final = 100
"""How much of a key is shown that cannot be kept."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a cycle is run."""

    dry: bool = False
    """Write nothing, neither to the target nor to the state."""
    patient: bool = True
    """Leave users who failed alone until their time has come; who starts a cycle by hand is not patient."""
    initiated_by: str = "schedule"


@dataclass(frozen=True, slots=True)
class Parts:
    """What a cycle is given."""

    name: str
    job: JobSettings
    flows: tuple[Flow, ...]
    state: State
    source: Source
    target: Target
    stop: asyncio.Event
    options: Options = Options()
    on_progress: Callable[[Report], None] = lambda _report: None


@dataclass(slots=True)
class Work:
    """A cycle under way."""

    parts: Parts
    where: JobState
    """Where the job stood when the cycle began."""
    report: Report
    context: Context
    resumed: bool
    """Whether this cycle was begun before, and broken off."""
    known: bool
    """Whether links, failures and staged actions are those of this source and target; in a dry run they may not be."""
    staged: dict[str, Action]
    """What was staged, by key, when the cycle began; a dry run keeps it up to date."""
    allowed: Mapping[str, Action]
    """The staged actions, by key, that an administrator has allowed."""
    unanswered: set[str]
    """Of whom an earlier run has left a write without an answer, as long as their turn has not come."""
    unfinished: set[str] = field(init=False)
    """Who is looked at whatever the source says has changed, for earlier runs have left a write without an answer or a
    staged action, as long as their turn has not come."""
    begun_at: float = field(default_factory=lambda: clock.now().timestamp())
    failed_keys: set[str] = field(default_factory=set)
    nameless: int = 0
    """How many records came without a key that can be read: each may be the user who seems to be gone."""
    staged_now: set[str] = field(default_factory=set)
    """Of whom this run has read that they are to be disabled or deleted."""
    dry_seen: set[str] = field(default_factory=set)
    """Who is in the source, as far as a dry run of everybody has read it; any other cycle has that in the state."""

    def __post_init__(self) -> None:
        self.unfinished = self.unanswered | self.staged.keys()

    @property
    def is_full(self) -> bool:
        """Return whether every user of the source is looked at."""
        return self.report.kind is not Kind.INCREMENTAL

    @property
    def due_until(self) -> float:
        """Return the moment up to which the time of users who failed has come; who is not patient looks at all."""
        return self.begun_at if self.parts.options.patient else float("inf")

    def has_come(self, link: Link | None) -> bool:
        """Return whether this reading of everybody had the user of a link already."""
        if link is None or not self.is_full:
            return False
        return link.source_key in self.dry_seen if self.parts.options.dry else link.seen == self.report.cycle

    async def probe(self) -> None:
        """Ask the target for a user who cannot exist; raises TargetError unless an empty list comes back."""
        await self.parts.target.probe(mappings.matching(self.parts.flows)[0].path.text)

    async def together(self, items: Sequence[T], do: Callable[[T, list[ProvisioningError]], Awaitable[None]]) -> None:
        """Do something for each item, so many at a time.

        What is in hand is finished when the cycle is stopped, or when one puts into the list why nothing will work
        for anybody, which is then raised.
        """
        upcoming = iter(items)
        ended: list[ProvisioningError] = []

        async def worker() -> None:
            for item in upcoming:
                if self.parts.stop.is_set() or ended:
                    return
                await do(item, ended)

        async with asyncio.TaskGroup() as group:
            for _ in range(min(self.parts.target.settings.concurrency, len(items))):
                group.create_task(worker())
        if ended:
            raise ended[0]

    async def unless_stopped(self, coming: Awaitable[T]) -> T | None:
        """Return what is coming, or None where the cycle is stopped before: then it is called off."""
        waiting = asyncio.ensure_future(coming)
        stopped = asyncio.ensure_future(self.parts.stop.wait())
        try:
            await asyncio.wait((waiting, stopped), return_when=asyncio.FIRST_COMPLETED)
            if waiting.done():
                return waiting.result()
            return None
        finally:
            stopped.cancel()
            if waiting.cancel():
                await asyncio.gather(waiting, return_exceptions=True)

    async def turn(self, key: str, turn: Awaitable[Turn], ended: list[ProvisioningError]) -> Turn | None:
        """Await one turn; None where nothing will work for anybody, as `ended` then says, or the cycle is stopped."""
        try:
            done = await turn
        except (TargetError, StateUnavailable) as failure:
            ended.append(failure)
            return None
        except Exception as failure:  # noqa: BLE001 - whatever is wrong with one user, the others go on
            _LOG.error(events.PROVISIONING_FAILED, key=self.parts.name, reason=type(failure).__name__)
            return Turn(key, cause=Cause("InternalError", f"an error that nobody foresaw: {type(failure).__name__}"))
        if done.trouble is None:
            return done
        if not isinstance(done.trouble, TargetUnavailable):
            ended.append(done.trouble)
            return None
        return None if self.parts.stop.is_set() or await self._is_down(ended) else done

    async def _is_down(self, ended: list[ProvisioningError]) -> bool:
        """Return whether the target is down, or only chokes on one user: it is asked something harmless."""
        try:
            await self.probe()
        except TargetError as down:
            ended.append(down)
            return True
        return False

    async def goes_on(self) -> bool:
        """Return whether the cycle is to go on; where not, the report says why."""
        if self.parts.stop.is_set():
            self.end(Ending.STOPPED, "stopped")
            return False
        looked_at = self.report.counts["read"]
        if reason := faults.too_many(self.report.failures, looked_at, self.parts.job.quarantine):
            await self.quarantine(faults.TOO_MANY_FAILURES, reason)
            return False
        return True

    # ── outcomes ──────────────────────────────────────────────────────────────────────────────────────────────────

    def settle(self, turn: Turn, link: Link | None, before: Failure | None, changes: Changes) -> None:
        """Count a turn, and note what it leaves behind."""
        self.parts.on_progress(self.report)
        self.unanswered.discard(turn.key)
        turn.note(changes)
        self._take_over(turn, changes)
        if turn.cause is not None:
            self.failed(turn, before, changes)
            return
        if before is not None:
            changes.healed.append(turn.key)
        match turn.decision:
            case Create():
                self._done("created", turn, changes)
            case Update(_, operations, _, _, linked):
                same = f"{turn.shown}d" if turn.shown else "unchanged" if linked else "matched"
                self._done("updated" if operations else same, turn, changes)
            case Stage(action, reason):
                self.report.counts[f"to {action}"] += 1
                self._plan(turn, action, reason)
                cycle = ALLOWED if self.allowed.get(turn.key) is action else self.report.cycle
                self.staged_now.add(turn.key)
                changes.staged.append(Staged(turn.key, action, reason, cycle))
                changes.links += [turn.link] if turn.link is not None else []
                return
            case Leave(_, in_scope):
                self.report.counts["unchanged" if in_scope else "out of scope"] += 1
                changes.links += [turn.link] if turn.link is not None else []
                if link is None and self.report.kind is not Kind.FULL:
                    changes.log.append(turn.entry(self.context))
        if self.staged:
            changes.unstaged.append(turn.key)

    def _take_over(self, turn: Turn, changes: Changes) -> None:
        """Forget who is gone and whose account this user has now: there is nothing left to delete."""
        if turn.left is None:
            return
        changes.leave(turn.left)
        if self.parts.options.dry:
            self.dry_seen.add(turn.left)
        if turn.cause is not None and turn.link is not None:
            changes.links.append(turn.link)

    def can_keep(self, user: SourceUser, changes: Changes) -> bool:
        """Return whether the state can remember a user by its key; whom it cannot is logged, and passed over."""
        if user.key and self.parts.state.can_keep(user.key):
            return True
        self.report.counts["read"] += 1
        self.nameless += not user.key
        short = user.key.replace("\0", "?")[:KEY_SHOWN_CHARS]
        reason = user.flaw or f"the key is longer than {KEY_CHARS} characters, or has the character NUL in it"
        self._told(Turn(short, cause=Cause("ImportSkipped", reason.rstrip("."))), changes)
        return False

    def failed(self, turn: Turn, before: Failure | None, changes: Changes) -> None:
        """Count a failure, and note when the user is tried again."""
        self.failed_keys.add(turn.key)
        cause = self._told(turn, changes)
        interval_s = self.parts.job.interval_min * 60
        now = clock.now().timestamp()
        changes.failures.append(faults.failed_again(turn.key, before, cause, now=now, interval_s=interval_s))

    def _told(self, turn: Turn, changes: Changes) -> Cause:
        """Count a failure and say it, in the log or in a dry run's plan."""
        self.report.counts["failed"] += 1
        cause = turn.cause or Cause("InternalError", "")
        if self.parts.options.dry:
            self.report.planned.append(Planned(turn.key, turn.target_id, Action.OTHER, f"{cause.code}: {cause.reason}"))
        changes.log.append(turn.entry(self.context))
        return cause

    def _done(self, count: str, turn: Turn, changes: Changes) -> None:
        self.report.counts[count] += 1
        if turn.link is not None:
            changes.links.append(turn.link)
        decision = turn.decision
        if isinstance(decision, Create):
            self._plan(turn, Action.CREATE, "not in the target")
        elif isinstance(decision, Update) and decision.operations:
            self._plan(turn, Action.UPDATE, "changed" if decision.linked_before else "found by matching, and different")
        else:
            return
        changes.log.append(turn.entry(self.context))

    def _plan(self, turn: Turn, action: Action, reason: str) -> None:
        if self.parts.options.dry:
            decision = turn.decision
            changed = decision.modified if isinstance(decision, Create | Update) else ()
            modified = changed or self.context.judge.modified_by(action)
            self.report.planned.append(Planned(turn.key, turn.target_id, action, reason, modified))

    # ── state ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def end(self, ending: Ending, detail: str) -> None:
        """Note how the cycle ends."""
        self.report.ending, self.report.detail = ending, detail

    async def quarantine(self, code: str, reason: str, **more: object) -> None:
        """End the cycle and quarantine the job."""
        self.end(Ending.QUARANTINED, f"{code}: {reason}")
        await self.remember(
            quarantined_at=self.where.quarantined_at or clock.now().timestamp(),
            quarantine_code=code,
            quarantine_reason=reason,
            quarantine_attempts=self.where.quarantine_attempts + 1,
            **more,
        )

    async def remember(self, **fields: object) -> None:
        """Change columns of the job's state."""
        if not self.parts.options.dry:
            await asyncio.to_thread(lambda: self.parts.state.set_job(self.parts.name, **fields))

    async def write(self, changes: Changes, seen: Sequence[str] = ()) -> None:
        """Write what a batch leaves behind."""
        if self.parts.options.dry:
            for key in changes.unstaged:
                self.staged.pop(key, None)
            self.staged |= {one.source_key: one.action for one in changes.still_staged}
            return
        changes.answered += self.context.intents.void
        self.context.intents.void.clear()
        await asyncio.to_thread(self.parts.state.write, self.parts.name, changes)
        if seen:
            await asyncio.to_thread(self.parts.state.mark_seen, self.parts.name, self.report.cycle, seen)
