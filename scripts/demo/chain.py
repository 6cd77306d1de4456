"""The whole chain as real processes on loopback: connector host, relay and agent, with throw-away certificates."""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

import employees
from directory import Answer, Directory

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self, TextIO

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(sys.executable).parent
CONNECTOR = "HR"
TENANT = "demo"
START_S = 30.0
LOCK = ".lock"
STOP_S = 30.0

PARTS = {
    "connector host": ("connector-host", "serve", "--config", "{folder}/connector-host.toml"),
    "relay": ("provisioning-agent", "relay", "--config", "{folder}/relay.toml"),
    "agent": ("provisioning-agent", "run", "--config", "{folder}/agent.toml"),
}
"""The programs in the order in which they start."""

MAPPINGS = {
    "ContosoLogin": "userName",
    "FirstName": "name.givenName",
    "LastName": "name.familyName",
    "DisplayName": "displayName",
    "Email": 'emails[type eq "work"].value',
    "Department": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
    "JobTitle": "title",
    "Country": 'addresses[type eq "work"].country',
    "Active": "active",
}


class Failed(Exception):
    """A program of the chain did not do what it should; the text says which, and what it printed."""


@dataclass
class Chain:
    """Everything that runs, and where its files are. The tests drive the same chain over other databases."""

    folder: Path = ROOT / ".demo"
    certificates: Path = ROOT / "certs"
    ports: tuple[int, int] = (0, 0)
    """Those that host and relay should have, where they are free; 0 is any."""
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.database = self.folder / "contoso.sqlite"
        self.database_url = f"sqlite:///{self.database}"
        self.configuration = self.folder / "connector-host.toml"
        self.token_file = self.folder / "scim-token"
        self.relay_trust = self.certificates / "relay" / "authority.pem"
        self.host_trust = self.certificates / "host" / "authority.pem"
        self.host_port, self.relay_port = map(_port, self.ports)
        self._lock: TextIO | None = None

    @property
    def url(self) -> str:
        """The tenant URL that an administrator pastes into the directory."""
        return f"https://localhost:{self.relay_port}/t/{TENANT}/ecma2host_{CONNECTOR}/scim"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop everything, the outermost part first."""
        for part in reversed(PARTS):
            self.stop(part)
        if self._lock is not None:
            self._lock.close()

    def prepare(self) -> None:
        """Start from nothing: a fresh database, fresh certificates, fresh tokens."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        self._lock_folder()
        for old in self.folder.iterdir():
            if old.name != LOCK:
                shutil.rmtree(old) if old.is_dir() else old.unlink()
        employees.create(self.database)
        for part in ("host", "relay"):
            shutil.rmtree(self.certificates / part, ignore_errors=True)
            self.command("connector-host", "cert", "issue", "--host", "localhost", "--out", self.certificates / part)

    def _lock_folder(self) -> None:
        """Keep a second run out of this one's files; the lock goes with the process."""
        self._lock = (self.folder / LOCK).open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Failed(f"Another run is up in {self.folder}: end it first (Ctrl-C where it runs).") from None

    def describe_table(self, *more: object) -> str:
        """Run `connector-host init` as an administrator would, and return what it printed."""
        mappings = [argument for column, path in MAPPINGS.items() for argument in ("--map", f"{column}={path}")]
        return self.command(
            *("connector-host", "init", "--yes", "--force", "--config", self.configuration),
            *("--name", CONNECTOR, "--database-url", self.database_url),
            *("--table", "Employees", "--anchor", "ContosoLogin", *mappings),
            *("--host", "localhost", "--port", str(self.host_port), "--token-file", self.token_file),
            *("--certificate", self.certificates / "host" / "certificate.pem"),
            *("--key", self.certificates / "host" / "key.pem"),
            *more,
        )

    def start(self) -> None:
        """Start host, relay and agent; `connect` in the story waits until they answer."""
        agent_token = secrets.token_hex(32)
        _write_secret(self.folder / "agent-token", agent_token)
        (self.folder / "relay.toml").write_text(self._relay_settings(agent_token), encoding="utf-8")
        (self.folder / "agent.toml").write_text(self._agent_settings(), encoding="utf-8")
        for part in PARTS:
            self.spawn(part)

    def connect(self) -> Directory:
        """Return a directory once its connection test succeeds, which is the one that Entra ID sends."""
        directory = Directory(self.url, self.token_file.read_text().strip(), self.relay_trust)
        deadline = time.monotonic() + START_S
        while True:
            self.check_alive()
            try:
                answer = directory.match(str(uuid.uuid4()))
            except OSError as failure:
                answer = Answer(0, {"detail": str(failure)}, {})
            if answer.status == HTTPStatus.OK:
                return directory
            if time.monotonic() > deadline:
                raise Failed(
                    f"The chain did not answer within {START_S:.0f} s: {answer.document} (logs: {self.folder})"
                )
            time.sleep(0.1)

    def spawn(self, part: str) -> None:
        """Start one part."""
        program, *arguments = PARTS[part]
        with self.log(part).open("ab") as log:
            self.processes[part] = subprocess.Popen(
                [PROGRAMS / program, *(argument.format(folder=self.folder) for argument in arguments)],
                stdout=log,
                stderr=log,
            )

    def stop(self, part: str, *, number: signal.Signals = signal.SIGTERM) -> int | None:
        """Stop one part and return its exit code; None where it was not running."""
        process = self.processes.pop(part, None)
        if process is None:
            return None
        process.send_signal(number)
        try:
            return process.wait(timeout=STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def log(self, part: str) -> Path:
        """Return where a program's output goes."""
        return self.folder / f"{part.replace(' ', '-')}.log"

    def check_alive(self) -> None:
        """Raise Failed where a program has ended."""
        for part, process in self.processes.items():
            if process.poll() is not None:
                tail = self.log(part).read_text(errors="replace")[-2000:]
                raise Failed(f"The {part} ended with exit code {process.returncode}:\n{tail}")

    def command(self, program: str, *arguments: object) -> str:
        """Run a program of ours to its end and return what it printed."""
        done = subprocess.run(
            [PROGRAMS / program, *map(str, arguments)],
            capture_output=True,
            check=False,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode:
            raise Failed(
                f"{program} {arguments[0]} ended with exit code {done.returncode}:\n{done.stdout}{done.stderr}"
            )
        return done.stdout

    def _relay_settings(self, agent_token: str) -> str:
        digest = hashlib.sha256(agent_token.encode()).hexdigest()
        return (
            f"[relay]\nport = {self.relay_port}\n"
            f'certificate = "{self.certificates / "relay" / "certificate.pem"}"\n'
            f'key = "{self.certificates / "relay" / "key.pem"}"\n\n'
            f'[tenants.{TENANT}]\nagent_token_hashes = ["sha256:{digest}"]\n'
        )

    def _agent_settings(self) -> str:
        return (
            f'[agent]\nname = "demo-agent"\ntenant = "{TENANT}"\ntoken_file = "agent-token"\n'
            f'relay = "https://localhost:{self.relay_port}"\nrelay_trust = "{self.relay_trust}"\n'
            f'host = "https://localhost:{self.host_port}"\n'
            f'host_trust = "{self.host_trust}"\n'
        )


def _port(wanted: int) -> int:
    """Return the wanted port where it is free, and any free one where it is not."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise Failed("There is no free port on 127.0.0.1.")


def _write_secret(path: Path, secret: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secret + "\n")
