"""`connector-host service` describes the very configuration that it is given."""

import json
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from connector_host.cli.services import out_of_reach, unit_of
from connector_host.settings import load
from connector_host.units import hosting


def test_the_unit_serves_this_configuration_and_may_write_its_database(configured):
    done = configured.run("service", "install", "--print")
    assert done.returncode == 0, done.stderr
    assert f"serve --config {configured.path}/connector-host.toml" in done.stdout
    assert f"ReadWritePaths={configured.path}" in done.stdout
    assert f"reload --config {configured.path}/connector-host.toml --process $MAINPID\n" in done.stdout


def test_state_and_audit_trail_elsewhere_stay_writable_in_the_sandbox(configured):
    state, trail = configured.path.parent / "elsewhere", configured.path.parent / "trail"
    text = configured.read("connector-host.toml").replace("[host]\n", f'[host]\nstate = "{state}"\n')
    configured.write("connector-host.toml", f'{text}\n[audit]\nfolder = "{trail}"\n')
    done = configured.run("service", "install", "--print")
    assert done.returncode == 0, done.stderr
    assert f"ReadWritePaths={state}\n" in done.stdout
    assert f"ReadWritePaths={trail}\n" in done.stdout


def test_a_stop_waits_as_long_as_a_statement_may_take(configured):
    text = configured.read("connector-host.toml").replace('type = "sql"\n', 'type = "sql"\nstatement_s = 90\n')
    configured.write("connector-host.toml", text)
    assert "TimeoutStopSec=120" in configured.run("service", "install", "--print").stdout.splitlines()


@pytest.mark.parametrize(("port", "right"), [(443, "CAP_NET_BIND_SERVICE"), (8585, "")])
def test_the_service_may_listen_where_its_port_is(configured, port, right):
    text = re.sub(r"(?m)^port = \d+$", f"port = {port}", configured.read("connector-host.toml"))
    configured.write("connector-host.toml", text)
    lines = configured.run("service", "install", "--print").stdout.splitlines()
    assert f"AmbientCapabilities={right}" in lines


def test_the_service_keeps_its_state_where_commands_look_for_it(configured):
    assert "STATE" not in configured.run("service", "install", "--print").stdout


def test_a_database_that_the_service_may_not_write_is_found(configured):
    configuration = load(configured.path / "connector-host.toml")
    file = configured.path / "contoso.sqlite"
    # This machine has no account of the service, which then may write nothing.
    assert out_of_reach(configuration) == [file, configured.path]
    file.unlink()
    assert out_of_reach(configuration) == []


def test_a_folder_that_is_not_its_own_is_not_handed_over(configured, monkeypatch):
    monkeypatch.setattr("pathlib.Path.home", lambda: configured.path)
    done = configured.run("service", "install")
    assert (done.returncode, "would be handed" in done.stderr) == (1, True)


def test_a_configuration_that_is_wrong_is_not_installed(configured):
    configured.write("connector-host.toml", configured.read("connector-host.toml").replace("table =", "tabel ="))
    done = configured.run("service", "install", "--print")
    assert (done.returncode, "Did you mean table?" in done.stderr) == (1, True)


# The second thread stands for the service-control manager, which asks for a stop by a call.
HOSTED = """
import json, pathlib, sys, threading, time
from connector_host.units import hosting
from connector_host.units.stopping import REQUESTS
events = []
def report(severity, text):
    events.append([severity, text])
log, word, hosted = pathlib.Path(sys.argv[1]), sys.argv[2], hosting.parse(sys.argv[3:])
def stop_when_started():
    while not (log.exists() and word in log.read_text()):
        time.sleep(0.05)
    REQUESTS.ask()
threading.Thread(target=stop_when_started, daemon=True).start()
# As there, the program does not run in the main thread, which alone hears signals.
program = threading.Thread(target=hosting.live, args=(hosted, report))
program.start()
program.join()
print(json.dumps(events))
"""


def test_the_host_itself_serves_and_stops_when_the_manager_asks(configured):
    config = configured.path / "connector-host.toml"
    logs = configured.path / "logs"
    logs.mkdir()
    arguments = hosting.arguments_of(unit_of(config, load(config)), logs, sysconfig.get_path("purelib"))
    command = [sys.executable, "-c", HOSTED, logs / hosting.LOG_FILE, "host.started", *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=60, cwd=Path(__file__).parents[2]
    )
    assert done.returncode == 0, done.stderr
    events = [json.loads(line)["event"] for line in (logs / hosting.LOG_FILE).read_text().splitlines()]
    assert events[-2:] == ["host.stopping", "host.stopped"]
    assert (configured.path / "state" / "connector-host.pid").exists()
