"""What was staged by an earlier cycle is done only while the job still may, and only to whom the source still lacks."""

from __future__ import annotations

import pytest

from connector_host.provisioning.restarting import RestartScope, restart
from connector_host.provisioning.state.records import Changes, Failure
from tests.provisioning.rig import person

KEPT = {"delete": False}


@pytest.fixture
async def held(rig):
    """A rig with three deletes and a disable that are held back."""
    rig.people(*(person(n) for n in range(5)))
    await rig.run(accidental_deletions=2)
    rig.people(person(0), person(1, enabled="false"))
    assert (await rig.run(accidental_deletions=2)).ending == "quarantined"
    return rig


@pytest.mark.parametrize("allowed", [False, True])
async def test_staged_deletes_are_dropped_where_the_job_may_not_delete_any_more(held, allowed):
    if allowed:
        restart(held.state, "staff", [RestartScope.FORCE_DELETES])
    report = await held.run(accidental_deletions=2, actions=KEPT)
    assert (report.ending, report.counts["deleted"], report.counts["disabled"]) == ("finished", 0, 1)
    assert (len(held.rows()), held.state.counts("staff")["staged"]) == (5, 0)
    skipped = held.log(action="delete", status="skipped")
    assert sorted(line["sourceIdentity"] for line in skipped) == ["2", "3", "4"]
    assert "may not delete" in skipped[0]["reason"]


async def test_a_staged_disable_of_a_user_who_is_gone_is_dropped_where_the_job_may_not_update_any_more(held):
    held.people(person(0))
    report = await held.run(actions={"update": False, "delete": False})
    assert (report.ending, held.rows()["u00001"]["Enabled"]) == ("finished", 1)
    assert held.state.counts("staff")["staged"] == 0


async def test_a_dry_run_does_not_foresee_what_the_job_may_not_do_any_more(held):
    report = await held.run(accidental_deletions=2, actions=KEPT, dry=True)
    assert (report.held_back, [(one.source_key, one.action) for one in report.planned]) == ("", [("1", "disable")])
    assert held.state.counts("staff")["staged"] == 4


async def test_who_is_gone_is_staged_again_once_the_job_may_delete_again(held):
    await held.run(accidental_deletions=2, actions=KEPT)
    report = await held.run(accidental_deletions=2)
    assert (report.ending, report.counts["to delete"]) == ("quarantined", 3)


SALES = [{"clauses": [{"attribute": "department", "operator": "NOT EQUALS", "value": "Research"}]}]


@pytest.mark.parametrize(
    ("change", "done"),
    [({"enabled": "false"}, "disabled"), ({"department": "Research"}, "disabled"), (None, "deleted")],
)
async def test_a_user_whose_update_keeps_failing_loses_the_account_at_once(rig, change, done):
    rig.people(person(0), person(1))
    await rig.run(scope=SALES)
    rig.state.write("staff", Changes(failures=[Failure("1", 9, 1e12, "c", "r")]))
    too_long = {"department": "x" * 21}
    rig.people(person(0), person(1, **too_long))
    assert (await rig.run(patient=True, scope=SALES)).counts["waiting"] == 1
    rig.people(person(0), *([] if change is None else [person(1, **too_long | change)]))
    report = await rig.run(patient=True, scope=SALES)
    assert (report.counts[done], report.counts["waiting"]) == (1, 0)
    assert "u00001" not in rig.rows() or not rig.rows()["u00001"]["Enabled"]


async def test_who_is_disabled_already_and_fails_waits_as_anybody_else(rig):
    rig.people(person(1))
    await rig.run()
    rig.people(person(1, enabled="false"))
    await rig.run()
    rig.state.write("staff", Changes(failures=[Failure("1", 9, 1e12, "c", "r")]))
    assert (await rig.run(patient=True)).counts["waiting"] == 1
