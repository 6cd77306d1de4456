"""Whichever service manager this machine has, behind the same five verbs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Protocol

from connector_host.units.systemd import Systemd

if TYPE_CHECKING:
    from connector_host.units.descriptions import Unit


class Manager(Protocol):
    """What `service install|uninstall|start|stop|status` asks; each raises ServiceFailed."""

    def show(self, unit: Unit) -> str:
        """Return what would be put in place."""

    def install(self, unit: Unit, *, start: bool = True) -> None:
        """Put it in place, and start it."""

    def uninstall(self, name: str) -> None:
        """Stop it and take it away; configuration and state stay."""

    def start(self, name: str) -> None:
        """Start it."""

    def stop(self, name: str) -> None:
        """Stop it, and return when it has stopped."""

    def status(self, name: str) -> tuple[bool, str]:
        """Return whether it runs, and what is said of it."""

    def log_of(self, name: str) -> str:
        """Return where an administrator reads its log."""


def of_this_machine() -> Manager:
    """Return the manager of the system that this runs on."""
    if sys.platform == "win32":
        from connector_host.units.pywin32 import Pywin32  # noqa: PLC0415 - exists on Windows only
        from connector_host.units.windows import Windows  # noqa: PLC0415 - needed there only

        return Windows(Pywin32())
    else:  # noqa: RET505 - mypy tells platforms apart by branches
        return Systemd()
