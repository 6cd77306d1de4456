"""No locked requirement has a known vulnerability, as pip-audit is told; without an answer this skips and says so.

Whether the advisory service can be reached is no property of the tree, so even with CI=true a skip is no failure.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(sys.executable).parent / "pip-audit"
LOCKED = sorted((ROOT / "scripts" / "requirements").glob("*.txt"))


def judge(code, output, complaint):
    """Return what is vulnerable; skips where nobody said anything about any of the packages."""
    try:
        packages = json.loads(output)["dependencies"]
    except (ValueError, KeyError):
        last = (complaint.strip().splitlines() or ["nothing"])[-1]
        pytest.skip(f"The advisory service cannot be asked: pip-audit ended with code {code} and said: {last}")
    asked = [package for package in packages if "vulns" in package]
    if packages and not asked:
        pytest.skip(f"The advisory service does not answer here: {packages[0]['skip_reason']}")
    return [f"{package['name']} {package['version']}: {one['id']}" for package in asked for one in package["vulns"]]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("file", LOCKED, ids=lambda file: file.stem)
def test_no_locked_requirement_is_known_to_be_vulnerable(file):
    command = [PROGRAM, "--disable-pip", "--require-hashes", "--progress-spinner", "off", "--timeout", "10"]
    try:
        done = subprocess.run(
            [*command, "--format", "json", "--requirement", file],
            capture_output=True, text=True, check=False, timeout=240,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        pytest.skip("The advisory service does not answer in time.")
    assert judge(done.returncode, done.stdout, done.stderr) == []


def test_a_vulnerability_is_named():
    told = {
        "dependencies": [
            {"name": "sample", "version": "1.0", "vulns": [{"id": "PYSEC-1"}]},
            {"name": "other", "skip_reason": "unknown"},
        ]
    }
    assert judge(1, json.dumps(told), "") == ["sample 1.0: PYSEC-1"]


@pytest.mark.parametrize(
    ("output", "complaint"),
    [("", "ConnectionError: no route"), ('{"dependencies": [{"name": "a", "skip_reason": "not found"}]}', "")],
)
def test_no_answer_is_no_verdict(output, complaint):
    with pytest.raises(pytest.skip.Exception, match=r"no route|not found"):
        judge(1, output, complaint)
