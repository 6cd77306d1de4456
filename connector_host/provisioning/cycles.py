"""One cycle of one job: import everybody or what has changed, take each user's turn, then disable and delete.

    read ──batches──▶ turns (so many at once) ──▶ state, one transaction a batch
    end  ──▶ who was not seen ──▶ staged ──threshold──▶ disable, delete
         ──▶ mark

Whatever kills it, the next run of the same cycle reads again from the mark and finds done what was done; whoever has
changed meanwhile, in the source or by the settings, is done again.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING

from connector_host import clock
from connector_host.provisioning import departures, faults
from connector_host.provisioning.acting import Context, Turn, take_turn
from connector_host.provisioning.deciding import judge
from connector_host.provisioning.errors import (
    CredentialsRefused,
    Incompliant,
    MarkTooOld,
    ProvisioningError,
    SourceFailed,
    TargetUnavailable,
)
from connector_host.provisioning.faults import Cause
from connector_host.provisioning.reports import Ending, Kind, Report
from connector_host.provisioning.sources.contract import Presence, SourceUser, surely_lacks
from connector_host.provisioning.standing import WELL, believes, fingerprint_of, kind_of, stand
from connector_host.provisioning.state import intents
from connector_host.provisioning.state.records import Action, Changes, Failure, Intent, Link
from connector_host.provisioning.state.store import chunks
from connector_host.provisioning.unanswered import NOT_THERE, Intents, line_of
from connector_host.provisioning.work import Options, Parts, Work

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


__all__ = ["Options", "Parts", "run_cycle"]


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
    where = await stand(parts.state, parts.name, parts.job, dry=parts.options.dry)
    kind = kind_of(where, parts.source, fingerprint_of(parts.job))
    resumed = where.open_kind == kind.value
    number = where.cycle if resumed else where.cycle + 1

    known = believes(where, parts.job)

    async def link_of_target(target_id: str) -> Link | None:
        return await asyncio.to_thread(parts.state.link_of_target, parts.name, target_id) if known else None

    async def is_gone(link: Link) -> bool:
        return not work.nameless and not work.has_come(link) and await surely_lacks(parts.source, link.source_key)

    decider = judge(parts.job, parts.flows, where.salt, parts.target, link_of_target, is_gone)
    context = Context(
        parts.name,
        number,
        parts.options.initiated_by,
        decider,
        parts.target,
        Intents(parts.state, parts.name),
        compare=kind is Kind.INITIAL,
        dry=parts.options.dry,
    )
    report = Report(parts.name, number, kind, dry=parts.options.dry)
    staged = await asyncio.to_thread(parts.state.actions, parts.name) if known else {}
    allowed = await asyncio.to_thread(parts.state.allowed, parts.name) if known else {}
    unanswered = await asyncio.to_thread(intents.keys, parts.state, parts.name) if known else set()
    work = Work(parts, where, report, context, resumed, known, staged, allowed, unanswered)
    if resumed and work.is_full and not parts.options.dry:
        # The source is read from its beginning: who was there before the interruption may be gone by now.
        await asyncio.to_thread(parts.state.unsee, parts.name, number)
    await work.remember(cycle=number, open_kind=kind.value)
    return work


async def _users(work: Work) -> str | None:
    """Take the turns of everybody who is to be looked at and return the source's next mark."""
    start = None if work.is_full else work.where.mark
    mark = start
    async with aclosing(work.parts.source.read(start)) as batches:
        while batch := await work.unless_stopped(anext(batches, None)):
            mark = batch.mark or mark
            if not await _batch(work, batch.users):
                return mark
    if await work.goes_on():
        await (_give_up(work) if work.is_full else _retry(work))
    return mark


async def _finish(work: Work, mark: str | None) -> None:
    """Disable and delete, then remember that every user has been looked at, and how the job is."""
    if work.is_full:
        await departures.stage_absent(work)
    held_back = await departures.deprovision(work)
    if work.report.ending is not Ending.FINISHED:
        return
    if work.nameless:
        work.report.detail = f"{work.nameless} without a readable key, so nobody is taken for gone"
    done = {
        "open_kind": None,
        # A record without a key is read again, whatever the source says has changed, until it is mended.
        "mark": None if work.nameless else mark,
        "deletes_suspended": bool(work.nameless),
        "fingerprint": fingerprint_of(work.parts.job),
        "initial_due": False,
        "since_full": 0 if work.is_full else work.where.since_full + 1,
    }
    if held_back is None or work.parts.options.dry:
        await work.remember(**done, **WELL)
    else:
        # What has changed since the mark does not tell who of the staged users is back: everybody is read again.
        await work.quarantine(faults.TOO_MANY_DELETES, held_back, **done | {"mark": None})


