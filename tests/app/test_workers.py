"""A host of several processes keeps every promise of a host of one: real processes, real requests, real kills."""

import http.client
import os
import re
import signal
import socket
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.app.test_oversight import PERSON, add, free_port, records
from tests.app.test_reloading import figures, readiness, reload, second
from tests.folders import Folder

KEY = {"Idempotency-Key": "write-1"}


class Workers:
    """A folder whose host has two workers, and metrics."""

    def __init__(self, folder, *lines):
        self.folder, self.port = folder, free_port()
        add(folder, "\n".join(["workers = 2", f"metrics_port = {self.port}", *lines]))

    def figure(self, name):
        found = re.search(rf"^{re.escape(name)} (.+)$", figures(self.port), re.MULTILINE)
        return None if found is None else float(found.group(1))


def initialised(path):
    folder = Folder(path)
    done = folder.init("--table", "Employees", "--token-file", "token")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    return Workers(initialised(tmp_path_factory.mktemp("workers")), "trusted_proxies = []")


@pytest.fixture(scope="module")
def host(two):
    """Serve for several tests: to start takes longer than what each of them asks."""
    with two.folder.serve() as serving:
        await_metrics(serving)
        yield serving


def await_metrics(host):
    if "metrics.served" not in {line["event"] for line in host.lines}:
        host.wait_for("metrics.served")


CREATED = 'connector_host_request_seconds_count{connector="Employees",method="POST",status="201"}'


def person(name):
    return PERSON | {"userName": name}


def create(host, names):
    with ThreadPoolExecutor(8) as pool:
        assert {status for status, _ in pool.map(lambda name: host.ask("POST", "/Users", person(name)), names)} == {201}


def children(host):
    process = host.process.pid
    text = Path(f"/proc/{process}/task/{process}/children").read_text(encoding="ascii")
    return [int(number) for number in text.split()]


def on_record(two):
    return [one["anchor"] for one in records(two.folder)]


def audited(two):
    return two.folder.run("audit", "verify").returncode == 0


def test_both_answer_and_their_exports_are_one_chain_of_records(host, two):
    before = two.figure(CREATED) or 0
    names = [f"both{number}" for number in range(20)]
    create(host, names)
    assert set(names) <= set(on_record(two))
    assert audited(two)
    assert two.figure(CREATED) - before == 20
    assert {host.wait_for("request.answered")["worker"] for _ in names} == {0, 1}


def test_what_all_may_ask_of_the_database_is_what_the_settings_say(host, two):
    assert host.ask("GET", "/Users")[0] == 200
    for purpose in ("reading", "writing"):
        most = two.figure(f'connector_host_database_connections_max{{connector="Employees",purpose="{purpose}"}}')
        assert most == {"reading": 4, "writing": 2}[purpose]
    assert two.figure("connector_host_workers") == 2
    assert readiness(host)["status"] == "ready"


def test_one_key_is_one_write_whichever_worker_it_comes_to(host, two):
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: host.ask("POST", "/Users", person("once"), headers=KEY), range(8)))
    assert [status for status, _ in answers] == [201] * 8
    assert host.ask("POST", "/Users", person("other"), headers=KEY)[0] == 422
    assert on_record(two).count("once") == 1


def ask_from(host, address, token):
    """Return the status of an answer to another address of this machine."""
    place = urlsplit(host.url)
    connection = http.client.HTTPSConnection(
        "localhost", place.port, context=host.trust, timeout=30, source_address=(address, 0)
    )
    connection.request("GET", f"{place.path}/Users", headers={"Authorization": f"Bearer {token}"})
    status = connection.getresponse().status
    connection.close()
    return status


def test_a_guesser_is_locked_out_of_all(host, two):
    assert [ask_from(host, "127.0.0.9", f"wrong-token-{number}") for number in range(10)] == [401] * 10
    assert host.wait_for("source.locked_out")["source"] == "127.0.0.9"
    token = two.folder.read("token").strip()
    # What a worker is told may come a moment after what it is asked.
    wait_until(lambda: ask_from(host, "127.0.0.9", token) == 429)
    wait_until(lambda: ask_from(host, "127.0.0.9", token) == 429)
    assert [ask_from(host, "127.0.0.9", token) for _ in range(4)] == [429] * 4
    assert host.ask("GET", "/Users")[0] == 200


def wait_until(holds):
    """Ask again and again, for there is nothing to wait for."""
    deadline_s = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def test_a_worker_that_is_killed_is_replaced_and_nothing_that_was_answered_is_lost(host, two):
    create(host, [f"before{number}" for number in range(10)])
    counted, restarts = two.figure(CREATED), two.figure("connector_host_worker_restarts_total")
    os.kill(children(host)[0], signal.SIGKILL)
    assert host.wait_for("worker.ended")["exit_status"] == -signal.SIGKILL
    assert two.figure(CREATED) == counted
    create(host, [f"meanwhile{number}" for number in range(10)])
    host.wait_for("worker.replaced")
    create(host, [f"after{number}" for number in range(10)])
    assert two.figure(CREATED) - counted == 20
    assert two.figure("connector_host_worker_restarts_total") - restarts == 1
    names = {f"{when}{number}" for when in ("before", "meanwhile", "after") for number in range(10)}
    assert names <= set(on_record(two))
    assert audited(two)


