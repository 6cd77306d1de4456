"""Doing what was decided for one user: write to the target, and say what there is to remember and to log.

A user's whole turn — decide, act — is repeated from the decision on where the target was busy or went silent, so a
write of which nobody knows whether it arrived is looked for before it is made again.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import uuid
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from connector_host import clock
from connector_host.provisioning.deciding import OBJECT, Create, Decision, Judge, Leave, Stage, Update
from connector_host.provisioning.errors import ExpressionError, Refused, TargetUnavailable
from connector_host.provisioning.faults import Cause, backoff_s
from connector_host.provisioning.state.records import Action, Link, LogEntry, Modified, Staged, Status, Step
from connector_host.provisioning.switches import remembered, written

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connector_host.provisioning.sources.contract import SourceUser
    from connector_host.provisioning.targets import Target


@dataclass(frozen=True, slots=True)
class Context:
    """What all turns of a cycle share."""

    job: str
    cycle: int
    initiated_by: str
    judge: Judge
    target: Target
    compare: bool
    """Whether every user is compared with the target, or only what has changed."""
    dry: bool = False
    run: str = ""
    """What tells writes of one run from the same writes of another under the same cycle; empty where they are one."""


@dataclass(slots=True)
class Turn:
    """One user's turn and what came of it."""

    key: str
    decision: Decision | None = None
    link: Link | None = None
    """What to remember from now on."""
    unlinked: bool = False
    cause: Cause | None = None
    """Why it failed, if it did."""
    action: Action = Action.OTHER
    target_id: str | None = None
    modified: tuple[Modified, ...] = ()
    steps: list[Step] = field(default_factory=list)
    begun_s: float = field(default_factory=clock.monotonic_s)

    @property
    def staged(self) -> bool:
        """Return whether a disable or delete waits for the end of the cycle."""
        return isinstance(self.decision, Stage) and self.cause is None

    def entry(self, context: Context) -> LogEntry:
        """Return the line of the provisioning log."""
        left = self.decision.reason if isinstance(self.decision, Leave) else None
        return LogEntry(
            at=clock.now().timestamp(),
            job=context.job,
            cycle=context.cycle,
            change_id=str(uuid.uuid4()),
            action=self.action,
            status=Status.FAILURE if self.cause else Status.SKIPPED if left is not None else Status.SUCCESS,
            source_key=self.key,
            target_id=self.target_id,
            initiated_by=context.initiated_by,
            duration_ms=round((clock.monotonic_s() - self.begun_s) * 1000, 1),
            code=self.cause.code if self.cause else "EntrySynchronizationSkipped" if left is not None else None,
            reason=self.cause.reason if self.cause else left,
            modified=self.modified,
            steps=tuple(self.steps),
        )


async def take_turn(
    context: Context, user: SourceUser, link: Link | None, stop: asyncio.Event, *, compare: bool
) -> Turn:
    """Provision one user and return what came of it.

    Raises TargetUnavailable where the target stays down, or is when the cycle is stopped, and what stops the whole
    cycle; a user's own failure is in the turn.
    """
    for attempt in range(1, context.target.settings.attempts + 1):
        turn = Turn(user.key, target_id=link.target_id if link else None)
        try:
            turn.decision = await context.judge.decide(user, link, turn.steps, compare=compare)
            if not context.dry:
                await _act(context, turn, turn.decision, link)
        except TargetUnavailable as failure:
            if attempt == context.target.settings.attempts or await _is_set_within(stop, backoff_s(attempt, failure)):
                raise
        except Refused as failure:
            turn.cause = Cause(failure.code, str(failure), failure.status)
            return turn
        except ExpressionError as failure:
            turn.cause = Cause("UnprocessableEntity", str(failure))
            return turn
        else:
            return turn
    raise AssertionError("unreachable")  # the loop returns or raises on its last turn


