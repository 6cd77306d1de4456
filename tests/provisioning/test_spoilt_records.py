"""A record that cannot be read fails alone, and nobody is taken for gone whose record it may be."""

from __future__ import annotations

import json

import pytest

from connector_host.errors import Level
from connector_host.provisioning import on_demand
from connector_host.provisioning.checking import check_job
from connector_host.provisioning.opening import opened
from connector_host.provisioning.restarting import RestartScope, restart
from tests.provisioning.rig import MAPPINGS, person
from tests.provisioning.test_incremental import Staff


def spoil(rig, *rows):
    """Add rows to the file that are no users."""
    with rig.file.open("a") as file:
        file.writelines(f"{row}\n" for row in rows)


@pytest.mark.parametrize("row", ["2,too,few", ",u00002,Given2,Family2,u2@x.org,Sales,true"])
async def test_a_row_that_cannot_be_read_fails_alone_and_nobody_is_taken_for_gone(rig, row):
    rig.people(person(1), person(2), person(3))
    await rig.run()
    rig.people(person(1, given="Ada"), person(4))
    spoil(rig, row)
    dry, report = await rig.run(dry=True), await rig.run()
    assert (dry.counts["to delete"], [one.source_key for one in dry.planned]) == (0, ["", "1", "4"])
    assert (report.ending, report.failures, report.counts["updated"], report.counts["created"]) == ("finished", 1, 1, 1)
    assert set(rig.rows()) == {"u00001", "u00002", "u00003", "u00004"}
    assert "1 without a readable key, so nobody is taken for gone" in report.detail
    [line] = rig.log(status="failure")
    assert (line["errorCode"], line["reason"].startswith("people.csv, line 4: ")) == ("ImportSkipped", True)
    rig.people(person(1), person(2))
    assert (await rig.run()).counts["deleted"] == 2


async def test_who_is_known_by_the_key_of_a_spoilt_record_is_kept_and_others_may_be_gone(rig):
    file = rig.folder / "people.ndjson"
    job = {
        "source": {"type": "ndjson", "path": str(file), "key": "id"},
        "mappings": MAPPINGS[:2],
        "enabled_attribute": None,
        "scope": [{"clauses": [{"attribute": "given", "operator": "IS NOT NULL"}]}],
    }
    people = [{"id": n, "login": f"u{n}", "given": "A"} for n in range(3)]
    file.write_text("\n".join(map(json.dumps, people)))
    await rig.run(**job)
    file.write_text("\n".join(map(json.dumps, [people[0], people[1] | {"given": "\ud83d"}])))
    report = await rig.run(**job)
    assert (report.failures, report.counts["deleted"], report.detail) == (1, 1, "")
    assert set(rig.rows()) == {"u0", "u1"}
    assert rig.log(status="failure")[0]["sourceIdentity"] == "1"
    async with opened("staff", rig.settings(**job).jobs["staff"]) as ready:
        shown = await on_demand.provision(ready, rig.state, "1")
    assert (shown.steps[-1].name, shown.steps[-1].status) == ("import", "failure")


async def test_allowed_deletes_wait_until_every_key_can_be_read(rig):
    rig.people(*(person(n) for n in range(5)))
    await rig.run(accidental_deletions=2)
    rig.people(person(0), person(1))
    assert (await rig.run(accidental_deletions=2)).ending == "quarantined"
    restart(rig.state, "staff", [RestartScope.FORCE_DELETES])
    rig.people(person(0), person(1, enabled="false"))
    spoil(rig, "2")
    dry, report = await rig.run(accidental_deletions=2, dry=True), await rig.run(accidental_deletions=2)
    assert [(one.source_key, one.action) for one in dry.planned] == [("", "other"), ("1", "disable")]
    assert (report.counts["deleted"], report.counts["disabled"]) == (0, 1)
    rig.people(person(0), person(2))
    report = await rig.run(accidental_deletions=2)
    assert (report.ending, report.counts["deleted"]) == ("finished", 3)


async def test_a_row_without_a_key_is_read_again_until_it_is_mended_though_nothing_changed(rig):
    staff = Staff(rig)
    staff.put(1)
    staff.put(2)
    await staff.cycle()
    staff.put(3)
    staff.run("UPDATE staff SET id = NULL, version = 9 WHERE id = '2'")
    reports = [await staff.cycle(), await staff.cycle()]
    assert [(one.kind, one.failures, one.counts["deleted"]) for one in reports] == [
        ("incremental", 1, 0),
        ("full", 1, 0),
    ]
    assert set(rig.rows()) == {"u1", "u2", "u3"}
    staff.run("UPDATE staff SET id = '2' WHERE id IS NULL")
    kinds = [(await staff.cycle()).kind for _ in range(2)]
    assert (kinds, rig.job().mark) == (["full", "incremental"], "number:9")


async def test_a_failed_user_whose_key_cannot_be_read_any_more_is_not_deleted_by_a_reading_of_changes(rig):
    staff = Staff(rig)
    staff.put(1)
    staff.put(2)
    await staff.cycle()
    staff.put(2, department="x" * 21)
    assert (await staff.cycle()).failures == 1
    staff.run("UPDATE staff SET id = NULL, version = 9 WHERE id = '2'")
    report = await staff.cycle()
    assert (report.kind, report.counts["deleted"], set(rig.rows())) == ("incremental", 0, {"u1", "u2"})


@pytest.mark.parametrize(("people", "level"), [((person(1),), Level.WARNING), ((), Level.FAILURE)])
async def test_records_that_cannot_be_read_are_told_of_before_a_job_runs(rig, people, level):
    rig.people(*people)
    spoil(rig, "2")
    found = [one for one in await check_job(rig.settings().jobs["staff"]) if "cannot be read" in one.fact]
    assert [(one.level, "people.csv, line" in one.fact) for one in found] == [(level, True)]


async def test_on_demand_nobody_counts_as_gone_while_a_key_cannot_be_read(rig):
    rig.people(person(1), person(2))
    await rig.run()
    rig.people(person(1))
    spoil(rig, "2,too,few")
    async with opened("staff", rig.settings().jobs["staff"]) as ready:
        shown = await on_demand.provision(ready, rig.state, "2")
    assert (shown.steps[-1].name, shown.steps[-1].status) == ("import", "failure")
    assert "nobody is taken for gone" in shown.steps[-1].detail
