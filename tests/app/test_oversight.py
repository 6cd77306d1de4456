"""What an administrator sees of a running host: who changed what, how it does, and who is kept out."""

import json
import re
import shutil
import socket
import sqlite3
import urllib.request

import pytest

from connector_host.access.tokens import hash_token

PERSON = {
    "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
    "userName": "ada",
    "name": {"givenName": "Ada", "familyName": "Lovelace"},
    "active": True,
}
RENAME = {
    "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
    "Operations": [{"op": "replace", "path": "name.familyName", "value": "King"}],
}


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def add(folder, text):
    """Put lines into [host]."""
    folder.write("connector-host.toml", folder.read("connector-host.toml").replace("[host]\n", f"[host]\n{text}\n"))


def records(folder, connector="Employees"):
    files = sorted((folder.path / "state" / "audit").glob("*.jsonl"))
    read = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    return [record for record in read if record.get("connector") == connector]


def test_every_export_leaves_a_record_of_who_and_what_without_values(configured):
    with configured.serve() as host:
        assert host.ask("POST", "/Users", PERSON)[0] == 201
        assert host.ask("PATCH", "/Users/ada", RENAME)[0] == 200
        assert host.ask("PATCH", "/Users/ada", RENAME)[0] == 200
        assert host.ask("POST", "/Users", PERSON)[0] == 409
        assert host.ask("DELETE", "/Users/ada")[0] == 204
        assert host.ask("DELETE", "/Users/ada")[0] == 404
        assert host.ask("GET", "/Users")[0] == 200
        host.stop()
        answered = [line for line in host.lines if line["event"] == "request.answered"]
    requests = [line["request_id"] for line in answered]
    assert {line["connector"] for line in answered} == {"Employees"}
    found = records(configured)
    assert [(one["operation"], one["outcome"]) for one in found] == [
        ("add", "committed"),
        ("modify", "committed"),
        ("modify", "unchanged"),
        ("add", "Conflict"),
        ("delete", "committed"),
        ("delete", "NotFound"),
    ]
    assert {one["anchor"] for one in found} == {"ada"}
    assert "LastName" in found[1]["attributes"]
    assert "Lovelace" not in json.dumps(found)
    assert {one["token"] for one in found} == {hash_token(configured.read("token").strip())[7:15]}
    assert {one["source"] for one in found} == {"127.0.0.1"}
    assert [one["request_id"] for one in found] == requests[:6]
    traces = [line["traceparent"].split("-")[1] for line in answered]
    assert [one["trace_id"] for one in found] == traces[:6]
    assert configured.run("audit", "verify").returncode == 0


def test_the_log_says_where_a_request_without_a_valid_token_came_from(configured):
    with configured.serve() as host:
        for connector in ("Employees", "Nowhere"):
            assert host.ask("GET", "/Users", token="wrong", connector=connector)[0] == 401
            line = host.wait_for("request.answered")
            assert (line["status"], line["source"], "connector" in line) == (401, "127.0.0.1", False)


def test_values_are_recorded_where_that_is_asked_for_and_not_redacted(configured):
    text = configured.read("connector-host.toml") + '\n[audit]\nvalues = true\nredact = ["LastName"]\n'
    configured.write("connector-host.toml", text)
    with configured.serve() as host:
        host.ask("POST", "/Users", PERSON)
    [one] = records(configured)
    assert one["attributes"]["FirstName"] == "Ada"
    assert one["attributes"]["LastName"] == "[redacted]"


def test_a_name_to_redact_that_no_connector_has_is_told_by_check(configured):
    old = configured.read("connector-host.toml")
    configured.write("connector-host.toml", old + '\n[audit]\nredact = ["LastName", "firstname", "Wages"]\n')
    done = configured.run("check", "--json")
    found = [(one["level"], one["fact"], one["mend"]) for one in json.loads(done.stdout)["audit"]]
    assert done.returncode == 0
    assert [(level, mend.partition(":")[0]) for level, _, mend in found] == [
        ("ok", ""),
        ("warning", "Did you mean FirstName?"),
        ("warning", "There are"),
    ]
    assert "No connector has an attribute Wages" in found[2][1]


