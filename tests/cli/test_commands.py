"""The other commands: what they say, and the exit code that a script acts on."""

import json
import re
import socket
import sqlite3
import subprocess
import sys

import pytest

from connector_host.tls.files import load_chain
from tests.tls.certificates import armoured, odd_certificates


def test_help_loads_nothing_that_takes_long():
    heavy = {"aiohttp", "cryptography", "msgspec", "pydantic", "rich", "scim2_models", "sqlalchemy", "structlog"}
    code = "import sys, connector_host.cli; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=30)
    assert heavy.isdisjoint(done.stdout.split())


@pytest.mark.parametrize(
    "command",
    [
        "init",
        "check",
        "discover",
        "serve",
        "token new",
        "cert issue",
        "cert request",
        "cert install",
        "cert renew",
        "cert show",
        "cert check",
    ],
)
def test_every_help_has_an_example(folder, command):
    done = folder.run(*command.split(), "--help")
    assert done.returncode == 0
    assert re.search(rf"Examples?:\n\s+connector-host {command}", done.stdout)


def test_the_host_serves_what_init_wrote_and_stops_when_it_is_told_to(configured):
    with configured.serve() as host:
        status, found = host.ask("GET", "/Users")
        assert (status, found["totalResults"]) == (200, 1)
        assert host.stop() == 0
        assert host.lines[-1]["event"] == "host.stopped"


def test_check_proves_on_request_that_values_survive_and_leaves_nothing(configured):
    without = json.loads(configured.run("check", "--json").stdout)
    sections = json.loads(configured.run("check", "--probe", "--json").stdout)
    (added,) = set(sections) - set(without)
    assert added == "connectors.Employees.probe"
    assert any(finding["fact"].startswith("survives: ") for finding in sections[added])
    assert "none stayed" in sections[added][-1]["fact"]


def test_a_certificate_for_another_name_keeps_the_host_from_starting(configured):
    text = configured.read("connector-host.toml")
    (configured.path / "connector-host.toml").write_text(text.replace('name = "localhost"', 'name = "hr.example.org"'))
    done = configured.run_apart("serve")
    assert done.returncode == 78
    [line] = done.stderr.splitlines()
    assert "is for localhost, 127.0.0.1, ::1, not for hr.example.org" in line
    assert "subjectAltName" in line


def test_a_certificate_that_cannot_be_read_is_no_reason_to_start_again(configured):
    [certificate] = load_chain(configured.path / "tls" / "certificate.pem")
    (configured.path / "tls" / "certificate.pem").write_bytes(armoured(odd_certificates(certificate)["kind of key"]))
    done = configured.run_apart("serve")
    assert (done.returncode, len(done.stderr.splitlines())) == (78, 1), done.stderr


def test_a_port_in_use_is_told_in_one_line(configured):
    with configured.serve() as host:
        port = host.origin.rpartition(":")[2]
        text = configured.read("connector-host.toml").replace("port = 0", f'port = {port}\nstate = "of another"')
        configured.write("connector-host.toml", text)
        second = configured.run_apart("serve")
        checked = configured.run("check", "--json")
    assert second.returncode == 75
    assert f"Port {port} on 127.0.0.1 is in use" in second.stderr.splitlines()[0]
    assert {"level": "ok", "subject": "port", "fact": f"The host is running and serves port {port}.", "mend": ""} in (
        json.loads(checked.stdout)["host"]
    )


@pytest.mark.parametrize("workers", [1, 2])
def test_a_record_of_writes_that_cannot_be_opened_keeps_the_host_from_starting(configured, workers):
    text = configured.read("connector-host.toml").replace("port = 0", f"port = 0\nworkers = {workers}")
    configured.write("connector-host.toml", text)
    (configured.path / "state").mkdir(exist_ok=True)
    (configured.path / "state" / "outcomes.sqlite3").write_bytes(b"no database" * 1_000)
    done = configured.run_apart("serve")
    assert done.returncode == 75
    [line] = done.stderr.splitlines()
    assert "outcomes.sqlite3 says which writes were carried out, and cannot be opened" in line


def test_a_configuration_that_does_not_load_says_every_mistake(configured):
    text = configured.read("connector-host.toml").replace("port = 0", 'port = "many"\ncolour = 1')
    (configured.path / "connector-host.toml").write_text(text)
    for run, command, code in ((configured.run, "check", 1), (configured.run_apart, "serve", 78)):
        done = run(command)
        assert done.returncode == code
        assert "host.port" in done.stderr
        assert "host.colour" in done.stderr


def test_one_broken_connector_does_not_stop_the_rest(configured):
    with (configured.path / "connector-host.toml").open("a") as file:
        file.write('\n[connectors.Lost]\ndatabase = "nosuch://x/y"\ntable = "t"\nanchor = "a"\n')
    with configured.serve() as host:
        assert host.ask("GET", "/Users")[0] == 200


def test_check_finds_nothing_wrong_with_what_init_wrote(configured):
    done = configured.run("check")
    assert done.returncode == 0, done.stdout
    assert "FAILURE" not in done.stdout


def test_check_names_what_is_wrong_and_the_mend(configured):
    with sqlite3.connect(configured.path / "contoso.sqlite") as connection:
        connection.execute("DROP TABLE Employees")
    connection.close()
    (configured.path / "Employees.tokens").unlink()
    done = configured.run("check", "--json")
    found = json.loads(done.stdout)["connectors.Employees"]
    failed = {finding["subject"]: finding["mend"] for finding in found if finding["level"] == "failure"}
    assert done.returncode == 1
    assert failed["token"] == "Run `connector-host token new`."
    assert len(failed) > 1
    assert all(failed.values())


@pytest.mark.parametrize(
    ("key", "mode", "exposed"),
    [
        ('password = "hunter2"', 0o600, False),
        ('password = "hunter2"', 0o644, True),
        ('database = "postgresql://scim:hunter2@127.0.0.1:1/hr"', 0o600, False),
    ],
)
def test_a_password_in_plain_text_is_warned_of_and_never_shown(configured, key, mode, exposed):
    file = configured.path / "connector-host.toml"
    kept = [line for line in file.read_text().splitlines() if not line.startswith(("database", "password"))]
    key = key if key.startswith("database") else f'database = "postgresql://scim@127.0.0.1:1/hr"\n{key}'
    file.write_text("\n".join(kept).replace("[connectors.Employees]", f"[connectors.Employees]\n{key}"))
    file.chmod(mode)
    done = configured.run("check", "--json")
    [found] = [one for one in json.loads(done.stdout)["connectors.Employees"] if one["subject"] == "password"]
    assert (found["level"], "everybody" in found["fact"]) == ("warning", exposed)
    assert "secret set --connector Employees" in found["mend"]
    assert "hunter2" not in done.stdout + done.stderr
    with configured.serve() as host:
        assert {"password.plain"} <= {line["event"] for line in host.lines}
        assert "hunter2" not in str(host.lines)


def test_a_password_from_the_environment_is_no_plain_text(configured):
    done = configured.run("check", "--json", env={"CONNECTOR_HOST__CONNECTORS__EMPLOYEES__PASSWORD": "hunter2"})
    assert "password" not in {one["subject"] for one in json.loads(done.stdout)["connectors.Employees"]}


def test_check_tries_mappings_and_flows(configured):
    text = configured.read("connector-host.toml")
    configured.write(
        "connector-host.toml", text + '[connectors.Employees.disable]\naction = "set"\ncolumn = "Nowhere"\n'
    )
    done = configured.run("check")
    assert (done.returncode, "mapping" in done.stdout, "Nowhere" in done.stdout) == (1, True, True)


def test_discover_lists_tables_and_explains_one(folder):
    tables = folder.run("discover", "--database-url", folder.url)
    assert {"Employees", "Badges", "Loose"} <= set(tables.stdout.split())
    table = folder.run("discover", "Employees", "--database-url", folder.url)
    said = r"FirstName +TEXT +required +text +100% filled, all different +name.givenName +95% +reads as “first name”"
    assert re.search(said, table.stdout)
    assert re.search(r"PasswordHash .*\(left out\)", table.stdout)
    assert re.search(r"ContosoLogin +enforced", table.stdout)


