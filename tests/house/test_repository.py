"""What is committed is what may be published: no machine's paths, no registry's host, no key, no secret."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

FORBIDDEN = {
    "a package registry's host": re.compile(rb"(pypi|pythonhosted|npmjs)\.(org|com)|deb\.debian\.org"),
    "a path of somebody's machine": re.compile(rb"(?<![\w.])/(home|root|work)/[a-z]"),
    "a command that installs what others could publish under our name": re.compile(
        rb"connector-host\[[a-z]|pip install[ ]connector-host"
    ),
    "a private key": re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\n"),
}


def committed() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    return [path for name in listed.decode().split("\0") if name and (path := ROOT / name).is_file()]


@pytest.mark.parametrize("kind", FORBIDDEN)
def test_nothing_is_committed_that_belongs_to_one_machine(kind):
    assert [
        f"{path.relative_to(ROOT)}: {found.group()!r}"
        for path in committed()
        if (found := FORBIDDEN[kind].search(path.read_bytes()))
    ] == []


def test_the_top_level_folders_are_the_agreed_ones():
    folders = {path.relative_to(ROOT).parts[0] for path in committed() if len(path.relative_to(ROOT).parts) > 1}
    assert {folder for folder in folders if not folder.startswith(".")} <= {
        "agent",
        "certs",
        "connector_host",
        "docs",
        "scripts",
        "tests",
    }


def test_every_locked_requirement_has_a_hash():
    for path in (ROOT / "scripts" / "requirements").glob("*.txt"):
        for block in re.split(r"\n(?=[a-zA-Z0-9])", path.read_text(encoding="utf-8")):
            if "==" in block:
                assert "--hash=sha256:" in block, f"{path.name}: {block.splitlines()[0]}"
