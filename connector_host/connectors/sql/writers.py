"""The writers of one connector, as its exports see them: one queue, and a thread with a connection for each writer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connector_host.connectors.errors import Busy, Unavailable
from connector_host.connectors.sql.backlog import Backlog
from connector_host.connectors.sql.lanes import Full
from connector_host.connectors.sql.sizing import GroupSize
from connector_host.connectors.sql.writer import Writer
from connector_host.turns import EachTurn

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

    from connector_host.connectors.sql.jobs import Job
    from connector_host.connectors.sql.pacing import Pace
    from connector_host.connectors.sql.writer import Work
    from connector_host.databases.failures import Failure

QUEUE_MAX = 1_000
"""Exports that may wait for each writer; more are turned away as Busy."""


class Writers:
    """So many threads, each with a connection of its own once it has something to do."""

    def __init__(  # noqa: PLR0913 - what they write to, what they run, and how they are told apart
        self,
        engine: Engine,
        database: str,
        work: Work,
        count: int,
        *,
        name: str,
        notice: Callable[[Failure], None],
        pace: Pace,
    ) -> None:
        self.count = count
        self.size = GroupSize()
        self._pace = pace
        self._backlog = Backlog()
        self._is_closed = False
        self._telling = EachTurn(self._backlog.tell)
        """A writer is told at the end of a turn what came in it: all of that is one group."""
        self._writers = tuple(
            Writer(
                engine,
                database,
                work,
                self._backlog,
                name=f"{name}-{number}",
                notice=notice,
                pace=pace,
                size=self.size,
            )
            for number in range(count)
        )

    @property
    def waiting(self) -> int:
        """How many exports wait."""
        return len(self._backlog)

    def submit(self, job: Job) -> None:
        """Queue an export; raises Busy where too many wait already, and Unavailable once the writers are closed."""
        if self._is_closed:
            raise Unavailable("The service is stopping.")
        try:
            self._backlog.put(job, QUEUE_MAX * self.count)
        except Full:
            wait_s = self.size.retry_after_s(self.waiting, self._pace.seconds_for(self.waiting))
            raise Busy("Too many exports are waiting for the database.", retry_after_s=wait_s) from None
        self._telling.want(job.promise.get_loop())

    def close(self) -> None:
        """Finish what is queued, then let go of the connections. Blocks."""
        self._is_closed = True
        self._backlog.close()
        for writer in self._writers:
            writer.join()
