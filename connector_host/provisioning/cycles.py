"""One cycle of one job: import everybody or what has changed, take each user's turn, then disable and delete.

    read ──batches──▶ turns (so many at once) ──▶ state, one transaction a batch
    end  ──▶ who was not seen ──▶ staged ──threshold──▶ disable, delete
         ──▶ mark

Whatever kills it, the next run of the same cycle reads again from the mark and finds done what was done.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from connector_host import clock
from connector_host.provisioning import faults, mappings
from connector_host.provisioning.acting import Context, Turn, carry_out, take_turn
from connector_host.provisioning.deciding import Create, Leave, Stage, Update, judge
from connector_host.provisioning.errors import (
    CredentialsRefused,
    Incompliant,
    MarkTooOld,
    SourceFailed,
    TargetError,
    TargetUnavailable,
)
from connector_host.provisioning.faults import Cause
from connector_host.provisioning.reports import Ending, Kind, Planned, Report
from connector_host.provisioning.sources.contract import Presence, SourceUser
from connector_host.provisioning.state.records import Action, Changes, Failure, JobState, Link, LogEntry, Staged

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence

    from connector_host.provisioning.mappings import Flow
    from connector_host.provisioning.settings import JobSettings
    from connector_host.provisioning.sources.contract import Source
    from connector_host.provisioning.state.store import State
    from connector_host.provisioning.targets import Target

EMPTY_SOURCE: Final = "the source has no users at all"

WELL: Final = {
    "deletes_allowed": False,
    "quarantined_at": None,
    "quarantine_code": None,
    "quarantine_reason": None,
    "quarantine_attempts": 0,
}
"""What is remembered of a job that is well."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a cycle is run."""

    dry: bool = False
    """Write nothing, neither to the target nor to the state."""
    patient: bool = True
    """Leave users who failed alone until their time has come; who starts a cycle by hand is not patient."""
    initiated_by: str = "schedule"


