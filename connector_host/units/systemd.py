"""A hardened systemd unit, and the steps that put it in place, start it, stop it and take it away (systemd.exec(5))."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from connector_host.units.programs import Runner, ServiceFailed, run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from connector_host.units.descriptions import Unit

CREDENTIALS: Final = Path("/etc/credstore.encrypted")

_FILES: Final = 65_536
"""Open files, connections among them."""

_SANDBOX: Final = """\
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
ProtectProc=invisible
ProcSubset=pid
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RemoveIPC=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
UMask=0077
"""

_NO_RIGHTS: Final = ("CapabilityBoundingSet=", "AmbientCapabilities=", "PrivateUsers=yes")
_LISTEN: Final = "CAP_NET_BIND_SERVICE"
_LOW_PORT: Final = (
    f"CapabilityBoundingSet={_LISTEN}",
    f"AmbientCapabilities={_LISTEN}",
    # With users of its own it would have no right on the machine's network (systemd.exec(5)).
    "PrivateUsers=no",
)
_FOLDER: Final = "WorkingDirectory="
_WRITTEN: Final = "# Written by `service install`"
_OWN_DEPTH: Final = 3
"""Parts of the path of a folder that may be a service's own: `/etc` has two."""
_SHARED: Final = frozenset(
    map(
        Path,
        (
            "/etc/default",
            "/etc/opt",
            "/etc/ssl",
            "/etc/systemd",
            "/usr/bin",
            "/usr/lib",
            "/usr/local",
            "/usr/local/bin",
            "/usr/local/etc",
            "/usr/sbin",
            "/usr/share",
            "/var/lib",
            "/var/log",
            "/var/opt",
            "/var/tmp",  # noqa: S108 - named to be refused
        ),
    )
)
_LOW_PORTS: Final = range(1, 1024)
"""An ordinary account may not listen there."""


def render(unit: Unit) -> str:
    """Return the unit file."""
    service = [
        f"Type={'notify' if unit.watchdog_s else 'exec'}",
        f"ExecStart={_command(unit.command)}",
        # A signal alone would tell `systemctl reload` nothing of what came of it.
        *([f"ExecReload={_command(unit.reload)} $MAINPID"] if unit.reload else []),
        # Taken as it is, to the end of the line: quotes would be part of the path.
        f"{_FOLDER}{str(unit.folder).replace('%', '%%')}",
        f"User={unit.name}",
        f"Group={unit.name}",
        *(f"Environment={_quoted(f'{name}={value}')}" for name, value in unit.environment.items()),
        *([f"LoadCredentialEncrypted={unit.credential}"] if unit.credential else []),
        *([f"WatchdogSec={unit.watchdog_s}"] if unit.watchdog_s else []),
        "Restart=on-failure",
        "RestartSec=5",
        f"RestartPreventExitStatus={' '.join(map(str, unit.exits_for_good))}",
        # systemd's own 1024 would be less than what one client may hold.
        f"LimitNOFILE={_FILES}",
        f"TimeoutStopSec={round(unit.stop_s) + 10}",
        *(f"ReadWritePaths={_quoted(str(path))}" for path in (unit.folder, *unit.writable)),
    ]
    return "\n".join(
        [
            f"{_WRITTEN}; changes belong into a drop-in: systemctl edit {unit.name}",
            "[Unit]",
            f"Description={unit.description}",
            "Wants=network-online.target",
            "After=network-online.target",
            # It is started again for ever: a port that is taken now may be free in an hour.
            "StartLimitIntervalSec=0",
            "",
            "[Service]",
            *service,
            *(_LOW_PORT if unit.port in _LOW_PORTS else _NO_RIGHTS),
            _SANDBOX,
            "[Install]",
            "WantedBy=multi-user.target",
            "",
        ]
    )


