"""One cycle of one job: import everybody or what has changed, take each user's turn, then disable and delete.

    read ──batches──▶ turns (so many at once) ──▶ state, one transaction a batch
    end  ──▶ who was not seen ──▶ staged ──threshold──▶ disable, delete
         ──▶ mark

Whatever kills it, the next run of the same cycle reads again from the mark and finds done what was done.
"""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

from connector_host import clock
from connector_host.errors import ConfigurationError
from connector_host.provisioning import departures, faults
from connector_host.provisioning.acting import Context, Turn, take_turn
from connector_host.provisioning.deciding import judge
from connector_host.provisioning.errors import (
    CredentialsRefused,
    Incompliant,
    MarkTooOld,
    ProvisioningError,
    SourceFailed,
    StateUnavailable,
    TargetError,
    TargetUnavailable,
)
from connector_host.provisioning.faults import Cause
from connector_host.provisioning.reports import Ending, Kind, Report
from connector_host.provisioning.sources.contract import Presence, SourceUser
from connector_host.provisioning.state.records import Changes, Failure, JobState, Link
from connector_host.provisioning.state.tables import FAILURES, LINKS, STAGED
from connector_host.provisioning.work import Options, Parts, Work

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from connector_host.provisioning.settings import JobSettings
    from connector_host.provisioning.sources.contract import Source
    from connector_host.provisioning.state.store import State

__all__ = ["WELL", "Options", "Parts", "fingerprint_of", "keyed", "kind_of", "run_cycle"]

WELL: Final = {
    "deletes_allowed": False,
    "quarantined_at": None,
    "quarantine_code": None,
    "quarantine_reason": None,
    "quarantine_attempts": 0,
}
"""What is remembered of a job that is well."""


PRINT_CHARS: Final = 47
KEY_PRINT_CHARS: Final = 16
"""Digits of a fingerprint's two parts: what the job does, and by which key users are known."""


async def run_cycle(parts: Parts) -> Report:
    """Run one cycle, from probe to mark, and return what it did; failures are in the report, and in the state."""
    begun_s = clock.monotonic_s()
    work = await _begin(parts)
    try:
        await work.probe()
        mark = await _users(work)
        if work.report.ending is Ending.FINISHED:
            await _finish(work, mark)
    except MarkTooOld as failure:
        work.end(Ending.UNAVAILABLE, str(failure))
        await work.remember(mark=None, open_kind=None)
    except (SourceFailed, TargetUnavailable) as failure:
        work.end(Ending.UNAVAILABLE, str(failure))
    except (CredentialsRefused, Incompliant) as failure:
        await work.quarantine(failure.code, str(failure))
    work.report.seconds = clock.monotonic_s() - begun_s
    return work.report


async def _begin(parts: Parts) -> Work:
    """Find out what is to be looked at, and under which number: a cycle that was broken off keeps its own."""
    where = await keyed(parts.state, parts.name, parts.job, dry=parts.options.dry)
    kind = kind_of(where, parts.source, fingerprint_of(parts.job))
    resumed = where.open_kind == kind.value
    number = where.cycle if resumed else where.cycle + 1

    async def link_of_target(target_id: str) -> Link | None:
        return await asyncio.to_thread(parts.state.link_of_target, parts.name, target_id)

    decider = judge(parts.job, parts.flows, where.salt, parts.target, link_of_target)
    context = Context(
        parts.name,
        number,
        parts.options.initiated_by,
        decider,
        parts.target,
        compare=kind is Kind.INITIAL,
        dry=parts.options.dry,
    )
    report = Report(parts.name, number, kind, dry=parts.options.dry)
    counts = await asyncio.to_thread(parts.state.counts, parts.name)
    allowed = await asyncio.to_thread(parts.state.allowed, parts.name) if where.deletes_allowed else {}
    work = Work(parts, where, report, context, resumed, any_staged=counts["staged"] > 0, allowed=allowed)
    await work.remember(cycle=number, open_kind=kind.value)
    return work


async def keyed(state: State, name: str, job: JobSettings, *, dry: bool) -> JobState:
    """Return where the job stands, after links that were made by another key than the source's now are dropped.

    Under a new key every user would look gone, and be deleted: they are matched again instead.
    """
    where = await asyncio.to_thread(state.job, name)
    key = _key_print(job)
    made_by = where.fingerprint.partition(".")[2]
    if made_by == key:
        return where
    fields: dict[str, object] = {"fingerprint": f".{key}"}
    if made_by:
        if dry:
            raise ConfigurationError(
                "source.key has changed: the next cycle matches all users again, which no dry run shows."
            )
        await asyncio.to_thread(state.forget, name, LINKS, STAGED, FAILURES)
        fields |= {"mark": None, "initial_due": True, "open_kind": None, "deletes_allowed": False}
    elif where.fingerprint:
        return where  # written before the key was remembered; the end of this cycle adds it
    if not dry:
        await asyncio.to_thread(lambda: state.set_job(name, **fields))
    return await asyncio.to_thread(state.job, name)


