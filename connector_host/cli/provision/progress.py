"""A progress bar with rate and time left, on a terminal; nothing in a pipe."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from connector_host.provisioning.reports import Report
    from connector_host.provisioning.settings import SourceSettings
    from connector_host.provisioning.state.records import JobState


def is_watched() -> bool:
    """Return whether anybody would see a bar."""
    return sys.stderr.isatty()


async def expected_users(where: JobState, source: SourceSettings) -> int | None:
    """Return about how many users the next cycle reads: as many as the last, or as the source counts for a first."""
    from connector_host.provisioning.sources.opening import counted

    if not is_watched():
        return None
    if where.initial_due and (count := await counted(source)) is not None:
        return count
    read: int | None = json.loads(where.last_report)["counts"].get("read") if where.last_report else None
    return read


@contextmanager
def bar(job: str, expected: int | None) -> Iterator[Callable[[Report], None]]:
    """Yield what moves the bar; without about how many users are expected there is no time left to show."""
    if not is_watched():
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
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(job, total=expected, rate=0.0, failed=0)

        def move(report: Report) -> None:
            elapsed_s = progress.tasks[0].elapsed or 0.001
            read = report.counts["read"]
            total = None if expected is None else max(expected, read)
            progress.update(task, completed=read, total=total, rate=read / elapsed_s, failed=report.failures)

        yield move