@dataclass(frozen=True, slots=True)
class Systemd:
    """This machine's systemd; `root` is another folder that holds one."""

    run: Runner = run
    root: Path = Path("/")

    def show(self, unit: Unit) -> str:
        """Return the unit file."""
        return render(unit)

    def log_of(self, name: str) -> str:
        """Return the command that shows its log."""
        return f"journalctl --unit {name} --follow"

    def install(self, unit: Unit, *, start: bool = True) -> None:
        """Make the account, hand it the configuration, write the unit, and start it; raises ServiceFailed."""
        self._demand_root()
        _demand_seen(unit)
        self._demand_its_own(unit)
        # A description may hold a colon, which the account's own field may not.
        self._write(f"etc/sysusers.d/{unit.name}.conf", f'u {unit.name} - "{unit.name}" /nonexistent\n')
        self._do("systemd-sysusers", str(self._path(f"etc/sysusers.d/{unit.name}.conf")))
        if unit.folder.exists():
            self._do("chown", "--recursive", f"{unit.name}:{unit.name}", str(unit.folder))
            self._do("chmod", "--recursive", "g-rwx,o-rwx", str(unit.folder))
        for folder in unit.writable:
            self._make(folder, unit.name)
        if unit.credential:
            self._hold_key(unit)
        place = f"etc/systemd/system/{unit.name}.service"
        before = self._path(place).read_text(encoding="utf-8") if self._path(place).exists() else ""
        self._write(place, render(unit))
        self._do("systemctl", "daemon-reload")
        if start:
            self._do("systemctl", "enable", f"{unit.name}.service")
            # One that runs already has its old command and sandbox until it is started anew.
            self._control("restart" if before not in {"", render(unit)} else "start", unit.name)

    def uninstall(self, name: str) -> None:
        """Stop it and take the unit away; configuration, state and account stay."""
        self._demand_root()
        unit = self._path(f"etc/systemd/system/{name}.service")
        if not unit.exists():
            raise ServiceFailed(f"There is no service {name} to uninstall.")
        self._do("systemctl", "disable", "--now", f"{name}.service")
        unit.unlink()
        self._path(f"etc/sysusers.d/{name}.conf").unlink(missing_ok=True)
        self._do("systemctl", "daemon-reload")

    def start(self, name: str) -> None:
        """Start it; raises ServiceFailed with the end of its log where it does not come up."""
        self._control("start", name)

    def stop(self, name: str) -> None:
        """Stop it, and return when it has stopped."""
        self._control("stop", name)

    def status(self, name: str) -> tuple[bool, str]:
        """Return whether it runs, and what systemd says of it."""
        done = self.run(("systemctl", "status", "--no-pager", "--lines=10", f"{name}.service"))
        return done.returncode == 0, (done.stdout or done.stderr).rstrip()

    def _control(self, verb: str, name: str) -> None:
        self._demand_systemd()
        done = self.run(("systemctl", verb, f"{name}.service"))
        if done.returncode:
            log = self.run(("journalctl", "--no-pager", "--lines=5", "--output=cat", f"--unit={name}.service"))
            raise ServiceFailed(f"systemctl {verb} {name} failed: {done.stderr.strip()}\n{log.stdout.strip()}".rstrip())

    def _hold_key(self, unit: Unit) -> None:
        """Hand the key over to systemd, which gives it to this service alone; the file with it goes."""
        key = unit.folder / unit.credential
        held = self._path(str(CREDENTIALS / unit.credential).lstrip("/"))
        if not key.exists():
            return
        held.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._do("systemd-creds", "encrypt", f"--name={unit.credential}", str(key), str(held))
        key.unlink()

    def _make(self, folder: Path, account: str) -> None:
        """Make a folder that the sandbox must find; one that is there stays its owner's."""
        if not folder.exists():
            folder.mkdir(parents=True, mode=0o700)
            self._do("chown", f"{account}:{account}", str(folder))

    def _do(self, *command: str) -> None:
        done = self.run(command)
        if done.returncode:
            raise ServiceFailed(f"{' '.join(command)} failed: {done.stderr.strip() or done.stdout.strip()}")

    def _write(self, path: str, content: str) -> None:
        target = self._path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content, encoding="utf-8")

    def _path(self, path: str) -> Path:
        return self.root / path

    def _demand_its_own(self, unit: Unit) -> None:
        """Raise ServiceFailed where handing the folder over would take it from the system or from another service."""
        folder = unit.folder.resolve()
        advice = f"put the configuration of {unit.name} into a folder of its own, such as /etc/{unit.name}"
        if len(folder.parts) < _OWN_DEPTH or folder in _SHARED:
            raise ServiceFailed(f"{folder} is the system's, and its account would get all that is in it: {advice}.")
        for file in sorted(self._path("etc/systemd/system").glob("*.service")):
            theirs = _folder_of(file)
            if file.stem != unit.name and theirs is not None and _overlap(folder, theirs):
                raise ServiceFailed(f"{theirs} is for the account of the service {file.stem} alone: {advice}.")

    def _demand_root(self) -> None:
        self._demand_systemd()
        if self.root == Path("/") and getattr(os, "geteuid", int)() != 0:
            raise ServiceFailed("Installing a service needs root. Run it again with sudo.")

    def _demand_systemd(self) -> None:
        """Raise ServiceFailed where no systemd runs (sd_booted(3)): in a chroot systemctl does nothing and succeeds."""
        if not self._path("run/systemd/system").is_dir():
            raise ServiceFailed(
                "No systemd runs here, so nothing was done. Run the program in a container or under a supervisor."
            )


def _demand_seen(unit: Unit) -> None:
    """Raise ServiceFailed for what the sandbox hides from the service: homes, whose permissions are people's own."""
    for path in (Path(unit.command[0]), Path(sys.base_prefix), unit.folder, *unit.writable):
        if any(path.resolve().is_relative_to(home) for home in _HOMES):
            raise ServiceFailed(
                f"{path} is in a home, which a service cannot see (ProtectHome=yes). "
                "Install below /opt with the system's Python, and keep configuration and state below /etc or /var/lib."
            )


def _folder_of(file: Path) -> Path | None:
    """Return the folder that belongs to a service of ours; None where this is no unit of ours."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    if not lines or not lines[0].startswith(_WRITTEN):
        return None
    found = (line.removeprefix(_FOLDER) for line in lines if line.startswith(_FOLDER))
    return next((Path(text.replace("%%", "%")).resolve() for text in found), None)


def _overlap(one: Path, other: Path) -> bool:
    return one.is_relative_to(other) or other.is_relative_to(one)


_SPECIAL: Final = re.compile(r"[\s\"';]")
_HOMES: Final = (Path("/home"), Path("/root"), Path("/run/user"))


def _command(parts: Sequence[str]) -> str:
    """Return a command line; a dollar in it is no variable."""
    return " ".join(_quoted(part).replace("$", "$$") for part in parts)


def _quoted(text: str) -> str:
    """Return an argument as a unit file takes it: specifiers and quotes escaped (systemd.syntax(7))."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"' if _SPECIAL.search(text) else escaped
