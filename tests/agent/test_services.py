"""Agent and relay are services like the host: each with a unit of its own that systemd calls safe."""

import os
import re
import shutil
import socket
import subprocess
import sys
import threading

import pytest

from agent import cli
from agent.cli import main
from agent.services import unit_of
from connector_host.units.stopping import Stopping
from connector_host.units.systemd import render
from tests.agent.chain import issue_papers


@pytest.mark.parametrize(("relay", "words"), [(False, "provisioning-agent run --config"), (True, "relay --config")])
def test_the_unit_runs_the_right_part(tmp_path, relay, words):
    text = render(unit_of(tmp_path / "some.toml", relay=relay))
    assert words in text
    assert "RestartPreventExitStatus=2" in text
    assert {"Type=notify", "WatchdogSec=30"} <= set(text.splitlines())
    assert f"User={'provisioning-relay' if relay else 'provisioning-agent'}" in text


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
def test_systemd_calls_it_safe(tmp_path):
    file = tmp_path / "provisioning-agent.service"
    file.write_text(render(unit_of(tmp_path / "agent.toml", relay=False)))
    command = ["systemd-analyze", "security", "--offline=true", file]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert float(re.search(r"Overall exposure level.*: ([\d.]+)", done.stdout).group(1)) < 2.0


def test_a_configuration_that_is_wrong_is_not_installed(tmp_path, capsys):
    (tmp_path / "agent.toml").write_text("[agent]\n")
    assert main(["service", "install", "--print", "--config", str(tmp_path / "agent.toml")]) == 2
    assert capsys.readouterr().err


def test_a_service_manager_stops_it_by_a_call_from_another_thread(monkeypatch):
    requests, running = Stopping(), threading.Event()
    monkeypatch.setattr("agent.services.REQUESTS", requests)

    async def serve(stop):
        running.set()
        await stop.wait()

    program = threading.Thread(target=cli._serve, args=(serve,), daemon=True)
    program.start()
    assert running.wait(10)
    requests.ask()
    program.join(10)
    assert not program.is_alive()


@pytest.fixture
def manager(tmp_path):
    """Listen as systemd does, and return the socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(30)
        yield listener


RELAY = """
[relay]
name = "localhost"
listen = "127.0.0.1"
port = 0
certificate = "certificate.pem"
key = "key.pem"
state = "state"
"""
AGENT = """
[agent]
name = "one"
tenant = "acme"
relay = "https://localhost:1"
relay_trust = "authority.pem"
host = "https://localhost:1"
host_trust = "authority.pem"
token_file = "token"
"""


@pytest.mark.parametrize(("options", "text"), [(["--relay"], RELAY), ([], AGENT)])
def test_systemd_waits_as_long_as_requests_in_hand_are_given(tmp_path, capsys, options, text):
    (tmp_path / "some.toml").write_text(f"{text}stop_s = 90\n")
    assert main(["service", "install", "--print", *options, "--config", str(tmp_path / "some.toml")]) == 0
    assert "TimeoutStopSec=100" in capsys.readouterr().out.splitlines()


def test_a_relay_on_the_port_of_https_may_listen_there_as_a_service(tmp_path, capsys):
    (tmp_path / "relay.toml").write_text(RELAY.replace("port = 0", "port = 443"))
    assert main(["service", "install", "--print", "--relay", "--config", str(tmp_path / "relay.toml")]) == 0
    assert "AmbientCapabilities=CAP_NET_BIND_SERVICE" in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(("part", "text"), [("relay", RELAY), ("run", AGENT)])
def test_systemd_hears_that_it_is_ready_and_lives(tmp_path, manager, part, text):
    issue_papers(tmp_path)
    (tmp_path / "token").write_text("a token of the agent")
    (tmp_path / "some.toml").write_text(text)
    environment = os.environ | {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "20000"}
    command = [sys.executable, "-m", "agent", part, "--config", "some.toml"]
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL) as process:
        heard = {manager.recv(1000) for _ in range(3)}
        process.terminate()
        assert process.wait(30) == 0
    assert heard == {b"READY=1", b"WATCHDOG=1"}