async def _is_set_within(stop: asyncio.Event, seconds: float) -> bool:
    """Wait that long, yet no longer than until the cycle is stopped; returns whether it is."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
    return stop.is_set()


async def _act(context: Context, turn: Turn, decision: Decision, link: Link | None) -> None:
    writes = 0 if link is None else link.writes
    match decision:
        case Create(resource, digests, modified):
            turn.action, turn.modified = Action.CREATE, modified
            created = await context.target.create(resource, _key(context, turn.key, writes, "create", resource))
            turn.target_id = str(created["id"])
            context.judge.claims[OBJECT, turn.target_id] = turn.key
            turn.link = _link(context, turn, digests, writes + 1)
        case Update(target_id, operations, digests, modified, _, enabled):
            turn.action, turn.modified, turn.target_id = Action.UPDATE, modified, target_id
            if operations:
                key = _key(context, turn.key, writes, "update", operations)
                if not await context.target.change(target_id, operations, key):
                    raise TargetUnavailable("InvalidAnchor", "the user went away from the target meanwhile")
                writes += 1
            turn.link = replace(_link(context, turn, digests, writes), enabled=enabled)
        case Stage() | Leave():
            pass
    _say(turn, decision)


def _link(context: Context, turn: Turn, digests: Mapping[str, str], writes: int) -> Link:
    return Link(
        turn.key,
        turn.target_id or "",
        digests,
        enabled=True,
        seen=context.cycle,
        compared=context.cycle,
        writes=writes,
        switch=written(context.judge.switch),
    )


def _say(turn: Turn, decision: Decision) -> None:
    match decision:
        case Create():
            turn.steps.append(Step("action", Status.SUCCESS, "created"))
        case Update(_, operations):
            turn.steps.append(Step("action", Status.SUCCESS, "updated" if operations else "as it is to be already"))
        case Stage(action, reason):
            turn.steps.append(Step("action", Status.SUCCESS, f"{action} waits for the end of the cycle: {reason}"))
        case Leave(reason):
            turn.steps.append(Step("action", Status.SKIPPED, reason))


async def carry_out(context: Context, staged: Staged, link: Link, stop: asyncio.Event) -> Turn:
    """Disable or delete one user for good.

    Raises TargetUnavailable where the target stays down, or is when the cycle is stopped.
    """
    for attempt in range(1, context.target.settings.attempts + 1):
        turn = Turn(staged.source_key, target_id=link.target_id, action=staged.action)
        turn.steps.append(Step("scope", Status.SUCCESS, staged.reason))
        try:
            await _remove(context, turn, staged, link)
        except TargetUnavailable as failure:
            if attempt == context.target.settings.attempts or await _is_set_within(stop, backoff_s(attempt, failure)):
                raise
        except Refused as failure:
            turn.cause = Cause(failure.code, str(failure), failure.status)
            return turn
        else:
            return turn
    raise AssertionError("unreachable")  # the loop returns or raises on its last turn


async def _remove(context: Context, turn: Turn, staged: Staged, link: Link) -> None:
    if staged.action is Action.DELETE:
        key = _key(context, turn.key, link.writes, "delete", link.target_id)
        there = await context.target.delete(link.target_id, key)
        turn.unlinked = True
        turn.steps.append(Step("action", Status.SUCCESS, "deleted" if there else "was gone from the target already"))
        return
    switch = context.judge.switch
    operations = [switch.turned(on=False)]
    key = _key(context, turn.key, link.writes, "disable", operations)
    if await context.target.change(link.target_id, operations, key):
        turn.modified = context.judge.modified_by(Action.DISABLE)
        before = () if link.enabled else remembered(link.switch)
        switches = written(*(one for one in before if one.path != switch.path), switch)
        turn.link = replace(link, enabled=False, writes=link.writes + 1, switch=switches)
        turn.steps.append(Step("action", Status.SUCCESS, "disabled"))
    else:
        turn.unlinked = True
        turn.steps.append(Step("action", Status.SUCCESS, "was gone from the target already"))


def _key(context: Context, user: str, writes: int, action: str, content: object) -> str:
    """Return the idempotency key: the same for one write of one cycle until the state knows that it was made.

    Without the number of writes before, a user who is disabled, enabled, and disabled again would stay enabled.
    """
    text = json.dumps(
        [context.job, context.cycle, context.run, user, writes, action, content], sort_keys=True, default=str
    )
    return hashlib.blake2b(text.encode("utf-8", "replace"), key=context.judge.salt, digest_size=20).hexdigest()
