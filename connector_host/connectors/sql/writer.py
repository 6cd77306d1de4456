"""The writer (DESIGN §4): exports that are queued while a commit is under way are committed together.

    submit ──▶ queue ──▶ thread: BEGIN · exports, alike ones as one statement · COMMIT ──▶ outcomes
                                  └─ if the database refuses anything: ROLLBACK, then BEGIN ·
                                     export in a savepoint · export in a savepoint · COMMIT

Each thread owns one connection. Nobody hears success before the commit, an idle writer adds no delay, and one
bad export fails alone. What an export does is not known here; which writer goes on with what waits is the backlog's.
"""

from __future__ import annotations

import random
import threading
import time
from typing import TYPE_CHECKING, Protocol

import structlog
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from connector_host import clock
from connector_host.connectors.contract import Exported
from connector_host.connectors.errors import Busy, Immutable, InDoubt, InvalidValue
from connector_host.connectors.sql import guarding
from connector_host.connectors.sql.bulk import Disagreement
from connector_host.connectors.sql.engines import discard
from connector_host.connectors.sql.jobs import Job, Outcome, Outcomes, deliver, late, starts, waits
from connector_host.connectors.sql.sizing import GROUP_MAX
from connector_host.connectors.sql.sqlstate import ENDS_TRANSACTION, to_error
from connector_host.databases.codes import Happened
from connector_host.databases.failures import Failure, understand
from connector_host.errors import ConfigurationError
from connector_host.observability import events

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection, Engine, NestedTransaction

    from connector_host.connectors.contract import Export
    from connector_host.connectors.sql.backlog import Backlog, Seat
    from connector_host.connectors.sql.pacing import Pace
    from connector_host.connectors.sql.shapes import Shape
    from connector_host.connectors.sql.sizing import GroupSize

log = structlog.get_logger()

ATTEMPTS_MAX = 4
"""How often one export is tried where the database undid it by itself (deadlock, serialisation)."""
BACKOFF_S = 0.02
"""The first pause between such attempts; it doubles, and up to as much again is added by chance."""

RECONNECTS = frozenset({Happened.CONNECTION, Happened.READ_ONLY})
"""After these nothing was done, and a new connection may do: a server that became a standby keeps its old sessions."""

OF_ONE_EXPORT = frozenset(
    {
        *(Happened.DEADLOCK, Happened.UNIQUE, Happened.FOREIGN_KEY, Happened.CHECK, Happened.NOT_NULL),
        *(Happened.BAD_VALUE, Happened.RULE, Happened.READ_ONLY),
    }
)
"""What one export may bring over a whole transaction, as late as at its commit: each is then run alone."""


class Work(Protocol):
    """What the exports of a group do inside a transaction; nothing is committed there."""

    def together(self, connection: Connection, shape: Shape, exports: Sequence[Export]) -> list[Outcome]:
        """Carry out exports the fast way; raises Disagreement or a driver's error, and then all is undone."""

    def alone(self, connection: Connection, shape: Shape, export: Export) -> Exported:
        """Carry out one export, in a savepoint or a transaction of its own."""


class _Undone(Exception):
    """The database undid the whole transaction; the failure says why."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.code)
        self.failure = failure


class _Disbanded(Exception):
    """Somebody's lock held up a group, nothing of which is left: each of its exports goes by itself from now on."""


