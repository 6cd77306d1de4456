"""`connector-host init` writes a configuration that works and explains itself, and keeps every secret out of it."""

import json
import os
import pty
import socket
import sqlite3
import stat
import subprocess
import tomllib
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pytest

from connector_host.access.tokens import hash_token
from tests.servers import PASSWORD

MAIL = 'emails[type eq "work"].value'


def connector(folder, name="Employees"):
    return tomllib.loads(folder.read("connector-host.toml"))["connectors"][name]


def test_what_it_proposes_is_written_with_its_reasons(folder):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    done = folder.init("--table", "Employees", "--port", port)
    assert done.returncode == 0, done.stdout + done.stderr
    written = connector(folder)
    assert (written["anchor"], written["table"]) == ("ContosoLogin", "Employees")
    assert written["attributes"] == {
        "ContosoLogin": "userName",
        "FirstName": "name.givenName",
        "LastName": "name.familyName",
        "Email": MAIL,
        "Active": "active",
    }
    assert "# reads as “first name”" in folder.read("connector-host.toml")
    assert f"https://localhost:{port}/ecma2host_Employees/scim" in done.stdout


def test_a_column_that_holds_a_secret_is_not_exposed(folder):
    folder.init("--table", "Employees")
    assert set(connector(folder)["columns"]) == {"ContosoLogin", "FirstName", "LastName", "Email", "Active"}
    assert "# PasswordHash is left out: holds a secret" in folder.read("connector-host.toml")


def test_the_token_is_shown_once_and_only_its_hash_is_kept(folder):
    done = folder.init("--table", "Employees")
    token = next(line.split()[2] for line in done.stdout.splitlines() if line.startswith("Secret token"))
    kept = "".join(path.read_text() for path in folder.path.rglob("*") if path.suffix in {".toml", ".tokens"})
    assert hash_token(token) in kept
    assert token not in kept


def test_the_token_may_go_into_a_file_for_its_owner_only(configured):
    token = configured.read("token").strip()
    assert stat.S_IMODE((configured.path / "token").stat().st_mode) == 0o600
    assert hash_token(token) in configured.read("Employees.tokens")


def test_a_column_of_y_and_n_is_true_and_false_at_once(folder):
    with closing(sqlite3.connect(folder.path / "flags.db")) as database:
        database.execute(
            "CREATE TABLE people (login text PRIMARY KEY NOT NULL, Active char(1) CHECK (Active IN ('Y', 'N')))"
        )
    done = folder.run("init", "--yes", "--port", "0", "--database-url", "sqlite:///flags.db", "--table", "people")
    assert done.returncode == 0, done.stdout + done.stderr
    assert connector(folder, "people")["column"] == {"Active": {"true": "Y", "false": "N"}}
    user = json.dumps({"login": "anna", "Active": False})
    done = folder.run("export", "people", "--create", user)
    assert done.returncode == 0, done.stdout + done.stderr
    with closing(sqlite3.connect(folder.path / "flags.db")) as database:
        assert database.execute("SELECT Active FROM people").fetchall() == [("N",)]


