"""The checks that every commit passes, run as tests, so that one command says whether the tree is sound."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(sys.executable).parent

GATES = {
    "ruff finds nothing": ("ruff", "check", "."),
    "the formatter would change nothing": ("ruff", "format", "--check", "."),
    "the types hold on Linux": ("mypy",),
    # mypy keeps what it found for one platform only.
    "the types hold on Windows": ("mypy", "--platform", "win32", "--cache-dir", ".mypy_cache/win32"),
    "each room imports only rooms below it": ("lint-imports",),
}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("gate", GATES)
def test_the_tree_passes(gate):
    program, *arguments = GATES[gate]
    done = subprocess.run([PROGRAMS / program, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
