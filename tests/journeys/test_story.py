"""The README's first command does what it says, and fails when the product does not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from chain import Chain, Failed

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def story():
    return subprocess.run(
        [sys.executable, ROOT / "scripts" / "demo"], capture_output=True, text=True, check=False, timeout=110
    )


def test_every_step_does_what_it_says(story):
    assert story.returncode == 0, story.stdout + story.stderr
    assert "Every step did what it said." in story.stdout


@pytest.mark.parametrize(
    "line",
    [
        "created chloe.martin@contoso.com",
        "matched alice.keller@contoso.com, updated (department, title, country)",
        "updated chloe.martin@contoso.com (familyName)",
        "disabled dai.nakamura@contoso.com (active)",
        "deleted gabriela.souza@contoso.com",
        "changing the anchor (userName)",
        "setting a manager (a reference)",
        "creating a user with a password",
    ],
)
def test_the_step_is_told(story, line):
    assert line in story.stdout


def test_it_says_where_to_go_on(story):
    assert "/t/demo/ecma2host_HR/scim" in story.stdout
    assert "scim-token" in story.stdout
    assert "--keep" in story.stdout


def test_it_leaves_no_program_behind(story):
    running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(ROOT / ".demo") not in running


def test_a_second_run_leaves_the_first_one_alone(tmp_path):
    with Chain(tmp_path / "run", tmp_path / "certs") as first:
        first.prepare()
        with Chain(first.folder, first.certificates) as second, pytest.raises(Failed, match="Another run is up"):
            second.prepare()
        assert first.database.exists()
        assert first.relay_trust.exists()
