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
from typing import TYPE_CHECKING, TypeVar

from connector_host import clock
from connector_host.provisioning.deciding import OBJECT, Create, Decision, Judge, Leave, Stage, Update
from connector_host.provisioning.errors import (
    CredentialsRefused,
    ExpressionError,
    NotDone,
    Refused,
    TargetError,
    TargetUnavailable,
)
from connector_host.provisioning.faults import Cause, backoff_s
from connector_host.provisioning.sources.contract import Presence
from connector_host.provisioning.state.records import Action, Intent, Link, LogEntry, Modified, Staged, Status, Step
from connector_host.provisioning.switches import remembered, written
from connector_host.provisioning.unanswered import goes_on, is_shown, line_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from connector_host.provisioning.sources.contract import SourceUser
    from connector_host.provisioning.state.records import Changes
    from connector_host.provisioning.targets import Target
    from connector_host.provisioning.unanswered import Intents

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Context:
    """What all turns of a cycle share."""

    job: str
    cycle: int
    initiated_by: str
    judge: Judge
    target: Target
    intents: Intents
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
    trouble: TargetError | None = None
    """What failed, where it may concern everybody: the target is down, or does not speak with this job at all."""
    action: Action = Action.OTHER
    target_id: str | None = None
    modified: tuple[Modified, ...] = ()
    announced: bool = False
    """Whether there is an intent of this user."""
    unanswered: Intent | None = None
    """The last write, where its answer was not heard."""
    shown: Action | None = None
    """What the target shows to be done by an earlier write whose answer was not heard."""
    settled: list[LogEntry] = field(default_factory=list)
    """What is to be told of such writes."""
    steps: list[Step] = field(default_factory=list)
    begun_s: float = field(default_factory=clock.monotonic_s)

    @property
    def left(self) -> str | None:
        """Return the key of who is gone from the source, and whose user of the target this one takes over."""
        taken = self.decision.left if isinstance(self.decision, Update) else None
        return None if taken is None else taken.source_key

    @property
    def staged(self) -> bool:
        """Return whether a disable or delete waits for the end of the cycle."""
        return isinstance(self.decision, Stage) and self.cause is None

    def fail(self, failure: TargetError | ExpressionError) -> None:
        """Say why it failed, and in which of the steps."""
        done = {step.name for step in self.steps}
        if "scope" not in done:
            name = "scope"
        elif "match" not in done and isinstance(failure, TargetError) and self.action is Action.OTHER:
            name = "match"
        else:
            name = "action"  # mappings belong to it
        if isinstance(failure, TargetError):
            self.cause = Cause(failure.code, str(failure), failure.status)
            self.trouble = None if isinstance(failure, Refused) else failure
        else:
            self.cause = Cause("UnprocessableEntity", str(failure))
        self.steps.append(Step(name, Status.FAILURE, self.cause.code))

    def note(self, changes: Changes) -> None:
        """Note what became of writes whose answer was not heard, and that the last one was answered."""
        changes.log += self.settled
        if self.announced and self.unanswered is None:
            changes.answered.append(self.key)

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


async def take_turn(  # noqa: PLR0913 - what is known of the user
    context: Context,
    user: SourceUser,
    link: Link | None,
    stop: asyncio.Event,
    *,
    compare: bool,
    before: Intent | None = None,
) -> Turn:
    """Provision one user and return what came of it; `before` is a write of an earlier run that was not answered.

    What fails is in the turn: of this user, or (`trouble`) of everybody, where the target stays down, or is when the
    cycle is stopped.
    """
    unanswered, announced, settled = before, before is not None, list[LogEntry]()
    for attempt in range(1, context.target.settings.attempts + 1):
        turn = Turn(user.key, announced=announced, unanswered=unanswered, settled=settled)
        try:
            link = await _adopted(context, turn, user, link)
            turn.target_id = link.target_id if link else None
            compare = compare or unanswered is not None
            turn.decision = await context.judge.decide(user, link, turn.steps, compare=compare)
            if not context.dry:
                _settle(context, turn, turn.decision, by_all_means=turn.unanswered is before)
                await _act(context, turn, turn.decision, link)
        except TargetUnavailable as failure:
            unanswered, announced = turn.unanswered, turn.announced
            if attempt == context.target.settings.attempts or await _is_set_within(stop, backoff_s(attempt, failure)):
                turn.fail(failure)
                return turn
        except (TargetError, ExpressionError) as failure:
            turn.fail(failure)
            return turn
        else:
            return turn
    raise AssertionError("unreachable")  # the loop returns or raises on its last turn


