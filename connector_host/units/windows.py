r"""A Windows service: put in place, started, stopped and taken away through a service-control edge.

SCM ──command line──▶ the base Python, hosting.py ──entry──▶ the same program as `serve`
     account  NT SERVICE\NAME      start  automatic, delayed      failure  start again

Knows nothing of pywin32: `Control` is all that it asks, and pywin32.py is the one that answers on Windows.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Protocol

from connector_host.units import hosting
from connector_host.units.programs import Runner, ServiceFailed, run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connector_host.units.descriptions import Unit

State = Literal["running", "stopped", "starting", "stopping", "absent"]

RESTART_AFTER_S: Final = (5, 30, 60)
"""After the first, the second and every later failure of a day."""
_SYSTEM: Final = "*S-1-5-18"
_ADMINISTRATORS: Final = "*S-1-5-32-544"
_SETTLING_S: Final = 3.0


@dataclass(frozen=True, slots=True)
class Registration:
    """What the service-control manager keeps of a service."""

    name: str
    description: str
    command_line: str
    account: str
    restart_after_s: tuple[int, ...] = RESTART_AFTER_S


class Control(Protocol):
    """The service-control manager and the event log; each raises ServiceFailed with the system's own words."""

    def create(self, registration: Registration) -> None:
        """Register it: automatic and delayed start, its account, and starting again after a failure."""

    def delete(self, name: str) -> None:
        """Take the registration away."""

    def start(self, name: str) -> None:
        """Start it, and return when it is running."""

    def stop(self, name: str) -> None:
        """Stop it, and return when it has stopped."""

    def state(self, name: str) -> State:
        """Return how it is."""

    def add_source(self, name: str) -> None:
        """Make it a source of the event log Application."""

    def remove_source(self, name: str) -> None:
        """Take the source away; none is no failure."""


def _program_data() -> Path:
    return Path(os.environ.get("PROGRAMDATA", r"C:\ProgramData"))


@dataclass(frozen=True, slots=True)
class Windows:
    """This machine's service-control manager."""

    control: Control
    run: Runner = run
    data: Path = field(default_factory=_program_data)
    """Where each service has a folder for its log."""
    settling_s: float = _SETTLING_S
    """How long a service that was started must go on to count as started."""

    def show(self, unit: Unit) -> str:
        """Return what would be registered."""
        made = self._registration(unit)
        return (
            f"Name:         {made.name}\nDescription:  {made.description}\nCommand line: {made.command_line}\n"
            f"Account:      {made.account}\nStart:        automatic, delayed\n"
            f"On failure:   start again after {', '.join(map(str, made.restart_after_s))} s\n"
            f"Log:          {self.log_of(unit.name)}"
        )

    def install(self, unit: Unit, *, start: bool = True) -> None:
        """Register it, hand its folders over to its account, and start it; what fails half-way is taken back."""
        if self.control.state(unit.name) != "absent":
            raise ServiceFailed(f"There is a service {unit.name} already. Run `service uninstall` first.")
        made = self._registration(unit)
        self.control.create(made)
        try:
            self.control.add_source(unit.name)
            logs = self.data / unit.name
            logs.mkdir(parents=True, exist_ok=True)
            for folder in dict.fromkeys((unit.folder, logs)):
                self._hand_over(folder, made.account)
            for folder in unit.writable:
                folder.mkdir(parents=True, exist_ok=True)
                self._icacls(folder, "/grant", f"{made.account}:(OI)(CI)M")
        except (ServiceFailed, OSError) as failure:
            self.control.remove_source(unit.name)
            self.control.delete(unit.name)
            raise ServiceFailed(f"Nothing was installed: {failure}") from failure
        if start:
            self.start(unit.name)

    def uninstall(self, name: str) -> None:
        """Stop it and take the registration away; configuration and state stay."""
        state = self.control.state(name)
        if state == "absent":
            raise ServiceFailed(f"There is no service {name} to uninstall.")
        if state != "stopped":
            self.control.stop(name)
        self.control.delete(name)
        self.control.remove_source(name)

    def start(self, name: str) -> None:
        """Start it; raises ServiceFailed where it does not go on."""
        self.control.start(name)
        time.sleep(self.settling_s)
        if self.control.state(name) != "running":
            raise ServiceFailed(f"{name} started and ended at once. See {self.log_of(name)}.")

    def stop(self, name: str) -> None:
        """Stop it, and return when it has stopped."""
        self.control.stop(name)

    def status(self, name: str) -> tuple[bool, str]:
        """Return whether it runs, and what the service-control manager says of it."""
        state = self.control.state(name)
        if state == "absent":
            return False, f"There is no service {name}."
        return state == "running", f"{name} is {state}. Its log: {self.log_of(name)}"

    def log_of(self, name: str) -> str:
        """Return where an administrator reads its log."""
        return f"{self.data / name / hosting.LOG_FILE}; warnings and errors also in the event log Application"

    def _registration(self, unit: Unit) -> Registration:
        # The `python.exe` of a virtual environment is a launcher with a child: the manager would watch the wrong one.
        python = getattr(sys, "_base_executable", sys.executable)
        arguments = hosting.arguments_of(unit, self.data / unit.name, sysconfig.get_path("purelib"))
        command = [python, "-I", str(Path(hosting.__file__).absolute()), *arguments]
        return Registration(unit.name, unit.description, subprocess.list2cmdline(command), f"NT SERVICE\\{unit.name}")

    def _hand_over(self, folder: Path, account: str) -> None:
        keep_others_out(folder, f"{account}:(OI)(CI)M", self.run)

    def _icacls(self, folder: Path, *arguments: str) -> None:
        _icacls(self.run, folder, *arguments)


def keep_others_out(folder: Path, right: str, run: Runner = run) -> None:
    """Let only one account, the system and administrators into a folder, whose keys are for them alone.

    `right` is what icacls calls it: `ACCOUNT:(OI)(CI)M`. Raises ServiceFailed.
    """
    rights = (right, f"{_SYSTEM}:(OI)(CI)F", f"{_ADMINISTRATORS}:(OI)(CI)F")
    _icacls(run, folder, "/inheritance:r", "/grant:r", *rights)


def own_right(environment: Mapping[str, str] = os.environ) -> str:
    """Return the full right of whoever runs this, as icacls writes it."""
    return f"{environment.get('USERDOMAIN', '.')}\\{environment.get('USERNAME', '')}:(OI)(CI)F"


def _icacls(run: Runner, folder: Path, *arguments: str) -> None:
    done = run(("icacls", str(folder), *arguments))
    if done.returncode:
        raise ServiceFailed(f"icacls {folder} failed: {done.stderr.strip() or done.stdout.strip()}")