@pytest.mark.parametrize("source", ["url", "environment", "file"])
def test_a_password_is_sealed(folder, postgresql_server, source):
    server, name = postgresql_server, postgresql_server.database()
    with server.connect(name) as connection:
        connection.execute("CREATE TABLE people (login text PRIMARY KEY, mail text)")
    (folder.path / "given").write_text(f"{PASSWORD}\n")
    bare = f"postgresql://{server.user}@{server.host}:{server.port}/{name}"
    full = f"postgresql://{server.user}:{quote(PASSWORD)}@{server.host}:{server.port}/{name}"
    given = {
        "url": ([full], {}),
        "environment": ([bare], {"CONNECTOR_HOST_DATABASE_PASSWORD": PASSWORD}),
        "file": ([bare, "--password-file", "given"], {}),
    }
    options, environment = given[source]
    done = folder.run("init", "--yes", "--port", "0", "--table", "people", "--database-url", *options, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert PASSWORD not in folder.read("connector-host.toml") + done.stdout + done.stderr
    kept = folder.path / connector(folder, "people")["password_sealed_file"]
    assert PASSWORD not in kept.read_text()
    assert folder.run("check").returncode == 0
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_a_password_of_another_configuration_is_not_replaced_unasked(folder, postgresql_server):
    server, name = postgresql_server, postgresql_server.database()
    with server.connect(name) as connection:
        connection.execute("CREATE TABLE people (login text PRIMARY KEY, mail text)")
    folder.write("people.password.sealed", "in use")
    url = f"postgresql://{server.user}:{quote(PASSWORD)}@{server.host}:{server.port}/{name}"
    done = folder.run("init", "--yes", "--port", "0", "--table", "people", "--database-url", url)
    assert (done.returncode, "people.password.sealed exists" in done.stderr) == (1, True)
    assert folder.read("people.password.sealed") == "in use"
    assert not (folder.path / "tls").exists()


def test_what_is_there_is_not_overwritten_unasked(configured):
    before = {path.name: path.read_bytes() for path in configured.path.iterdir() if path.is_file()}
    done = configured.init("--table", "Employees")
    assert (done.returncode, "exists" in done.stderr, "--force" in done.stderr) == (1, True, True)
    assert {path.name: path.read_bytes() for path in configured.path.iterdir() if path.is_file()} == before
    assert configured.init("--table", "Employees", "--force").returncode == 0


@pytest.mark.parametrize(
    "file",
    ["contoso.sqlite", "connector-host.toml", "Employees.tokens", "tls/key.pem", "connector-host.key", "fifo"],
)
def test_a_token_file_that_is_no_token_is_refused_before_anything_is_written(folder, file):
    os.mkfifo(folder.path / "fifo")
    before = {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}
    done = folder.init("--table", "Employees", "--token-file", file)
    assert (done.returncode, f"--token-file: {file} " in done.stderr, "holds a token" in done.stderr) == (1, True, True)
    assert {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("there", "more"),
    [
        ("Employees.tokens", ["--config", "second.toml", "--issue-certificate", "second"]),
        ("CRM.tokens", ["--add", "--name", "CRM"]),
    ],
)
def test_tokens_of_another_configuration_are_not_revoked_unasked(configured, there, more):
    configured.write(there, configured.read("Employees.tokens"))
    before = {path: path.read_bytes() for path in configured.path.rglob("*") if path.is_file()}
    done = configured.init("--table", "Employees", *more)
    assert (done.returncode, there in done.stderr, "--force" in done.stderr) == (1, True, True)
    assert {path: path.read_bytes() for path in configured.path.rglob("*") if path.is_file()} == before
    assert configured.init("--table", "Employees", *more, "--force").returncode == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--table", "Badges"], ["composite", "Site"]),
        (["--table", "Loose"], ["Login"]),
        (["--table", "Loose", "--anchor", "Login"], ["not enforce", "--accept-unenforced-anchor"]),
        (["--table", "Employees", "--anchor", "Nobody"], ["no column Nobody", "ContosoLogin"]),
        (["--table", "Employees", "--anchor", "Photo"], ["cannot be the anchor"]),
        (["--table", "Employees", "--map", "Emial=title"], ["Did you mean Email?"]),
        (["--table", "Employees", "--map", "Email=emails"], ["has many values"]),
        (["--table", "Employees", "--map", "Email"], ["COLUMN=PATH"]),
        (["--table", "Nowhere"], ["Nowhere"]),
        (["--table", "Employees", "--name", "two words"], ["is no name for a connector"]),
        (["--table", "Employees", "--certificate", "x.pem"], ["--key"]),
        (["--table", "Employees", "--certificate", "x.pem", "--key", "y.pem"], ["x.pem does not exist"]),
        (["--table", "Employees", "--listen", "nonsense..example"], ["--listen: 'nonsense..example' is no address"]),
        (["--table", "Employees", "--listen", ""], ["--listen: '' is no address"]),
        (["--table", "Employees", "--host", ""], ["'' is neither a host name"]),
        (["--table", "Employees", "--token-file", "nowhere/token"], ["--token-file: the folder nowhere is not there"]),
        (["--table", "Loose", "--anchor", "Name"], ["unique and not null (nothing in the table says that it is"]),
        ([], ["--table", "Employees"]),
    ],
)
def test_what_cannot_work_is_refused_in_one_line_and_nothing_is_written(folder, options, words):
    done = folder.init(*options)
    assert done.returncode == 1, done.stdout
    assert [word for word in words if word not in done.stderr] == []
    assert len(done.stderr.splitlines()) == 1
    assert [path.name for path in folder.path.iterdir()] == ["contoso.sqlite"]