async def _retry(work: Work) -> None:
    """Look again at users whom earlier runs did not finish, and at those who failed and whose time has come.

    Changes alone would not bring them back, and whoever is staged may be in the source again.
    """
    for keys in chunks(sorted(work.unfinished)):
        if not await _batch(work, await work.unless_stopped(_fetched(work, keys)) or ()):
            return
    after = ""
    # Before accounts are deleted, those who could not have one are asked again, whether their time has come or not.
    until = float("inf") if work.staged or work.staged_now else work.due_until
    while due := await asyncio.to_thread(work.parts.state.due, work.parts.name, until, after):
        after = due[-1].source_key
        due = [one for one in due if one.next_try <= work.due_until or one.code == "DuplicateSourceEntries"]
        again = [one.source_key for one in due if one.source_key not in work.failed_keys]
        users = await work.unless_stopped(_fetched(work, again))
        if not await _batch(work, users or ()):
            return


async def _give_up(work: Work) -> None:
    """Tell of writes that nobody heard of, for users who are not there any more and are not to be deleted either."""
    if work.nameless:
        return
    state, name = work.parts.state, work.parts.name
    keys = sorted(work.unanswered)
    links = await asyncio.to_thread(state.links, name, keys) if work.context.judge.may(Action.DELETE) else {}
    lost = await asyncio.to_thread(intents.of_users, state, name, [key for key in keys if key not in links])
    log = [line_of(name, intent, shown=False, reason=NOT_THERE) for intent in lost.values()]
    await work.write(Changes(log=log, answered=list(lost)))


async def _fetched(work: Work, keys: Sequence[str]) -> list[SourceUser]:
    found = [(key, await work.parts.source.fetch(key)) for key in keys]
    gone = [] if work.nameless else [SourceUser(key, {}, Presence.GONE) for key, user in found if user is None]
    return [*(replace(user, key=key) for key, user in found if user is not None), *gone]


async def _batch(work: Work, users: Sequence[SourceUser]) -> bool:
    """Take the turns of a batch; returns False where the cycle is not to go on."""
    state, name = work.parts.state, work.parts.name
    changes = Changes()
    users = [user for user in users if work.can_keep(user, changes)]
    keys = [user.key for user in users]
    links = await asyncio.to_thread(state.links, name, keys) if work.known else {}
    failures = await asyncio.to_thread(state.failures, name, keys) if work.known else {}
    sent = await asyncio.to_thread(intents.of_users, state, name, [key for key in keys if key in work.unanswered])
    chosen = list(_chosen(work, users, links, failures, changes))
    upcoming = {user.key for user in chosen}

    async def one(user: SourceUser, ended: list[ProvisioningError]) -> None:
        turn = await work.turn(user.key, _turn(work, user, links.get(user.key), sent.get(user.key)), ended)
        if turn is not None:
            upcoming.discard(user.key)
            work.report.counts["read"] += 1
            work.settle(turn, links.get(user.key), failures.get(user.key), changes)

    work.unfinished.difference_update(keys)
    try:
        await work.together(chosen, one)
    finally:
        if work.staged:
            # Whoever is in the source is not gone from it, whether the turn fails or waits. What was staged of those
            # whose turn did not come stays, with an administrator's permission: the next run looks at them.
            present = (user.key for user in users if user.presence is not Presence.GONE)
            changes.unstaged += [key for key in present if key not in upcoming]
        # What was written to the target is remembered, whatever ended the batch.
        await work.write(changes, keys if work.is_full else ())
        if not work.parts.options.dry:  # the state knows of them from now on; a dry run's state learns nothing
            work.context.judge.claims.clear()
        work.parts.on_progress(work.report)
    return await work.goes_on()


def _chosen(
    work: Work, users: Sequence[SourceUser], links: dict[str, Link], failures: dict[str, Failure], changes: Changes
) -> Iterator[SourceUser]:
    """Yield whose turn it is: each user once, and none who has to wait."""
    seen: set[str] = set()
    last = {user.key: user for user in users}
    for user in users:
        if not work.is_full and user is not last[user.key]:
            work.report.counts["read"] += 1  # what came later tells how the user is now
        elif work.is_full and (user.key in seen or user.key in work.dry_seen or work.has_come(links.get(user.key))):
            work.report.counts["read"] += 1
            cause = Cause("DuplicateSourceEntries", "the source has two users with this key")
            work.failed(Turn(user.key, cause=cause), None, changes)
        elif _has_to_wait(work, user, links.get(user.key), failures.get(user.key)):
            work.report.counts.update(("read", "waiting"))
        else:
            yield user
        seen.add(user.key)
    if work.is_full and work.parts.options.dry:
        work.dry_seen |= seen


def _has_to_wait(work: Work, user: SourceUser, link: Link | None, failure: Failure | None) -> bool:
    if failure is None or user.key in work.unanswered or not work.parts.options.patient:
        return False
    if failure.code == "DuplicateSourceEntries":
        return False  # once the other one is gone, so would the account be that is this user's
    if link is not None and link.enabled and work.context.judge.is_unwanted(user):
        return False  # whoever is to lose an account loses it now, whatever else fails
    return failure.next_try > work.begun_at


async def _turn(work: Work, user: SourceUser, link: Link | None, before: Intent | None) -> Turn:
    # Who was compared before this cycle was broken off is not compared again, yet judged again: by what has changed.
    done = work.resumed and link is not None and link.compared == work.report.cycle
    compare = work.context.compare and not done
    return await take_turn(work.context, user, link, work.parts.stop, compare=compare, before=before)
