"""What the account may not read is told in one line with the mend, by whatever command meets it; nothing is a trace."""

import os
import subprocess
import sys

import pytest

AS_ANYBODY = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search")
"""Root without the right to read what the mode of a file forbids to its owner."""


def run(folder, *arguments):
    command = [*(AS_ANYBODY if os.geteuid() == 0 else ()), sys.executable, "-m", "connector_host", *arguments]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CONNECTOR_HOST")}
    pipes = {"capture_output": True, "text": True, "timeout": 60}
    done = subprocess.run(command, check=False, cwd=folder.path, env=environment, **pipes)
    assert "Traceback" not in done.stdout + done.stderr
    return done


@pytest.fixture
def hidden(configured):
    """Take the rights from one path, and give them back so that the folder can be removed."""
    taken = []

    def hide(name):
        path = configured.path / name
        path.mkdir(exist_ok=True) if name == "state" else None
        taken.append((path, path.stat().st_mode))
        path.chmod(0)
        return configured

    yield hide
    for path, mode in taken:
        path.chmod(mode)


@pytest.mark.parametrize(
    ("name", "fact", "mend"),
    [
        ("connector-host.toml", "connector-host.toml: cannot be read", "Let the account"),
        ("tls/key.pem", "key.pem may not be read by this account", "Let the account"),
        ("tls", "certificate.pem may not be read by this account", "Let the account"),
        ("Employees.tokens", "the tokens in it cannot be read", "Let the account"),
        ("state", "state cannot be written by this account", "Let the account"),
    ],
)
def test_the_check_says_what_this_account_may_not_read(hidden, name, fact, mend):
    done = run(hidden(name), "check")
    said = done.stdout + done.stderr
    assert (done.returncode, fact in said, mend in said, "--accept-types" in said) == (1, True, True, False), said


def test_types_that_cannot_be_taken_away_are_told_in_a_line(hidden):
    done = run(hidden("state"), "check", "--accept-types")
    assert (done.returncode, "cannot be taken away (Permission denied)" in done.stderr) == (1, True), done.stderr


def test_a_configuration_that_may_not_be_read_is_no_reason_to_start_again(hidden):
    done = run(hidden("connector-host.toml"), "serve")
    assert (done.returncode, len(done.stderr.splitlines())) == (78, 1), done.stderr


@pytest.mark.parametrize("command", ["verify", "show"])
def test_an_audit_trail_that_may_not_be_read_is_no_empty_one(hidden, command):
    done = run(hidden("state"), "audit", command)
    assert (done.returncode, "cannot be read (Permission denied)" in done.stderr) == (1, True), done


def test_the_bundle_says_that_the_audit_trail_may_not_be_read(hidden):
    folder = hidden("state")
    done = run(folder, "doctor", "--bundle", "help.zip")
    assert done.returncode == 1
    assert "help.zip is written" in done.stdout


def test_a_state_folder_that_may_not_be_looked_into_may_hold_a_record_of_writes_and_is_tried_again(hidden):
    done = run(hidden("state"), "serve")
    assert done.returncode == 75
    [line] = done.stderr.splitlines()
    assert "outcomes.sqlite3 says which writes were carried out, and cannot be opened (" in line
