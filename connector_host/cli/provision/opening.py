"""What the provisioning commands share: the configuration, the state, and which jobs are meant."""

from __future__ import annotations

import io
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from connector_host.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from connector_host.provisioning.settings import Provisioning
    from connector_host.provisioning.state.records import JobState
    from connector_host.provisioning.state.store import State


@contextmanager
def state_of(config: Path) -> Iterator[tuple[Provisioning, State]]:
    """Open the configuration and the state for the time of the block."""
    from connector_host.provisioning.settings import load
    from connector_host.provisioning.state.store import State

    settings = load(config)
    state = State(settings.provisioning.state)
    try:
        state.migrate()
        yield settings, state
    finally:
        state.close()


@contextmanager
def text_file(path: Path) -> Iterator[TextIO]:
    """Open a file that names people for writing: only its owner may read it, and it appears whole or not at all."""
    from connector_host.runs.outputs import written

    try:
        with written(path) as stream:
            text = io.TextIOWrapper(stream, encoding="utf-8", newline="")
            yield text
            text.flush()
            text.detach()
    except OSError as failure:
        raise ConfigurationError(f"{path} cannot be written ({failure.strerror}).") from failure


def resting(where: JobState) -> tuple[str, str] | None:
    """Return how a job rests and what makes it run again; None for one that runs by itself."""
    if not where.rests:
        return None
    how, verb = ("stopped", "start") if where.stopped else ("switched off", "restart")
    return how, f"connector-host provision {verb} {where.name}"


def chosen(settings: Provisioning, names: tuple[str, ...]) -> list[str]:
    """Return the jobs that are meant: those named, else all; raises ConfigurationError for one that is not there."""
    for name in names:
        if name not in settings.jobs:
            raise ConfigurationError(
                f"there is no job {name}: the configuration has {', '.join(sorted(settings.jobs))}."
            )
    return list(names or settings.jobs)