def test_exports_are_in_the_trail_before_they_are_answered(configured):
    with configured.serve() as host:
        for number in range(10):
            assert host.ask("POST", "/Users", PERSON | {"userName": f"user{number}"})[0] == 201
        host.process.kill()
        host.process.wait()
    assert len(records(configured)) == 10


def test_a_trail_that_cannot_be_written_keeps_the_host_from_starting(configured):
    configured.write("file", "")
    configured.write("connector-host.toml", configured.read("connector-host.toml") + '\n[audit]\nfolder = "file"\n')
    done = configured.run_apart("serve")
    assert done.returncode == 78
    assert done.stderr.splitlines()[-1].startswith("connector-host: audit: ")


def test_a_second_host_on_the_same_state_is_turned_away_before_it_touches_anything(configured):
    with configured.serve() as host:
        done = configured.run_apart("serve")
        assert (done.returncode, "is the host running already?" in done.stderr) == (75, True)
        assert host.ask("POST", "/Users", PERSON)[0] == 201
    assert configured.run("audit", "verify").returncode == 0


def test_a_damaged_trail_keeps_the_host_from_starting_and_is_left_as_it_is(configured):
    with configured.serve() as host:
        host.ask("POST", "/Users", PERSON)
    file = next((configured.path / "state" / "audit").glob("*.jsonl"))
    file.write_text(file.read_text() + "garbage\n")
    before = file.read_text()
    done = configured.run_apart("serve")
    assert (done.returncode, done.stderr.splitlines()[-1].startswith("connector-host: audit: ")) == (78, True)
    assert file.read_text() == before


def test_an_altered_record_is_found(configured):
    with configured.serve() as host:
        host.ask("POST", "/Users", PERSON)
    file = next((configured.path / "state" / "audit").glob("*.jsonl"))
    file.write_text(file.read_text().replace('"operation":"add"', '"operation":"delete"'))
    done = configured.run("audit", "verify")
    assert (done.returncode, "was altered" in done.stdout) == (1, True)


def test_the_trail_is_read_by_anchor(configured):
    with configured.serve() as host:
        host.ask("POST", "/Users", PERSON)
        host.ask("POST", "/Users", PERSON | {"userName": "grace"})
    assert [
        one["anchor"] for one in json.loads(configured.run("audit", "show", "--anchor", "ada", "--json").stdout)
    ] == ["ada"]
    assert "grace" in configured.run("audit", "show").stdout


def test_metrics_are_on_a_listener_of_their_own(configured):
    port = free_port()
    add(configured, f"metrics_port = {port}")
    with configured.serve() as host:
        host.wait_for("metrics.served")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            before = answer.read().decode()
        host.ask("POST", "/Users", PERSON)
        host.ask("GET", "/Users", token="wrong-token")
        host.ask("GET", "/Users", connector="nobody")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
    assert 'connector_host_operation_seconds_count{connector="Employees",operation="add",outcome="ok"} 1.0' in text
    assert 'connector_host_request_seconds_count{connector="Employees",method="POST",status="201"} 1.0' in text
    assert 'connector_host_request_seconds_count{connector="",method="GET",status="401"} 1.0' in text
    assert 'connector_host_denied_total{reason="token"} 2.0' in text
    for labels in ('errors_total{connector="Employees",error="InDoubt"}', 'denied_total{reason="locked out"}'):
        assert f"connector_host_{labels} 0.0" in before
    assert 'connector_host_database_errors_total{class="login",connector="Employees"} 0.0' in before
    assert "connector_host_certificate_days_left 39" in text
    assert "ada" not in text


@pytest.mark.parametrize("workers", [1, 2])
def test_metrics_tell_that_the_trail_cannot_be_written_and_exports_are_refused(configured, workers):
    port = free_port()
    add(configured, f"metrics_port = {port}\nworkers = {workers}")
    trail = configured.path / "state" / "audit"
    with configured.serve() as host:
        host.wait_for("metrics.served")
        assert figure(port, "connector_host_audit_up") == "1.0"
        shutil.rmtree(trail)
        assert host.ask("POST", "/Users", PERSON)[0] == 201  # committed, which stays the truth
        assert host.ask("DELETE", "/Users/ada")[0] == 503
        assert figure(port, "connector_host_audit_up") == "0.0"
        trail.mkdir()
        assert host.ask("DELETE", "/Users/ada")[0] == 204
        assert figure(port, "connector_host_audit_up") == "1.0"


