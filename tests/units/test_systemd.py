"""The unit is one that systemd accepts and calls safe; installing does each step once, and says what failed."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from connector_host.units.descriptions import Unit
from connector_host.units.programs import ServiceFailed, run
from connector_host.units.systemd import Systemd, render


@pytest.fixture(autouse=True)
def _seen(monkeypatch):
    """Let the Python that runs the tests be anywhere, as a developer's may."""
    monkeypatch.setattr("sys.base_prefix", "/usr")


@pytest.fixture(autouse=True)
def _booted(tmp_path):
    """Let a systemd run below the folder of the test."""
    (tmp_path / "run/systemd/system").mkdir(parents=True)


needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")


def unit(**changes):
    usual = {
        "name": "connector-host",
        "description": "Connector host",
        "command": ("/bin/true", "serve", "--config", "/etc/connector-host/connector-host.toml"),
        "folder": Path("/etc/connector-host"),
        "reload": ("/bin/true", "reload", "--process"),
        "watchdog_s": 30,
        "credential": "connector-host.key",
    }
    return Unit(**(usual | changes))


class Runner:
    """Stands at the edge of the system: takes down each command, and fails those that it is told to."""

    def __init__(self, failing=None):
        self.commands, self.failing = [], failing

    def __call__(self, command):
        self.commands.append(" ".join(command))
        code = 1 if self.failing and command[0] == self.failing else 0
        return subprocess.CompletedProcess(command, code, "log text" if command[0] == "journalctl" else "", "no reason")


def test_it_says_what_systemd_must_know():
    lines = render(unit(writable=(Path("/srv/data base"),))).splitlines()
    assert "Type=notify" in lines
    assert "WatchdogSec=30" in lines
    assert "LimitNOFILE=65536" in lines
    assert "WorkingDirectory=/etc/connector-host" in lines
    assert "ExecReload=/bin/true reload --process $MAINPID" in lines
    assert "RestartPreventExitStatus=78" in lines
    assert "StartLimitIntervalSec=0" in lines
    assert 'ReadWritePaths="/srv/data base"' in lines
    assert "LoadCredentialEncrypted=connector-host.key" in lines


@pytest.mark.parametrize(("port", "may"), [(443, True), (1023, True), (1024, False), (8585, False), (0, False)])
def test_it_may_listen_on_a_low_port_where_that_is_its_own_and_else_has_no_right_at_all(port, may):
    lines = render(unit(port=port)).splitlines()
    right = "CAP_NET_BIND_SERVICE" if may else ""
    assert f"CapabilityBoundingSet={right}" in lines
    assert f"AmbientCapabilities={right}" in lines
    # Among users of its own it would have that right nowhere.
    assert f"PrivateUsers={'no' if may else 'yes'}" in lines


def test_what_has_a_meaning_for_systemd_is_escaped():
    text = render(unit(command=("/bin/true", "100%", 'a "b"', "o'neil", "$HOME", ";")))
    assert """ExecStart=/bin/true 100%% "a \\"b\\"" "o'neil" $$HOME ";"\n""" in text


@needs_systemd
@pytest.mark.parametrize("port", [443, 8585])
@pytest.mark.parametrize("folder", ["/etc/connector-host", "/srv/some folder", "/srv/100%", "/srv/o'neil", "/srv/$a;"])
def test_systemd_accepts_it(tmp_path, folder, port):
    file = tmp_path / "connector-host.service"
    file.write_text(render(unit(folder=Path(folder), port=port)))
    done = subprocess.run(["systemd-analyze", "verify", file], capture_output=True, text=True, check=False, timeout=60)
    complaints = [line for line in done.stderr.splitlines() if "connector-host" in line]
    assert complaints == []


@needs_systemd
def test_systemd_calls_it_safe(tmp_path):
    file = tmp_path / "connector-host.service"
    file.write_text(render(unit()))
    command = ["systemd-analyze", "security", "--offline=true", file]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    exposure = float(re.search(r"Overall exposure level.*: ([\d.]+)", done.stdout).group(1))
    assert exposure < 2.0, done.stdout


def test_installing_hands_over_configuration_and_key(tmp_path):
    folder = tmp_path / "conf"
    folder.mkdir()
    (folder / "connector-host.key").write_text("key")
    runner = Runner()
    Systemd(runner, tmp_path).install(unit(folder=folder))
    assert [command.split()[0] for command in runner.commands] == [
        "systemd-sysusers",
        "chown",
        "chmod",
        "systemd-creds",
        "systemctl",
        "systemctl",
        "systemctl",
    ]
    assert f"connector-host:connector-host {folder}" in runner.commands[1]
    assert runner.commands[-2:] == ["systemctl enable connector-host.service", "systemctl start connector-host.service"]
    assert not (folder / "connector-host.key").exists()
    assert "User=connector-host" in (tmp_path / "etc/systemd/system/connector-host.service").read_text()


