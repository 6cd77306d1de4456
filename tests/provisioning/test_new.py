"""`provision new` saves a job only when its checks pass, and keeps secrets out of the file."""

from __future__ import annotations

import asyncio
import tomllib

import pytest
import sqlalchemy as sa

from connector_host.cli.provision import questions
from connector_host.errors import ConfigurationError
from connector_host.setup.jobs import lines, write
from tests.endpoint.service import TOKEN
from tests.provisioning.jobs_in_files import command, run_beside
from tests.provisioning.mail import mail_server
from tests.provisioning.rig import person
from tests.provisioning.terminal import Terminal


@pytest.fixture
def new(rig):
    token = rig.folder / "scim-token"
    token.write_text(TOKEN + "\n")
    config = rig.folder / "new.toml"

    async def call(*more, url=rig.document["target"]["url"], path=rig.file):
        source = [part for pair in ("type=csv", f"path={path}", "key=id") for part in ("--source", pair)]
        target = ["--url", url, "--token-file", token, "--trust", rig.document["target"]["trust"]]
        async with mail_server() as (smtp, _):
            notify = ("--email", "it@example.org", "--smtp", smtp)
            return await run_beside(config, "new", "staff", *source, *target, *notify, "--yes", *more)

    call.config = config
    return call


async def test_a_job_is_proposed_checked_saved_and_runs(rig, new):
    rig.people(person(1))
    done = await new("--map", "given=name.givenName", "--map", "family=name.familyName", "--map", "enabled=active")
    assert done.returncode == 0, done.stdout + done.stderr
    text = new.config.read_text()
    job = tomllib.loads(text)["jobs"]["staff"]
    flows = {one["source"]: one["target"] for one in job["mappings"]}
    assert flows["login"] == "userName"
    assert flows["mail"] == 'emails[type eq "work"].value'
    assert job["enabled_attribute"] == "enabled"
    assert TOKEN not in text
    assert "1 created" in (await run_beside(new.config, "run", "--once")).stdout
    assert rig.rows()["u00001"]["FirstName"] == "Given1"
    assert "has a job staff already" in (await new()).stderr


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"url": "http://scim.example.org/scim"}, "write https://"),
        ({"url": "https://localhost:9/scim"}, "cannot be reached"),
        ({"path": "absent.csv"}, "cannot be read"),
    ],
)
async def test_a_job_that_does_not_pass_is_not_saved(rig, new, change, named):
    rig.people(person(1))
    done = await new(**change)
    assert done.returncode == 1
    assert named in done.stdout + done.stderr
    assert not new.config.exists()


async def test_a_job_whose_notices_nobody_would_get_is_not_saved(rig, new):
    rig.people(person(1))
    async with mail_server({"RCPT": "550 no such user"}) as (smtp, received):
        done = await new("--map", "given=name.givenName", "--map", "family=name.familyName", "--smtp", smtp)
    assert (done.returncode, "refuses the recipient" in done.stdout) == (1, True)
    assert "DATA" not in received
    assert not new.config.exists()


async def test_a_required_attribute_that_is_not_mapped_keeps_the_job_from_being_saved(rig, new):
    rig.people(person(1))
    done = await new("--map", "given=")
    assert (done.returncode, "name.givenName" in done.stdout) == (1, True)
    assert not new.config.exists()


def test_a_typed_token_is_kept_in_a_file_for_its_owner_alone(tmp_path):
    config, kept = tmp_path / "jobs.toml", tmp_path / "staff.token"
    job = {
        "source": {"type": "csv", "path": "people.csv", "key": "id"},
        "target": {"url": "https://scim.example.org/scim", "token_file": str(kept)},
        "mappings": [{"target": "userName", "source": "mail", "match": 1}],
    }
    write(config, "\n".join(lines("staff", job, {"userName": "reads as “mail”"})), {kept: TOKEN})
    assert kept.stat().st_mode & 0o777 == 0o600
    assert TOKEN not in config.read_text()
    before = config.read_text()
    with pytest.raises(ConfigurationError):
        write(config, "[jobs.other]\n", {})
    assert config.read_text() == before


