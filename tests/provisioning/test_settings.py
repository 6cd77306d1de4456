"""The provisioning tables of the configuration: documented key by key, absolute in their paths, clear when wrong."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import sqlalchemy as sa
from pydantic import BaseModel, ValidationError

from connector_host.errors import ConfigurationError
from connector_host.provisioning import settings
from connector_host.provisioning.settings import (
    GraphSettings,
    LdapSettings,
    NotificationSettings,
    ScimSettings,
    SqlSettings,
    load,
)

DOCS = Path(__file__).resolve().parents[2] / "docs" / "provisioning.md"
MODELS = [
    model
    for name in settings.__all__
    if isinstance(model := getattr(settings, name), type) and issubclass(model, BaseModel)
]

JOB = """
[jobs.staff]
source = { type = "csv", path = "people.csv", key = "id" }
target = { url = "https://scim.example.org/scim", token_file = "token" }
mappings = [{ target = "userName", source = "mail", match = 1 }]
"""


def source(**keys):
    """The job with another source."""
    written = ", ".join(f'{name} = "{value}"' for name, value in keys.items())
    return re.sub(r"source = .*", f"source = {{ {written} }}", JOB, count=1)


GRAPH_JOB = source(type="graph", tenant="t", client="c")


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_key_is_documented_where_it_is_declared(model):
    undocumented = [name for name, field in model.model_fields.items() if not field.description]
    assert undocumented == []


def test_the_example_of_the_documentation_is_a_job(tmp_path):
    example = re.search(r"```toml\n(.*?)```", DOCS.read_text(), re.DOTALL)[1]
    (tmp_path / "host.toml").write_text(example)
    loaded = load(tmp_path / "host.toml", {})
    assert set(loaded.jobs) == {"staff"}


def test_paths_are_relative_to_the_folder_of_the_file(tmp_path):
    (tmp_path / "host.toml").write_text(JOB)
    loaded = load(tmp_path / "host.toml", {})
    assert loaded.provisioning.state == f"sqlite:///{tmp_path}/provisioning.sqlite"
    assert loaded.jobs["staff"].source.path == tmp_path / "people.csv"
    assert loaded.jobs["staff"].target.token_file == tmp_path / "token"


@pytest.mark.parametrize(
    ("database", "placed"),
    [
        ("sqlite:///src.sqlite", "{}/src.sqlite"),
        ("sqlite+pysqlite:///data/src.sqlite?timeout=5", "{}/data/src.sqlite"),
        ("sqlite:////srv/src.sqlite", "/srv/src.sqlite"),
        ("postgresql+psycopg://hr@db.example.org/hr", "hr"),
    ],
)
def test_a_database_that_is_a_relative_file_is_relative_to_the_folder_of_the_file(tmp_path, database, placed):
    folder = tmp_path / "100%25 sure?"
    folder.mkdir()
    job = source(type="sql", database=database, query="SELECT 1 AS id", key="id")
    (folder / "host.toml").write_text(f'[provisioning]\nstate = "{database}"\n{job}')
    loaded = load(folder / "host.toml", {})
    assert loaded.jobs["staff"].source.database == loaded.provisioning.state
    assert sa.make_url(loaded.provisioning.state).database == placed.format(folder)


def test_the_environment_lies_over_the_file(tmp_path):
    (tmp_path / "host.toml").write_text(JOB)
    loaded = load(tmp_path / "host.toml", {"CONNECTOR_HOST__JOBS__STAFF__TARGET__CONCURRENCY": "3"})
    assert loaded.jobs["staff"].target.concurrency == 3


LDAP = {"type": "ldap", "search_base": "dc=x", "login": "cn=reader", "secret": "s"}
SQL = {"type": "sql", "query": "SELECT 1 AS id", "key": "id"}
SCIM = {"type": "scim", "secret": "s"}
GRAPH = {"type": "graph", "tenant": "t", "client": "c", "secret": "s"}


@pytest.mark.parametrize(
    ("model", "document", "mend"),
    [
        (LdapSettings, LDAP | {"url": "ldap://dc1.example.org"}, "add start_tls = true"),
        (LdapSettings, LDAP | {"url": "ldaps://dc1.example.org", "start_tls": True}, "leave start_tls out"),
        (ScimSettings, SCIM | {"url": "http://scim.example.org/scim"}, "write https://"),
        (ScimSettings, SCIM | {"url": "https://user:pass@scim.example.org/scim"}, "the address only"),
        (GraphSettings, GRAPH | {"url": "http://graph.example.org"}, "write https://"),
        (GraphSettings, GRAPH | {"authority": "http://login.example.org"}, "write https://"),
        (SqlSettings, SQL | {"database": "postgresql+psycopg://hr:pass@db.example.org/hr"}, "secret_file"),
        (SqlSettings, SQL | {"database": "mysql+pymysql://db.example.org/hr?passwd=pass"}, "secret_file"),
        (SqlSettings, SQL | {"database": "mssql+pyodbc:///?odbc_connect=DSN%3Dhr%3BPWD%3Dpass"}, "secret_file"),
        (SqlSettings, SQL | {"database": "postgresql+psycopg://hr:pa/pass@db.example.org/hr"}, "secret_file"),
        (SqlSettings, SQL | {"database": "db.example.org"}, "no SQLAlchemy URL"),
        (NotificationSettings, {"webhook": "http://hooks.example.org/secret"}, "write https://"),
        (
            NotificationSettings,
            {"smtp": "smtp://me@mail.example.org", "smtp_password_file": "x"},
            r"write smtp\+starttls",
        ),
        (NotificationSettings, {"smtp": "smtps://me:pass@mail.example.org"}, "smtp_password_file"),
        (NotificationSettings, {"smtp": "smtps://me@mail.example.org"}, "smtp_password_file"),
    ],
)
def test_secrets_and_users_are_never_sent_in_the_clear(model, document, mend):
    with pytest.raises(ValidationError, match=mend) as caught:
        model.model_validate(document)
    assert "pass" not in str(caught.value.errors(include_input=False)).replace("password", "")


@pytest.mark.parametrize(
    ("model", "document"),
    [
        (LdapSettings, LDAP | {"url": "ldaps://dc1.example.org"}),
        (LdapSettings, LDAP | {"url": "ldap://dc1.example.org", "start_tls": True}),
        (LdapSettings, LDAP | {"url": "ldap://127.0.0.1"}),
        (LdapSettings, LDAP | {"url": "ldap://dc1.example.org", "login": None, "secret": None}),
        (SqlSettings, SQL | {"database": "postgresql+psycopg://hr@db.example.org/hr"}),
        (SqlSettings, SQL | {"database": "mssql+pyodbc:///?odbc_connect=DSN%3Dhr%3BUID%3Dscim"}),
        (SqlSettings, SQL | {"database": "postgresql+psycopg://db.example.org:5432/hr"}),
        (SqlSettings, SQL | {"database": "sqlite:///C:/folder/a@b.sqlite"}),
        (ScimSettings, SCIM | {"url": "http://localhost:8080/scim"}),
        (NotificationSettings, {"webhook": "http://127.0.0.1:9/x"}),
        (NotificationSettings, {"smtp": "smtp+starttls://me@mail.example.org", "smtp_password_file": "x"}),
    ],
)
def test_this_machine_and_what_is_encrypted_are_fine(model, document):
    assert model.model_validate(document)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[host]\n", r"no \[jobs"),
        (JOB.replace("[jobs.staff]", '[jobs."a b"]'), "no name for a job"),
        (JOB.replace('"csv"', '"excel"'), "source"),
        (JOB + 'cron = "every day"\n', "cron"),
        (JOB + 'cron = "0 3 31 4 *"\n', "cron: names a day that never comes"),
        (JOB + 'cron = "0 0 1 1 * 0 2026"\n', "cron: is no cron expression"),
        (JOB + 'notify = { email = "nobody" }\n', "e-mail"),
        (JOB + 'notify = { smtp = "mail.example.org" }\n', "smtp"),
        (JOB + 'notify = { smtp = "smtp://mail.example.org:99999" }\n', "no mail server"),
        (JOB + 'notify = { webhook = "https://hooks.example.org:0/x" }\n', "no URL"),
        (JOB + 'notify = { webhook = "https://[::1" }\n', r"notify\.webhook: is no URL"),
        (JOB + 'notify = { webhook = "https://..org/x" }\n', r"notify\.webhook: is no URL"),
        (f'[provisioning]\nstate = "postgresql+psycopg://db:54x32/p"\n{JOB}', r"provisioning\.state: its port is none"),
        (f'[provisioning]\nstate = "postgresql+psycopg://db:99999/p"\n{JOB}', r"provisioning\.state: its port is none"),
        (f'[provisioning]\nstate = "provisioning.sqlite"\n{JOB}', r"provisioning\.state: is no SQLAlchemy URL"),
        (f'[provisioning]\nstate = "mysql+pymysql://db/p"\n{JOB}', r"state: the state is kept in SQLite or PostgreSQL"),
        (f'[provisioning]\nstate = "sqlite://"\n{JOB}', r"state: a database in memory forgets .* name a file"),
        (f'[provisioning]\nstate = "sqlite:///:memory:"\n{JOB}', r"state: a database in memory forgets"),
        (source(type="ldap", url="ldaps://dc1:x", search_base="dc=x"), r"url: is no directory: write ldaps://HOST"),
        (
            f'[provisioning]\nstate = "sqlite:///file:x.db?uri=true"\n{JOB}',
            r"provisioning\.state: .*write sqlite:///PATH",
        ),
        (source(type="sql", database="sqlite:///file:x", query="SELECT 1", key="k"), "database: .*sqlite:///PATH"),
        (source(type="sql", database="mssql://db:x/p", query="SELECT 1", key="k"), r"database: its port is none"),
        (source(type="csv", path="p", key="k", encoding="utf-9"), r"encoding: is no encoding"),
        (GRAPH_JOB + 'assignment = "assigned"\n', "assigned_attribute: users of Microsoft Graph come without"),
        (GRAPH_JOB.replace('"c"', '"c", attributes = ["mail", "memberOf"]'), "attributes: memberOf is a relationship"),
        (JOB + "interval_min = 0\n", "interval_min"),
        (JOB + "interval_min = 0.001\n", r"interval_min: .*0\.1"),
        (JOB + "interval_min = inf\n", "interval_min"),
        (JOB + "interval_min = nan\n", "interval_min"),
        (JOB.replace("match = 1", 'match = 1, apply = "creation", clear_when_null = true'), "clear_when_null"),
        (JOB + 'enabled_attribute = "UserAccountControl"\n', "enabled_attribute: .* write accountEnabled"),
        (JOB + "unheard_of = 1\n", "unheard_of: there is no such key"),
        (JOB + "accidental_deletion = 1\n", "Did you mean accidental_deletions"),
        (JOB.partition("mappings")[0] + 'mappings = "userName"\n', "mappings: is a list"),
        (JOB.partition("mappings")[0] + "mappings = []\n", "mappings: .* at least 1 item"),
    ],
)
def test_what_is_wrong_is_named_with_its_key_when_it_is_read(tmp_path, text, reason):
    (tmp_path / "host.toml").write_text(text)
    with pytest.raises(ConfigurationError, match=reason):
        load(tmp_path / "host.toml", {})


def test_a_list_with_a_wrong_item_is_not_called_empty(tmp_path):
    clause = 'scope = [{ clauses = [{ attribute = "x", operator = "EQUAL", value = "y" }] }]'
    (tmp_path / "host.toml").write_text(f"{JOB}{clause}\n")
    with pytest.raises(ConfigurationError) as failure:
        load(tmp_path / "host.toml", {})
    assert ("operator" in str(failure.value), "at least" in str(failure.value)) == (True, False)