def test_discover_shows_names_with_line_breaks_and_escapes_on_one_line_and_harmless(folder):
    database = folder.path / "odd.db"
    with sqlite3.connect(database) as connection:
        connection.execute(
            'CREATE TABLE "a\x1b[2Jb" (id text PRIMARY KEY NOT NULL, "x\nid  y" text, "\u202eevil" text)'
        )
    connection.close()
    tables = folder.run("discover", "--database-url", f"sqlite:///{database}").stdout
    assert r"a\x1b[2Jb" in tables
    shown = folder.run("discover", "a\x1b[2Jb", "--database-url", f"sqlite:///{database}").stdout
    assert r"table a\x1b[2Jb" in shown
    assert len(re.findall(r"^  (?:id|x\\nid  y|\\u202eevil) .* text ", shown, re.MULTILINE)) == 3
    assert all(line.isprintable() for line in (tables + shown).splitlines())


def test_discover_proves_on_request_what_survives_and_leaves_nothing(folder, configured):
    where = ("--database-url", folder.url)
    proven = folder.run("discover", "Employees", "--probe", *where).stdout
    assert "none stayed" in proven
    document = json.loads(configured.run("discover", "--probe", "--json").stdout)
    assert document["columns"][0]["values"] == "text"
    assert document["columns"][0]["sample"] == {"rows": 1, "filled": 1, "distinct": 1, "looks": ""}
    assert any(one["fact"].startswith("survives: ") for one in document["probe"])


def test_discover_takes_the_database_of_the_configuration(configured):
    document = json.loads(configured.run("discover", "--json").stdout)
    assert document["table"] == "Employees"
    assert {column["name"]: column["path"] for column in document["columns"]}["LastName"] == "name.familyName"


def test_discover_explains_the_query_of_a_connector(configured):
    text = configured.read("connector-host.toml").replace(
        'table = "Employees"',
        """query = "SELECT ContosoLogin, LastName, upper(LastName) AS Shout FROM Employees"
accept_unenforced_anchor = true
exports = { create = ["SELECT 1"], update = ["SELECT 1"], delete = ["SELECT 1"] }""",
    )
    configured.write("connector-host.toml", text)
    document = json.loads(configured.run("discover", "--json").stdout)
    assert (document["kind"], document["table"]) == ("query", None)
    assert {column["name"]: column["path"] for column in document["columns"]}["LastName"] == "name.familyName"
    told = configured.run("discover").stdout
    assert told.startswith("query")
    assert "NOT ENFORCED" in told
    assert "Employees" in configured.run("discover", "Employees").stdout


def test_a_change_log_that_was_made_as_printed_is_imported_from(configured):
    with sqlite3.connect(configured.path / "contoso.sqlite") as connection:
        connection.executescript(configured.run("change-log").stdout)
        first = configured.run_apart("import", "--profile", "changes")
        connection.execute("DELETE FROM Employees")
    connection.close()
    second = configured.run_apart("import", "--profile", "changes")
    assert [json.loads(done.stdout)["change"] for done in (first, second)] == ["add", "delete"]


def test_tracking_by_the_database_is_said_to_be_sql_servers(configured):
    done = configured.run("change-log", "--tracking")
    assert done.returncode == 1
    assert "Only SQL Server tracks changes by itself: leave --tracking out." in done.stderr


def test_a_connector_that_does_not_exist_is_told_with_those_that_do(configured):
    done = configured.run("token", "new", "--connector", "CRM")
    assert (done.returncode, "there are: Employees" in done.stderr) == (1, True)


@pytest.mark.parametrize("content", [None, "", "no certificate"])
def test_an_authority_for_clients_that_is_none_keeps_the_host_from_starting(configured, content):
    text = configured.read("connector-host.toml").replace("[host]\n", '[host]\nclient_authority = "clients.pem"\n')
    configured.write("connector-host.toml", text)
    if content is not None:
        configured.write("clients.pem", content)
    done = configured.run_apart("serve")
    assert (done.returncode, len(done.stderr.splitlines())) == (78, 1), done.stderr
    assert "connector-host: client_authority: " in done.stderr
    checked = configured.run("check", "--json")
    assert (checked.returncode, '"subject": "client_authority"' in checked.stdout) == (1, True)


def test_check_looks_at_the_folders_and_the_port_of_the_figures(configured):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        text = configured.read("connector-host.toml").replace("[host]\n", f"[host]\nmetrics_port = {port}\n")
        configured.write("connector-host.toml", text + '[audit]\nfolder = "/dev/null/audit"\n')
        document = json.loads(configured.run("check", "--json").stdout)
    failed = {one["subject"] for findings in document.values() for one in findings if one["level"] == "failure"}
    assert failed == {"metrics_port", "audit"}