async def _is_set_within(stop: asyncio.Event, seconds: float) -> bool:
    """Wait that long, yet no longer than until the cycle is stopped; returns whether it is."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
    return stop.is_set()


async def _adopted(context: Context, turn: Turn, user: SourceUser, link: Link | None) -> Link | None:
    """Return the link to who was created by a write without an answer, else the one that is known.

    Looked for whoever is in scope: otherwise a user who has left it meanwhile would stay in the target for ever.
    """
    sent = turn.unanswered
    if sent is None or sent.action is not Action.CREATE or user.presence is not Presence.HERE:
        return link
    found = await context.judge.found(user)
    if found is None:
        return link
    turn.target_id, turn.shown, turn.unanswered = str(found["id"]), Action.CREATE, None
    turn.settled.append(line_of(context.job, sent, target_id=turn.target_id, shown=True))
    turn.link = replace(_link(context, turn, {}, 1 if link is None else link.writes + 1), compared=0)
    return turn.link


def _settle(context: Context, turn: Turn, decision: Decision, *, by_all_means: bool) -> None:
    """Tell of a write without an answer what the target shows; by all means where its process is no more."""
    sent = turn.unanswered
    if sent is None or goes_on(sent, decision):
        return
    shown = is_shown(sent, decision, context.judge.switch.path)
    if shown or by_all_means:
        turn.settled.append(line_of(context.job, sent, shown=shown))
        turn.shown, turn.unanswered = sent.action if shown else None, None


async def _write(context: Context, turn: Turn, writing: Callable[[], Awaitable[T]]) -> T:
    """Write to the target what the turn says, of which there is an intent until the answer is known and kept."""
    intent = Intent(
        source_key=turn.key,
        action=turn.action,
        target_id=turn.target_id,
        modified=turn.modified,
        cycle=context.cycle,
        initiated_by=context.initiated_by,
        at=clock.now().timestamp(),
    )
    await context.intents.keep(intent, turn.settled)
    turn.settled.clear()  # in the log by now
    turn.announced, turn.unanswered = True, intent
    try:
        result = await writing()
    except (Refused, CredentialsRefused, NotDone):
        turn.unanswered = None
        context.intents.void.add(turn.key)
        raise
    turn.unanswered = None
    return result


async def _act(context: Context, turn: Turn, decision: Decision, link: Link | None) -> None:
    writes = 0 if link is None else link.writes
    match decision:
        case Create(resource, digests, modified):
            turn.action, turn.modified, turn.target_id = Action.CREATE, modified, None
            key = _key(context, turn.key, writes, "create", resource)
            created = await _write(context, turn, lambda: context.target.create(resource, key))
            turn.target_id = str(created["id"])
            context.judge.claims[OBJECT, turn.target_id] = turn.key
            turn.link = _link(context, turn, digests, writes + 1)
        case Update(target_id, operations, digests, modified, _, enabled, left):
            turn.action, turn.modified, turn.target_id = Action.UPDATE, modified, target_id
            if left is not None:  # whatever becomes of the update, it is not deleted with who is gone
                turn.link = replace(left, source_key=turn.key, digests={}, seen=context.cycle, compared=0)
            if operations:
                key = _key(context, turn.key, writes, "update", operations)
                if not await _write(context, turn, lambda: context.target.change(target_id, operations, key)):
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


async def carry_out(  # noqa: PLR0913 - what is known of the user
    context: Context,
    staged: Staged,
    link: Link,
    stop: asyncio.Event,
    *,
    before: Intent | None = None,
    settled: Sequence[LogEntry] = (),
) -> Turn:
    """Disable or delete one user for good; `before` is a write that was not answered, `settled` what is told of others.

    What fails is in the turn, as with `take_turn`.
    """
    told = list(settled)
    if before is not None and before.action is not staged.action:
        told.append(line_of(context.job, before, shown=False))
    for attempt in range(1, context.target.settings.attempts + 1):
        turn = Turn(staged.source_key, target_id=link.target_id, action=staged.action, settled=told)
        turn.steps.append(Step("scope", Status.SUCCESS, staged.reason))
        try:
            await _remove(context, turn, staged, link)
        except TargetUnavailable as failure:
            if attempt == context.target.settings.attempts or await _is_set_within(stop, backoff_s(attempt, failure)):
                turn.fail(failure)
                return turn
        except TargetError as failure:
            turn.fail(failure)
            return turn
        else:
            return turn
    raise AssertionError("unreachable")  # the loop returns or raises on its last turn


async def _remove(context: Context, turn: Turn, staged: Staged, link: Link) -> None:
    if staged.action is Action.DELETE:
        key = _key(context, turn.key, link.writes, "delete", link.target_id)
        there = await _write(context, turn, lambda: context.target.delete(link.target_id, key))
        turn.unlinked = True
        turn.steps.append(Step("action", Status.SUCCESS, "deleted" if there else "was gone from the target already"))
        return
    switch = context.judge.switch
    operations = [switch.turned(on=False)]
    key = _key(context, turn.key, link.writes, "disable", operations)
    turn.modified = context.judge.modified_by(Action.DISABLE)
    if await _write(context, turn, lambda: context.target.change(link.target_id, operations, key)):
        before = () if link.enabled else remembered(link.switch)
        switches = written(*(one for one in before if one.path != switch.path), switch)
        turn.link = replace(link, enabled=False, writes=link.writes + 1, switch=switches)
        turn.steps.append(Step("action", Status.SUCCESS, "disabled"))
    else:
        turn.unlinked, turn.modified = True, ()
        turn.steps.append(Step("action", Status.SUCCESS, "was gone from the target already"))


def _key(context: Context, user: str, writes: int, action: str, content: object) -> str:
    """Return the idempotency key: the same for one write of one cycle until the state knows that it was made.

    Without the number of writes before, a user who is disabled, enabled, and disabled again would stay enabled.
    """
    text = json.dumps(
        [context.job, context.cycle, context.run, user, writes, action, content], sort_keys=True, default=str
    )
    return hashlib.blake2b(text.encode("utf-8", "replace"), key=context.judge.salt, digest_size=20).hexdigest()
