"""An installation that fails leaves what was there; nothing that is not an installation is ever replaced.

The script runs in a small checkout of its own: a real one would fetch and install some fifty packages, which takes
minutes. That it holds what a fresh system needs is seen by running it there by hand.
"""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "install.sh"

BACKEND = """
import pathlib, zipfile

SCRIPTS = "[console_scripts]\\nconnector-host = program:main\\nprovisioning-agent = program:main\\n"

def wheel(folder, name, code):
    info, file = f"{name}-1.dist-info/", f"{name}-1-py3-none-any.whl"
    with zipfile.ZipFile(pathlib.Path(folder, file), "w") as made:
        made.writestr(f"{name}.py", code)
        made.writestr(info + "METADATA", f"Metadata-Version: 2.1\\nName: {name}\\nVersion: 1\\n")
        made.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        made.writestr(info + "entry_points.txt", SCRIPTS if name == "program" else "")
        made.writestr(info + "RECORD", "")
    return file

def build_wheel(folder, config_settings=None, metadata_directory=None):
    return wheel(folder, "program", pathlib.Path("program.txt").read_text())
"""
PROJECT = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'


class Checkout:
    """The script beside a project of one module that needs one package, which lies there as a wheel."""

    def __init__(self, folder):
        self.folder, self.wheels, self.links = folder / "checkout", folder / "wheels", folder / "bin"
        (self.folder / "scripts/requirements").mkdir(parents=True)
        self.wheels.mkdir()
        shutil.copy(SCRIPT, self.folder / "scripts")
        (self.folder / "pyproject.toml").write_text(PROJECT)
        (self.folder / "backend.py").write_text(BACKEND)
        self.bring("first")
        exec(BACKEND, made := {})  # noqa: S102 - the text above
        made["wheel"](self.wheels, "needed", "")
        digest = hashlib.sha256((self.wheels / "needed-1-py3-none-any.whl").read_bytes()).hexdigest()
        (self.folder / "scripts/requirements/install.txt").write_text(f"needed==1 --hash=sha256:{digest}\n")

    def bring(self, version):
        """Have the programs say another version."""
        (self.folder / "program.txt").write_text(f"import needed\ndef main():\n    print('{version}')\n")

    def alter(self):
        """Exchange the package for another one of the same name and version."""
        exec(BACKEND, made := {})  # noqa: S102 - the text above
        made["wheel"](self.wheels, "needed", "altered = True")

    def install(self, folder):
        environment = os.environ | {"LINKS": str(self.links), "WHEELS": str(self.wheels), "PYTHON": sys.executable}
        script = self.folder / "scripts" / SCRIPT.name
        return subprocess.run(
            [script, folder], capture_output=True, text=True, check=False, env=environment, timeout=100
        )

    def said(self, program):
        return subprocess.run([self.links / program], capture_output=True, text=True, check=True, timeout=60).stdout


@pytest.fixture
def checkout(tmp_path):
    return Checkout(tmp_path)


def test_programs_are_installed_and_upgraded_and_the_old_ones_kept(tmp_path, checkout):
    for version in ("first", "second"):
        checkout.bring(version)
        done = checkout.install(tmp_path / "opt")
        assert (done.returncode, f"{version} is installed in {tmp_path / 'opt'}" in done.stdout) == (0, True), done
        assert {checkout.said(program) for program in ("connector-host", "provisioning-agent")} == {f"{version}\n"}
    assert (tmp_path / "opt.old" / "pyvenv.cfg").exists()


def test_a_failed_upgrade_puts_the_old_one_back(tmp_path, checkout):
    folder = tmp_path / "opt"
    folder.mkdir()
    (folder / "pyvenv.cfg").write_text("home = /usr\n")
    (folder / "marker").write_text("old")
    checkout.alter()
    done = checkout.install(folder)
    assert done.returncode != 0
    assert "DO NOT MATCH THE HASHES" in done.stderr
    assert "what was there before is put back" in done.stderr
    assert (folder / "marker").read_text() == "old"
    assert not (tmp_path / "opt.old").exists()
    assert list(checkout.links.iterdir()) == []


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


def test_a_folder_of_somebody_else_is_not_touched(tmp_path, checkout):
    folder = tmp_path / "precious"
    folder.mkdir()
    (folder / "thesis.txt").write_text("mine")
    done = checkout.install(folder)
    assert (done.returncode, "is not an installation" in done.stderr) == (1, True)
    assert (folder / "thesis.txt").read_text() == "mine"