class Writer:
    """One thread with one connection."""

    def __init__(  # noqa: PLR0913 - what it writes to, what it runs, and what it shares with the others
        self,
        engine: Engine,
        database: str,
        work: Work,
        backlog: Backlog,
        *,
        name: str,
        notice: Callable[[Failure], None],
        pace: Pace,
        size: GroupSize,
    ) -> None:
        self._engine = engine
        self._database = database
        self._work = work
        self._backlog = backlog
        self._notice = notice
        self._pace = pace
        self._size = size
        self._connection: Connection | None = None
        self._thread = threading.Thread(target=self._serve, args=(backlog.seat(),), name=name, daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait until it has ended, which it does once the backlog is closed and empty. Blocks."""
        self._thread.join()

    # ── the thread ────────────────────────────────────────────────────────────────────────────────────────────────

    def _serve(self, seat: Seat) -> None:
        while group := self._backlog.take(seat, self._most):
            outcomes: Outcomes = {}
            if self._pace.group_max is not None:
                # Those for whom nobody waits any more take none of it.
                group = [job for job in group if waits(job, outcomes)]
                self._pace.wait(len(group))
            running = [job for job in group if starts(job, outcomes)]
            if running:
                try:
                    outcomes |= self._run(running)
                except ConfigurationError as failure:  # of a new connection, which whoever hears it logs
                    outcomes |= dict.fromkeys(running, failure)
                except BaseException as failure:
                    # A writer that dies would leave everybody waiting; they hear what killed it instead.
                    log.exception(events.DATABASE_ERROR, reason="writer")
                    outcomes |= dict.fromkeys(running, failure)
            deliver(outcomes)
        self._disconnect()

    def _most(self) -> int:
        return min(self._size.limit, self._pace.group_max or GROUP_MAX)

    def _run(self, group: list[Job]) -> Outcomes:
        """Run a group together; what the database undoes as a whole is run again one by one."""
        try:
            return self._transact_or_reconnect(group)
        except _Disbanded:
            for job in group:
                job.put_back()
            self._backlog.give_back(group)
            return {}
        except _Undone as undone:
            happened = undone.failure.happened
            if happened is Happened.DEADLOCK or (happened in OF_ONE_EXPORT and len(group) > 1):
                return self._each_alone(group)
            return {job: to_error(undone.failure, job.shape.facts) for job in group}

    def _each_alone(self, group: list[Job]) -> Outcomes:
        """Run each export in a transaction of its own, and tell what became of it at once: the others may take long."""
        for job in group:
            job.put_back()
        outcomes: Outcomes = {}
        for job in group:
            outcomes[job] = self._run_alone(job)
            deliver({job: outcomes[job]})
        return outcomes

    def _run_alone(self, job: Job) -> Outcome:
        """Run one export in a transaction of its own, again after a pause where the database undid it."""
        if job.is_late or not job.begin():
            return late()
        pause_s = BACKOFF_S
        for attempt in range(1, ATTEMPTS_MAX + 1):
            try:
                return self._transact_or_reconnect([job])[job]
            except _Undone as undone:
                if undone.failure.happened is not Happened.DEADLOCK or attempt == ATTEMPTS_MAX:
                    return to_error(undone.failure, job.shape.facts)
                # The pause is real time: the other side of a deadlock must get on with its work.
                time.sleep(pause_s * (1 + random.random()))  # noqa: S311 - chance, not secrecy
                pause_s *= 2
        raise AssertionError

    def _transact_or_reconnect(self, group: list[Job]) -> Outcomes:
        """Run a group, and once more on a new connection where an old one was of no use before the commit.

        Not where a server that did not answer used up the time: nothing was done, which somebody still waits to hear.
        """
        is_fresh = self._connection is None
        try:
            return self._transact(group)
        except _Undone as undone:
            if undone.failure.happened not in RECONNECTS:
                raise
            self._disconnect()
            again = [job for job in group if job.begin()]  # whoever withdrew one has been told
            if is_fresh or all(job.is_late for job in again):
                raise
        try:
            return self._transact(again)
        except _Undone as undone:
            if undone.failure.happened in RECONNECTS:
                self._disconnect()
            raise

    def _transact(self, group: list[Job]) -> Outcomes:
        """Run a group in one transaction and commit it; raises _Undone where nothing of it is left."""
        began_s, refused = clock.monotonic_s(), False
        try:
            outcomes = self._together(group)
        except DBAPIError as error:
            failure = self._understood(error)
            if failure.happened in ENDS_TRANSACTION:
                self._roll_back()
                raise _Undone(failure) from error
            self._roll_back()
            if len(group) == 1:
                return {group[0]: to_error(failure, group[0].shape.facts)}
            if failure.happened is Happened.LOCKED and self._backlog.has_others:
                raise _Disbanded from error
            refused = True
            self._size.refused(len(group), too_slow=failure.happened is Happened.TIME_LIMIT)
            outcomes = self._one_by_one(group)
        except Disagreement:
            self._roll_back()
            if not group[0].shape.scripts:  # those never run together
                refused = True
                self._size.refused(len(group))
            outcomes = self._one_by_one(group)
        done_s = clock.monotonic_s()
        outcomes = self._commit(outcomes)
        if not refused:
            self._size.committed(len(group), done_s - began_s, clock.monotonic_s() - done_s)
        return outcomes

    def _together(self, group: list[Job]) -> Outcomes:
        """Run a group the fast way, where all of it is about the same shape."""
        shape = group[0].shape
        if any(job.shape is not shape for job in group):
            raise Disagreement
        connection = self._begin()
        try:
            done = self._work.together(connection, shape, [job.export for job in group])
        except (DBAPIError, Disagreement):
            raise
        except BaseException:
            self._roll_back()
            raise
        return dict(zip(group, done, strict=True))

    def _one_by_one(self, group: list[Job]) -> Outcomes:
        """Run a group with each export in a savepoint, so that a bad one fails alone.

        Several may wait for a lock, one after the other: those whose turn comes too late are not begun, and until then
        whoever waits for one may withdraw it.
        """
        connection, alone = self._begin(), len(group) == 1
        for job in () if alone else group:
            job.put_back()
        try:
            return {
                job: self._one(connection, job, alone=alone) if job.begin() and not job.is_late else late()
                for job in group
            }
        except BaseException:
            self._roll_back()
            raise

    def _one(self, connection: Connection, job: Job, *, alone: bool) -> Outcome:
        """Run one export, in a savepoint where others share the transaction.

        Alone it needs none: psqlODBC cannot go back to one after a procedure failed.
        """
        savepoint: NestedTransaction | None = None
        try:
            savepoint = None if alone else connection.begin_nested()
            outcome = self._work.alone(connection, job.shape, job.export)
            if savepoint is not None:
                savepoint.commit()
        except DBAPIError as error:
            failure = self._understood(error)
            if failure.happened in ENDS_TRANSACTION:
                raise _Undone(failure) from error
            _undo(savepoint)
            return to_error(failure, job.shape.facts)
        except Exception as error:  # noqa: BLE001 - whatever a revision raises reaches its caller unchanged
            _undo(savepoint)
            return error
        return outcome

    # ── the connection ────────────────────────────────────────────────────────────────────────────────────────────

    def _begin(self) -> Connection:
        try:
            if self._connection is None:
                self._connection = self._engine.connect()
            self._connection.begin()
        except SQLAlchemyError as error:
            self._disconnect()
            raise _Undone(self._understood(error)) from error
        return self._connection

    def _commit(self, outcomes: Outcomes) -> Outcomes:
        """Commit, or say what is so after a commit that failed: undone for certain, or in doubt."""
        if self._connection is None:
            raise _Undone(Failure(Happened.CONNECTION, "commit"))
        if not any(isinstance(outcome, Exported) and outcome.written for outcome in outcomes.values()):
            self._roll_back()
            return outcomes
        try:
            self._connection.commit()
        except SQLAlchemyError as error:
            failure = self._understood(error)
            if not _is_in_doubt(failure, next(iter(outcomes)).shape):
                self._roll_back()
                raise _Undone(failure) from error
            self._disconnect()
            doubt = InDoubt(_IN_DOUBT[failure.happened])
            return {job: outcome if isinstance(outcome, _CERTAIN) else doubt for job, outcome in outcomes.items()}
        self._let_go()
        return outcomes

    def _let_go(self) -> None:
        """Give back what was held for the transaction; with the connection it goes for certain."""
        try:
            if self._connection is not None:
                guarding.let_go(self._connection, self._database)
        except SQLAlchemyError:
            self._disconnect()

    def _understood(self, error: SQLAlchemyError) -> Failure:
        failure = understand(error, self._database)
        self._notice(failure)
        return failure

    def _roll_back(self) -> None:
        try:
            if self._connection is not None:
                self._connection.rollback()
                if self._connection.invalidated:  # lost: whatever is asked of it now would connect it anew
                    self._disconnect()
        except SQLAlchemyError:
            self._disconnect()
        self._let_go()

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            discard(connection)


_CERTAIN = (Busy, InvalidValue, Immutable)
"""What holds whatever became of a commit; that a user is there or is not may rest on another export of the group."""
_IN_DOUBT = {
    Happened.CONNECTION: "The connection was lost during the commit: the change may or may not have been made.",
    Happened.TIME_LIMIT: "The commit took longer than the time limit: the change may or may not have been made.",
}


def _is_in_doubt(failure: Failure, shape: Shape) -> bool:
    """Return whether a commit that failed so may have happened: a driver's time limit ends the waiting alone."""
    if failure.happened is Happened.TIME_LIMIT:
        return shape.dialect.driver_limits
    return failure.happened in _IN_DOUBT


def _undo(savepoint: NestedTransaction | None) -> None:
    """Undo one export of several; where that fails, nothing of the transaction is left to rely on."""
    if savepoint is None:
        return
    try:
        savepoint.rollback()
    except SQLAlchemyError as error:
        raise _Undone(Failure(Happened.DEADLOCK, "savepoint")) from error