def figure(port, name):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return next(line.split()[1] for line in answer.read().decode().splitlines() if line.startswith(f"{name} "))


def test_metrics_tell_queues_connections_and_what_the_database_refused(configured):
    port = free_port()
    add(configured, f"metrics_port = {port}")
    with configured.serve() as host:
        host.wait_for("metrics.served")
        assert [host.ask("POST", "/Users", PERSON)[0] for _ in range(2)] == [201, 409]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
    assert 'connector_host_queue_depth{connector="Employees",operation="export"} 0.0' in text
    assert 'connector_host_queue_depth{connector="Employees",operation="read"} 0.0' in text
    assert 'connector_host_database_connections{connector="Employees",purpose="writing"} 1.0' in text
    assert 'connector_host_database_connections_max{connector="Employees",purpose="writing"} 1.0' in text
    assert re.search(r'database_errors_total{class="unique",connector="Employees"} [1-9]', text)


def test_a_guesser_is_locked_out(configured):
    add(configured, "lock_out_failures = 3\ntrusted_proxies = []")
    with configured.serve() as host:
        assert [host.ask("GET", "/Users", token="wrong-token")[0] for _ in range(5)] == [401, 401, 401, 429, 429]
        assert host.ask("GET", "/Users")[0] == 429


@pytest.mark.parametrize("known", ["Employees", "nobody"])
def test_an_address_that_is_not_allowed_is_turned_away(configured, known):
    add(configured, 'allow = ["192.0.2.0/24"]')
    with configured.serve() as host:
        assert host.ask("GET", "/Users", connector=known)[0] == 403


def test_the_last_proxy_says_who_calls_and_not_what_the_client_wrote_before(configured):
    add(configured, 'allow = ["192.0.2.0/24"]\ntrusted_proxies = ["127.0.0.1", "198.51.100.7"]')
    said = {
        ("X-Forwarded-For", "192.0.2.1"): 200,
        ("X-Forwarded-For", "192.0.2.1, 203.0.113.9"): 403,
        ("X-Forwarded-For", "203.0.113.9, 192.0.2.1, 198.51.100.7"): 200,
        ("X-Forwarded-For", "192.0.2.1, nonsense"): 403,
        ("Forwarded", "for=192.0.2.1, for=203.0.113.9"): 403,
        ("Forwarded", 'for=203.0.113.9, for="192.0.2.1:4711"'): 200,
    }
    with configured.serve() as host:
        assert {header: host.ask("GET", "/Users", headers=[header])[0] for header in said} == said


def test_a_proxy_that_passes_on_whom_the_client_names_elsewhere_is_not_believed(configured):
    add(configured, 'allow = ["192.0.2.0/24", "127.0.0.1"]')
    spoofed = [("Forwarded", "for=192.0.2.1"), ("X-Forwarded-For", "203.0.113.9")]
    with configured.serve() as host:
        assert host.ask("GET", "/Users", headers=spoofed)[0] == 403


def test_a_database_that_is_gone_is_counted_and_named(configured):
    with configured.serve() as host:
        assert host.ask("GET", "/Users")[0] == 200
        with sqlite3.connect(configured.path / "contoso.sqlite") as connection:
            connection.execute("ALTER TABLE Employees RENAME TO Gone")
        connection.close()
        assert host.ask("POST", "/Users", PERSON)[0] >= 500
    [one] = records(configured)
    assert one["outcome"] not in {"committed", "unchanged"}


def test_a_name_that_is_unknown_is_answered_like_a_wrong_token(configured):
    configured.write("Employees.tokens", configured.read("Employees.tokens") + "no hash\n")
    with configured.serve() as host:
        answers = [host.ask("GET", "/Users", token="wrong-token", connector=name) for name in ("Employees", "nobody")]
        assert host.ask("GET", "/Users")[0] == 200
        assert host.ask("GET", "/Users", connector="nobody")[0] == 401
    assert [status for status, _ in answers] == [401, 401]
    texts = [document["detail"].partition(" (request")[0] for _, document in answers]
    assert texts[0] == texts[1]