def test_a_certificate_for_another_host_is_refused_and_what_is_there_goes_on(configured):
    assert configured.run("cert", "issue", "--host", "hr.example.org", "--out", "theirs").returncode == 0
    before = {path: path.read_bytes() for path in configured.path.rglob("*") if path.is_file()}
    given = ("--certificate", "theirs/certificate.pem", "--key", "theirs/key.pem", "--host", "crm.example.org")
    done = configured.init("--table", "Employees", "--force", *given)
    assert (done.returncode, "not for crm.example.org" in done.stderr) == (1, True), done
    assert {path: path.read_bytes() for path in configured.path.rglob("*") if path.is_file()} == before


def test_a_token_may_go_into_a_folder_that_init_makes(folder):
    done = folder.init("--table", "Employees", "--config", "new/connector-host.toml", "--token-file", "new/token")
    assert done.returncode == 0, done.stdout + done.stderr
    assert hash_token(folder.read("new/token").strip()) in folder.read("new/Employees.tokens")


def test_what_belongs_to_the_host_is_refused_with_a_connector_that_is_added(configured):
    done = configured.init("--add", "--table", "Employees", "--name", "CRM", "--listen", "127.0.0.2", "--host", "hr")
    assert (done.returncode, "--host and --listen cannot be given with --add" in done.stderr) == (1, True), done


def test_an_anchor_that_nothing_enforces_is_taken_when_it_is_accepted_by_name(folder):
    done = folder.init("--table", "Loose", "--anchor", "Login", "--accept-unenforced-anchor")
    assert done.returncode == 0, done.stdout + done.stderr
    assert connector(folder, "Loose")["accept_unenforced_anchor"] is True


def test_a_mapping_that_is_given_wins(folder):
    folder.init("--table", "Employees", "--map", "Email=userName", "--map", "Active=", "--map", "FirstName=nickname")
    assert connector(folder)["attributes"] == {
        "LastName": "name.familyName",
        "Email": "userName",
        "FirstName": "nickName",
    }


def test_without_suggestions_only_what_is_given_is_mapped(folder):
    folder.init("--table", "Employees", "--no-suggestions", "--map", "Email=userName")
    assert connector(folder)["attributes"] == {"Email": "userName"}


@pytest.mark.parametrize(
    ("directory", "refusals"),
    [("entra", {"preset": "entra"}), ("okta", {"preset": "okta"}), ("other", None)],
)
def test_a_directory_gets_the_preset_that_its_first_request_needs(folder, directory, refusals):
    folder.init("--table", "Employees", "--directory", directory)
    assert connector(folder).get("refusals") == refusals


def test_a_script_reads_json(folder):
    done = folder.init("--table", "Employees", "--json")
    document = json.loads(done.stdout)
    assert (document["anchor"], document["attributes"]["Email"]) == ("ContosoLogin", MAIL)
    assert hash_token(document["token"]) in folder.read("Employees.tokens")
    assert {finding["level"] for part in document["findings"].values() for finding in part} <= {"ok", "warning"}