def test_a_changed_configuration_is_taken_over_by_all_and_by_whoever_comes_after(host, two):
    first = two.folder.read("connector-host.toml")
    reload(host, second(two.folder))
    assert {host.wait_for("configuration.applied")["worker"] for _ in range(2)} == {0, 1}
    assert [host.ask("GET", "/Users", connector="Second")[0] for _ in range(4)] == [200] * 4
    two.folder.write("connector-host.toml", "[host")
    os.kill(children(host)[0], signal.SIGKILL)
    host.wait_for("worker.replaced")
    host.process.send_signal(signal.SIGHUP)
    host.wait_for("configuration.refused")
    assert [host.ask("GET", "/Users", connector="Second")[0] for _ in range(4)] == [200] * 4
    os.kill(children(host)[0], signal.SIGKILL)
    host.wait_for("worker.ended")
    reload(host, first)  # while the next one starts, or before
    host.wait_for("worker.replaced")
    assert [host.ask("GET", "/Users", connector="Second")[0] for _ in range(4)] == [401] * 4


def test_what_was_refused_is_not_what_a_replacement_begins_with(configured):
    two = Workers(configured)
    first = configured.read("connector-host.toml")
    with configured.serve() as host:
        await_metrics(host)
        text = second(configured, database="nonsense://x").replace('table = "Employees"', 'table = "Nowhere"', 1)
        configured.write("connector-host.toml", text)
        done = configured.run("reload")
        assert (done.returncode, "connectors.Employees goes on as it was" in done.stdout) == (1, True), done.stdout
        os.kill(children(host)[0], signal.SIGKILL)
        host.wait_for("worker.replaced")
        assert two.figure("connector_host_workers") == 2
        assert [host.ask("GET", "/Users/bsimon")[0] for _ in range(4)] == [200] * 4
        assert [host.ask("GET", "/Users", connector="Second")[0] for _ in range(4)] == [401] * 4
        reload(host, first)


def test_a_reload_that_fails_unforeseen_in_every_worker_is_told_as_a_failure(configured):
    Workers(configured)
    text = configured.read("connector-host.toml")
    with configured.serve() as host:
        # No file can have such a name, and whoever looks for it fails otherwise than where there is none.
        wrong = text.replace("[connectors.Employees]", '[connectors.Employees]\npassword_file = "no\\u0000where"')
        configured.write("connector-host.toml", wrong)
        done = configured.run("reload")
        assert (done.returncode, "2 of 2 workers failed (ValueError)" in done.stdout) == (1, True), done.stdout
        assert host.ask("GET", "/Users/bsimon")[0] == 200


def test_a_request_in_hand_is_answered_before_the_host_stops(configured):
    two = Workers(configured)
    with configured.serve() as host, ThreadPoolExecutor(1) as pool:
        await_metrics(host)
        assert host.ask("GET", "/Users")[0] == 200
        with sqlite3.connect(configured.path / "contoso.sqlite", isolation_level=None) as holder:
            holder.execute("BEGIN IMMEDIATE")
            asked = pool.submit(host.ask, "POST", "/Users", PERSON)
            wait_until(lambda: two.figure('connector_host_exports_in_hand{connector="Employees"}') == 1)
            # As systemd does, and a terminal at Ctrl-C.
            for process in (*children(host), host.process.pid):
                os.kill(process, signal.SIGTERM)
            host.wait_for("host.stopping")
            assert not asked.done()
            holder.execute("COMMIT")
        assert asked.result()[0] == 201
        assert host.stop() == 0
        assert "worker.ended" not in {line["event"] for line in host.lines}
    assert on_record(two) == ["ada"]


def test_workers_end_with_their_parent_however_it_ends(configured):
    two = Workers(configured)
    with configured.serve() as host:
        create(host, ["one", "two"])
        workers = children(host)
        host.process.kill()
        host.process.wait()
        host.process.stderr.read()  # each worker has the other end, so this ends with the last of them
        wait_until(lambda: not [number for number in workers if is_running(number)])
    assert audited(two)


def is_running(process):
    try:
        return Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_port_that_is_taken_is_said_before_any_worker_starts(configured):
    Workers(configured)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        text = configured.read("connector-host.toml")
        configured.write("connector-host.toml", text.replace("port = 0", f"port = {taken.getsockname()[1]}"))
        done = configured.run_apart("serve")
    assert (done.returncode, done.stderr.count("is in use")) == (75, 1)


def test_what_keeps_a_worker_from_starting_is_said_once(configured):
    Workers(configured)
    text = configured.read("connector-host.toml")
    wrong = text.replace("[connectors.Employees]", '[connectors.Employees]\npassword_file = "nowhere"')
    configured.write("connector-host.toml", wrong)
    done = configured.run_apart("serve")
    assert (done.returncode, done.stderr.count("no connector can be served")) == (78, 1)
    assert (done.stderr.count("nowhere cannot be read"), len(done.stderr.splitlines())) == (1, 1), done.stderr
