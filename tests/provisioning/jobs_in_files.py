"""A configuration file with one job, and the program run on it as a person or a service would."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = Path(sys.executable).parent / "connector-host"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

FILE = """
[provisioning]
state = {state}

[jobs.staff]
enabled_attribute = "enabled"
accidental_deletions = {threshold}
source = {{ type = "csv", path = "people.csv", key = "id" }}
target = {{ url = {url}, token_file = {token}, trust = {trust}, concurrency = {concurrency} }}

[[jobs.staff.mappings]]
target = "userName"
source = "login"
match = 1

[[jobs.staff.mappings]]
target = "name.givenName"
source = "given"

[[jobs.staff.mappings]]
target = "name.familyName"
type = "expression"
expression = "ToUpper([family])"

[[jobs.staff.mappings]]
target = 'emails[type eq "work"].value'
source = "mail"

[[jobs.staff.mappings]]
target = "{enterprise}:department"
source = "department"
"""


def write(folder: Path, url: str, token: Path, trust: Path, **changes: object) -> Path:
    """Write the configuration and return where it is; `state`, `threshold` and `concurrency` may be changed."""
    path = folder / "jobs.toml"
    usual = {"state": "sqlite:///state.sqlite", "threshold": 100, "concurrency": 8}
    values = {"url": url, "token": str(token), "trust": str(trust)} | usual | changes
    quoted = {name: json.dumps(value) for name, value in values.items()}
    path.write_text(FILE.format(**quoted, enterprise=ENTERPRISE))
    return path


def write_job(folder: Path, *, state: str = "sqlite:///state.sqlite", **job: object) -> Path:
    """Write a configuration with this job in it and return where it is."""
    path = folder / "jobs.toml"
    lines = ["[provisioning]", f"state = {json.dumps(state)}", "[jobs.staff]"]
    path.write_text("\n".join([*lines, *(f"{name} = {_inline(value)}" for name, value in job.items())]))
    return path


def _inline(value: object) -> str:
    match value:
        case dict():
            return "{ " + ", ".join(f"{name} = {_inline(part)}" for name, part in value.items()) + " }"
        case list() | tuple():
            return "[" + ", ".join(map(_inline, value)) + "]"
    return json.dumps(value)


def command(config: Path, *arguments: object) -> list[str]:
    return [str(PROGRAM), "provision", *map(str, arguments), "--config", str(config)]


def run(config: Path, *arguments: object, within_s: float = 300) -> subprocess.CompletedProcess[str]:
    """Run a command of `connector-host provision` to its end."""
    return subprocess.run(command(config, *arguments), capture_output=True, text=True, check=False, timeout=within_s)


async def run_beside(config: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """The same, while this process serves what the command talks to."""
    return await asyncio.to_thread(run, config, *arguments)


@contextmanager
def running(config: Path, *arguments: object) -> Iterator[subprocess.Popen[bytes]]:
    """Start a command that goes on; what is left of it at the end of the block is killed, whatever the block met."""
    process = subprocess.Popen(command(config, *arguments), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        if process.poll() is None:
            kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a process as a crash would."""
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
