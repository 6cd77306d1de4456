"""The end of a cycle: who is gone from the source, and the disables and deletes that were staged.

They wait for the end so that an accident in the source is seen before anything is lost: more of them than the job's
threshold are held back until an administrator allows them.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from connector_host.provisioning.acting import Turn, carry_out
from connector_host.provisioning.deciding import Leave, Stage
from connector_host.provisioning.reports import Planned
from connector_host.provisioning.state import intents
from connector_host.provisioning.state.records import Action, Changes, Link, LogEntry, Staged

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from connector_host.provisioning.errors import ProvisioningError
    from connector_host.provisioning.work import Work

GONE: Final = "the user is gone from the source"
CONTESTED: Final = "another user matches this account and was refused, so the next cycle decides whether it is deleted"
EARLIER: Final = "an earlier cycle has staged this"


async def stage_absent(work: Work) -> None:
    """Stage the deletion of users whom a full reading has not seen, and forget the failures of such users."""
    if work.nameless:
        return  # they may be among those whose keys nobody can read
    state, name = work.parts.state, work.parts.name
    after = ""
    while due := await asyncio.to_thread(state.due, name, work.due_until, after):
        after = due[-1].source_key
        await work.write(Changes(healed=[one.source_key for one in due if one.source_key not in work.failed_keys]))
    if not work.context.judge.may(Action.DELETE) or not work.known:
        return
    async for links in _unseen(work):
        changes = Changes()
        for link in links:
            turn = Turn(link.source_key, Stage(Action.DELETE, GONE), target_id=link.target_id)
            work.settle(turn, link, None, changes)
        await work.write(changes)


async def _unseen(work: Work) -> AsyncIterator[list[Link]]:
    state, name = work.parts.state, work.parts.name
    # A dry run marks nobody as seen: it looks at all links, and remembers itself who is in the source.
    cycle = work.report.cycle + 1 if work.parts.options.dry else work.report.cycle
    after = ""
    while stretch := await asyncio.to_thread(state.unseen, name, cycle, after):
        after = stretch[-1].source_key
        yield [link for link in stretch if link.source_key not in work.dry_seen]


async def deprovision(work: Work) -> str | None:
    """Disable and delete whoever is staged; returns why that is held back, None where it is not."""
    await _drop_forbidden(work)
    if work.parts.options.dry:
        return await _foresee(work)
    await _log_contested(work)
    reason = _held_back(work, await _not_allowed(work))
    if reason is not None:
        await _log_staged(work)
    async for staged in _staged(work):
        await _carry_out(
            work,
            [one for one in staged if (reason is None or _is_allowed(work, one)) and _is_sure(work, one.source_key)],
        )
        if not await work.goes_on():
            break
    return reason


async def _drop_forbidden(work: Work) -> None:
    """Unstage what the job may not do any more; once it may again, everybody is read, and it is staged anew."""
    judge = work.context.judge
    if work.parts.options.dry:
        await work.write(Changes(unstaged=[key for key, action in work.staged.items() if not judge.may(action)]))
        return
    async for staged in _staged(work):
        dropped = [one for one in staged if not judge.may(one.action)]
        links = await _links(work, dropped)
        log = [_skipped(work, one, links.get(one.source_key)) for one in dropped]
        await work.write(Changes(unstaged=[one.source_key for one in dropped], log=log))


def _skipped(work: Work, staged: Staged, link: Link | None) -> LogEntry:
    turn = Turn(staged.source_key, action=staged.action, target_id=link.target_id if link else None)
    turn.decision = work.context.judge.forbidden(staged.action, staged.reason)
    return turn.entry(work.context)


async def _foresee(work: Work) -> str | None:
    """Say in a dry run's plan which disables and deletes would be held back, and which an earlier cycle has left."""
    # In a reading of changes, `dry_seen` has those whose accounts went over to somebody else, and nobody besides.
    away = work.context.judge.contested | (set() if work.is_full else work.dry_seen)
    work.report.planned.drop(lambda one: one.reason == GONE and one.source_key in away)
    keys = {one.source_key for one in work.report.planned if one.source_key in work.staged}
    for key in away - keys:
        if work.staged.get(key) is Action.DELETE:
            del work.staged[key]
    left = {key: work.staged[key] for key in sorted(work.staged.keys() - keys) if _is_sure(work, key)}
    links = await asyncio.to_thread(work.parts.state.links, work.parts.name, list(left))
    for key in (key for key in left if key in links):
        modified = work.context.judge.modified_by(left[key])
        work.report.planned.append(Planned(key, links[key].target_id, left[key], EARLIER, modified))
    waiting = {key for key, action in work.staged.items() if work.allowed.get(key) is not action}
    reason = _held_back(work, len(waiting))
    if reason is not None:
        work.report.held_back = reason

        def held(one: Planned) -> Planned:
            if one.source_key not in waiting or work.staged[one.source_key] is not one.action:
                return one
            return replace(one, action=Action.STAGED_DELETE, reason=f"{one.action} is held back: {one.reason}")

        work.report.planned.view = held
    return reason


async def _not_allowed(work: Work) -> int:
    """Return how many staged actions nobody has allowed."""
    waiting = 0
    async for staged in _staged(work):
        waiting += sum(not _is_allowed(work, one) for one in staged)
    return waiting


def _is_allowed(work: Work, staged: Staged) -> bool:
    return work.allowed.get(staged.source_key) is staged.action


def _is_sure(work: Work, key: str) -> bool:
    """Return whether a staged user cannot be among the records whose keys nobody can read."""
    return not work.nameless or key in work.staged_now


def _held_back(work: Work, waiting: int) -> str | None:
    if waiting == 0:
        return None
    if work.is_full and work.report.counts["read"] == 0:
        return f"{waiting} users would be disabled or deleted because the source has no users at all"
    limit = work.parts.job.accidental_deletions
    if limit is not None and waiting > limit:
        return f"{waiting} users would be disabled or deleted, more than {limit}"
    return None


async def _staged(work: Work, *, contested: bool = False) -> AsyncIterator[list[Staged]]:
    """Yield what is staged, a stretch at a time: what may be carried out, or else what is contested."""
    after = ""
    while stretch := await asyncio.to_thread(work.parts.state.staged, work.parts.name, after):
        after = stretch[-1].source_key
        yield [one for one in stretch if _is_contested(work, one) is contested]


def _is_contested(work: Work, staged: Staged) -> bool:
    """Return whether a user who seems gone may only have another key: who matches the account could not have it."""
    return staged.reason == GONE and staged.source_key in work.context.judge.contested


async def _log_contested(work: Work) -> None:
    """Log which accounts stay for now; they stay staged, so that the next cycle looks at their users."""
    if not work.context.judge.contested:
        return
    async for kept in _staged(work, contested=True):
        await _log_left(work, kept, lambda one: (one.action, CONTESTED))


async def _links(work: Work, staged: Sequence[Staged]) -> dict[str, Link]:
    return await asyncio.to_thread(work.parts.state.links, work.parts.name, [one.source_key for one in staged])


async def _log_staged(work: Work) -> None:
    """Log what this cycle has staged; what an earlier one did is in the log already."""
    async for staged in _staged(work):
        fresh = [one for one in staged if one.cycle == work.report.cycle]
        await _log_left(work, fresh, lambda one: (Action.STAGED_DELETE, f"{one.action} is held back: {one.reason}"))


async def _log_left(work: Work, staged: Sequence[Staged], told: Callable[[Staged], tuple[Action, str]]) -> None:
    """Log staged actions that are not carried out, each as `told` names it, with the reason."""
    links, log = await _links(work, staged), []
    for one in staged:
        action, reason = told(one)
        link = links.get(one.source_key)
        turn = Turn(one.source_key, action=action, target_id=link.target_id if link else None)
        turn.decision = Leave(reason, in_scope=False)
        log.append(turn.entry(work.context))
    await work.write(Changes(log=log))


async def _carry_out(work: Work, staged: Sequence[Staged]) -> None:
    links, changes = await _links(work, staged), Changes()
    keys = [one.source_key for one in staged if one.source_key in work.unanswered]
    sent = await asyncio.to_thread(intents.of_users, work.parts.state, work.parts.name, keys)

    async def one(item: Staged, ended: list[ProvisioningError]) -> None:
        link = links.get(item.source_key)
        if link is None:
            _carried_out(work, Turn(item.source_key), item, changes)
            return
        before = sent.get(item.source_key)
        coming = carry_out(work.context, item, link, work.parts.stop, before=before)
        turn = await work.turn(item.source_key, coming, ended)
        if turn is not None:
            _carried_out(work, turn, item, changes)

    try:
        await work.together(staged, one)
    finally:
        await work.write(changes)
        work.parts.on_progress(work.report)


def _carried_out(work: Work, turn: Turn, staged: Staged, changes: Changes) -> None:
    turn.note(changes)
    if turn.cause is not None:
        turn.action = staged.action
        work.report.counts["failed"] += 1
        changes.log.append(turn.entry(work.context))
        return  # stays staged: the next cycle tries again
    changes.unstaged.append(turn.key)
    changes.healed.append(turn.key)
    if turn.unlinked:
        changes.unlinked.append(turn.key)
    if turn.link is not None:
        changes.links.append(turn.link)
    if turn.target_id is not None:
        work.report.counts[f"{staged.action}d"] += 1
        changes.log.append(turn.entry(work.context))