@pytest.mark.parametrize("folder", ["/", "/etc", "/opt", "/var/lib", "/usr/local/etc", "/etc/host/.."])
def test_a_folder_of_the_system_is_not_handed_over(tmp_path, folder):
    runner = Runner()
    with pytest.raises(ServiceFailed, match=r"is the system's.* of its own, such as /etc/connector-host"):
        Systemd(runner, tmp_path).install(unit(folder=Path(folder)))
    assert runner.commands == []


@pytest.mark.parametrize("place", ["both", "both/agent", "."])
def test_a_folder_of_another_service_is_not_taken_from_it(tmp_path, place):
    Systemd(Runner(), tmp_path).install(unit(folder=tmp_path / "100% both" if place == "." else tmp_path / "both"))
    runner = Runner()
    with pytest.raises(ServiceFailed, match=r"both is for the account of the service connector-host alone"):
        Systemd(runner, tmp_path).install(unit(name="provisioning-agent", folder=tmp_path / place))
    assert runner.commands == []


def test_services_with_folders_of_their_own_stand_side_by_side(tmp_path):
    Systemd(Runner(), tmp_path).install(unit(folder=tmp_path / "host"))
    (tmp_path / "etc/systemd/system/other.service").write_text(f"[Service]\nWorkingDirectory={tmp_path}\n")
    (tmp_path / "etc/systemd/system/odd.service").write_bytes(b"\xff")
    runner = Runner()
    Systemd(runner, tmp_path).install(unit(name="provisioning-agent", folder=tmp_path / "host-agent"))
    assert runner.commands


def test_a_folder_that_the_sandbox_must_find_is_made_and_one_that_is_there_keeps_its_owner(tmp_path):
    (tmp_path / "databases").mkdir()
    runner = Runner()
    folders = (tmp_path / "databases", tmp_path / "state")
    Systemd(runner, tmp_path).install(unit(folder=tmp_path / "conf", writable=folders))
    assert (tmp_path / "state").is_dir()
    owners = [command for command in runner.commands if command.startswith("chown")]
    assert owners == [f"chown connector-host:connector-host {tmp_path / 'state'}"]


def test_a_step_that_fails_is_told_and_the_key_stays(tmp_path):
    folder = tmp_path / "conf"
    folder.mkdir()
    (folder / "connector-host.key").write_text("key")
    with pytest.raises(ServiceFailed, match=r"systemd-creds encrypt .* failed: no reason"):
        Systemd(Runner("systemd-creds"), tmp_path).install(unit(folder=folder))
    assert (folder / "connector-host.key").exists()


def test_uninstalling_leaves_the_configuration(tmp_path):
    folder = tmp_path / "conf"
    folder.mkdir()
    runner = Runner()
    systemd = Systemd(runner, tmp_path)
    systemd.install(unit(folder=folder), start=False)
    systemd.uninstall("connector-host")
    assert folder.exists()
    assert not (tmp_path / "etc/systemd/system/connector-host.service").exists()
    with pytest.raises(ServiceFailed, match="no service"):
        systemd.uninstall("connector-host")


def test_a_service_that_runs_is_started_anew_where_its_unit_changed(tmp_path):
    runner = Runner()
    for changes in ({}, {}, {"stop_s": 90.0}):
        Systemd(runner, tmp_path).install(unit(**changes))
    verbs = [command.split()[1] for command in runner.commands if command.startswith("systemctl")]
    assert [verb for verb in verbs if verb.endswith("start")] == ["start", "start", "restart"]


def test_where_no_systemd_runs_nothing_is_done_and_nothing_is_said_to_run(tmp_path):
    (tmp_path / "run/systemd/system").rmdir()
    runner = Runner()
    systemd = Systemd(runner, tmp_path)
    for ask in (lambda: systemd.install(unit()), lambda: systemd.start("connector-host"), lambda: systemd.stop("x")):
        with pytest.raises(ServiceFailed, match="No systemd runs here"):
            ask()
    assert runner.commands == []
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_start_that_fails_shows_the_end_of_the_log(tmp_path):
    with pytest.raises(ServiceFailed, match=r"no reason\nlog text"):
        Systemd(Runner("systemctl"), tmp_path).start("connector-host")


def test_status_tells_whether_it_runs():
    assert Systemd(Runner()).status("connector-host")[0] is True
    assert Systemd(Runner("systemctl")).status("connector-host") == (False, "no reason")


def test_a_machine_without_a_service_manager_is_told_so():
    with pytest.raises(ServiceFailed, match="There is no no-such-program here"):
        run(("no-such-program",))


HOME = Path("/home") / "ada"


@pytest.mark.parametrize(
    "changes",
    [
        {"folder": HOME / "host"},
        {"command": (str(HOME / "bin"),)},
        {"writable": (HOME,)},
    ],
)
def test_what_the_sandbox_hides_is_told_before_anything_is_done(tmp_path, changes):
    runner = Runner()
    with pytest.raises(ServiceFailed, match="is in a home"):
        Systemd(runner, tmp_path).install(unit(**changes))
    assert runner.commands == []
