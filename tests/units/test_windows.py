"""A Windows service: registered as it should be, taken back where a step fails, and logging where it can.

`Scm` stands for the service-control manager and the event log, the one part of Windows that is not here.
"""

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest

from connector_host.setup import writing
from connector_host.units import hosting
from connector_host.units.descriptions import Unit
from connector_host.units.programs import ServiceFailed
from connector_host.units.windows import Windows, keep_others_out


def unit(folder, **changes):
    usual = {
        "name": "connector-host",
        "description": "Connector host",
        "command": (r"C:\Program Files\connector-host.exe", "serve", "--config", r"C:\Program Data\x.toml"),
        "entry": "connector_host.cli:main",
        "folder": folder,
    }
    return Unit(**(usual | changes))


class Scm:
    def __init__(self, *, ends_at_once=False):
        self.services, self.states, self.sources, self.ends_at_once = {}, {}, set(), ends_at_once

    def create(self, registration):
        self.services[registration.name], self.states[registration.name] = registration, "stopped"

    def delete(self, name):
        del self.services[name], self.states[name]

    def start(self, name):
        self.states[name] = "stopped" if self.ends_at_once else "running"

    def stop(self, name):
        self.states[name] = "stopped"

    def state(self, name):
        return self.states.get(name, "absent")

    def add_source(self, name):
        self.sources.add(name)

    def remove_source(self, name):
        self.sources.discard(name)


class Icacls:
    def __init__(self, code=0):
        self.commands, self.code = [], code

    def __call__(self, command):
        self.commands.append(command)
        return subprocess.CompletedProcess(command, self.code, "", "no reason")


@pytest.fixture
def make(tmp_path):
    def make(scm, icacls=None):
        return Windows(scm, icacls or Icacls(), tmp_path / "data", settling_s=0)

    return make


def test_it_is_registered_with_an_account_of_its_own_and_started(tmp_path, make):
    scm = Scm()
    make(scm).install(unit(tmp_path / "conf"))
    made = scm.services["connector-host"]
    assert made.account == r"NT SERVICE\connector-host"
    assert made.restart_after_s[0] > 0
    assert scm.states == {"connector-host": "running"}
    assert scm.sources == {"connector-host"}


def test_only_service_system_and_administrators_may_read_its_folders(tmp_path, make):
    icacls = Icacls()
    make(Scm(), icacls).install(unit(tmp_path / "conf", writable=(tmp_path / "db",)), start=False)
    own, logs, database = icacls.commands
    assert own[:4] == ("icacls", str(tmp_path / "conf"), "/inheritance:r", "/grant:r")
    assert own[4:] == (r"NT SERVICE\connector-host:(OI)(CI)M", "*S-1-5-18:(OI)(CI)F", "*S-1-5-32-544:(OI)(CI)F")
    assert logs[1] == str(tmp_path / "data" / "connector-host")
    assert database[2] == "/grant"


def test_an_installation_that_fails_is_taken_back(tmp_path, make):
    scm = Scm()
    with pytest.raises(ServiceFailed, match=r"Nothing was installed: icacls .* failed: no reason"):
        make(scm, Icacls(5)).install(unit(tmp_path))
    assert (scm.services, scm.sources) == ({}, set())


def test_a_service_that_is_there_is_not_replaced_unasked(tmp_path, make):
    manager = make(scm := Scm())
    manager.install(unit(tmp_path))
    with pytest.raises(ServiceFailed, match="already"):
        manager.install(unit(tmp_path, description="another"))
    assert scm.services["connector-host"].description == "Connector host"


def test_uninstalling_stops_it_and_leaves_its_folders(tmp_path, make):
    manager = make(scm := Scm())
    manager.install(unit(tmp_path))
    manager.uninstall("connector-host")
    assert (scm.services, scm.sources) == ({}, set())
    assert (tmp_path / "data" / "connector-host").is_dir()
    with pytest.raises(ServiceFailed, match="no service"):
        manager.uninstall("connector-host")


def test_a_service_that_ends_at_once_is_no_success(tmp_path, make):
    manager = make(Scm(ends_at_once=True))
    with pytest.raises(ServiceFailed, match=r"ended at once. See .*service\.log"):
        manager.install(unit(tmp_path))
    assert manager.status("connector-host")[0] is False


def test_status_tells_how_it_is_and_where_its_log_is(tmp_path, make):
    manager = make(Scm())
    assert manager.status("connector-host") == (False, "There is no service connector-host.")
    manager.install(unit(tmp_path))
    running, text = manager.status("connector-host")
    assert (running, "service.log" in text) == (True, True)
    manager.stop("connector-host")
    assert manager.status("connector-host")[0] is False