def test_a_person_answers_questions(folder):
    leader, follower = pty.openpty()
    answers = [folder.url, "2", "", "Email=nickName", "Emial=x", "", "HR", "entra", "", ""]
    with folder.start(
        "init", "--port", "0", stdin=follower, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        os.write(leader, "".join(f"{answer}\n" for answer in answers).encode())
        output, _ = process.communicate(timeout=60)
    os.close(leader)
    os.close(follower)
    assert process.returncode == 0, output
    assert "Did you mean Email?" in output
    assert connector(folder, "HR")["attributes"]["Email"] == "nickName"
    assert connector(folder, "HR")["refusals"] == {"preset": "entra"}


def test_a_second_connector_is_added_and_the_rest_stays_as_it_is(configured):
    (configured.path / "connector-host.toml").chmod(0o600)
    before = configured.read("connector-host.toml")
    done = configured.init("--add", "--table", "Employees", "--name", "CRM", "--token-file", "crm-token")
    assert done.returncode == 0, done.stdout + done.stderr
    assert configured.read("connector-host.toml").startswith(before.rstrip())
    assert (configured.path / "connector-host.toml").stat().st_mode & 0o777 == 0o600
    with configured.serve() as host:
        token = configured.read("crm-token").strip()
        assert host.ask("GET", "/Users", connector="CRM", token=token)[0] == 200
        assert host.ask("GET", "/Users", connector="CRM")[0] == 401
        assert host.ask("GET", "/Users")[0] == 200


def test_a_second_connector_of_the_same_name_is_refused(configured):
    before = {path.name: path.read_bytes() for path in configured.path.iterdir() if path.is_file()}
    done = configured.init("--add", "--table", "Employees")
    assert (done.returncode, "Give another --name" in done.stderr) == (1, True)
    assert {path.name: path.read_bytes() for path in configured.path.iterdir() if path.is_file()} == before


def test_what_another_product_exported_is_taken_over_under_the_same_url(folder):
    sample = Path(__file__).parents[1] / "setup" / "samples" / "ecma2host.xml"
    text = sample.read_text().replace("[dbo].[Employees]", "Employees")
    (folder.path / "export.xml").write_text(text)
    done = folder.init("--from-ecma2host", "export.xml", "--token-file", "token")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "note: Photo is left out" in done.stderr
    written = connector(folder, "SQL")
    assert (written["anchor"], written["attributes"]) == ("ContosoLogin", {})
    assert written["columns"] == ["ContosoLogin", "FirstName", "LastName", "Email", "Active"]
    assert "# Photo is left out" in folder.read("connector-host.toml")
    with folder.serve() as host:
        urn = "urn:ietf:params:scim:schemas:extension:ECMA2Host:2.0:User"
        query = f'/Users?filter={quote(urn)}:ContosoLogin+eq+"bsimon"'.replace('"', "%22")
        status, found = host.ask("GET", query, connector="SQL")
    assert status == 200, found
    assert found["Resources"][0][urn]["FirstName"] == "Britta"


def test_a_table_of_an_export_whose_schema_is_not_there_is_named_with_the_one_that_is(folder):
    sample = Path(__file__).parents[1] / "setup" / "samples" / "ecma2host.xml"
    done = folder.init("--from-ecma2host", sample, "--token-file", "token")
    assert done.returncode == 1
    assert "there is no dbo.Employees that the login can see, but there is Employees." in done.stderr
    assert not (folder.path / "connector-host.toml").exists()


def test_a_name_in_an_export_that_no_url_can_hold_is_changed_and_that_is_told(folder):
    sample = Path(__file__).parents[1] / "setup" / "samples" / "ecma2host.xml"
    text = (
        sample.read_text().replace("[dbo].[Employees]", "Employees").replace("<ProfileName>SQL", "<ProfileName>My SQL")
    )
    (folder.path / "export.xml").write_text(text)
    done = folder.init("--from-ecma2host", "export.xml", "--token-file", "token")
    assert (done.returncode, "The connector 'My SQL' is called My_SQL here" in done.stderr) == (0, True), done.stderr
    assert "/ecma2host_My_SQL/scim" in done.stdout


def test_a_name_that_no_url_can_hold_is_refused_for_the_file_that_was_to_be_written(folder):
    done = folder.init("--table", "Employees", "--name", "My SQL", "--token-file", "token")
    assert (done.returncode, "Error: connector-host.toml:" in done.stderr) == (1, True), done.stderr
    assert not (folder.path / "connector-host.toml").exists()
