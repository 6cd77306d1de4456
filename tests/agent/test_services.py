"""Agent and relay are services like the host: each with a unit of its own that systemd calls safe."""

import re
import shutil
import subprocess
import threading

import pytest

from agent import cli
from agent.cli import main
from agent.services import unit_of
from connector_host.units.stopping import Stopping
from connector_host.units.systemd import render


@pytest.mark.parametrize(("relay", "words"), [(False, "provisioning-agent run --config"), (True, "relay --config")])
def test_the_unit_runs_the_right_part(tmp_path, relay, words):
    text = render(unit_of(tmp_path / "some.toml", relay=relay))
    assert words in text
    assert "RestartPreventExitStatus=2" in text
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
