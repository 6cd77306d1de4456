"""Which process serves a configuration, so that a command can tell it something."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

from connector_host.errors import HostError

_FILE = "connector-host.pid"
_REQUEST = "reload.requested"


class NotRunning(HostError):
    """No process serves this configuration."""


def remember_process(state: Path) -> None:
    """Write down this process; where nothing can be written, only commands miss it."""
    with suppress(OSError):
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        (state / _FILE).write_text(f"{os.getpid()}\n", encoding="ascii")


def hang_up(state: Path, process: int | None = None) -> None:
    """Ask the running host to read its configuration again; raises NotRunning with the mend.

    `process` is the host's by the word of a service manager, in whose sandbox no other process can be seen.
    """
    mend = "Start it with `connector-host serve`, or reload the service with `systemctl reload connector-host`."
    number = getattr(signal, "SIGHUP", None)
    if number is None:
        _leave_request(state)
        return
    try:
        os.kill(_remembered(state) if process is None else process, number)
    except PermissionError as failure:
        raise NotRunning("This account may not signal the running host. Use the account that it runs as.") from failure
    except (OSError, ValueError) as failure:
        raise NotRunning(f"No host runs with this configuration. {mend}") from failure


def take_request(state: Path) -> bool:
    """Return whether somebody left a request to reload, and take it away."""
    try:
        (state / _REQUEST).unlink()
    except OSError:
        return False
    return True


def _leave_request(state: Path) -> None:
    """Ask by a file where there is no signal; the host looks once a second."""
    if not (state / _FILE).exists():
        raise NotRunning("No host has run with this configuration. Start it: connector-host service start.")
    try:
        (state / _REQUEST).touch()
    except OSError as failure:
        raise NotRunning(f"{state} may not be written by this account. Use an elevated console.") from failure


def _remembered(state: Path) -> int:
    """Return the process that serves; raises OSError or ValueError where none does."""
    process = int((state / _FILE).read_text(encoding="ascii"))
    # The number may have gone to another program since: only a process of the host is told.
    if "connector" not in _command_line(process):
        raise ProcessLookupError
    return process


def _command_line(process: int) -> str:
    return Path(f"/proc/{process}/cmdline").read_bytes().decode(errors="replace")