def test_what_would_be_installed_is_shown_and_nothing_is_done(tmp_path, make):
    manager = make(scm := Scm())
    assert "automatic, delayed" in manager.show(unit(tmp_path))
    assert scm.services == {}


def test_the_hosting_program_reads_what_was_registered(tmp_path):
    given = unit(tmp_path, stop_s=45.0, environment={"A": "b=c"}, exits_for_good=(78, 2))
    hosted = hosting.parse(hosting.arguments_of(given, tmp_path / "logs", "packages"))
    assert (hosted.name, hosted.entry, hosted.logs) == (given.name, given.entry, tmp_path / "logs")
    assert hosted.arguments == ["serve", "--config", r"C:\Program Data\x.toml"]
    assert hosted.set == ["A=b=c"]
    assert (hosted.for_good, hosted.stop_s, hosted.site) == ([78, 2], 45, "packages")


@pytest.fixture
def live(tmp_path, monkeypatch):
    """Return a function that hosts a program of a few lines, and what the event log then has."""
    monkeypatch.setattr(sys, "argv", list(sys.argv))
    monkeypatch.chdir("/")
    monkeypatch.syspath_prepend(tmp_path)

    def live(name, source):
        (tmp_path / f"{name}.py").write_text(f"import sys\ndef main():\n    {source}\n")
        given = unit(tmp_path, entry=f"{name}:main", command=("program", "word"))
        events = []
        try:
            hosting.live(
                hosting.parse(hosting.arguments_of(given, tmp_path, "")), lambda *event: events.append(tuple(event))
            )
        finally:
            live.log = (tmp_path / hosting.LOG_FILE).read_text()
            live.events = events

    return live


def test_everything_is_in_the_log_file_and_trouble_in_the_event_log(live):
    lines = [json.dumps({"level": level, "event": level}) for level in ("info", "warning", "error")]
    live("speaking", f"sys.stderr.write({chr(10).join([*lines, ''])!r}); print(sys.argv[1])")
    assert live.log.splitlines() == [*lines, "word"]
    assert live.events == [("warning", lines[1]), ("error", lines[2]), ("error", "word")]


def test_relative_paths_mean_beside_the_configuration(live, tmp_path):
    live("looking", "import os; print(os.getcwd())")
    assert live.log.strip() == str(tmp_path)


@pytest.mark.parametrize(
    ("line", "severity"),
    [
        ("2026-11-23T10:00:00Z [info     ] host.started", None),
        ("2026-11-23T10:00:00Z warning host.slow a=b", "warning"),
        ('{"time": "now", "level": "critical", "event": "x"}', "error"),
        ("connector-host: the certificate has expired.", "error"),
    ],
)
def test_a_line_of_either_program_and_format_has_its_severity(line, severity):
    assert hosting.severity_of(line) == severity


def test_a_code_that_starting_again_cannot_mend_ends_the_service_in_order(live):
    live("misconfigured", "sys.exit(78)")
    assert [event[0] for event in live.events] == ["error"]
    assert "not started again" in live.events[0][1]


def test_any_other_code_is_a_failure_that_the_manager_acts_on(live):
    with pytest.raises(hosting.EndedBadly, match="code 75"):
        live("busy", "return 75")


def test_a_crash_leaves_its_trace_in_the_log(live):
    with pytest.raises(ZeroDivisionError):
        live("crashing", "return 1 / 0")
    assert "ZeroDivisionError" in live.log


def test_a_new_folder_of_a_configuration_is_closed_before_any_key_is_in_it(tmp_path, monkeypatch):
    icacls = Icacls()
    monkeypatch.setattr(writing, "sys", SimpleNamespace(platform="win32"))
    monkeypatch.setattr(writing, "keep_others_out", lambda folder, right: keep_others_out(folder, right, icacls))
    monkeypatch.setenv("USERDOMAIN", "CORP")
    monkeypatch.setenv("USERNAME", "ada")
    config = tmp_path / "new" / "connector-host.toml"
    for _ in range(2):
        writing.prepare_folder(config)
    [command] = icacls.commands
    assert command[:4] == ("icacls", str(tmp_path / "new"), "/inheritance:r", "/grant:r")
    assert set(command[4:]) == {"CORP\\ada:(OI)(CI)F", "*S-1-5-18:(OI)(CI)F", "*S-1-5-32-544:(OI)(CI)F"}
