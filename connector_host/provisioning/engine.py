"""The engine: runs the cycles of jobs by hand or by the clock, one engine a job, and tells people what is new."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import structlog

from connector_host import clock
from connector_host.errors import ConfigurationError, HostError
from connector_host.observability import events
from connector_host.provisioning import faults
from connector_host.provisioning.cycles import Options, Parts, run_cycle
from connector_host.provisioning.errors import JobHeld, StateUnavailable
from connector_host.provisioning.lanes import lanes
from connector_host.provisioning.news import absence_after, notices_of
from connector_host.provisioning.notices import tell
from connector_host.provisioning.opening import opened
from connector_host.provisioning.reports import Ending, Kind, Report
from connector_host.provisioning.schedule import UNAVAILABLE_S, due_at, next_run, schedule_of
from connector_host.provisioning.state import logbook
from connector_host.provisioning.state.leading import Lead, leading

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Container, Mapping
    from datetime import datetime

    from connector_host.provisioning.lanes import Lane
    from connector_host.provisioning.settings import JobSettings, Provisioning
    from connector_host.provisioning.state.records import JobState
    from connector_host.provisioning.state.store import State

LOOK_S: Final = 1.0
"""Seconds between looks at whether a job was stopped, started, or is still led by this engine."""

STATE_S: Final = 5.0
"""Seconds after which the state is tried again."""

_LOG = structlog.stdlib.get_logger()


@dataclass(slots=True)
class Engine:
    """Runs the jobs of one configuration over one state."""

    settings: Provisioning
    state: State
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    on_progress: Callable[[Report], None] = lambda _report: None
    _lanes: Mapping[str, Lane] = field(init=False)
    _changed: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    def __post_init__(self) -> None:
        self._lanes = lanes(job.target for job in self.settings.jobs.values())

    async def run_once(self, name: str, options: Options) -> Report:
        """Run one cycle now; raises JobHeld, ConfigurationError, or SourceFailed before it could begin."""
        job = self._job(name)
        if options.dry:
            return await self._cycle(name, job, options, self.stop)
        async with leading(self.state, name) as held:
            report, failure = await self._led(name, job, options, held)
        if failure is not None:
            raise failure
        return report

    def take_over(self, settings: Provisioning) -> None:
        """Use other settings from the next cycle of each job on; a job that is no more ends with the users in hand."""
        self.settings = settings
        # A cycle that is about to begin with the old settings finds its lane, too.
        self._lanes = {**self._lanes, **lanes(job.target for job in settings.jobs.values())}
        self._changed.set()

    async def serve(self, names: Container[str] | None = None) -> None:
        """Run these jobs, or every one, by their schedules until `stop` is set; jobs may come and go meanwhile."""
        running: dict[str, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as group:
            while not self.stop.is_set():
                self._changed.clear()
                for name in self.settings.jobs:
                    if (names is None or name in names) and (name not in running or running[name].done()):
                        running[name] = group.create_task(self._by_the_clock(name))
                await self._until_changed()

    async def _until_changed(self) -> None:
        waits = [asyncio.ensure_future(event.wait()) for event in (self.stop, self._changed)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _by_the_clock(self, name: str) -> None:
        while not self.stop.is_set() and name in self.settings.jobs:
            try:
                where = await asyncio.to_thread(self.state.job, name)
                job = self.settings.jobs.get(name)  # it may have gone while the state was asked
                if job is not None and not where.rests and due_at(job, where) <= clock.now().timestamp():
                    await self._try(name, job)
            except StateUnavailable as failure:
                _LOG.error(events.PROVISIONING_FAILED, key=name, reason=str(failure))
                await self._pause(STATE_S)
            await self._pause(LOOK_S)

    async def _try(self, name: str, job: JobSettings) -> None:
        """Run one cycle, and let nothing that goes wrong in it end the engine."""
        try:
            async with leading(self.state, name) as held:
                report, failure = await self._led(name, job, Options(), held)
                if failure is not None:
                    _LOG.error(events.PROVISIONING_FAILED, key=name, reason=report.detail)
        except JobHeld:
            return  # another engine is at it; look again soon, since it may die
        except StateUnavailable:
            raise
        except Exception as failure:  # noqa: BLE001 - whatever is wrong with one job, the others go on
            _LOG.error(events.PROVISIONING_FAILED, key=name, reason=type(failure).__name__)
            again = clock.now().timestamp() + UNAVAILABLE_S
            await asyncio.to_thread(lambda: self.state.set_job(name, next_run=again))

    async def _led(self, name: str, job: JobSettings, options: Options, held: Lead) -> tuple[Report, Exception | None]:
        """Run one cycle; returns what it did, and what kept it from its beginning, which the report says, too."""
        before = await asyncio.to_thread(self.state.job, name)
        if before.stopped:
            raise ConfigurationError(f"the job {name} is stopped: connector-host provision start {name}")
        if before.switched_off:
            raise ConfigurationError(
                f"the job {name} was switched off, for it was in quarantine for more than"
                f" {job.quarantine.disabled_after_days} days: connector-host provision restart {name}"
            )
        begun = clock.now()
        async with self._watched(name, held) as stop:
            report, failure = await self._begun(name, job, options, before, stop)
        await self._afterwards(name, job, before, report, begun)
        return report, failure

    async def _begun(
        self, name: str, job: JobSettings, options: Options, before: JobState, stop: asyncio.Event
    ) -> tuple[Report, Exception | None]:
        try:
            return await self._cycle(name, job, options, stop), None
        except StateUnavailable:
            raise
        except HostError as failure:
            return not_begun(before, str(failure)), failure
        except Exception as failure:  # noqa: BLE001 - whatever is wrong with one job, its status says so
            return not_begun(before, f"an error that nobody foresaw ({type(failure).__name__})"), failure

    async def _cycle(self, name: str, job: JobSettings, options: Options, stop: asyncio.Event) -> Report:
        async with opened(name, job, self._lanes[job.target.url]) as one:
            parts = Parts(name, job, one.flows, self.state, one.source, one.target, stop, options, self.on_progress)
            return await run_cycle(parts)

    @asynccontextmanager
    async def _watched(self, name: str, held: Lead) -> AsyncIterator[asyncio.Event]:
        """Yield what stops this cycle: the engine's end, an administrator, or the loss of the lead."""
        stop = asyncio.Event()

        async def watch() -> None:
            while not stop.is_set():
                if self.stop.is_set() or not await asyncio.to_thread(self._may_go_on, name, held):
                    stop.set()
                    return
                await self._pause(LOOK_S)

        watcher = asyncio.create_task(watch())
        try:
            yield stop
        finally:
            watcher.cancel()
            await asyncio.gather(watcher, return_exceptions=True)

    def _may_go_on(self, name: str, held: Lead) -> bool:
        try:
            return name in self.settings.jobs and held.is_held() and not self.state.is_stopped(name)
        except StateUnavailable:
            return False

    async def _afterwards(self, name: str, job: JobSettings, before: JobState, report: Report, begun: datetime) -> None:
        """Plan the next run, keep the report, drop what is too old in the log, and tell people."""
        after = await asyncio.to_thread(self.state.job, name)
        now = clock.now().timestamp()
        over = faults.is_over(after, job.quarantine, now)
        absence = absence_after(after, report, now)
        fields: dict[str, object] = {
            "next_run": next_run(job, after, report, begun),
            "begun_at": begun.timestamp(),
            "schedule": schedule_of(job),
            "last_report": json.dumps(report.document()),
            **absence,
            **({"switched_off": True} if over else {}),
        }
        await asyncio.to_thread(lambda: self.state.set_job(name, **fields))
        oldest = now - self.settings.provisioning.log_days * faults.DAY_S
        await asyncio.to_thread(logbook.prune, self.state, oldest)
        why = {"reason": report.detail} if report.detail else {}
        _LOG.info(
            events.PROVISIONING_CYCLE, key=name, kind=report.kind, outcome=report.ending, **why, **_numbers(report)
        )
        for notice in notices_of(before, replace(after, **absence), report, over=over):
            await tell(name, job.notify, notice)

    def _job(self, name: str) -> JobSettings:
        try:
            return self.settings.jobs[name]
        except KeyError:
            names = ", ".join(sorted(self.settings.jobs))
            raise ConfigurationError(f"there is no job {name}: the configuration has {names}.") from None

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self.stop.wait(), seconds)
        except TimeoutError:
            return


def not_begun(where: JobState, reason: str) -> Report:
    """Return the report of a cycle whose source or target could not be opened."""
    kind = Kind.INITIAL if where.initial_due else Kind.FULL if where.mark is None else Kind.INCREMENTAL
    report = Report(where.name, where.cycle + (where.open_kind is None), Kind(where.open_kind or kind))
    report.ending, report.detail = Ending.UNAVAILABLE, reason
    return report


def _numbers(report: Report) -> dict[str, float | int]:
    """Return the counts as fields of a log event."""
    counts = {name.replace(" ", "_"): number for name, number in report.counts.items()}
    return {"cycle": report.cycle, "seconds": round(report.seconds, 3), **counts}
