"""The SQL connector: discovery, reads and exports of one table, behind the contract that every connector fulfils.

The only module of this room that is async: it hands blocking work to threads, and keeps the discovered shape.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from typing import TYPE_CHECKING, TypeVar

import structlog
from sqlalchemy import QueuePool, event

from connector_host import clock
from connector_host.connectors import refusals
from connector_host.connectors.contract import Add, Entry, Export, Exported, ObjectType, Page, Query, Rehearsal, to_text
from connector_host.connectors.errors import ConnectorError, Unavailable
from connector_host.connectors.origins import current_origin
from connector_host.connectors.patience import current_patience_s
from connector_host.connectors.sql import (
    anchors,
    bulk,
    checks,
    exports,
    lookups,
    queries,
    rehearsing,
    shapes,
    sources,
)
from connector_host.connectors.sql.dialects import dialect_of
from connector_host.connectors.sql.engines import open_engine, parse_url
from connector_host.connectors.sql.jobs import Job, Outcome
from connector_host.connectors.sql.known import Known, types_of
from connector_host.connectors.sql.pacing import Pace
from connector_host.connectors.sql.passwords import password_of
from connector_host.connectors.sql.readers import Readers
from connector_host.connectors.sql.writers import Writers
from connector_host.databases.codes import Happened
from connector_host.deadlines import Deadlines
from connector_host.errors import ConfigurationError
from connector_host.observability import events
from connector_host.observability.loads import Load
from connector_host.own_threads import in_own_thread

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from sqlalchemy import Connection, Engine

    from connector_host.connectors.sql.shapes import Shape
    from connector_host.databases.failures import Failure
    from connector_host.errors import Finding
    from connector_host.settings import SqlSettings

log = structlog.get_logger()
Result = TypeVar("Result")

CREATIONS = "\0creations"
"""What the creations of an anchor that nothing enforces have in common; no anchor that is folded is spelled so."""
QUEUE_SHARE = 0.8
"""How much of the time that is left of a request an export may wait in the queue; the rest is for running it."""


class SqlConnector:
    """One table, view or query of users in one database; connects when it is first asked."""

    def __init__(self, name: str, settings: SqlSettings, state: Path | None = None) -> None:
        self._url = parse_url(settings.database, password_of(settings))
        self._name = name
        self._settings = settings
        self._dialect = dialect_of(self._url)
        # Before the threads, which count into it; from 0, since Prometheus sees no increase of what is born at 1.
        self._errors: Counter[str] = Counter({happened.value: 0 for happened in Happened})
        self._counting = threading.Lock()
        count = 1 if self._dialect.single_writer else settings.writers
        reads_only = settings.query is not None
        self._reading = open_engine(
            self._url, size=settings.readers, statement_s=settings.statement_s, reads_only=reads_only
        )
        self._writing = open_engine(self._url, size=count, statement_s=settings.statement_s, purpose="writing")
        _slow_down(self._reading, settings.reads_per_s)
        database = self._dialect.name
        self._readers = Readers(self._reading, database, settings.readers, name=f"{name}-read", notice=self._failed)
        self._pace = Pace(settings.exports_per_s)
        self._writers = Writers(
            self._writing, database, self, count, name=f"{name}-write", notice=self._failed, pace=self._pace
        )
        self._waiting_in: asyncio.AbstractEventLoop | None = None
        self._deadlines = Deadlines()
        self._known: Shape | None = None
        self._types = types_of(settings, name, state)
        self._types_then: Known = {}
        self._read_many: Callable[[Connection, list[str]], dict[str, Entry]] = self._read_nothing
        self._discovered_s = 0.0
        self._discovery = asyncio.Lock()
        self._rehearsal = asyncio.Lock()
        self._is_down = False
        self._reported: set[str] = set()

    @property
    def name(self) -> str:
        """The name in the configuration and in the URL."""
        return self._name

    async def describe(self) -> ObjectType:
        """Return the object type, discovered anew once in `rediscover_s`."""
        return (await self._shape()).object_type

    async def read(self, anchor: str) -> Entry | None:
        """Return the entry with exactly this anchor."""
        await self._shape()
        return await self._noted(self._readers.point(anchor, self._read_many))

    async def search(self, query: Query) -> Page:
        """Return the stretch of entries that the query asks for."""
        shape = await self._shape()
        try:
            if (asked := lookups.read(shape, query, self._unreadable)) is not None:
                value, look_up = asked
                if (found := await self._noted(self._readers.point(value, look_up))) is not None:
                    return lookups.page(query, found)
            return await self._reader(lambda connection: queries.search(connection, shape, query, self._unreadable))
        except ConnectorError as failure:
            queries.demand_understood(shape, query, failure)
            raise

    async def export(self, export: Export) -> Exported:
        """Carry out one export; exports of one anchor run in the order in which they came."""
        dropped = refusals.apply(self._settings.refusals, export)
        for refusal in dropped:
            log.warning(
                events.EXPORT_DROPPED, connector=self._name, kind=refusal.kind.value, attribute=refusal.attribute
            )
        shape = self._fresh() or await self._shape()
        loop = asyncio.get_running_loop()
        promise: asyncio.Future[Exported] = loop.create_future()
        left_s = min(self._settings.limits.request_s, current_patience_s())
        deadline_s = clock.monotonic_s() + left_s * QUEUE_SHARE
        job = Job(export, shape, promise, deadline_s, current_origin(), _keys(export, shape), shape.goes_apart)
        self._writers.submit(job)
        try:
            done = await job.done(self._deadlines_of(loop))
        except Unavailable as failure:
            self._note(failure)
            raise
        self._note(None)
        return Exported(done.entry, done.written, dropped) if dropped else done

    async def rehearse(self, export: Export) -> Rehearsal:
        """Carry out one export on a connection of its own and undo it; one at a time."""
        shape = await self._shape()
        async with self._rehearsal:
            await asyncio.to_thread(self._pace.wait, 1)
            return await asyncio.to_thread(rehearsing.rehearse, self._settings, export, shape)

    async def check(self) -> list[Finding]:
        """Look at everything that an administrator can get wrong, and say what to do about each."""
        return await asyncio.to_thread(self._check)

    def load(self) -> Load:
        """Return how many wait, how many connections there are, and what the database refused."""
        with self._counting:
            errors = dict(self._errors)
        return Load(
            waiting={"read": self._readers.waiting, "export": self._writers.waiting},
            connections={"reading": _opened(self._reading), "writing": _opened(self._writing)},
            connections_max={"reading": self._settings.readers, "writing": self._writers.count},
            errors=errors,
        )

    async def close(self) -> None:
        """Finish the exports in hand, then let go of every connection."""
        # For as long as the database lets it: in threads that nobody else needs.
        await in_own_thread(self._writers.close)
        await in_own_thread(self._readers.close)
        self._reading.dispose()
        self._writing.dispose()

    # ── writing: what the writers run in their threads ────────────────────────────────────────────────────────────

    def together(self, connection: Connection, shape: Shape, group: Sequence[Export]) -> list[Outcome]:
        """Carry out exports the fast way (see writer.Work)."""
        return bulk.carry_out(connection, shape, group, self._unreadable)

    def alone(self, connection: Connection, shape: Shape, export: Export) -> Exported:
        """Carry out one export by itself (see writer.Work)."""
        return exports.carry_out(connection, shape, export, self._unreadable)

    def _deadlines_of(self, loop: asyncio.AbstractEventLoop) -> Deadlines:
        """Return the deadlines that this event loop keeps: each command runs one of its own."""
        if self._waiting_in is not loop:
            self._waiting_in, self._deadlines = loop, Deadlines()
        return self._deadlines

    # ── reading ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def _reader(self, work: Callable[[Connection], Result]) -> Result:
        """Run blocking work on a connection of the readers."""
        return await self._noted(self._readers.run(work))

    async def _noted(self, reading: Awaitable[Result]) -> Result:
        """Wait for a read, and note whether the database is there."""
        try:
            result = await reading
        except Unavailable as failure:
            self._note(failure)
            raise
        self._note(None)
        return result

    def _read_nothing(self, _: Connection, __: list[str]) -> dict[str, Entry]:
        """Stand where no shape is known; nobody gets here."""
        return {}

    def _unreadable(self, column: str) -> None:
        """Say once that a column holds values that its type does not allow; the value itself is not repeated."""
        if column not in self._reported:
            self._reported.add(column)
            log.warning(events.COLUMN_UNREADABLE, connector=self._name, column=column)

    def _failed(self, failure: Failure) -> None:
        """Log and count it, and look at the table again soon where it is not as it was discovered."""
        outcome = failure.happened.value
        log.warning(events.DATABASE_ERROR, connector=self._name, outcome=outcome, sqlstate=failure.code)
        with self._counting:
            self._errors[outcome] += 1
        if failure.happened is Happened.SCHEMA:
            self._discovered_s = float("-inf")

    def _note(self, failure: ConnectorError | None) -> None:
        """Log when the database goes away, and when it comes back."""
        if failure is not None and not self._is_down and type(failure) is Unavailable:
            log.error(events.CONNECTOR_UNAVAILABLE, connector=self._name, reason=str(failure))
            self._is_down = True
        elif failure is None and self._is_down:
            log.info(events.CONNECTOR_RECOVERED, connector=self._name)
            self._is_down = False

    def _check(self) -> list[Finding]:
        """Check on a connection of its own, so that busy readers do not hold up the answer."""
        reads_only = self._settings.query is not None
        engine = open_engine(self._url, size=1, statement_s=self._settings.statement_s, reads_only=reads_only)
        try:
            return checks.check(engine, self._dialect, self._settings, self._types.load())
        finally:
            engine.dispose()

    # ── discovery ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def _shape(self) -> Shape:
        """Return the shape, discovering it where it is not known or old; others go on with the old one meanwhile."""
        if (known := self._fresh()) is not None:
            return known
        async with self._discovery:
            if self._known is None or self._is_stale():
                await self._discover()
        if self._known is None:
            raise Unavailable("The table has not been discovered yet.")
        return self._known

    def _fresh(self) -> Shape | None:
        """Return the shape that is known, unless somebody has to look at the table first."""
        return None if self._is_stale() and not self._discovery.locked() else self._known

    def _is_stale(self) -> bool:
        return clock.monotonic_s() - self._discovered_s > self._settings.rediscover_s

    async def _discover(self) -> None:
        """Look at the table; while the database is away, what is known stays."""
        try:
            shape = await self._reader(self._look)
        except Unavailable:
            if self._known is None:
                raise
            self._discovered_s = clock.monotonic_s()
            return
        before, self._known = self._known, shape
        self._discovered_s = clock.monotonic_s()
        if before is not shape:
            self._read_many = lambda connection, keys: queries.read(connection, shape, keys, self._unreadable)
        if before is None or before.object_type != shape.object_type:
            log.info(events.CONNECTOR_DISCOVERED, connector=self._name, attributes=len(shape.columns))

    def _look(self, connection: Connection) -> Shape:
        settings = self._settings
        facts = sources.facts_of(connection, self._dialect, settings)
        anchors.demand_transactions(facts)
        known, types = self._known, self._types.load()
        if known is not None and known.facts == facts and types == self._types_then:
            return known  # with all statements that were built for it
        for column in shapes.changed_types(types, facts):
            log.warning(events.COLUMN_TYPE_CHANGED, connector=self._name, column=column)
        shape = shapes.build(facts, settings, self._dialect, types)
        self._types_then = {name: column.discovered for name, column in shape.columns.items()}
        self._types.keep(self._types_then)
        if not shape.enforced and known is None:
            self._prove(connection, shape)
        return shape

    def _prove(self, connection: Connection, shape: Shape) -> None:
        """Prove an anchor that nothing enforces on the rows that there are (DESIGN §2.1)."""
        proof = anchors.prove(connection, shape)
        if not proof.holds:
            raise ConfigurationError(f"anchor: {anchors.contradiction(shape, proof)}")
        log.warning(events.ANCHOR_UNENFORCED, connector=self._name, column=shape.object_type.anchor)


def _keys(export: Export, shape: Shape) -> tuple[str, ...]:
    """Return what keeps exports in one hand at a time: those of one anchor, so that they run in their order.

    Where the database doesn't keep the anchor unique, all creations, too: what a collation takes for equal is the
    database's secret.
    """
    anchor = export.values.get(shape.object_type.anchor) if isinstance(export, Add) else export.anchor
    own = () if anchor is None else (to_text(anchor).casefold(),)
    return (*own, CREATIONS) if isinstance(export, Add) and not shape.enforced else own


def _slow_down(engine: Engine, per_second: float | None) -> None:
    """Let every statement of an engine wait for its turn, where a fragile database is to be spared."""
    if per_second is None:
        return
    pace = Pace(per_second)
    event.listen(engine, "before_cursor_execute", lambda *_: pace.wait(1))


def _opened(engine: Engine) -> int:
    """Return how many connections are open; a pool that is no queue (SQLite in memory) does not tell."""
    pool = engine.pool
    return pool.checkedin() + pool.checkedout() if isinstance(pool, QueuePool) else 0
