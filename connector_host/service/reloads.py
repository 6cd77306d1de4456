"""What became of a reload, left in the folder for state by the host, so that the command which asked can tell.

Knows nothing of what is reloaded.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_FILE: Final = "reload.json"
_LOOK_S: Final = 0.1

Mark = tuple[int, int] | None
"""Which report is there; None where there is none yet."""


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What one reload took over, and what it did not."""

    connectors: int
    """How many are served now."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Connectors that go on as they were, or are not served, and why."""
    restart: tuple[str, ...] = ()
    """Keys that differ from those that the host was started with, and take effect at its next start."""
    failure: str = ""
    """Why nothing was taken over, or not by every worker; empty where all of them took something over."""

    @property
    def whole(self) -> bool:
        """Whether all of the file is in force that can be without a restart."""
        return not self.failure and not self.refused


def leave_report(state: Path, outcome: Reloaded) -> None:
    """Put the report in the place of the last one; where nothing can be written, only the command misses it."""
    with suppress(OSError):
        new = state / f"{_FILE}.new"
        new.write_text(json.dumps(asdict(outcome)), encoding="utf-8")
        new.replace(state / _FILE)


def mark_of(state: Path) -> Mark:
    """Return which report is there, to tell the next one apart from it."""
    try:
        facts = (state / _FILE).stat()
    except OSError:
        return None
    return facts.st_mtime_ns, facts.st_ino


def wait_for_report(state: Path, before: Mark, patience_s: float) -> Reloaded | None:
    """Return the first report after `before`; None where there is none in time."""
    deadline = time.monotonic() + patience_s
    while mark_of(state) == before:
        if time.monotonic() > deadline:
            return None
        time.sleep(_LOOK_S)
    try:
        told = json.loads((state / _FILE).read_text(encoding="utf-8"))
        return Reloaded(told["connectors"], told["refused"], tuple(told["restart"]), told["failure"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
