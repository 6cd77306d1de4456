"""What a service manager must know of a program, whichever manager it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Unit:
    """One program as a service."""

    name: str
    """Of the service and of its account."""
    description: str
    command: tuple[str, ...]
    """The program by its absolute path, then its arguments."""
    folder: Path
    """Where its configuration and state are: it belongs to the service's account, which renews certificates there."""
    entry: str = ""
    """The same program as `module:function`, for a manager that runs it inside a process of its own (Windows)."""
    port: int = 0
    """That it listens on; 0 where it does not, or takes a free one."""
    stop_s: float = 30.0
    """How long stopping may take before the program is killed."""
    reload: tuple[str, ...] = ()
    """Has it read its configuration again, and fails where that is refused; the number of its process is added. Empty
    where it cannot."""
    watchdog_s: int = 0
    """How long it may be silent before it is restarted; 0 where it sends no sign of life."""
    writable: tuple[Path, ...] = ()
    """Further folders that it writes to, such as the one of an SQLite database; made where they are missing."""
    credential: str = ""
    """The name of the key that the service manager holds for it; empty where it holds none."""
    environment: Mapping[str, str] = field(default_factory=dict)
    exits_for_good: tuple[int, ...] = (78,)
    """Exit codes after which starting again does not help."""
