"""A changed configuration is taken over while requests are served; a bad one changes nothing."""

import json
import signal
import sqlite3
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from tests.app.test_oversight import PERSON, add, free_port

NEW = "[connectors.Second]"


@pytest.fixture
def host(configured):
    with configured.serve() as serving:
        yield serving


def second(folder, **changes):
    """Return the configuration with another connector on the same table."""
    text = folder.read("connector-host.toml")
    facts = {
        "database": folder.url,
        "table": "Employees",
        "anchor": "ContosoLogin",
        "token_hash_file": "Employees.tokens",
    }
    lines = [f'{key} = "{value}"' for key, value in (facts | changes).items()]
    return "\n".join([text, NEW, *lines, ""])


def figures(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return answer.read().decode()


def readiness(host):
    try:
        answer = urllib.request.urlopen(f"{host.origin}/readyz", context=host.trust, timeout=10)  # noqa: S310 - our own
    except urllib.error.HTTPError as unready:
        answer = unready
    with answer:
        return json.load(answer)


def reload(host, text):
    host.folder.write("connector-host.toml", text)
    assert host.folder.run("reload").returncode == 0


def test_a_connector_is_added_and_removed(host):
    first = host.folder.read("connector-host.toml")
    assert host.ask("GET", "/Users", connector="Second")[0] == 401
    reload(host, second(host.folder))
    host.wait_for("configuration.applied")
    assert host.ask("GET", "/Users", connector="Second")[0] == 200
    reload(host, first)
    host.wait_for("configuration.applied")
    assert host.ask("GET", "/Users", connector="Second")[0] == 401
    assert host.ask("GET", "/Users")[0] == 200


def test_a_changed_connector_takes_the_place_of_the_old_one(host):
    status, created = host.ask("GET", "/Users/bsimon")
    assert (status, created["name"]["givenName"]) == (200, "Britta")
    reload(host, host.folder.read("connector-host.toml").replace('"name.givenName"', '"nickName"'))
    host.wait_for("configuration.applied")
    assert host.ask("GET", "/Users/bsimon")[1]["nickName"] == "Britta"


@pytest.mark.parametrize(
    ("old", "new", "event"),
    [
        ("port = 0", 'port = "many"', "configuration.refused"),
        ("[host]", "[host", "configuration.refused"),
        ('table = "Employees"', 'table = "Nowhere"', "connector.misconfigured"),
        ('anchor = "ContosoLogin"', 'anchor = "Photo"', "connector.misconfigured"),
    ],
)
def test_a_bad_configuration_changes_nothing(host, old, new, event):
    host.folder.write("connector-host.toml", host.folder.read("connector-host.toml").replace(old, new))
    host.process.send_signal(signal.SIGHUP)
    assert host.wait_for(event)["level"] == "error"
    assert host.ask("GET", "/Users/bsimon")[1]["name"]["givenName"] == "Britta"


def test_what_needs_a_restart_is_said_until_it_was_started_again(host):
    host.folder.write(
        "connector-host.toml", host.folder.read("connector-host.toml").replace("port = 0", "port = 0\nstop_s = 5")
    )
    for _ in range(2):
        done = host.folder.run("reload")
        assert host.wait_for("restart.needed")["attributes"] == ["host.stop_s"]
        assert (done.returncode, "at a restart only: host.stop_s." in done.stdout) == (0, True), done.stdout


def test_the_command_says_which_connector_was_not_taken_over_and_why(host):
    text = second(host.folder, database="nonsense://x").replace('table = "Employees"', 'table = "Nowhere"', 1)
    host.folder.write("connector-host.toml", text)
    done = host.folder.run("reload")
    assert done.returncode == 1
    assert "connectors.Employees goes on as it was: table: there is no Nowhere" in done.stdout
    assert "connectors.Second is not served: database: " in done.stdout
    assert host.ask("GET", "/Users/bsimon")[0] == 200


def test_a_request_in_hand_is_answered_though_its_connector_is_exchanged(configured):
    port = free_port()
    add(configured, f"metrics_port = {port}")
    locked = sqlite3.connect(configured.path / "contoso.sqlite", isolation_level=None)
    with configured.serve() as host, ThreadPoolExecutor() as pool, closing(locked):
        host.wait_for("metrics.served")
        locked.execute("BEGIN IMMEDIATE")
        waiting = pool.submit(host.ask, "POST", "/Users", PERSON)
        while 'exports_in_hand{connector="Employees"} 1.0' not in figures(port):
            assert not waiting.done()
        reload(host, configured.read("connector-host.toml").replace('"name.givenName"', '"nickName"'))
        assert host.ask("GET", "/Users/bsimon")[1]["nickName"] == "Britta"
        assert not waiting.done()
        locked.execute("COMMIT")
        assert waiting.result()[0] == 201


def test_the_command_judges_before_it_asks_the_host(host):
    host.folder.write("connector-host.toml", host.folder.read("connector-host.toml").replace("table =", "tabel ="))
    done = host.folder.run("reload")
    assert (done.returncode, "Did you mean table?" in done.stderr) == (1, True)


def test_a_service_manager_names_the_process_in_a_sandbox_that_shows_no_other(host):
    (host.folder.path / "state" / "connector-host.pid").unlink()
    assert host.folder.run("reload").returncode == 1
    process = ("--process", str(host.process.pid))
    assert host.folder.run("reload", *process).returncode == 0
    host.folder.write("connector-host.toml", host.folder.read("connector-host.toml").replace("table =", "tabel ="))
    done = host.folder.run("reload", *process)
    assert (done.returncode, "Did you mean table?" in done.stderr) == (1, True)


def test_without_a_running_host_the_command_says_so(configured):
    done = configured.run("reload")
    assert (done.returncode, "No host runs" in done.stderr) == (1, True)


def test_a_connector_that_cannot_be_served_is_missed_and_does_not_stop_the_rest(configured):
    port = free_port()
    text = second(configured, database="nonsense://x").replace("[host]\n", f"[host]\nmetrics_port = {port}\n")
    first = configured.read("connector-host.toml")
    configured.write("connector-host.toml", text)
    with configured.serve() as host:
        host.wait_for("metrics.served")
        assert host.ask("GET", "/Users")[0] == 200
        assert readiness(host)["connectors"] == {"ready": 1, "all": 2}
        assert 'connector_host_connector_up{connector="Second"} 0.0' in figures(port)
        reload(host, first)
        host.wait_for("configuration.applied")
        document = readiness(host)
        assert 'connector="Second"' not in figures(port)
    assert document["connectors"] == {"ready": 1, "all": 1}
    assert (document["certificate"], document["certificate_days_left"] > 300) == ("valid", True)


def test_a_database_out_of_reach_is_logged_once_and_by_the_name_of_its_connector(configured):
    text = second(configured, database=f"sqlite:///{configured.path}/nowhere.sqlite")
    configured.write("connector-host.toml", text)
    with configured.serve() as host:
        host.wait_for("connector.unavailable")
    bad = [line for line in host.lines if line.get("level") in {"warning", "error"}]
    about = [(line["event"], line.get("connector")) for line in bad]
    assert about == [("database.error", "Second"), ("connector.unavailable", "Second")]


def test_tokens_that_cannot_be_read_are_told_in_readiness_and_figures(configured):
    port = free_port()
    add(configured, f"metrics_port = {port}")
    tokens, aside = configured.path / "Employees.tokens", configured.path / "aside"
    up = 'connector_host_tokens_up{connector="Employees"}'
    with configured.serve() as host:
        host.wait_for("metrics.served")
        assert f"{up} 1.0" in figures(port)
        tokens.rename(aside)
        tokens.mkdir()  # which even root cannot read as a file
        assert f"{up} 0.0" in figures(port)
        assert host.ask("GET", "/Users")[0] == 503
        document = until_ready(host, 0)
        tokens.rmdir()
        aside.rename(tokens)
        assert f"{up} 1.0" in figures(port)
        assert until_ready(host, 1)["status"] == "ready"
    assert document["status"] == "unavailable"


def until_ready(host, count):
    """Ask until so many connectors are ready: one look is good for a second."""
    while (document := readiness(host))["connectors"]["ready"] != count:
        time.sleep(0.1)
    return document


def test_a_database_that_was_down_at_the_start_is_told_in_the_figures(configured):
    port = free_port()
    add(configured, f"metrics_port = {port}")
    (configured.path / "contoso.sqlite").rename(configured.path / "elsewhere.sqlite")
    with configured.serve() as host:
        for event in ("connector.unavailable", "metrics.served"):
            if event not in {line["event"] for line in host.lines}:
                host.wait_for(event)
        assert 'connector_host_connector_up{connector="Employees"} 0.0' in figures(port)
        (configured.path / "elsewhere.sqlite").rename(configured.path / "contoso.sqlite")
        assert host.ask("GET", "/Users")[0] == 200
        assert 'connector_host_connector_up{connector="Employees"} 1.0' in figures(port)
