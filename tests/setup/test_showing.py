"""What `config show` and the support bundle show of a configuration gives no secret away, wherever somebody put it."""

import pytest

from connector_host.settings import load
from connector_host.setup.showing import effective, lines

HOST = '[host]\ncertificate = "c"\nkey = "k"\n'


def shown(tmp_path, text):
    file = tmp_path / "connector-host.toml"
    file.write_text(HOST + text)
    return "\n".join(lines(effective(load(file))))


def of_database(tmp_path, database, more=""):
    return shown(tmp_path, f'[connectors.HR]\ndatabase = "{database}"\ntable = "T"\nanchor = "A"\n{more}')


@pytest.mark.parametrize(
    "database",
    [
        "postgresql://scim:hunter2@db/hr",
        "postgresql://scim:a/hunter2@db/hr",
        "postgresql://scim:a@hunter2@db/hr",
        "postgresql://scim@db/hr?password=hunter2",
        "postgresql://scim@db/hr?sslmode=require&PWD=hunter2&x=y",
        "mssql+pyodbc:///?odbc_connect=DRIVER%3Dx%3BPWD%3Dhunter2%3BSERVER%3Ddb",
        "mssql+pyodbc:///?odbc_connect=DRIVER=x;PWD={a;hunter2};SERVER=db",
        "mssql+pyodbc:///?odbc_connect=PWD%3D%7Ba%3Bhunter2%7D%3BSERVER%3Ddb",
    ],
)
def test_a_password_in_the_url_of_a_database_is_hidden(tmp_path, database):
    text = of_database(tmp_path, database)
    assert "hunter2" not in text
    assert "**********" in text


def test_what_is_no_secret_is_shown(tmp_path):
    text = of_database(tmp_path, "mssql+pyodbc://scim@db:1433/hr?driver=ODBC+18&TrustServerCertificate=no")
    assert 'database = "mssql+pyodbc://scim@db:1433/hr?driver=ODBC+18&TrustServerCertificate=no"' in text
    assert 'token_hashes = ["sha256:' in of_database(
        tmp_path, "sqlite:///x", f'token_hashes = ["sha256:{"0" * 64}"]\ntoken_hash_file = "t"'
    )


def test_a_password_in_the_file_is_hidden(tmp_path):
    assert "hunter2" not in of_database(tmp_path, "sqlite:///x", 'password = "hunter2"')


def test_what_is_done_with_passwords_is_no_secret(tmp_path):
    assert 'password = "drop"' in of_database(tmp_path, "sqlite:///x", '[connectors.HR.refusals]\npassword = "drop"')


def test_secrets_of_provisioning_jobs_are_hidden(tmp_path):
    jobs = """
[jobs.staff.target]
url = "https://relay.example.org/t/acme/ecma2host_HR/scim"
token = "hunter2-hunter2"
[[jobs.staff.sources]]
type = "graph"
secret = "hunter2"
secret_file = "graph-secret"
[jobs.staff.notices]
webhook = "https://hooks.example.org/hunter2"
"""
    text = of_database(tmp_path, "sqlite:///x", jobs)
    assert "hunter2" not in text
    assert "https://relay.example.org/t/acme/ecma2host_HR/scim" in text
    assert "graph-secret" in text
