"""A progress bar with rate and time left, on a terminal; nothing in a pipe."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from connector_host.provisioning.reports import Report


@contextmanager
def bar(job: str, last_report: str | None) -> Iterator[Callable[[Report], None]]:
    """Yield what moves the bar; how many users there will be is guessed from the last cycle, unknown in the first."""
    if not sys.stderr.isatty():
        yield lambda _report: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    expected = json.loads(last_report)["counts"].get("read") if last_report else None
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
