"""The writer (DESIGN §4): exports that are queued while a commit is under way are committed together.

    submit ──▶ queue ──▶ thread: BEGIN · export in a savepoint · export in a savepoint · COMMIT ──▶ outcomes

Each thread owns one connection. Nobody hears success before the commit, an idle writer adds no delay, and one
bad export fails alone. What an export does is not known here.
"""

from __future__ import annotations

import queue
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import structlog
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from connector_host import clock
from connector_host.connectors.contract import Export, Exported
from connector_host.connectors.errors import Busy, InDoubt
from connector_host.connectors.sql.sqlstate import ENDS_TRANSACTION, Failure, Happened, to_error, understand
from connector_host.observability import events

if TYPE_CHECKING:
    from concurrent.futures import Future

    from sqlalchemy import Connection, Engine, NestedTransaction

    from connector_host.connectors.sql.shapes import Shape

log = structlog.get_logger()

GROUP_MAX = 128
"""Exports in one transaction at the most: what is lost when it fails must stay bounded."""
QUEUE_MAX = 1_000
"""Exports that may wait for one writer; more are turned away as Busy."""
ATTEMPTS_MAX = 4
"""How often one export is tried where the database undid it by itself (deadlock, serialisation)."""
BACKOFF_S = 0.02
"""The first pause between such attempts; it doubles, and up to as much again is added by chance."""

OF_ONE_EXPORT = frozenset(
    {Happened.DEADLOCK, Happened.UNIQUE, Happened.FOREIGN_KEY, Happened.CHECK, Happened.NOT_NULL, Happened.BAD_VALUE}
)
"""What one export may bring over a whole transaction, as late as at its commit: each is then run alone."""

CarryOut: TypeAlias = Callable[["Connection", "Shape", Export], Exported]
Outcome: TypeAlias = Exported | BaseException


@dataclass(eq=False, slots=True)
class Job:
    """One export on its way, and the promise to whoever waits for it."""

    export: Export
    shape: Shape
    promise: Future[Exported]
    deadline_s: float
    """On the monotonic clock; an export that still waits then is withdrawn."""

    def starts(self) -> bool:
        """Return whether the export is to be run now; one that was given up or came too late is not."""
        if not self.promise.set_running_or_notify_cancel():
            return False
        if clock.monotonic_s() > self.deadline_s:
            self.promise.set_exception(Busy("The database was too busy to begin with this in time; nothing was done."))
            return False
        return True

    def ends(self, outcome: Outcome) -> None:
        """Tell whoever waits what became of the export."""
        if isinstance(outcome, BaseException):
            self.promise.set_exception(outcome)
        else:
            self.promise.set_result(outcome)


class _Undone(Exception):
    """The database undid the whole transaction; the failure says why."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.code)
        self.failure = failure


@dataclass(eq=False, slots=True)
class _Together:
    """A group inside one transaction that is not committed yet."""

    outcomes: dict[Job, Outcome] = field(default_factory=dict)

    @property
    def wrote(self) -> bool:
        return any(isinstance(outcome, Exported) and outcome.written for outcome in self.outcomes.values())


class Writer:
    """One thread with one connection, and the queue before it."""

    def __init__(self, engine: Engine, database: str, carry_out: CarryOut, *, name: str) -> None:
        self._engine = engine
        self._database = database
        self._carry_out = carry_out
        self._connection: Connection | None = None
        self._queue: queue.Queue[Job | None] = queue.Queue(QUEUE_MAX)
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Queue an export; raises Busy where too many wait already."""
        try:
            self._queue.put_nowait(job)
        except queue.Full:
            raise Busy("Too many exports are waiting for the database.", retry_after_s=2) from None

    def close(self) -> None:
        """Finish what is queued, then let go of the connection. Blocks."""
        self._queue.put(None)
        self._thread.join()

    # ── the thread ────────────────────────────────────────────────────────────────────────────────────────────────

    def _work(self) -> None:
        open_for_more = True
        while open_for_more:
            group, open_for_more = self._take()
            running = [job for job in group if job.starts()]
            if running:
                try:
                    self._run(running)
                except BaseException as failure:
                    log.exception(events.DATABASE_ERROR, code="writer")
                    for job in running:
                        if not job.promise.done():
                            job.ends(failure)
        self._disconnect()

    def _take(self) -> tuple[list[Job], bool]:
        """Wait for one export, then take along all that wait with it; False says that no more will come."""
        first = self._queue.get()
        if first is None:
            return [], False
        group = [first]
        while len(group) < GROUP_MAX:
            try:
                job = self._queue.get_nowait()
            except queue.Empty:
                break
            if job is None:
                return group, False
            group.append(job)
        return group, True

    def _run(self, group: list[Job]) -> None:
        """Run a group together; what the database undoes as a whole is run again one by one."""
        try:
            outcomes = self._transact_or_reconnect(group)
        except _Undone as undone:
            if undone.failure.happened in OF_ONE_EXPORT and (
                len(group) > 1 or undone.failure.happened is Happened.DEADLOCK
            ):
                for job in group:
                    self._run_alone(job)
                return
            outcomes = {job: to_error(undone.failure, job.shape.facts) for job in group}
        for job, outcome in outcomes.items():
            job.ends(outcome)

    def _run_alone(self, job: Job) -> None:
        """Run one export in a transaction of its own, again after a pause where the database undid it."""
        pause_s = BACKOFF_S
        for attempt in range(1, ATTEMPTS_MAX + 1):
            try:
                outcomes = self._transact_or_reconnect([job])
            except _Undone as undone:
                if undone.failure.happened is Happened.DEADLOCK and attempt < ATTEMPTS_MAX:
                    # The pause is real time: the other side of a deadlock must get on with its work.
                    time.sleep(pause_s * (1 + random.random()))  # noqa: S311 - chance, not secrecy
                    pause_s *= 2
                    continue
                job.ends(to_error(undone.failure, job.shape.facts))
            else:
                job.ends(outcomes[job])
            return

    def _transact_or_reconnect(self, group: list[Job]) -> dict[Job, Outcome]:
        """Run a group once, and once more on a new connection where the old one was lost before the commit."""
        fresh = self._connection is None
        try:
            return self._transact(group)
        except _Undone as undone:
            if undone.failure.happened is not Happened.CONNECTION:
                raise
            self._disconnect()
            if fresh:
                return self._all(group, undone.failure)
        try:
            return self._transact(group)
        except _Undone as undone:
            if undone.failure.happened is not Happened.CONNECTION:
                raise
            self._disconnect()
            return self._all(group, undone.failure)

    def _all(self, group: list[Job], failure: Failure) -> dict[Job, Outcome]:
        return {job: to_error(failure) for job in group}

    def _transact(self, group: list[Job]) -> dict[Job, Outcome]:
        """Run a group in one transaction and commit it; raises _Undone where nothing of it is left."""
        together = _Together()
        connection = self._begin()
        try:
            for job in group:
                together.outcomes[job] = self._one(connection, job, alone=len(group) == 1)
        except BaseException:
            self._roll_back(connection)
            raise
        try:
            if together.wrote or len(group) > 1:
                connection.commit()
            else:
                self._roll_back(connection)
        except SQLAlchemyError as error:
            return self._uncommitted(error, together)
        return together.outcomes

    def _begin(self) -> Connection:
        try:
            if self._connection is None:
                self._connection = self._engine.connect()
            self._connection.begin()
        except DBAPIError as error:
            self._disconnect()
            raise _Undone(self._understood(error)) from error
        except SQLAlchemyError as error:
            self._disconnect()
            raise _Undone(Failure(Happened.CONNECTION, type(error).__name__)) from error
        return self._connection

    def _one(self, connection: Connection, job: Job, *, alone: bool) -> Outcome:
        """Run one export, in a savepoint where others share the transaction."""
        savepoint: NestedTransaction | None = None
        try:
            savepoint = None if alone else connection.begin_nested()
            outcome = self._carry_out(connection, job.shape, job.export)
            if savepoint is not None:
                savepoint.commit()
        except DBAPIError as error:
            failure = self._understood(error)
            if failure.happened in ENDS_TRANSACTION:
                raise _Undone(failure) from error
            self._undo(savepoint)
            return to_error(failure, job.shape.facts)
        except Exception as error:  # noqa: BLE001 - whatever a revision raises reaches its caller unchanged
            self._undo(savepoint)
            return error
        return outcome

    def _undo(self, savepoint: NestedTransaction | None) -> None:
        """Undo one export of several; where that fails, nothing of the transaction is left to rely on."""
        if savepoint is None:
            return
        try:
            savepoint.rollback()
        except SQLAlchemyError as error:
            raise _Undone(Failure(Happened.DEADLOCK, "savepoint")) from error

    def _uncommitted(self, error: SQLAlchemyError, together: _Together) -> dict[Job, Outcome]:
        """Say what is so after a commit that failed: undone for certain, or in doubt."""
        failure = (
            self._understood(error)
            if isinstance(error, DBAPIError)
            else Failure(Happened.CONNECTION, type(error).__name__)
        )
        connection = self._connection
        if failure.happened is not Happened.CONNECTION:
            if connection is not None:
                self._roll_back(connection)
            raise _Undone(failure) from error
        self._disconnect()
        doubt = InDoubt("The connection was lost during the commit: the change may or may not have been made.")
        return dict.fromkeys(together.outcomes, doubt)

    def _understood(self, error: DBAPIError) -> Failure:
        failure = understand(error, self._database)
        log.warning(events.DATABASE_ERROR, happened=failure.happened.value, code=failure.code)
        return failure

    def _roll_back(self, connection: Connection) -> None:
        try:
            connection.rollback()
        except SQLAlchemyError:
            self._disconnect()

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            connection.invalidate()
            connection.close()
        except SQLAlchemyError as error:
            log.debug(events.DATABASE_ERROR, code=type(error).__name__)
