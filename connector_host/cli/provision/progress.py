"""A progress bar with rate and time left, on a terminal; nothing in a pipe."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from connector_host.provisioning.forecast import Forecast
    from connector_host.provisioning.reports import Report
    from connector_host.provisioning.settings import JobSettings
    from connector_host.provisioning.state.records import JobState

MOVES_S: Final = 0.1
"""Seconds between two moves of the bar: it is told of every user, and thousands a second would only cost time."""


def is_watched() -> bool:
    """Return whether anybody would see a bar."""
    return sys.stderr.isatty()


async def foreseen(where: JobState, job: JobSettings) -> Forecast | None:
    """Return what is known of the next cycle, None where nobody watches."""
    from connector_host.provisioning.forecast import forecast

    return await forecast(where, job) if is_watched() else None


@contextmanager
def bar(job: str, ahead: Forecast | None) -> Iterator[Callable[[Report], None]]:
    """Yield what moves the bar; where nobody knows how many users come, it shows how many came and says why."""
    if ahead is None or not is_watched():
        yield lambda _report: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:.0f} users/s"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[failed]} failed"),
        TextColumn("{task.fields[remark]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(job, total=ahead.users, rate=0.0, failed=0, remark=ahead.remark)

        moved = 0.0

        def move(report: Report) -> None:
            nonlocal moved
            now = time.monotonic()
            if now - moved < MOVES_S and report.counts["read"] != ahead.users:
                return
            moved = now
            elapsed_s = progress.tasks[0].elapsed or 0.001
            read = report.counts["read"]
            more = ahead.users is not None and read > ahead.users
            progress.tasks[0].total = None if more else ahead.users
            remark = "more than were expected" if more else ahead.remark
            progress.update(task, completed=read, rate=read / elapsed_s, failed=report.failures, remark=remark)

        yield move