async def asked_and_answered(config, answers, *options):
    """Run `new` on a terminal, answer each question (a part of its text); return exit code and what was shown."""

    def talk():
        with Terminal(command(config, "new", "staff", *options)) as terminal:
            for question, answer in answers:
                terminal.wait_for(question)
                terminal.type(answer)
            return terminal.finish(), terminal.shown

    return await asyncio.to_thread(talk)


async def test_on_a_terminal_each_wrong_answer_is_asked_for_again(rig, new):
    rig.people(person(1))
    target = rig.document["target"]
    refused = {"RCPT": "550 no such user"}
    async with mail_server() as (smtp, _), mail_server(refused) as (refusing, _):
        code, shown = await asked_and_answered(
            new.config,
            [
                ("Source: type", "excel"),
                ("Source: type", "csv"),
                ("Source: path", "absent.csv"),
                ("Source: path", rig.file),
                ("Source: delimiter", ";;"),
                ("Source: delimiter", ""),
                ("Source: key", "number"),
                ("no column number", None),
                ("Source: path", ""),
                ("Source: delimiter", ""),
                ("Source: key", "id"),
                ("Target: url", "http://scim.example.org/scim"),
                ("Target: url", target["url"]),
                ("Target: trust", target["trust"]),
                ("Target: token", "not-the-right-one"),
                ("Target: url", ""),
                ("Target: trust", ""),
                ("Target: token", TOKEN),
                ("Notices: email", "nobody"),
                ("Notices: email", "it@example.org"),
                ("Notices: smtp", refusing),
                ("refuses the recipient", None),
                ("Notices: email", ""),
                ("Notices: smtp", smtp),
                ("Change as", "nonsense"),
                ("Change as", "given=name.givenName"),
                ("Change as", "family=name.familyName"),
                ("Change as", ""),
            ],
        )
    assert code == 0, shown
    text = new.config.read_text()
    job = tomllib.loads(text)["jobs"]["staff"]
    assert job["source"] == {"type": "csv", "path": str(rig.file), "delimiter": ",", "key": "id"}
    assert job["notify"] == {"email": "it@example.org", "smtp": smtp}
    assert TOKEN not in text
    assert TOKEN not in shown
    assert (rig.folder / "staff.token").read_text().strip() == TOKEN
    assert "1 created" in (await run_beside(new.config, "run", "--once")).stdout


async def test_a_query_is_asked_for_and_its_typed_password_is_kept_in_a_file(rig, new, postgresql_url):
    engine = sa.create_engine(postgresql_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE p AS SELECT 1 AS id, 'u1' AS login, 'G' AS given, 'F' AS family")
    engine.dispose()
    password = sa.make_url(postgresql_url).password
    database = sa.make_url(postgresql_url)._replace(password=None).render_as_string()
    target = rig.document["target"]
    options = ("--url", target["url"], "--trust", target["trust"], "--token-file", rig.folder / "scim-token")
    maps = ("--map", "given=name.givenName", "--map", "family=name.familyName", "--map", "login=userName")
    code, shown = await asked_and_answered(
        new.config,
        [
            ("Source: type", "sql"),
            ("Source: database", "postgresql+psycopg://hr:swordfish@db.example.org/hr"),
            ("has a password in it", None),
            ("Source: database", database),
            ("Source: secret", password),
            ("Source: query", "SELECT * FROM p"),
            ("Source: key", "id"),
            ("Source: mark", ""),
            ("Notices: email", ""),
            ("Change as", ""),
        ],
        *options,
        *maps,
    )
    assert code == 0, shown
    source = tomllib.loads(new.config.read_text())["jobs"]["staff"]["source"]
    kept = rig.folder / "staff.secret"
    assert source == {
        "type": "sql",
        "database": database,
        "query": "SELECT * FROM p",
        "key": "id",
        "secret_file": str(kept),
    }
    assert kept.read_text().strip() == password
    assert kept.stat().st_mode & 0o777 == 0o600
    assert password not in new.config.read_text() + shown


@pytest.mark.parametrize("kind", sorted(questions.SOURCES))
def test_every_required_key_of_every_source_is_asked_for(kind):
    model = questions.source_models()[kind]
    asked = {one.key for one in questions.SOURCES[kind]}
    assert {name for name, field in model.model_fields.items() if field.is_required()} - {"type"} <= asked
    assert asked <= model.model_fields.keys()
    assert ("secret" in asked) == ("secret" in model.model_fields)
