"""The real programs: they say when they are ready, carry requests, and stop in peace."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from pathlib import Path

import pytest
from aiohttp import web

from agent.cli import EXIT_CONFIGURATION, main
from tests.agent.chain import TOKEN, USERS, token_hash


async def start(*arguments, before=()):
    command = (*before, sys.executable, "-m", "agent.cli", *arguments)
    return await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)


async def wait_for(process, event):
    """Return the fields of the first event of this name in the program's log."""
    async with asyncio.timeout(15):
        while line := await process.stderr.readline():
            fields = json.loads(line)
            if fields["event"] == event:
                return fields
    pytest.fail(f"{event} never came")


async def end(process, number=signal.SIGTERM):
    process.send_signal(number)
    _, log = await asyncio.wait_for(process.communicate(), 15)
    return process.returncode, [json.loads(line)["event"] for line in log.splitlines()]


@pytest.fixture
def relay_file(tmp_path, papers):
    path = tmp_path / "relay.toml"
    path.write_text(f"""
[relay]
certificate = "{papers.certificate}"
key = "{papers.key}"
port = 0
[tenants.acme]
agent_token_hashes = ["{token_hash(TOKEN)}"]
""")
    return path


def agent_file(tmp_path, papers, relay_url, host_url, more=""):
    (tmp_path / "token").write_text(TOKEN + "\n")
    path = tmp_path / "agent.toml"
    path.write_text(f"""
[agent]
relay = "{relay_url}"
tenant = "acme"
token_file = "token"
relay_trust = "{papers.authority}"
host = "{host_url}"
host_trust = "{papers.authority}"
{more}
""")
    return path


async def test_relay_and_agent_carry_a_request_and_stop_in_peace(tmp_path, papers, relay_file, host, client):
    relay = await start("relay", "--config", str(relay_file))
    ready = await wait_for(relay, "relay.ready")
    assert ready["url"] == f"https://localhost:{ready['port']}"
    agent = await start("run", "--config", str(agent_file(tmp_path, papers, ready["url"], host.url)))
    await wait_for(agent, "link.connected")
    await wait_for(relay, "link.connected")
    async with client.get(f"{ready['url']}/t/acme{USERS}") as response:
        assert response.status == 200
    # Under nohup the agent would take that at its word, too.
    is_heard = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
    status, log = await end(agent, signal.SIGHUP if is_heard else signal.SIGTERM)
    assert (status, log[-1]) == (0, "agent.stopped")
    status, log = await end(relay, signal.SIGINT)
    assert (status, log[-1]) == (0, "relay.stopped")


@pytest.mark.parametrize(("compression", "pause_s"), [("off", 0.003), ("on", 0)])
async def test_a_long_answer_passes_in_little_memory(  # noqa: PLR0913, PLR0917 - five fixtures make one chain
    tmp_path, papers, relay_file, host, client, compression, pause_s
):
    async def answer(request):
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(100):
            await response.write(b"m" * 1_000_000)
        return response

    host.answer = answer
    relay = await start("relay", "--config", str(relay_file))
    url = (await wait_for(relay, "relay.ready"))["url"]
    config = agent_file(tmp_path, papers, url, host.url, f'compression = "{compression}"')
    agent = await start("run", "--config", str(config))
    await wait_for(relay, "link.connected")
    before = {process.pid: peak_mib(process.pid) for process in (relay, agent)}
    size = 0
    async with client.get(f"{url}/t/acme{USERS}") as response:
        async for data in response.content.iter_any():
            size += len(data)
            await asyncio.sleep(pause_s)
    assert size == 100_000_000
    for process in (agent, relay):
        assert peak_mib(process.pid) - before[process.pid] < 16
        assert peak_mib(process.pid) < 80
        await end(process)


