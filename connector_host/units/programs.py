"""Programs of the system that put services in place, and what is raised where a step fails."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence

from connector_host.errors import HostError

Runner = Callable[[Sequence[str]], "subprocess.CompletedProcess[str]"]


class ServiceFailed(HostError):
    """A step on the service failed; the text says which and why."""


def run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run one program of the system and return what came of it; raises ServiceFailed where it is not there."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)  # noqa: S603 - a fixed list
    except FileNotFoundError as failure:
        raise ServiceFailed(
            f"There is no {command[0]} here, so no service manager that this could ask. "
            "Run the program under your own supervisor, or in a container."
        ) from failure
