"""How lines of the log become JSON and reach standard error, for host and agent alike."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from connector_host.log_lines import to_json

UNREAD = """
import asyncio

class Counting(asyncio.SelectorEventLoop):
    turns = 0

    def _run_once(self):
        self.turns += 1
        super()._run_once()

async def work():
    for _ in range(3):
        say()
        await asyncio.sleep(0.05)

loop = Counting()
loop.run_until_complete(work())
print(loop.turns < 50)
"""
LOGS = {
    "host": "import structlog\nfrom connector_host.observability import logs\nlogs.configure('json')\n"
    "say = lambda: structlog.get_logger().warning('e')\n",
    "agent": "from agent import logs\nlogs.configure('json', 'info')\nsay = lambda: logs.event('e')\n",
}


def test_a_line_is_one_json_object_and_tells_what_json_does_not_know_by_its_words():
    line = {"event": "e", "file": Path("/a"), "letters": "é\n", "status": 201}
    assert to_json(line) == '{"event":"e","file":"/a","letters":"é\\n","status":201}'


@pytest.mark.skipif(sys.platform == "win32", reason="names are Unicode there")
def test_the_name_of_a_file_that_is_no_utf_8_is_logged_and_fails_nobody():
    name = os.fsdecode(b"/etc/caf\xe9.pem")
    assert json.loads(to_json({"event": "e", "file": name})) == {"event": "e", "file": name}


@pytest.mark.parametrize("whose", LOGS)
def test_a_log_that_nobody_reads_any_more_costs_nothing(whose):
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-c", LOGS[whose] + UNREAD], stdout=subprocess.PIPE, stderr=writing, text=True, check=False
        )
    finally:
        os.close(writing)
    assert done.stdout.split() == ["True"]
