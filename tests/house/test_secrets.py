"""No committed file holds a secret, as detect-secrets sees it; what it mistakes for one is listed with the reason.

Its keyword detector is left out: ruff's S105 to S107 look for spelled-out passwords. What only looks random (hashes,
fingerprints) is looked for outside of tests and lock files, which are full of it.
"""

import functools
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(sys.executable).parent / "detect-secrets"
FULL_OF_IT = ("tests", "scripts/requirements")
ELSEWHERE = (".", ":!tests", ":!scripts/requirements")
KNOWN = ("--disable-plugin", "Base64HighEntropyString", "--disable-plugin", "HexHighEntropyString")

REVIEWED = {
    ("connector_host/tls/files.py", "Private Key"): "the header by which a key is told from a certificate",
    ("tests/agent/outbound/test_proxies.py", "Basic Auth Credentials"): "made-up proxies",
    ("tests/agent/relay/test_store.py", "Basic Auth Credentials"): "a made-up database URL",
    ("tests/agent/test_settings.py", "Basic Auth Credentials"): "made-up URLs of relays and proxies",
    ("tests/cli/test_commands.py", "Basic Auth Credentials"): "a made-up database URL",
    ("tests/connectors/test_vendors.py", "Basic Auth Credentials"): "made-up database URLs",
    ("tests/doctor/test_doctor.py", "Basic Auth Credentials"): "made-up relay URLs",
    ("tests/provisioning/test_new.py", "Basic Auth Credentials"): "a made-up database URL",
    ("tests/provisioning/test_settings.py", "Basic Auth Credentials"): "a made-up SCIM URL",
    ("tests/setup/test_showing.py", "Basic Auth Credentials"): "made-up database URLs",
    ("tests/setup/test_access.py", "Basic Auth Credentials"): "made-up database URLs",
}


# A scan takes a while on a machine that is busy, and two tests look at the same ones.
pytestmark = pytest.mark.timeout(300)


@functools.cache
def findings(folder, options=(), only=(".",)):
    listed = subprocess.run(["git", "ls-files", "-z", "--", *only], cwd=folder, capture_output=True, check=True).stdout
    files = [name for name in listed.decode().split("\0") if name and (folder / name).is_file()]
    command = [PROGRAM, "scan", "--no-verify", "--disable-plugin", "KeywordDetector", *options, *files]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    results = json.loads(done.stdout)["results"]
    return {(name, found["type"]): found["line_number"] for name in results for found in results[name]}


SCANS = {"full of what looks random": (KNOWN, FULL_OF_IT), "elsewhere": ((), ELSEWHERE)}


@pytest.mark.parametrize("scan", SCANS.values(), ids=SCANS.keys())
def test_no_secret_is_committed(scan):
    assert {found: line for found, line in findings(ROOT, *scan).items() if found not in REVIEWED} == {}


def test_every_reviewed_finding_is_still_there():
    assert set(REVIEWED) - {found for scan in SCANS.values() for found in findings(ROOT, *scan)} == set()


def test_a_secret_would_be_found(tmp_path):
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    (tmp_path / "notes.txt").write_text("ghp_" + "aB3" * 12 + "\n")
    subprocess.run(["git", "add", "notes.txt"], cwd=tmp_path, check=True)
    assert set(findings(tmp_path)) >= {("notes.txt", "GitHub Token")}
