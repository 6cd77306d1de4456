"""The journal hears how serious a line is; a terminal, a file and a container do not see any mark of that."""

import json
import logging
import os
import subprocess
import sys

import pytest
import structlog

from agent import logs as agent_logs
from connector_host import journald
from connector_host.observability import logs


def journal(file):
    """Return what systemd sets for a service whose standard error is this file."""
    facts = os.fstat(file.fileno())
    return f"{facts.st_dev}:{facts.st_ino}"


@pytest.fixture
def error_log(tmp_path, monkeypatch):
    """Return a file that systemd's variable names as the journal; a test makes it its standard error."""
    with (tmp_path / "journal").open("w+") as file:
        monkeypatch.setenv("JOURNAL_STREAM", journal(file))
        yield file


@pytest.fixture(autouse=True)
def usual_logging():
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    logging.root.handlers[:], logging.root.level = handlers, level
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


def written(file):
    file.flush()
    file.seek(0)
    return file.read().splitlines()


def test_the_host_marks_each_line(error_log, monkeypatch):
    monkeypatch.setattr("sys.stderr", error_log)
    logs.configure("auto", "debug")
    log = structlog.get_logger()
    for write in (log.debug, log.info, log.warning, log.error):
        write("some.event")
    try:
        int("no number")
    except ValueError:
        log.exception("some.event")
    lines = written(error_log)
    assert [line[:3] for line in lines] == ["<7>", "<6>", "<4>", "<3>", "<3>"]
    assert json.loads(lines[0][3:])["event"] == "some.event"


def test_agent_and_relay_mark_each_line(error_log, monkeypatch):
    monkeypatch.setattr("sys.stderr", error_log)
    agent_logs.configure("json", "info")
    agent_logs.event("some.event")
    agent_logs.event("some.event", level=logging.ERROR)
    assert [line[:4] for line in written(error_log)] == ["<6>{", "<3>{"]


def test_every_line_of_a_text_is_marked(error_log):
    assert journald.spoken(error_log, "one\ntwo") == "<3>one\n<3>two"


@pytest.mark.parametrize("named", [None, "", "1:2", "nonsense"])
def test_nobody_else_sees_a_mark(tmp_path, named):
    environment = {} if named is None else {"JOURNAL_STREAM": named}
    with (tmp_path / "file").open("w") as file:
        assert not journald.reads(file, environment)


@pytest.mark.parametrize(
    "command",
    [("connector_host", "serve", "--config", "nowhere.toml"), ("agent", "run", "--config", "nowhere.toml")],
    ids=" ".join,
)
def test_why_a_service_does_not_start_is_an_error_to_the_journal(tmp_path, command):
    with (tmp_path / "journal").open("w+") as file:
        environment = os.environ | {"JOURNAL_STREAM": journal(file)}
        done = subprocess.run(
            [sys.executable, "-m", *command], cwd=tmp_path, env=environment, stderr=file, check=False, timeout=60
        )
        assert done.returncode
        assert all(line.startswith("<3>") for line in written(file))
