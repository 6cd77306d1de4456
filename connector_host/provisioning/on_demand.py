"""One user, now: the five steps of provisioning on demand, shown one by one (Microsoft: provision on demand)."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from connector_host import clock
from connector_host.provisioning import faults, mappings
from connector_host.provisioning.acting import Context, Turn, carry_out, take_turn
from connector_host.provisioning.deciding import Create, Stage, Update, judge
from connector_host.provisioning.errors import ProvisioningError, TargetError
from connector_host.provisioning.sources.contract import Presence, SourceUser, surely_lacks
from connector_host.provisioning.standing import believes, stand
from connector_host.provisioning.state import intents
from connector_host.provisioning.state.leading import leading
from connector_host.provisioning.state.records import Action, Changes, Failure, Link, Modified, Staged, Status, Step
from connector_host.provisioning.unanswered import Intents

if TYPE_CHECKING:
    from connector_host.provisioning.deciding import Judge
    from connector_host.provisioning.opening import Opened
    from connector_host.provisioning.state.store import State


@dataclass(slots=True)
class Shown:
    """What happened to one user, step by step: test connection, import, scope, match, action."""

    key: str
    steps: list[Step] = field(default_factory=list)
    modified: tuple[Modified, ...] = ()

    @property
    def succeeded(self) -> bool:
        """Return whether no step failed."""
        return all(step.status is not Status.FAILURE for step in self.steps)


async def provision(job: Opened, state: State, key: str, *, dry: bool = False) -> Shown:
    """Provision one user of the source; raises JobHeld while a cycle of the job is under way."""
    shown = Shown(key)
    try:
        await job.target.probe(mappings.matching(job.flows)[0].path.text)
    except TargetError as failure:
        shown.steps.append(Step("test connection", Status.FAILURE, f"{failure.code}: {failure}"))
        return shown
    shown.steps.append(Step("test connection", Status.SUCCESS, "the target answered the probe with an empty list"))
    if not state.can_keep(key):
        shown.steps.append(Step("import", Status.FAILURE, "the state cannot keep a key like this"))
        return shown
    user = await _imported(job, key, shown)
    if user is not None:
        if dry:
            await _take(job, state, user, shown, dry=True)
        else:
            async with leading(state, job.name):
                await _take(job, state, user, shown, dry=False)
    return shown


async def _imported(job: Opened, key: str, shown: Shown) -> SourceUser | None:
    try:
        user = await job.source.fetch(key)
        is_sure = user is not None or await job.source.lacks(key)
    except ProvisioningError as failure:
        shown.steps.append(Step("import", Status.FAILURE, str(failure)))
        return None
    if not is_sure:
        detail = "no record has this key, but one whose key cannot be read may be this user; nobody is taken for gone"
        shown.steps.append(Step("import", Status.FAILURE, detail))
        return None
    if user is None:
        shown.steps.append(Step("import", Status.WARNING, "the source has no user with this key"))
        return SourceUser(key, {}, Presence.GONE)
    if user.flaw:
        shown.steps.append(Step("import", Status.FAILURE, user.flaw))
        return None
    shown.steps.append(Step("import", Status.SUCCESS, f"{len(user.values)} attributes"))
    return user


async def _take(job: Opened, state: State, user: SourceUser, shown: Shown, *, dry: bool) -> None:
    where = await stand(state, job.name, job.settings, dry=dry)
    known = believes(where, job.settings)
    link = (await asyncio.to_thread(state.links, job.name, [user.key])).get(user.key) if known else None
    failed = (await asyncio.to_thread(state.failures, job.name, [user.key])).get(user.key)
    sent = (await asyncio.to_thread(intents.of_users, state, job.name, [user.key])).get(user.key) if known else None
    if user.presence is Presence.GONE and not (link or failed or sent):
        # Nobody who is gone, as far as anybody knows, but a slip of whoever typed the key.
        detail = "the source has no user with this key, and the job keeps no account for one: look at its spelling"
        shown.steps[-1] = Step("import", Status.FAILURE, detail)
        return

    async def link_of_target(target_id: str) -> Link | None:
        return await asyncio.to_thread(state.link_of_target, job.name, target_id) if known else None

    async def is_gone(link: Link) -> bool:
        return await surely_lacks(job.source, link.source_key)

    decider = judge(job.settings, job.flows, where.salt, job.target, link_of_target, is_gone)
    kept = Intents(state, job.name)
    context = Context(
        job.name, where.cycle, "administrator", decider, job.target, kept, compare=True, dry=dry, run=str(uuid.uuid4())
    )
    stop = asyncio.Event()
    turn = await take_turn(context, user, link, stop, compare=True, before=sent)
    link = turn.link or link
    if isinstance(turn.decision, Stage) and turn.staged and not _deletes(turn) and link is not None and not dry:
        staged = Staged(user.key, turn.decision.action, turn.decision.reason, where.cycle)
        turn = await carry_out(context, staged, link, stop, before=turn.unanswered, settled=turn.settled)
    shown.steps += [step for step in turn.steps if step.name != "action" and step.status is not Status.FAILURE]
    shown.steps.append(_last(turn, dry=dry))
    shown.modified = turn.modified or _planned(decider, turn)
    if not dry:
        await asyncio.to_thread(state.write, job.name, _changes(job, context, turn, failed))


def _planned(decider: Judge, turn: Turn) -> tuple[Modified, ...]:
    """Return what a turn that wrote nothing would change."""
    if turn.cause is not None:
        return ()
    match turn.decision:
        case Create(_, _, modified) | Update(_, _, _, modified):
            return modified
        case Stage(action):
            return decider.modified_by(action)
    return ()


def _deletes(turn: Turn) -> bool:
    """Return whether this is a delete, which only a cycle does, behind its threshold."""
    return isinstance(turn.decision, Stage) and turn.decision.action is Action.DELETE


def _last(turn: Turn, *, dry: bool) -> Step:
    """Return the step that failed, else the action."""
    if turn.cause is not None:
        return replace(turn.steps[-1], detail=f"{turn.cause.code}: {turn.cause.reason}")
    if isinstance(turn.decision, Stage) and _deletes(turn):
        return Step("action", Status.SKIPPED, f"would be deleted by the next cycle: {turn.decision.reason}")
    if dry and isinstance(turn.decision, Create):
        return Step("action", Status.SUCCESS, "would be created")
    if dry and isinstance(turn.decision, Update):
        return Step("action", Status.SUCCESS, "would be updated" if turn.decision.operations else "is as it is to be")
    if dry and isinstance(turn.decision, Stage):
        return Step("action", Status.SUCCESS, f"would be {turn.decision.action}d: {turn.decision.reason}")
    return next((step for step in reversed(turn.steps) if step.name == "action"), Step("action", Status.SKIPPED))


def _changes(job: Opened, context: Context, turn: Turn, before: Failure | None) -> Changes:
    changes = Changes(answered=[*context.intents.void])
    turn.note(changes)
    if _deletes(turn):
        changes.links += [turn.link] if turn.link is not None else []
        return changes
    changes.log.append(turn.entry(context))
    if turn.left is not None:
        changes.leave(turn.left)
    if turn.cause is not None:
        changes.links += [turn.link] if turn.left is not None and turn.link is not None else []
        now, interval_s = clock.now().timestamp(), job.settings.interval_min * 60
        changes.failures.append(faults.failed_again(turn.key, before, turn.cause, now=now, interval_s=interval_s))
        return changes
    changes.healed.append(turn.key)
    changes.unstaged.append(turn.key)
    if turn.link is not None:
        changes.links.append(turn.link)
    if turn.unlinked:
        changes.unlinked.append(turn.key)
    return changes
