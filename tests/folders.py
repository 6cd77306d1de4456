"""The real program, run as a person runs it, on a real database in a folder of its own."""

import contextlib
import json
import os
import signal
import sqlite3
import ssl
import subprocess
import sys
import urllib.error
import urllib.request

from click.testing import CliRunner

from connector_host.cli import main

SAMPLE = """
CREATE TABLE Employees (
    ContosoLogin TEXT NOT NULL UNIQUE, FirstName TEXT NOT NULL, LastName TEXT NOT NULL, Email TEXT,
    Active BOOLEAN NOT NULL DEFAULT 1, PasswordHash TEXT, Photo BLOB
);
INSERT INTO Employees (ContosoLogin, FirstName, LastName) VALUES ('bsimon', 'Britta', 'Simon');
CREATE TABLE Badges (Site TEXT, Number INTEGER, PRIMARY KEY (Site, Number));
CREATE TABLE Loose (Login TEXT, Name TEXT);
"""


class Folder:
    """A working folder with a database in it, and the program to run there."""

    def __init__(self, path):
        self.path = path
        with sqlite3.connect(path / "contoso.sqlite") as connection:
            connection.executescript(SAMPLE)
        connection.close()

    @property
    def url(self):
        return f"sqlite:///{self.path / 'contoso.sqlite'}"

    def start(self, *arguments, env=None, **streams):
        given = {name: value for name, value in os.environ.items() if not name.startswith("CONNECTOR_HOST")}
        command = [sys.executable, "-m", "connector_host", *map(str, arguments)]
        return subprocess.Popen(command, cwd=self.path, env=given | (env or {}), text=True, **streams)

    def run(self, *arguments, env=None, text=None):
        """Run to the end, in this process since that is quicker; return exit code, output and errors."""
        given = dict.fromkeys(name for name in os.environ if name.startswith("CONNECTOR_HOST"))
        with contextlib.chdir(self.path):
            done = CliRunner().invoke(
                main, list(map(str, arguments)), env=given | (env or {}), input=text, catch_exceptions=False
            )
        return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)

    def run_apart(self, *arguments):
        """Run to the end as a process of its own: for what sets up the whole process."""
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with self.start(*arguments, **pipes) as process:
            output, errors = process.communicate(timeout=60)
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    def serve(self, *arguments, env=None):
        """Start the host, and return it once it is ready."""
        return Serving(
            self, self.start("serve", *arguments, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        )

    def write(self, name, text):
        (self.path / name).write_text(text, encoding="utf-8")

    def init(self, *arguments, env=None):
        port = () if "--add" in arguments else ("--port", "0")
        return self.run("init", "--yes", *port, "--database-url", self.url, *arguments, env=env)

    def read(self, name):
        return (self.path / name).read_text(encoding="utf-8")


class Serving:
    """A host that runs as a process of its own; stopped where the block ends."""

    def __init__(self, folder, process):
        self.folder, self.process, self.lines = folder, process, []
        started = self.wait_for("host.started")
        self.url = started["urls"][0]
        self.origin = self.url.partition("/ecma2host_")[0]
        self.trust = ssl.create_default_context(cafile=folder.path / "tls" / "authority.pem")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def wait_for(self, event):
        """Return the next line of this event; fails where the host ends first."""
        for text in self.process.stderr:
            line = json.loads(text) if text.startswith("{") else {"event": text}
            self.lines.append(line)
            if line["event"] == event:
                return line
        raise AssertionError(f"The host ended without {event}: {self.lines}")

    def stop(self):
        """Stop it as a service manager does, and return its exit code."""
        if self.process.stderr.closed:
            return self.process.wait(timeout=30)
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        for text in self.process.stderr:
            self.lines.append(json.loads(text) if text.startswith("{") else {"event": text})
        self.process.stderr.close()
        return self.process.wait(timeout=30)

    def ask(self, method, path, body=None, *, token=None, connector="Employees", headers=()):  # noqa: PLR0913 - what one may say
        """Return status and document; a path that starts with a slash is below the connector."""
        token = self.folder.read("token").strip() if token is None else token
        url = f"{self.origin}/ecma2host_{connector}/scim{path}"
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/scim+json", **dict(headers)}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310 - our own URL
        try:
            with urllib.request.urlopen(request, context=self.trust, timeout=30) as answer:  # noqa: S310 - the same
                text = answer.read()
                return answer.status, json.loads(text) if text else None
        except urllib.error.HTTPError as failure:
            with failure:
                return failure.code, json.loads(failure.read())
