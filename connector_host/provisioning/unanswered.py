"""Writes whose answer was not heard: announced before they are sent, and told in the log once the target was looked at.

keep(intent) ──▶ write ──answer──▶ line of the log, and no intent
└──none, killed──▶ the user's next turn: what does the target show? ──▶ line of the log
"""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from connector_host import clock
from connector_host.provisioning.deciding import REDACTED, Create, Decision, Stage, Update
from connector_host.provisioning.errors import StateUnavailable
from connector_host.provisioning.mappings import CLEAR, same
from connector_host.provisioning.state import intents as kept
from connector_host.provisioning.state.records import Action, Intent, LogEntry, Status, Step

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from connector_host.provisioning.state.records import Modified
    from connector_host.provisioning.state.store import State

DONE: Final = "the answer was not heard; the target shows that it was done"
NOT_SHOWN: Final = "the answer was not heard, and the target does not show that it was done"
NOT_THERE: Final = (
    "the answer was not heard, and the user is gone from the source: look whether the target has such a user"
)
NOT_LOOKED: Final = "the answer was not heard, and the job has another source or target now"


class Intents:
    """Keeps a job's intents; those that come while a transaction is under way share the next one."""

    def __init__(self, state: State, job: str) -> None:
        self._state, self._job = state, job
        self._waiting: list[tuple[Intent, tuple[LogEntry, ...], asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None
        self.void: set[str] = set()
        """Users whose write did not reach the target after all: their intents are to be dropped."""

    async def keep(self, intent: Intent, lines: Sequence[LogEntry]) -> None:
        """Return once the intent is kept, and with it the lines; raises StateUnavailable."""
        self.void.discard(intent.source_key)
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((intent, tuple(lines), done))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write())
        await done

    async def _write(self) -> None:
        while self._waiting:
            taken, self._waiting = self._waiting, []
            lines = [line for _, some, _ in taken for line in some]
            failed: StateUnavailable | None = None
            try:
                await asyncio.to_thread(kept.keep, self._state, self._job, [one for one, _, _ in taken], lines)
            except StateUnavailable as failure:
                failed = failure
            for _, _, done in taken:
                if done.done():
                    continue  # called off meanwhile
                if failed is None:
                    done.set_result(None)
                else:
                    done.set_exception(failed)


def is_shown(intent: Intent, decision: Decision, switch: str) -> bool:
    """Return whether the target was found as the intent would have left it; `switch` is what enables and disables."""
    match decision:
        case Update(_, operations, _, modified, linked):
            if intent.action is Action.DISABLE:
                return any(one.path == switch for one in modified)
            if intent.action is Action.DELETE:
                return not linked
            held = {one.path: one.old for one in modified}
            return not operations or all(_holds(held, one) for one in intent.modified)
        case Create():
            return intent.action is Action.DELETE
    return False


def _holds(held: Mapping[str, Any], sent: Modified) -> bool:
    """Return whether the target has what was sent; `held` is what it has where that is not as it is to be now."""
    if sent.path not in held:
        return True
    if sent.new is None:
        return same(CLEAR, held[sent.path])
    wanted = tuple(sent.new) if isinstance(sent.new, list) else sent.new
    return sent.new != REDACTED and same(wanted, held[sent.path])


def goes_on(intent: Intent, decision: Decision) -> bool:
    """Return whether the same is carried out anyway at the end of the cycle, whose answer then tells."""
    return isinstance(decision, Stage) and decision.action is intent.action


def line_of(job: str, intent: Intent, *, target_id: str | None = None, shown: bool, reason: str = "") -> LogEntry:
    """Return the line of the log for a write whose answer was not heard."""
    status = Status.SUCCESS if shown else Status.WARNING
    sent = datetime.fromtimestamp(intent.at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return LogEntry(
        at=clock.now().timestamp(),
        job=job,
        cycle=intent.cycle,
        change_id=str(uuid.uuid4()),
        action=intent.action,
        status=status,
        source_key=intent.source_key,
        target_id=target_id or intent.target_id,
        initiated_by=intent.initiated_by,
        duration_ms=0.0,
        reason=reason or (DONE if shown else NOT_SHOWN),
        modified=intent.modified,
        steps=(Step("action", status, f"sent at {sent}"),),
    )
