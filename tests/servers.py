"""Private, throw-away servers for the tests: real programs on free loopback ports, as root or as anybody.

PostgreSQL and MariaDB refuse to run as root, so there each server drops to the user that Debian made for it. Each dies
with the process that started it (PR_SET_PDEATHSIG), so neither Ctrl-C nor kill -9 leaves one.
"""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import psycopg
import pymysql

from connector_host.tls.issuing import issue_authority, issue_leaf
from tests import memory

if TYPE_CHECKING:
    from collections.abc import Iterator

PASSWORD = "p@ss/w%rd:{1};x"
"""Awkward on purpose: quoting mistakes in URLs and ODBC strings show at once."""

START_S = 60.0


class Missing(Exception):
    """The server's program is not installed; the text names the Debian package."""


class Server(ABC):
    """One server process in a folder of its own."""

    name: ClassVar[str]
    account: ClassVar[str]
    stop_signal: ClassVar[signal.Signals]
    in_memory: ClassVar[bool] = False
    host = "127.0.0.1"
    user = "scim"
    password = PASSWORD

    def __init__(self) -> None:
        self.program = self.find()
        self._place = memory.Folder(f"test-{self.name}-", memory.memory() if self.in_memory else None)
        self.folder = self._place.path
        self.port = _free_port()
        self._numbers = itertools.count(1)
        self._process: subprocess.Popen[bytes] | None = None
        if os.geteuid() == 0:
            owner = pwd.getpwnam(self.account)
            os.chown(self.folder, owner.pw_uid, owner.pw_gid)
        self.prepare()
        self.start()

    @abstractmethod
    def find(self) -> Path:
        """Return the server's program, or raise Missing."""

    @abstractmethod
    def prepare(self) -> None:
        """Make the data folder."""

    @abstractmethod
    def command(self) -> list[str]:
        """Return the command line that serves in the foreground."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether somebody can log in."""

    def start(self) -> None:
        """Start the process and wait until it answers."""
        log = (self.folder / "server.log").open("ab")
        self._process = subprocess.Popen(
            _unprivileged(self.account, self.command()), stdout=log, stderr=log, cwd=self.folder, start_new_session=True
        )
        log.close()
        deadline = time.monotonic() + START_S
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                reason = f"{self.name} did not start:\n{self._log_tail()}"
                self.kill()
                self._place.remove()
                raise RuntimeError(reason)
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop the process in an orderly way."""
        self._end(self.stop_signal)

    def kill(self) -> None:
        """End the process, and all that it started, as a power cut would."""
        self._end(signal.SIGKILL)

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Let it answer nobody for the length of a block, as where a disk hangs; it takes what is sent."""
        if self._process is None:
            raise Missing("the server does not run")
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def remove(self) -> None:
        """Stop and leave nothing behind."""
        self.stop()
        self._place.remove()

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        if self._process.poll() is None and number is signal.SIGKILL:
            _kill_all(self._process.pid)
        elif self._process.poll() is None:
            self._process.send_signal(number)
        self._process.wait(timeout=START_S)
        self._process = None

    def _log_tail(self) -> str:
        return (self.folder / "server.log").read_text(errors="replace")[-2000:]


class DatabaseServer(Server):
    """A server of databases; `database()` makes a fresh, empty one."""

    @abstractmethod
    def execute(self, statement: str) -> None:
        """Run one statement as the administrator, outside of any database of a test."""

    def database(self) -> str:
        """Make a fresh, empty database and return its name."""
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return name