@dataclass(slots=True)
class Cycle:
    """One cycle, from probe to mark."""

    name: str
    job: JobSettings
    flows: tuple[Flow, ...]
    state: State
    source: Source
    target: Target
    stop: asyncio.Event
    options: Options = Options()
    on_progress: Callable[[Report], None] = lambda _report: None
    report: Report = field(init=False)
    _context: Context = field(init=False)
    _where: JobState = field(init=False)
    _resumed: bool = False
    _any_staged: bool = False
    _mark: str | None = None
    _begun_at: float = field(default_factory=lambda: clock.now().timestamp())

    async def run(self) -> Report:
        """Run the cycle and return what it did; failures are in the report, and in the state."""
        begun_s = clock.monotonic_s()
        self._where = where = await asyncio.to_thread(self.state.job, self.name)
        kind = kind_of(where, self.source, fingerprint_of(self.job))
        await self._open(where, kind)
        try:
            await self._probe()
            await self._everything(kind)
            if self.report.ending is Ending.FINISHED:
                await self._remember(**self._closing(), **WELL)
        except MarkTooOld as failure:
            self._end(Ending.UNAVAILABLE, str(failure))
            await self._remember(mark=None, open_kind=None)
        except (SourceFailed, TargetUnavailable) as failure:
            self._end(Ending.UNAVAILABLE, str(failure))
        except (CredentialsRefused, Incompliant) as failure:
            await self._quarantine(failure.code, str(failure))
        self.report.seconds = clock.monotonic_s() - begun_s
        return self.report

    async def _open(self, where: JobState, kind: Kind) -> None:
        self._resumed = where.open_kind == kind.value
        number = where.cycle if self._resumed else where.cycle + 1
        self.report = Report(self.name, number, kind, dry=self.options.dry)
        decider = judge(self.job, self.flows, where.salt, self.target, self._link_of_target)
        self._context = Context(
            self.name, number, self.options.initiated_by, decider, self.target, kind is Kind.INITIAL, self.options.dry
        )
        counts = await asyncio.to_thread(self.state.counts, self.name)
        self._any_staged = counts["staged"] > 0
        await self._remember(cycle=number, open_kind=kind.value)

    async def _everything(self, kind: Kind) -> None:
        full = kind is not Kind.INCREMENTAL
        mark = None if full else self._where.mark
        self._mark = mark
        async for batch in self.source.read(mark):
            self._mark = batch.mark or self._mark
            if not await self._batch(batch.users, full=full):
                return
        if not full and not await self._retries():
            return
        if full:
            await self._absent()
        await self._deprovision()

    # ── users ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _batch(self, users: Sequence[SourceUser], *, full: bool) -> bool:
        """Take the turns of a batch; returns False where the cycle is not to go on."""
        if self.stop.is_set():
            self._end(Ending.STOPPED, "stopped")
            return False
        keys = [user.key for user in users]
        links = await asyncio.to_thread(self.state.links, self.name, keys)
        failures = await asyncio.to_thread(self.state.failures, self.name, keys)
        changes, turns = Changes(), []
        for user in self._once(users, links, changes, full=full):
            if self._has_to_wait(failures.get(user.key)):
                self.report.counts["waiting"] += 1
            elif not self._is_done(links.get(user.key)):
                turns.append(user)
        try:
            await self._turns(turns, links, failures, changes)
        finally:
            # What was written to the target is remembered, whatever ended the batch.
            await self._write(changes, keys if full else ())
            self._context.judge.claims.clear()
            self.on_progress(self.report)
        return await self._goes_on()

    def _once(
        self, users: Sequence[SourceUser], links: dict[str, Link], changes: Changes, *, full: bool
    ) -> Iterable[SourceUser]:
        """Yield each user once; a key that comes twice in one reading is a fault of the source."""
        seen: set[str] = set()
        for user in users:
            link = links.get(user.key)
            self.report.counts["read"] += 1
            again = user.key in seen or (
                full and not self._resumed and not self.options.dry and _is_seen(link, self.report.cycle)
            )
            if full and again:
                cause = Cause("DuplicateSourceEntries", "the source has two users with this key")
                self._failed(Turn(user.key, cause=cause), None, changes)
                continue
            seen.add(user.key)
            yield user

    def _has_to_wait(self, failure: Failure | None) -> bool:
        return self.options.patient and failure is not None and failure.next_try > clock.now().timestamp()

    def _is_done(self, link: Link | None) -> bool:
        """Return whether a killed cycle has compared this user already."""
        if self._resumed and self._context.compare and link is not None and link.compared == self.report.cycle:
            self.report.counts["unchanged"] += 1
            return True
        return False

    async def _turns(
        self, users: Sequence[SourceUser], links: dict[str, Link], failures: dict[str, Failure], changes: Changes
    ) -> None:
        """Take the turns, so many at a time; what one of them raises ends the rest after the turns in hand."""
        upcoming = iter(users)
        ended: list[TargetError] = []

        async def worker() -> None:
            for user in upcoming:
                if self.stop.is_set() or ended:
                    self.report.counts["read"] -= 1
                    return
                turn = await self._turn(user, links.get(user.key), ended)
                if turn is not None:
                    self._settle(turn, links.get(user.key), failures.get(user.key), changes)

        async with asyncio.TaskGroup() as group:
            for _ in range(min(self.target.settings.concurrency, len(users))):
                group.create_task(worker())
        if ended:
            raise ended[0]

    async def _turn(self, user: SourceUser, link: Link | None, ended: list[TargetError]) -> Turn | None:
        """Take one turn; None where nothing will work for anybody, which `ended` then says."""
        try:
            return await take_turn(self._context, user, link, self.stop)
        except TargetUnavailable as failure:
            # A user that the target chokes on is told from a target that is down by asking it something harmless.
            try:
                await self._probe()
            except TargetError as down:
                ended.append(down)
                return None
            return Turn(user.key, cause=Cause(failure.code, str(failure), failure.status))
        except TargetError as failure:
            ended.append(failure)
            return None

    async def _probe(self) -> None:
        await self.target.probe(mappings.matching(self.flows)[0].path.text)

    def _settle(self, turn: Turn, link: Link | None, before: Failure | None, changes: Changes) -> None:
        """Count a turn, and note what it leaves behind."""
        if turn.cause is not None:
            self._failed(turn, before, changes)
            return
        if before is not None:
            changes.healed.append(turn.key)
        match turn.decision:
            case Create():
                self._done("created", turn, changes)
            case Update(_, operations, _, _, linked):
                self._done("updated" if operations else "unchanged" if linked else "matched", turn, changes)
            case Stage(action, reason):
                self.report.counts[f"to {action}"] += 1
                self._plan(turn, action, reason)
                changes.staged.append(Staged(turn.key, action, reason, self.report.cycle))
                return
            case Leave(reason, in_scope):
                self.report.counts["unchanged" if in_scope else "out of scope"] += 1
                if link is None and self.report.kind is not Kind.FULL:
                    changes.log.append(turn.entry(self._context))
        if self._any_staged:
            changes.unstaged.append(turn.key)

    def _done(self, count: str, turn: Turn, changes: Changes) -> None:
        self.report.counts[count] += 1
        if turn.link is not None:
            changes.links.append(turn.link)
        decision = turn.decision
        if isinstance(decision, Create):
            self._plan(turn, Action.CREATE, "not in the target")
        elif isinstance(decision, Update) and decision.operations:
            self._plan(turn, Action.UPDATE, "changed" if decision.linked_before else "found by matching, and different")
        if count not in ("unchanged", "matched"):
            changes.log.append(turn.entry(self._context))

    def _plan(self, turn: Turn, action: Action, reason: str) -> None:
        if self.options.dry:
            modified = turn.decision.modified if isinstance(turn.decision, Create | Update) else ()
            self.report.planned.append(Planned(turn.key, turn.target_id, action, reason, modified))

    def _failed(self, turn: Turn, before: Failure | None, changes: Changes) -> None:
        self.report.counts["failed"] += 1
        cause = turn.cause or Cause("InternalError", "")
        if self.options.dry:
            self.report.planned.append(Planned(turn.key, turn.target_id, Action.OTHER, f"{cause.code}: {cause.reason}"))
        interval_s = self.job.interval_min * 60
        now = clock.now().timestamp()
        changes.failures.append(faults.failed_again(turn.key, before, cause, now=now, interval_s=interval_s))
        changes.log.append(turn.entry(self._context))

    async def _goes_on(self) -> bool:
        if self.stop.is_set():
            self._end(Ending.STOPPED, "stopped")
            return False
        looked_at = self.report.counts["read"]
        if reason := faults.too_many(self.report.failures, looked_at, self.job.quarantine):
            await self._quarantine(faults.TOO_MANY_FAILURES, reason)
            return False
        return True

    async def _retries(self) -> bool:
        """Try users again whose time has come: changes alone would not bring them back."""
        after, now = "", clock.now().timestamp()
        horizon = now if self.options.patient else float("inf")
        while due := await asyncio.to_thread(self.state.due, self.name, horizon, after):
            after = due[-1].source_key
            users = [
                await self.source.fetch(one.source_key) or SourceUser(one.source_key, {}, Presence.GONE) for one in due
            ]
            if not await self._batch(users, full=False):
                return False
        return True

    # ── the end ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def _absent(self) -> None:
        """Stage the deletion of users whom this cycle has not seen, and forget the failures of such users."""
        gone = await asyncio.to_thread(self.state.due, self.name, self._begun_at, "")
        await self._write(Changes(healed=[one.source_key for one in gone]), ())
        if not self.job.actions.delete:
            return
        async for links in self._unseen():
            changes = Changes()
            for link in links:
                turn = Turn(
                    link.source_key, Stage(Action.DELETE, "the user is gone from the source"), target_id=link.target_id
                )
                self._settle(turn, link, None, changes)
            await self._write(changes, ())

    async def _unseen(self) -> AsyncIterator[list[Link]]:
        after = ""
        if self.options.dry:
            # Nothing was marked as seen: who is gone is told by reading the keys of the source once more.
            keys = {user.key async for batch in self.source.read(None) for user in batch.users}
            yield [
                link
                for link in await asyncio.to_thread(list, self.state.all_links(self.name))
                if link.source_key not in keys
            ]
            return
        while links := await asyncio.to_thread(self.state.unseen, self.name, self.report.cycle, after):
            after = links[-1].source_key
            yield links

    async def _deprovision(self) -> None:
        """Disable and delete what is staged, unless it is more than an accident could be."""
        if self.options.dry:
            return
        waiting = (await asyncio.to_thread(self.state.counts, self.name))["staged"]
        if waiting == 0:
            return
        if reason := self._held_back(waiting):
            await self._log_staged()
            await self._quarantine(faults.TOO_MANY_DELETES, reason)
            return
        after = ""
        while staged := await asyncio.to_thread(self.state.staged, self.name, after):
            after = staged[-1].source_key
            if not await self._carry_out(staged):
                return

    def _held_back(self, waiting: int) -> str | None:
        """Return why the staged actions must be allowed first, None if they need not."""
        if self._where.deletes_allowed:
            return None
        if self.report.kind is not Kind.INCREMENTAL and self.report.counts["read"] == 0:
            return f"{waiting} users would be disabled or deleted because {EMPTY_SOURCE}"
        limit = self.job.accidental_deletions
        if limit is not None and waiting > limit:
            return f"{waiting} users would be disabled or deleted, more than {limit}"
        return None

    async def _log_staged(self) -> None:
        after = ""
        while staged := await asyncio.to_thread(self.state.staged, self.name, after):
            after = staged[-1].source_key
            fresh = [one for one in staged if one.cycle == self.report.cycle]
            links = await asyncio.to_thread(self.state.links, self.name, [one.source_key for one in fresh])
            entries = [self._staged_entry(one, links.get(one.source_key)) for one in fresh]
            await asyncio.to_thread(self.state.write, self.name, Changes(log=entries))

    def _staged_entry(self, staged: Staged, link: Link | None) -> LogEntry:
        turn = Turn(staged.source_key, action=Action.STAGED_DELETE, target_id=link.target_id if link else None)
        turn.decision = Leave(f"{staged.action} is held back: {staged.reason}", in_scope=False)
        return turn.entry(self._context)

    async def _carry_out(self, staged: Sequence[Staged]) -> bool:
        links = await asyncio.to_thread(self.state.links, self.name, [one.source_key for one in staged])
        changes, upcoming = Changes(), iter(staged)
        ended: list[TargetError] = []

        async def worker() -> None:
            for one in upcoming:
                if self.stop.is_set() or ended:
                    return
                link = links.get(one.source_key)
                try:
                    turn = Turn(one.source_key) if link is None else await carry_out(self._context, one, link)
                except TargetError as failure:
                    ended.append(failure)
                    return
                self._carried_out(turn, one, changes)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self.target.settings.concurrency, len(staged))):
                    group.create_task(worker())
        finally:
            await self._write(changes, ())
            self.on_progress(self.report)
        if ended:
            raise ended[0]
        return await self._goes_on()

    def _carried_out(self, turn: Turn, staged: Staged, changes: Changes) -> None:
        if turn.cause is not None:
            self.report.counts["failed"] += 1
            changes.log.append(turn.entry(self._context))
            return  # stays staged: the next cycle tries again
        changes.unstaged.append(turn.key)
        changes.healed.append(turn.key)
        if turn.unlinked:
            changes.unlinked.append(turn.key)
        if turn.link is not None:
            changes.links.append(turn.link)
        if turn.target_id is not None:
            self.report.counts[f"{staged.action}d"] += 1
            changes.log.append(turn.entry(self._context))

    def _closing(self) -> dict[str, object]:
        """Return what is to be remembered once every user has been looked at."""
        full = self.report.kind is not Kind.INCREMENTAL
        return {
            "open_kind": None,
            "mark": self._mark,
            "fingerprint": fingerprint_of(self.job),
            "initial_due": False,
            "since_full": 0 if full else self._where.since_full + 1,
        }

    async def _quarantine(self, code: str, reason: str) -> None:
        self._end(Ending.QUARANTINED, f"{code}: {reason}")
        held = self._where
        finished = self._closing() if code == faults.TOO_MANY_DELETES else {}
        await self._remember(
            quarantined_at=held.quarantined_at or clock.now().timestamp(),
            quarantine_code=code,
            quarantine_reason=reason,
            quarantine_attempts=held.quarantine_attempts + 1,
            **finished,
        )

    # ── state ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _end(self, ending: Ending, detail: str) -> None:
        self.report.ending, self.report.detail = ending, detail

    async def _remember(self, **fields: object) -> None:
        if not self.options.dry:
            await asyncio.to_thread(lambda: self.state.set_job(self.name, **fields))

    async def _write(self, changes: Changes, seen: Sequence[str]) -> None:
        if self.options.dry:
            return
        await asyncio.to_thread(self.state.write, self.name, changes)
        if seen:
            await asyncio.to_thread(self.state.mark_seen, self.name, self.report.cycle, seen)

    async def _link_of_target(self, target_id: str) -> Link | None:
        return await asyncio.to_thread(self.state.link_of_target, self.name, target_id)


def kind_of(where: JobState, source: Source, fingerprint: str) -> Kind:
    """Return what the next cycle has to look at."""
    if where.initial_due:
        return Kind.INITIAL
    if not source.gives_changes or where.mark is None or where.fingerprint != fingerprint:
        return Kind.FULL
    if source.full_every and where.since_full + 1 >= source.full_every:
        return Kind.FULL
    return Kind.INCREMENTAL


def fingerprint_of(job: JobSettings) -> str:
    """Return what changes when scope, mappings or assignment do: then all users are looked at again by themselves."""
    parts = job.model_dump_json(
        include={
            "source", "mappings", "scope", "assignment", "assigned_attribute", "enabled_attribute", "out_of_scope",
            "disable", "actions",
        }
    )  # fmt: skip
    return hashlib.sha256(parts.encode()).hexdigest()


def _is_seen(link: Link | None, cycle: int) -> bool:
    return link is not None and link.seen == cycle
