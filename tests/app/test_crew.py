"""The parent of real workers, in this process: what it does when one hangs, cannot be started, or takes its time."""

import asyncio
import os
import signal
import sqlite3
import ssl
import subprocess
import sys
import time
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import aiohttp
import pytest
from structlog.testing import capture_logs

from connector_host.access.lockout import LockOut
from connector_host.app import serving, supervising
from connector_host.app.keeping import open_trail
from connector_host.app.supervising import COMMAND, Crew
from connector_host.service.lifecycle import running
from connector_host.settings import load
from connector_host.workers.channel import Refused
from connector_host.workers.errors import WorkerEnded
from connector_host.workers.listening import bind, hand_out
from connector_host.workers.sharing import Shared
from connector_host.workers.supervisor import Supervisor
from tests.app.test_oversight import PERSON, add, records

SILENT = (sys.executable, "-c", "import signal; signal.pause()")
"""A program that never says a word."""


def crew_of(folder, **limits):
    """Return a crew of two, not started."""
    add(folder, "workers = 2")
    path = folder.path / "connector-host.toml"
    crew = Crew(load(path), path)
    crew.supervisor = Supervisor(2, COMMAND, crew.order, Shared(None, None, LockOut()), **limits)
    return crew


@pytest.fixture
def crew(configured):
    return crew_of(configured, silent_s=3.0)


async def test_a_worker_that_hangs_is_killed_and_replaced(crew):
    ended = asyncio.Queue()
    crew.supervisor.ended = ended.put_nowait
    try:
        assert await crew.supervisor.start() == ("Employees",)
        hung = min(crew.supervisor.processes)
        os.kill(hung, signal.SIGSTOP)
        while await ended.get() != hung:
            pass
        assert hung not in crew.supervisor.processes
    finally:
        await crew.stop()


async def until(holds):
    """Ask again and again, for there is nothing to wait for."""
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def descriptors_open():
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_a_worker_that_could_not_be_started_is_tried_again(crew):
    try:
        with capture_logs() as logged:
            await crew.supervisor.start()
            before = descriptors_open()
            crew.supervisor.command = ("/nowhere/python",)
            os.kill(min(crew.supervisor.processes), signal.SIGKILL)
            await until(lambda: "worker.not_started" in {line["event"] for line in logged})
            assert descriptors_open() < before
            crew.supervisor.command = COMMAND
            await until(lambda: len(crew.supervisor.processes) == 2)
    finally:
        await crew.stop()


@asynccontextmanager
async def answering(crew):
    """Hand out connections, keep the trail as the host does, and yield what sends a request."""
    folder, trust = crew.path.parent, ssl.create_default_context()
    trust.load_verify_locations(folder / "tls" / "authority.pem")
    headers = {"Authorization": f"Bearer {(folder / 'token').read_text().strip()}"}
    (listener,) = bind("127.0.0.1", 0)
    origin = f"https://localhost:{listener.getsockname()[1]}/ecma2host_Employees/scim"
    async with AsyncExitStack() as stack:
        stack.callback(listener.close)
        crew.supervisor.shared.trail = open_trail(stack, crew.configuration.audit)
        await stack.enter_async_context(running([partial(hand_out, listener, crew.supervisor.give)]))
        trusting = aiohttp.TCPConnector(ssl=trust)
        client = await stack.enter_async_context(aiohttp.ClientSession(headers=headers, connector=trusting))
        stack.push_async_callback(crew.supervisor.stop, 0.0)
        await crew.supervisor.start()

        async def ask(method, path, body=None):
            async with client.request(method, origin + path, json=body) as answer:
                return answer.status

        yield ask


async def test_an_export_in_hand_has_the_time_of_its_statement_however_short_stopping_may_be(configured):
    add(configured, "stop_s = 0.1")
    crew = crew_of(configured, overtime_s=0.0)
    async with answering(crew) as ask:
        with sqlite3.connect(configured.path / "contoso.sqlite", isolation_level=None) as holder:
            holder.execute("BEGIN IMMEDIATE")
            asked = asyncio.create_task(ask("POST", "/Users", PERSON))
            async with asyncio.timeout(60):
                while b'exports_in_hand{connector="Employees"} 1.0' not in await crew.metrics():  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            stopping = asyncio.create_task(crew.stop())
            await asyncio.wait({asked}, timeout=1.0)  # longer than `stop_s`: a worker that is killed cuts it off
            holder.execute("COMMIT")
        assert await asked == 201
        await stopping
    assert [one["anchor"] for one in records(configured)] == ["ada"]


async def test_a_worker_that_hangs_holds_up_nobody_who_asks_all(configured):
    crew = crew_of(configured)
    try:
        await crew.supervisor.start()
        hung = min(crew.supervisor.processes)
        os.kill(hung, signal.SIGSTOP)
        async with asyncio.timeout(30):
            answers = await crew.supervisor.ask_all("metrics", patience_s=0.5)
        assert {process for process, answer in answers.items() if isinstance(answer, Refused)} == {hung}
        assert hung in crew.supervisor.processes
        os.kill(hung, signal.SIGCONT)
    finally:
        await crew.stop()


async def test_a_worker_that_never_serves_is_given_up(configured):
    crew = crew_of(configured, begin_s=0.2)
    crew.supervisor.command = SILENT
    async with asyncio.timeout(30):
        with capture_logs() as logged, pytest.raises(WorkerEnded) as ended:
            await crew.supervisor.start()
    assert ended.value.status == -signal.SIGKILL
    assert [line["event"] for line in logged] == ["worker.not_started"]


def test_a_host_that_is_told_to_stop_while_it_starts_does_not_wait_for_its_workers(configured):
    add(configured, "workers = 2")
    with configured.start("serve", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        # Not before it is a program of its own: until then the host itself waits for it, in the kernel (vfork).
        while not (worker := children.read_text(encoding="ascii").split()) or not runs(worker[0], COMMAND):
            time.sleep(0.02)
        os.kill(int(worker[0]), signal.SIGSTOP)
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=60)
    assert (process.returncode, "host.started" in log) == (0, False), log


def runs(pid, command):
    return "\0".join(command).encode() in Path(f"/proc/{pid}/cmdline").read_bytes()


def test_a_first_worker_that_cannot_be_had_is_one_clear_line(configured, monkeypatch, capsys):
    add(configured, "workers = 2")
    monkeypatch.setattr(supervising, "COMMAND", ("/nowhere/python",))
    path = configured.path / "connector-host.toml"
    assert serving.run(load(path), path) == 75
    told = "No process could be started for worker 0 (No such file or directory)."
    assert [line for line in capsys.readouterr().err.splitlines() if not line.startswith("{")] == [
        f"connector-host: {told}"
    ]
