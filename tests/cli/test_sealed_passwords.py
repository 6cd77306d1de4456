"""Every command that asks the database opens the password that `init` sealed."""

from __future__ import annotations

import json
import re

import pytest

from connector_host.setup.secrets import seal_password
from tests.folders import Folder


@pytest.fixture
def sealed(tmp_path, postgresql_server):
    """Return a folder with the configuration of a table of PostgreSQL, whose password is sealed."""
    name = postgresql_server.database()
    with postgresql_server.connect(name) as database:
        database.execute("CREATE TABLE people (login varchar(20) PRIMARY KEY, name text)")
        database.execute("INSERT INTO people VALUES ('anna', 'Anna')")
    folder = Folder(tmp_path)
    seal_password("HR", postgresql_server.password, tmp_path / "HR.password.sealed")
    (tmp_path / "connector-host.toml").write_text(
        f"""
        [host]
        certificate = "certificate.pem"
        key = "key.pem"
        [connectors.HR]
        database = "postgresql://{postgresql_server.user}@{postgresql_server.host}:{postgresql_server.port}/{name}"
        password_sealed_file = "HR.password.sealed"
        table = "people"
        anchor = "login"
        """
    )
    return folder


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("grants", "--login", "scim"), 'GRANT SELECT, INSERT, UPDATE, DELETE ON "public"."people" TO "scim";'),
        (("change-log",), 'CREATE TABLE "public"."people_changes"'),
        (("discover",), "is the primary key"),
        (("import",), '"anchor":"anna"'),
        (("export", "--dry-run", "--update", "anna", "--values", '{"name": "Anne"}'), "anna: would be written"),
        (("export", "--update", "anna", "--values", '{"name": "Anne"}'), '"written": true'),
        (("check", "--probe"), "none stayed"),
    ],
    ids=lambda given: "-".join(given[:2]) if isinstance(given, tuple) else "",
)
def test_the_command_reaches_the_database(sealed, words, said):
    done = sealed.run(*words)
    assert said in done.stdout, done.stdout + done.stderr


def test_an_export_by_hand_takes_the_types_that_the_host_knows(sealed, postgresql_server):
    """A column whose type changed keeps the known one until it is accepted, whoever asks (DESIGN §2.8)."""
    types = sealed.path / "state" / "types" / "HR.json"
    add = ("export", "--dry-run", "--json", "--create", '{"login": "bob", "name": "x"}')
    assert sealed.run("export", "--update", "anna", "--values", '{"name": "Anna"}').returncode == 0
    kept = json.loads(types.read_text())
    kept["columns"]["name"]["kind"]["family"] = "integer"
    types.write_text(json.dumps(kept))
    assert "of the type integer" in sealed.run(*add).stderr
    kept["database"] = "mariadb"
    types.write_text(json.dumps(kept))
    assert json.loads(sealed.run(*add).stdout)["outcome"]["id"] == "bob"


def test_a_password_file_with_a_nul_is_told_by_check_as_any_other_mistake(configured):
    (configured.path / "password").write_bytes(b"s3\0cret")
    old = configured.read("connector-host.toml")
    new = re.sub(
        "(?m)^database = .*$", 'database = "postgresql://scim@127.0.0.1:1/hr"\npassword_file = "password"', old
    )
    configured.write("connector-host.toml", new)
    done = configured.run("check")
    assert (done.returncode, "has a NUL character in it" in done.stdout) == (1, True), done
    assert "password_file: " in done.stdout