def peak_mib(pid):
    """Return the most memory that the process ever held."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) / 1024


async def test_a_relay_that_cannot_listen_says_so_in_one_line(relay_file):
    relay_file.write_text(relay_file.read_text().replace("port = 0", 'port = 0\nlisten = "hr..example"'))
    relay = await start("relay", "--config", str(relay_file))
    _, words = await asyncio.wait_for(relay.communicate(), 15)
    assert (relay.returncode, b"Traceback" in words) == (2, False)
    assert b"relay.listen and relay.port: hr..example:0 cannot be opened" in words


async def test_a_relay_does_not_start_with_a_certificate_for_another_name(relay_file):
    relay_file.write_text(relay_file.read_text().replace("port = 0", 'port = 0\nname = "relay.example.org"'))
    relay = await start("relay", "--config", str(relay_file))
    _, words = await asyncio.wait_for(relay.communicate(), 15)
    assert relay.returncode == 2
    assert b"not for relay.example.org" in words


async def test_a_configuration_that_is_missing_ends_with_2_and_a_sentence(tmp_path):
    agent = await start("run", "--config", str(tmp_path / "absent.toml"))
    _, words = await asyncio.wait_for(agent.communicate(), 15)
    assert agent.returncode == 2
    assert b"absent.toml: cannot be read" in words


@pytest.mark.parametrize("key", ["port", "metrics_port"])
async def test_a_port_that_is_taken_ends_with_a_code_after_which_a_service_manager_tries_again(relay_file, key):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        text = relay_file.read_text().replace("port = 0", f"port = 0\nmetrics_port = {taken.getsockname()[1]}")
        if key == "port":
            text = text.replace("port = 0\nmetrics_port", "port", 1)
        relay_file.write_text(text)
        relay = await start("relay", "--config", str(relay_file))
        _, words = await asyncio.wait_for(relay.communicate(), 15)
    assert relay.returncode == 75
    assert b"cannot be opened" in words


@pytest.mark.parametrize("command", [(), ("tenant", "list")])
async def test_a_store_that_is_away_ends_with_that_code_too(relay_file, command):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        store = f'store = "postgresql://relay@127.0.0.1:{nobody.getsockname()[1]}/relay"'
        relay_file.write_text(relay_file.read_text().replace("port = 0", f"port = 0\n{store}"))
        relay = await start("relay", "--config", str(relay_file), *command)
        _, words = await asyncio.wait_for(relay.communicate(), 15)
    assert relay.returncode == 75
    assert words.startswith(b"relay.store: ")
    assert words.count(b"\n") == 1


async def test_help_does_not_load_what_does_the_work():
    program = "import sys, agent.cli; sys.exit('aiohttp' in sys.modules or 'cryptography' in sys.modules)"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
    assert await process.wait() == 0


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"\xff\xfe7", "is no text in UTF-8"), (b"7\0b", "has a NUL"), (b"7\n8", "more than one line"), (None, "read")],
)
def test_a_file_that_holds_no_enrolment_token_is_told_and_not_quoted(tmp_path, papers, capsys, content, words):
    file = tmp_path / "once"
    if content is not None:
        file.write_bytes(content)
    config = agent_file(tmp_path, papers, "https://localhost:1", "https://localhost:2")
    assert main(["enroll", "--config", str(config), "--token-file", str(file)]) == EXIT_CONFIGURATION
    [told] = capsys.readouterr().err.splitlines()
    assert f"--token-file: {file} " in told
    assert words in told
    assert "7" not in told.replace(str(file), "")


FROZEN = """
import gc, os, signal, sys
from agent import cli
def ready():
    print(gc.get_freeze_count(), len(gc.get_objects()))
    os.kill(os.getpid(), signal.SIGTERM)
cli.services.ready = ready
cli.main(["relay", "--config", sys.argv[1]])
"""


async def test_what_a_program_consists_of_is_looked_through_no_more(relay_file):
    command = (sys.executable, "-c", FROZEN, str(relay_file))
    program = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    output, _ = await asyncio.wait_for(program.communicate(), 30)
    kept, looked_through = (int(number) for number in output.split())
    assert kept > 20 * looked_through


async def test_a_reader_that_goes_away_is_no_fault(relay_file):
    there, here = os.pipe()
    os.close(there)
    command = (sys.executable, "-m", "agent.cli", "relay", "--config", str(relay_file), "tenant", "add", "acme")
    process = await asyncio.create_subprocess_exec(*command, stdout=here, stderr=asyncio.subprocess.PIPE)
    os.close(here)
    _, complaints = await asyncio.wait_for(process.communicate(), 15)
    assert (process.returncode, complaints) == (1, b"")


async def test_nohup_is_taken_at_its_word(relay_file, client):
    relay = await start("relay", "--config", str(relay_file), before=("nohup",))
    ready = await wait_for(relay, "relay.ready")
    relay.send_signal(signal.SIGHUP)
    for _ in range(20):
        async with client.get(ready["url"] + "/healthz", headers={"Connection": "close"}) as response:
            assert response.status == 200
    status, log = await end(relay, signal.SIGTERM)
    assert (status, log[-1]) == (0, "relay.stopped")


async def test_a_relay_without_files_to_spare_says_so_once_and_recovers(relay_file, client):
    relay = await start("relay", "--config", str(relay_file), before=("prlimit", "--nofile=40"))
    ready = await wait_for(relay, "relay.ready")
    # Of one address, a quarter of the files is taken at the most.
    strangers = [
        socket.create_connection(("127.0.0.1", ready["port"]), source_address=(f"127.0.0.{2 + number % 10}", 0))
        for number in range(60)
    ]
    told = []
    async with asyncio.timeout(15):
        # The store is a file, too, and is looked at every second.
        while "store.unavailable" not in told:
            told.append(json.loads(await relay.stderr.readline())["event"])
    assert told.count("accept.failed") == 1
    for stranger in strangers:
        stranger.close()
    async with client.get(ready["url"] + "/healthz") as response:
        assert response.status == 200
    status, _ = await end(relay)
    assert status == 0
