"""What goes wrong with workers."""

from __future__ import annotations

from connector_host.errors import HostError


class WorkerEnded(HostError):
    """A worker ended before it served; it said why."""

    def __init__(self, status: int) -> None:
        super().__init__(f"A worker process ended with {status}.")
        self.status = status


class WorkerNotStarted(HostError):
    """No process could be had for a worker; the text says why."""
