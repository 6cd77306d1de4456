"""Doing what was decided for one user: write to the target, and say what there is to remember and to log.

A user's whole turn — decide, act — is repeated from the decision on where the target was busy or went silent, so a
write of which nobody knows whether it arrived is looked for before it is made again.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from connector_host import clock
from connector_host.provisioning.deciding import Create, Decision, Judge, Leave, Stage, Update
from connector_host.provisioning.errors import ExpressionError, Refused, TargetUnavailable
from connector_host.provisioning.faults import Cause, backoff_s
from connector_host.provisioning.state.records import Action, Link, LogEntry, Modified, Staged, Status, Step

if TYPE_CHECKING:
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


async def take_turn(context: Context, user: SourceUser, link: Link | None, stop: asyncio.Event) -> Turn:
    """Provision one user and return what came of it.

    Raises TargetUnavailable where the target stays down, and what stops the whole cycle; a user's own failure is in
    the turn.
    """
    for attempt in range(1, context.target.settings.attempts + 1):
        turn = Turn(user.key, target_id=link.target_id if link else None)
        try:
            turn.decision = await context.judge.decide(user, link, turn.steps, compare=context.compare)
            if not context.dry:
                await _act(context, turn, turn.decision)
        except TargetUnavailable as failure:
            if attempt == context.target.settings.attempts or stop.is_set():
                raise
            await asyncio.sleep(backoff_s(attempt, failure))
        except Refused as failure:
            turn.cause = Cause(failure.code, str(failure), failure.status)
            return turn
        except ExpressionError as failure:
            turn.cause = Cause("UnprocessableEntity", str(failure))
            return turn
        else:
            return turn
    raise AssertionError("unreachable")  # the loop returns or raises on its last turn


async def _act(context: Context, turn: Turn, decision: Decision) -> None:
    match decision:
        case Create(resource, digests, modified):
            turn.action, turn.modified = Action.CREATE, modified
            created = await context.target.create(resource, _key(context, turn.key, "create", resource))
            turn.target_id = str(created["id"])
            context.judge.claims[turn.target_id] = turn.key
            turn.link = _link(context, turn, digests)
        case Update(target_id, operations, digests, modified):
            turn.action, turn.modified, turn.target_id = Action.UPDATE, modified, target_id
            if operations:
                key = _key(context, turn.key, "update", operations)
                if not await context.target.change(target_id, operations, key):
                    raise TargetUnavailable("InvalidAnchor", "the user went away from the target meanwhile")
            turn.link = _link(context, turn, digests)
        case Stage() | Leave():
            pass
    _say(turn, decision)


def _link(context: Context, turn: Turn, digests: Any) -> Link:  # noqa: ANN401 - a mapping of texts, out of the decision
    return Link(turn.key, turn.target_id or "", digests, enabled=True, seen=context.cycle, compared=context.cycle)


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


async def carry_out(context: Context, staged: Staged, link: Link) -> Turn:
    """Disable or delete one user for good; raises TargetUnavailable where the target stays down."""
    for attempt in range(1, context.target.settings.attempts + 1):
        turn = Turn(staged.source_key, target_id=link.target_id, action=staged.action)
        turn.steps.append(Step("scope", Status.SUCCESS, staged.reason))
        try:
            await _remove(context, turn, staged, link)
        except TargetUnavailable as failure:
            if attempt == context.target.settings.attempts:
                raise
            await asyncio.sleep(backoff_s(attempt, failure))
        except Refused as failure:
            turn.cause = Cause(failure.code, str(failure), failure.status)
            return turn
        else:
            return turn
    raise AssertionError("unreachable")  # the loop returns or raises on its last turn


async def _remove(context: Context, turn: Turn, staged: Staged, link: Link) -> None:
    if staged.action is Action.DELETE:
        there = await context.target.delete(link.target_id, _key(context, turn.key, "delete", link.target_id))
        turn.unlinked = True
        turn.steps.append(Step("action", Status.SUCCESS, "deleted" if there else "was gone from the target already"))
        return
    operations = context.judge.disabling()
    if await context.target.change(link.target_id, operations, _key(context, turn.key, "disable", operations)):
        disable = context.judge.job.disable
        turn.modified = (Modified(disable.path, not disable.value, disable.value),)
        turn.link = Link(
            link.source_key, link.target_id, link.digests, enabled=False, seen=link.seen, compared=link.compared
        )
        turn.steps.append(Step("action", Status.SUCCESS, "disabled"))
    else:
        turn.unlinked = True
        turn.steps.append(Step("action", Status.SUCCESS, "was gone from the target already"))


def _key(context: Context, user: str, action: str, content: object) -> str:
    """Return the idempotency key: the same for the same write of the same cycle, whatever happened in between."""
    text = json.dumps([context.job, context.cycle, user, action, content], sort_keys=True, default=str)
    return hashlib.blake2b(text.encode("utf-8", "replace"), key=context.judge.salt, digest_size=20).hexdigest()
