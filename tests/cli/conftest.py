"""The real program, run as a person runs it, on a real database in a folder of its own."""

import contextlib
import os
import sqlite3
import subprocess
import sys

import pytest
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

    def run(self, *arguments, env=None):
        """Run to the end, in this process since that is quicker; return exit code, output and errors."""
        given = dict.fromkeys(name for name in os.environ if name.startswith("CONNECTOR_HOST"))
        with contextlib.chdir(self.path):
            done = CliRunner().invoke(main, list(map(str, arguments)), env=given | (env or {}), catch_exceptions=False)
        return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)

    def run_apart(self, *arguments):
        """Run to the end as a process of its own: for what sets up the whole process."""
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with self.start(*arguments, **pipes) as process:
            output, errors = process.communicate(timeout=60)
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    def init(self, *arguments, env=None):
        return self.run("init", "--yes", "--port", "0", "--database-url", self.url, *arguments, env=env)

    def read(self, name):
        return (self.path / name).read_text(encoding="utf-8")


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


@pytest.fixture
def configured(folder):
    """Return a folder in which `init` was run, on a port that is free."""
    done = folder.init("--table", "Employees", "--token-file", "token")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder
