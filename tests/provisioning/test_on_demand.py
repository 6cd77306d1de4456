"""One user on demand: the five steps, and the same outcome as a cycle's."""

from __future__ import annotations

import pytest

from connector_host.provisioning import on_demand
from connector_host.provisioning.errors import JobHeld
from connector_host.provisioning.opening import opened
from connector_host.provisioning.state.leading import lead
from connector_host.provisioning.state.records import Modified
from tests.provisioning.rig import person


async def provision(rig, key, *, dry=False, **changes):
    async with opened("staff", rig.settings(**changes).jobs["staff"]) as job:
        return await on_demand.provision(job, rig.state, key, dry=dry)


def steps(shown):
    return [(step.name, step.status.value) for step in shown.steps]


async def test_a_new_user_goes_through_the_five_steps(rig):
    rig.people(person(1), person(2))
    shown = await provision(rig, "2")
    assert [name for name, _ in steps(shown)] == ["test connection", "import", "scope", "match", "action"]
    assert shown.succeeded
    assert set(rig.rows()) == {"u00002"}
    assert rig.link("2").target_id == "u00002"
    assert rig.log()[0]["initiatedBy"] == "administrator"


async def test_a_cycle_finds_nothing_left_to_do_for_that_user(rig):
    rig.people(person(1))
    await rig.run()
    rig.people(person(1, given="Ada"))
    shown = await provision(rig, "1")
    assert [(part.path, part.old, part.new) for part in shown.modified] == [("name.givenName", "Given1", "Ada")]
    assert (await rig.run()).counts["updated"] == 0


async def test_a_user_out_of_scope_is_disabled_and_one_that_is_gone_is_left_to_the_next_cycle(rig):
    rig.people(person(1), person(2))
    await rig.run()
    rig.people(person(1, enabled="false"))
    assert (await provision(rig, "1")).steps[-1].detail == "disabled"
    shown = await provision(rig, "2")
    assert shown.steps[-1].detail == "would be deleted by the next cycle: the user is gone from the source"
    assert {login: row["Enabled"] for login, row in rig.rows().items()} == {"u00001": 0, "u00002": 1}
    assert rig.link("2") is not None


async def test_a_key_that_changes_after_a_user_on_demand_deletes_nobody(rig):
    rig.people(person(1), person(2))
    await provision(rig, "1")
    report = await rig.run(source=rig.document["source"] | {"key": "login"})
    assert (report.counts["matched"], report.counts["created"], report.counts["deleted"]) == (1, 1, 0)


async def test_a_dry_run_of_one_user_writes_nothing(rig):
    rig.people(person(1))
    shown = await provision(rig, "1", dry=True)
    assert shown.steps[-1].detail == "would be created"
    assert (rig.rows(), rig.log()) == ({}, [])


async def test_a_dry_run_shows_the_attribute_that_disables_as_any_other_change(rig):
    rig.people(person(1))
    await rig.run()
    rig.people(person(1, enabled="false"))
    shown = await provision(rig, "1", dry=True)
    assert shown.steps[-1].detail == "would be disabled: the user is disabled in the source"
    assert shown.modified == (Modified("active", old=True, new=False),)
    assert (await provision(rig, "1")).modified == shown.modified


async def test_a_bad_token_ends_at_the_first_step(rig):
    rig.people(person(1))
    shown = await provision(rig, "1", target=rig.document["target"] | {"token": "not-the-right-token"})
    assert steps(shown) == [("test connection", "failure")]


async def test_a_key_that_nobody_has_fails(rig):
    rig.people(person(1))
    shown = await provision(rig, "11")
    assert steps(shown)[-1] == ("import", "failure")
    assert "look at its spelling" in shown.steps[-1].detail
    assert not shown.succeeded
    assert not rig.rows()
    assert not rig.log()


async def test_a_failing_user_says_why(rig):
    rig.people(person(1, department="x" * 21))
    shown = await provision(rig, "1")
    assert (shown.succeeded, steps(shown)[-1]) == (False, ("action", "failure"))
    assert rig.state.counts("staff")["failures"] == 1


async def test_while_a_cycle_is_under_way_nobody_is_provisioned_beside_it(rig):
    rig.people(person(1))
    with lead(rig.state, "staff"), pytest.raises(JobHeld):
        await provision(rig, "1")


async def test_a_user_who_cannot_be_matched_fails_at_that_step_here_and_in_the_log(rig):
    rig.people(person(1, login=""))
    shown = await provision(rig, "1")
    assert [*steps(shown)[-2:], shown.steps[-1].detail.partition(":")[0]] == [
        ("scope", "success"),
        ("match", "failure"),
        "MissingValues",
    ]
    logged = [(step["name"], step["status"], step["detail"]) for step in rig.log()[0]["provisioningSteps"]]
    assert logged[-1] == ("match", "failure", "MissingValues")


async def test_a_target_that_refuses_the_token_of_a_write_fails_at_that_step(moody):
    moody.moods = [(401, {}, {})]
    engine = moody.engine()
    async with opened("staff", engine.settings.jobs["staff"]) as job:
        shown = await on_demand.provision(job, moody.state, "0")
    assert steps(shown)[-2:] == [("match", "success"), ("action", "failure")]
    assert moody.failure()["provisioningSteps"][-1]["status"] == "failure"