class PostgreSQL(DatabaseServer):
    """A PostgreSQL cluster; `scim` is its superuser."""

    name = "postgresql"
    account = "postgres"
    stop_signal = signal.SIGINT

    def find(self) -> Path:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[4]))
        if on_path := shutil.which("postgres"):
            found.append(Path(on_path))
        if not found:
            raise Missing("PostgreSQL is not installed (Debian: apt-get install postgresql)")
        return found[-1]

    def prepare(self) -> None:
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        initdb = [str(self.program.with_name("initdb")), "-D", str(self.folder / "data"), "-U", self.user]
        initdb += ["--auth=scram-sha-256", f"--pwfile={secret}", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
        _prepare(self.account, initdb, self.folder)
        secret.unlink()

    def command(self) -> list[str]:
        settings = {"listen_addresses": self.host, "unix_socket_directories": str(self.folder), "fsync": "off"}
        # A server that is killed leaves nothing in /dev/shm, which is small in many containers.
        settings |= {"dynamic_shared_memory_type": "mmap"}
        settings |= {"port": str(self.port), "max_connections": "200", "track_commit_timestamp": "on"}
        options = itertools.chain.from_iterable(("-c", f"{key}={value}") for key, value in settings.items())
        return [str(self.program), "-D", str(self.folder / "data"), *options]

    def answers(self) -> bool:
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def connect(self, database: str = "postgres") -> psycopg.Connection[tuple[object, ...]]:
        """Return a connection of the administrator that commits each statement."""
        return psycopg.connect(
            host=self.host, port=self.port, user=self.user, password=PASSWORD, dbname=database, autocommit=True
        )

    def execute(self, statement: str) -> None:
        with self.connect() as connection:
            connection.execute(statement)


class PgBouncer(Server):
    """A pooler before one database of a PostgreSQL server, which is called by how long it keeps a session for one."""

    name = "pgbouncer"
    account = "postgres"
    stop_signal = signal.SIGINT

    def __init__(self, behind: PostgreSQL, database: str) -> None:
        self._target = f"host={behind.host} port={behind.port} dbname={database}"
        super().__init__()

    def find(self) -> Path:
        return _daemon("pgbouncer", "pgbouncer")

    def prepare(self) -> None:
        users = self.folder / "users"
        users.write_text(f'"{self.user}" "{PASSWORD}"\n')
        users.chmod(0o644)
        (self.folder / "pgbouncer.ini").write_text(
            f"[databases]\ntransaction = {self._target} pool_mode=transaction\n"
            f"session = {self._target} pool_mode=session\n"
            f"[pgbouncer]\nlisten_addr = {self.host}\nlisten_port = {self.port}\nunix_socket_dir =\n"
            f"auth_type = plain\nauth_file = {users}\nserver_round_robin = 1\n"
        )

    def command(self) -> list[str]:
        return [str(self.program), str(self.folder / "pgbouncer.ini")]

    def answers(self) -> bool:
        try:
            socket.create_connection((self.host, self.port), 1).close()
        except OSError:
            return False
        return True

    def url(self, pool: str) -> str:
        """Return the URL, without a password, of the database in one of the two pools."""
        return f"postgresql://{self.user}@{self.host}:{self.port}/{pool}"


class MariaDB(DatabaseServer):
    """A MariaDB server; `scim` may do everything."""

    name = "mariadb"
    account = "mysql"
    stop_signal = signal.SIGTERM
    # Each change of a table waits for the disk several times, whatever the settings say.
    in_memory = True

    def find(self) -> Path:
        return _daemon("mariadbd", "mariadb-server", "MariaDB")

    def prepare(self) -> None:
        install = shutil.which("mariadb-install-db")
        if install is None:
            raise Missing("mariadb-install-db is not installed (Debian: apt-get install mariadb-server)")
        command = [install, "--no-defaults", f"--datadir={self.folder / 'data'}", "--skip-test-db"]
        # A server that starts removes the temporary tables that it finds, and another one's if both have one folder.
        command += ["--auth-root-authentication-method=normal", f"--tmpdir={self.folder}"]
        _prepare(self.account, command, self.folder)
        (self.folder / "init.sql").write_text(
            f"CREATE USER IF NOT EXISTS '{self.user}'@'%' IDENTIFIED BY '{PASSWORD}';\n"
            f"GRANT ALL PRIVILEGES ON *.* TO '{self.user}'@'%' WITH GRANT OPTION;\n",
            encoding="utf-8",
        )

    def command(self) -> list[str]:
        options = {"datadir": self.folder / "data", "socket": self.folder / "socket", "pid-file": self.folder / "pid"}
        options |= {"tmpdir": self.folder}
        options |= {"port": self.port, "bind-address": self.host, "init-file": self.folder / "init.sql"}
        options |= {"innodb-flush-log-at-trx-commit": 0, "innodb-buffer-pool-size": "64M", "max-connections": 200}
        options |= {"debug-no-sync": 1, "character-set-server": "utf8mb4", "default-time-zone": "+02:00"}
        return [str(self.program), "--no-defaults", *(f"--{key}={value}" for key, value in options.items())]

    def answers(self) -> bool:
        try:
            self.connect().close()
        except (pymysql.err.OperationalError, OSError):
            return False
        return True

    def connect(self, database: str | None = None) -> pymysql.Connection:
        """Return a connection of the administrator that commits each statement."""
        return pymysql.connect(
            host=self.host,
            port=self.port,
            user=self.user,
            password=PASSWORD,
            database=database,
            autocommit=True,
            charset="utf8mb4",
            # Else each connection reads all authorities of the machine, which takes longer than all that tests ask.
            ssl_disabled=True,
        )

    def execute(self, statement: str) -> None:
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute(statement)


class NATS(Server):
    """A NATS server that speaks TLS only; `authority` is what its certificate comes from."""

    name = "nats"
    account = "nats"
    stop_signal = signal.SIGTERM

    def find(self) -> Path:
        return _daemon("nats-server", "nats-server")

    @property
    def url(self) -> str:
        return f"tls://localhost:{self.port}"

    @property
    def authority(self) -> Path:
        return self.folder / "authority.pem"

    def prepare(self) -> None:
        now = datetime.now(UTC)
        authority = issue_authority("test authority of NATS", now)
        leaf = issue_leaf(authority, "localhost", now)
        files = {"authority.pem": authority.certificate_pem, "cert.pem": leaf.certificate_pem, "key.pem": leaf.key_pem}
        for name, content in files.items():
            (self.folder / name).write_bytes(content)
            (self.folder / name).chmod(0o644)
        (self.folder / "nats.conf").write_text(
            f"listen: {self.host}:{self.port}\n"
            f"{self.logins()}\n"
            f'tls {{ cert_file: "{self.folder / "cert.pem"}", key_file: "{self.folder / "key.pem"}" }}\n'
        )

    def logins(self) -> str:
        """Return who may come in, as the configuration says it."""
        return f'authorization {{ user: {self.user}, password: "{self.password}" }}'

    def command(self) -> list[str]:
        return [str(self.program), "--config", str(self.folder / "nats.conf")]

    def answers(self) -> bool:
        try:
            with socket.create_connection((self.host, self.port), 1) as connection:
                return connection.recv(4) == b"INFO"
        except OSError:
            return False


def _daemon(program: str, package: str, name: str = "") -> Path:
    """Return a program that Debian keeps out of the way of users, or raise Missing."""
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise Missing(f"{name or program} is not installed (Debian: apt-get install {package})")
    return Path(found)


def _unprivileged(account: str, command: list[str]) -> list[str]:
    """Return the command so that it ends with us, and runs as `account` where we are root."""
    setpriv = ["setpriv", "--pdeathsig", "KILL"]
    if os.geteuid() == 0:
        owner = pwd.getpwnam(account)
        setpriv += [f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups"]
    return [*setpriv, *command]


def _prepare(account: str, command: list[str], folder: Path) -> None:
    """Run what makes a server's data, or raise RuntimeError with all that it said."""
    done = subprocess.run(_unprivileged(account, command), capture_output=True, cwd=folder, check=False)
    if done.returncode:
        said = (done.stdout + done.stderr).decode(errors="replace")
        raise RuntimeError(f"{command[0]} ended with {done.returncode}:\n{said}")


def _kill_all(leader: int) -> None:
    """End a server's processes: PostgreSQL's have groups of their own, and answer for a moment without the first."""
    children = Path(f"/proc/{leader}/task/{leader}/children").read_text().split()
    os.killpg(leader, signal.SIGKILL)
    for child in children:
        with suppress(ProcessLookupError):
            os.kill(int(child), signal.SIGKILL)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
