"""`provision new` saves a job only when its checks pass, and keeps secrets out of the file."""

from __future__ import annotations

import tomllib

import pytest

from connector_host.errors import ConfigurationError
from connector_host.setup.jobs import lines, write
from tests.endpoint.service import TOKEN
from tests.provisioning.jobs_in_files import run_beside
from tests.provisioning.rig import person


@pytest.fixture
def new(rig):
    token = rig.folder / "scim-token"
    token.write_text(TOKEN + "\n")
    config = rig.folder / "new.toml"

    async def call(*more, url=rig.document["target"]["url"], path=rig.file):
        source = [part for pair in ("type=csv", f"path={path}", "key=id") for part in ("--source", pair)]
        target = ["--url", url, "--token-file", token, "--trust", rig.document["target"]["trust"]]
        return await run_beside(config, "new", "staff", *source, *target, "--email", "it@example.org", "--yes", *more)

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