async def _users(work: Work) -> str | None:
    """Take the turns of everybody who is to be looked at and return the source's next mark."""
    start = None if work.is_full else work.where.mark
    mark = start
    async with aclosing(work.parts.source.read(start)) as batches:
        async for batch in batches:
            mark = batch.mark or mark
            if not await _batch(work, batch.users):
                return mark
    if not work.is_full:
        await _retry(work)
    return mark


async def _finish(work: Work, mark: str | None) -> None:
    """Disable and delete, then remember that every user has been looked at, and how the job is."""
    if work.is_full:
        await departures.stage_absent(work)
    held_back = await departures.deprovision(work)
    if work.report.ending is not Ending.FINISHED:
        return
    done = {
        "open_kind": None,
        "mark": mark,
        "fingerprint": fingerprint_of(work.parts.job),
        "initial_due": False,
        "since_full": 0 if work.is_full else work.where.since_full + 1,
    }
    if held_back is None:
        await work.remember(**done, **WELL)
    else:
        await work.quarantine(faults.TOO_MANY_DELETES, held_back, **done)


async def _retry(work: Work) -> None:
    """Try users again whose time has come: changes alone would not bring them back."""
    after = ""
    horizon = work.begun_at if work.parts.options.patient else float("inf")
    while due := await asyncio.to_thread(work.parts.state.due, work.parts.name, horizon, after):
        after = due[-1].source_key
        keys = [one.source_key for one in due if one.source_key not in work.failed_keys]
        users = [await work.parts.source.fetch(key) or SourceUser(key, {}, Presence.GONE) for key in keys]
        if not await _batch(work, users):
            return


async def _batch(work: Work, users: Sequence[SourceUser]) -> bool:
    """Take the turns of a batch; returns False where the cycle is not to go on."""
    state, name = work.parts.state, work.parts.name
    keys = [user.key for user in users]
    links = await asyncio.to_thread(state.links, name, keys)
    failures = await asyncio.to_thread(state.failures, name, keys)
    changes = Changes()
    if work.any_staged:
        # Whoever is in the source is not gone from it, whether the turn fails, waits or comes at all.
        changes.unstaged += [user.key for user in users if user.presence is not Presence.GONE]
    chosen = list(_chosen(work, users, links, failures, changes))

    async def one(user: SourceUser, ended: list[ProvisioningError]) -> None:
        turn = await _turn(work, user, links.get(user.key), ended)
        if turn is not None:
            work.report.counts["read"] += 1
            work.settle(turn, links.get(user.key), failures.get(user.key), changes)

    try:
        await work.together(chosen, one)
    finally:
        # What was written to the target is remembered, whatever ended the batch.
        await work.write(changes, keys if work.is_full else ())
        work.context.judge.claims.clear()
        work.parts.on_progress(work.report)
    return await work.goes_on()


def _chosen(
    work: Work, users: Sequence[SourceUser], links: dict[str, Link], failures: dict[str, Failure], changes: Changes
) -> Iterator[SourceUser]:
    """Yield whose turn it is: each user once, none who has to wait, none whom this cycle is done with."""
    seen: set[str] = set()
    for user in users:
        link = links.get(user.key)
        if work.is_full and (user.key in seen or _came_before(work, link)):
            work.report.counts["read"] += 1
            cause = Cause("DuplicateSourceEntries", "the source has two users with this key")
            work.failed(Turn(user.key, cause=cause), None, changes)
        elif _has_to_wait(work, failures.get(user.key)):
            work.report.counts.update(("read", "waiting"))
        elif _is_done(work, link):
            work.report.counts.update(("read", "unchanged"))
        else:
            yield user
        seen.add(user.key)


def _came_before(work: Work, link: Link | None) -> bool:
    """Return whether this reading had the key already; a resumed cycle and a dry run cannot tell."""
    return not work.resumed and not work.parts.options.dry and link is not None and link.seen == work.report.cycle


def _has_to_wait(work: Work, failure: Failure | None) -> bool:
    return work.parts.options.patient and failure is not None and failure.next_try > work.begun_at


def _is_done(work: Work, link: Link | None) -> bool:
    """Return whether this cycle, before it was broken off, has compared the user already."""
    return work.resumed and work.context.compare and link is not None and link.compared == work.report.cycle


async def _turn(work: Work, user: SourceUser, link: Link | None, ended: list[ProvisioningError]) -> Turn | None:
    """Take one turn; None where nothing will work for anybody, which `ended` then says."""
    try:
        return await take_turn(work.context, user, link, work.parts.stop)
    except TargetUnavailable as failure:
        # A user that the target chokes on is told from a target that is down by asking it something harmless.
        try:
            await work.probe()
        except TargetError as down:
            ended.append(down)
            return None
        return Turn(user.key, cause=Cause(failure.code, str(failure), failure.status))
    except (TargetError, StateUnavailable) as failure:
        ended.append(failure)
        return None


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
    return f"{hashlib.sha256(parts.encode()).hexdigest()[:PRINT_CHARS]}.{_key_print(job)}"


def _key_print(job: JobSettings) -> str:
    return hashlib.sha256(job.source.key.encode()).hexdigest()[:KEY_PRINT_CHARS]
