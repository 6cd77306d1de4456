"""An installation that fails leaves what was there; nothing that is not an installation is ever replaced."""

import os
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


def test_a_folder_of_somebody_else_is_not_touched(tmp_path, install):
    folder = tmp_path / "precious"
    folder.mkdir()
    (folder / "thesis.txt").write_text("mine")
    done = install(folder)
    assert (done.returncode, "is not an installation" in done.stderr) == (1, True)
    assert (folder / "thesis.txt").read_text() == "mine"
