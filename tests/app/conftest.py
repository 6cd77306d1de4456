"""A working folder with a database in it, and one in which `init` was run."""

import pytest

from tests.folders import Folder


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


@pytest.fixture
def configured(folder):
    """Return a folder in which `init` was run, on a port that is free."""
    done = folder.init("--table", "Employees", "--token-file", "token")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder
