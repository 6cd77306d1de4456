"""An installation that fails leaves what was there; nothing that is not an installation is ever replaced."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "install.sh"


@pytest.fixture
def install(tmp_path):
    """Return a function that installs from wheels that are not there, so that it fails without a network."""

    def install(folder):
        (tmp_path / "wheels").mkdir(exist_ok=True)
        environment = os.environ | {
            "LINKS": str(tmp_path / "bin"),
            "WHEELS": str(tmp_path / "wheels"),
            "PYTHON": sys.executable,
        }
        return subprocess.run(
            [SCRIPT, folder], capture_output=True, text=True, check=False, env=environment, timeout=100
        )

    return install


def test_a_failed_upgrade_puts_the_old_one_back(tmp_path, install):
    folder = tmp_path / "opt"
    folder.mkdir()
    (folder / "pyvenv.cfg").write_text("home = /usr\n")
    (folder / "marker").write_text("old")
    done = install(folder)
    assert done.returncode != 0
    assert "what was there before is put back" in done.stderr
    assert (folder / "marker").read_text() == "old"
    assert not (tmp_path / "opt.old").exists()
    assert list((tmp_path / "bin").iterdir()) == []


SLOW = """#!/bin/sh
[ "$1" = -c ] && exit 0
mkdir -p "$3/bin"
printf '#!/bin/sh\\n' | tee "$3/bin/python" "$3/bin/connector-host" >"$3/bin/provisioning-agent"
chmod +x "$3"/bin/*
echo begun
exec cat
"""
"""A Python whose virtual environment takes until its input ends; whatever would come after it succeeds."""


@pytest.mark.parametrize("there", [True, False], ids=["upgrade", "first"])
@pytest.mark.parametrize(
    ("send", "code"),
    [
        (lambda pid: os.killpg(pid, signal.SIGINT), 130),
        (lambda pid: os.killpg(pid, signal.SIGTERM), 143),
        (lambda pid: os.killpg(pid, signal.SIGHUP), 129),
        (lambda pid: os.kill(pid, signal.SIGTERM), 143),
    ],
    ids=["ctrl-c", "group-terminated", "terminal-closed", "shell-terminated"],
)
def test_an_interrupted_installation_puts_the_old_one_back_and_ends(tmp_path, send, code, there):
    folder, python = tmp_path / "opt", tmp_path / "python"
    python.write_text(SLOW)
    python.chmod(0o755)
    if there:
        folder.mkdir()
        (folder / "pyvenv.cfg").write_text("home = /usr\n")
    with subprocess.Popen(
        ["env", "--default-signal", SCRIPT, folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"LINKS": str(tmp_path / "bin"), "PYTHON": str(python)},
        start_new_session=True,
    ) as process:
        assert process.stdout.readline() == b"begun\n"
        send(process.pid)
        _, said = process.communicate(timeout=60)
    assert (process.returncode, said.count(b"is put back")) == (code, 1), said
    assert [path.name for path in tmp_path.glob("opt*/*")] == ["pyvenv.cfg"] * there
    assert not (tmp_path / "opt.old").exists()
    assert list((tmp_path / "bin").iterdir()) == []


def test_a_folder_of_somebody_else_is_not_touched(tmp_path, install):
    folder = tmp_path / "precious"
    folder.mkdir()
    (folder / "thesis.txt").write_text("mine")
    done = install(folder)
    assert (done.returncode, "is not an installation" in done.stderr) == (1, True)
    assert (folder / "thesis.txt").read_text() == "mine"
