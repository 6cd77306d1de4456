"""What goes wrong is contained: one user's failure, a target that is down, an accident in the source."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from connector_host.errors import ConfigurationError
from connector_host.provisioning import faults
from connector_host.provisioning.checking import check_job
from connector_host.provisioning.cycles import Options
from connector_host.provisioning.errors import NothingStaged
from connector_host.provisioning.reports import BLOCK
from connector_host.provisioning.restarting import USUAL, RestartScope, restart
from connector_host.provisioning.settings import QuarantineSettings
from connector_host.provisioning.sources.files import CELL_CHARS_MAX
from connector_host.provisioning.state.records import Action, Changes, Failure, JobState, Modified
from tests.endpoint.service import serve
from tests.provisioning.rig import DOWN, MAPPINGS, Rig, person

ENDLESS = '"' + "x" * (CELL_CHARS_MAX + 1)
"""A value without an end: nobody knows what else of the file belongs to it."""


async def test_one_bad_user_fails_alone_and_says_why(rig):
    rig.people(person(1), person(2, department="x" * 21), person(3))
    report = await rig.run()
    assert (report.counts["created"], report.counts["failed"]) == (2, 1)
    entry = rig.log(status="failure")[0]
    assert (entry["sourceIdentity"], entry["errorCode"]) == ("2", "UnprocessableEntity")
    assert "epartment" in entry["reason"]
    assert entry["provisioningSteps"][-1] == {"name": "action", "status": "failure", "detail": "UnprocessableEntity"}


async def test_a_user_who_failed_waits_longer_each_time_and_heals_by_itself(rig):
    rig.people(person(1, department="x" * 21))
    begun = datetime(2026, 11, 23, 12, tzinfo=UTC)
    tries = []
    with time_machine.travel(begun, tick=True) as clock:
        for _ in range(13):
            report = await rig.run(patient=True)
            tries.append(report.counts["failed"])
            clock.shift(timedelta(minutes=40))
        assert tries == [1, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0]
        rig.people(person(1))
        clock.shift(timedelta(days=1))
        assert (await rig.run(patient=True)).counts["created"] == 1
        assert rig.state.counts("staff")["failures"] == 0


async def test_by_hand_users_who_failed_are_tried_at_once(rig):
    rig.people(person(1, department="x" * 21))
    await rig.run()
    rig.people(person(1))
    assert (await rig.run(patient=False)).counts["created"] == 1


@pytest.mark.parametrize(("attempts", "hours"), [(1, 0.6), (2, 4 / 3), (3, 8 / 3), (8, 24), (80, 24)])
def test_the_gaps_grow_to_a_day(attempts, hours):
    before = None if attempts == 1 else Failure("k", attempts - 1, 0.0, "c", "r")
    after = faults.failed_again("k", before, faults.Cause("c", "r"), now=0.0, interval_s=2_400)
    assert (after.attempts, after.next_try / 3_600) == (attempts, pytest.approx(hours))


@pytest.mark.parametrize(
    ("failures", "looked_at", "quarantines"),
    [
        (4_999, 4_999, False),
        (5_000, 12_500, False),
        (5_000, 12_499, True),
        (40_000, 1_000_000, False),
        (40_001, 1_000_000, True),
    ],
)
def test_the_documented_thresholds(failures, looked_at, quarantines):
    assert (faults.too_many(failures, looked_at, QuarantineSettings()) is not None) is quarantines


def test_probing_slows_down_in_quarantine_and_ends_after_four_weeks():
    waits = [faults.next_probe(JobState("j", b"", quarantine_attempts=n), 0.0) / 3_600 for n in range(1, 6)]
    assert waits == [6, 12, 24, 24, 24]
    job = JobState("j", b"", quarantined_at=0.0)
    assert not faults.is_over(job, QuarantineSettings(), 27 * faults.DAY_S)
    assert faults.is_over(job, QuarantineSettings(), 29 * faults.DAY_S)


async def test_a_refused_token_quarantines_at_once_and_a_good_one_ends_it(rig):
    rig.people(person(1))
    bad = await rig.run(target=rig.document["target"] | {"token": "not-the-right-token"})
    assert bad.ending == "quarantined"
    where = rig.job()
    assert (where.quarantine_code, where.quarantine_attempts) == ("Unauthorized", 1)
    assert where.next_run == pytest.approx(datetime.now(UTC).timestamp() + 6 * 3_600, abs=600)
    await rig.run()
    assert (rig.job().quarantined_at, rig.job().quarantine_attempts) == (None, 0)


async def test_a_target_that_is_no_scim_service_quarantines_at_once(rig):
    rig.people(person(1))
    report = await rig.run(target=rig.document["target"] | {"url": f"{rig.service.origin}/nowhere"})
    assert report.ending == "quarantined"
    assert "probe" in report.detail


async def test_a_share_of_failures_quarantines(rig):
    rig.people(*(person(n, department="x" * 21) for n in range(6)))
    report = await rig.run(quarantine={"evaluated_from": 5, "percent": 40})
    assert report.ending == "quarantined"
    assert "6 of 6" in rig.job().quarantine_reason


async def test_a_target_that_is_down_is_nobodys_fault_and_the_cycle_goes_on_later(rig):
    rig.people(person(1))
    report = await rig.run(target=rig.document["target"] | DOWN)
    assert report.ending == "unavailable"
    assert rig.job().quarantined_at is None
    assert rig.state.counts("staff")["failures"] == 0
    assert (await rig.run()).cycle == report.cycle
    assert set(rig.rows()) == {"u00001"}


async def test_a_source_that_breaks_off_deletes_nobody(rig):
    rig.people(*(person(n) for n in range(400)))
    await rig.run()
    text = rig.file.read_text().splitlines()
    rig.file.write_text("\n".join([*text[:300], ENDLESS]))
    report = await rig.run()
    assert report.ending == "unavailable"
    assert "line 301" in report.detail
    assert len(rig.rows()) == 400


async def test_a_file_that_is_written_during_a_cycle_deletes_nobody(rig):
    rig.people(person(1), person(2), person(3))
    await rig.run()
    rig.people(person(1))  # the first half of a copy
    engine = rig.engine()
    engine.on_progress = lambda _report: rig.people(person(1), person(2), person(3))
    report = await engine.run_once("staff", Options())
    assert report.ending == "unavailable"
    assert "people.csv was changed while it was read" in report.detail
    assert len(rig.rows()) == 3


async def test_more_deletes_than_the_threshold_are_staged_until_they_are_allowed(rig):
    rig.people(*(person(n) for n in range(5)))
    await rig.run(accidental_deletions=2)
    rig.people(person(0, enabled="false"), person(1, given="Ada"))
    report = await rig.run(accidental_deletions=2)
    assert (report.ending, report.counts["updated"]) == ("quarantined", 1)
    assert len(rig.rows()) == 5
    assert len(rig.log(action="stageddelete")) == 4
    restart(rig.state, "staff", [RestartScope.FORCE_DELETES])
    allowed = await rig.run(accidental_deletions=2)
    assert (allowed.counts["deleted"], allowed.counts["disabled"]) == (3, 1)
    assert set(rig.rows()) == {"u00000", "u00001"}
    assert rig.job().quarantined_at is None


async def test_with_nothing_staged_there_is_nothing_to_allow_and_later_deletes_are_held_back(rig):
    rig.people(*(person(n) for n in range(5)))
    await rig.run(accidental_deletions=2)
    with pytest.raises(NothingStaged, match="nothing to allow"):
        restart(rig.state, "staff", [RestartScope.FORCE_DELETES])
    rig.people()
    assert (await rig.run(accidental_deletions=2)).ending == "quarantined"
    assert len(rig.rows()) == 5


async def test_only_what_was_staged_when_it_was_allowed_is_deleted(rig):
    rig.people(*(person(n) for n in range(9)))
    await rig.run(accidental_deletions=2)
    rig.people(*(person(n) for n in range(6)))
    await rig.run(accidental_deletions=2)
    restart(rig.state, "staff", [RestartScope.FORCE_DELETES])
    rig.people(person(0))
    report = await rig.run(accidental_deletions=2)
    assert (report.ending, report.counts["deleted"]) == ("quarantined", 3)
    assert "5 users" in rig.job().quarantine_reason
    assert set(rig.rows()) == {f"u{n:05}" for n in range(6)}


async def test_staged_deletes_of_users_who_are_back_are_forgotten(rig):
    rig.people(*(person(n) for n in range(5)))
    await rig.run(accidental_deletions=2)
    rig.people(person(0))
    await rig.run(accidental_deletions=2)
    assert rig.state.counts("staff")["staged"] == 4
    rig.people(*(person(n) for n in range(4)))
    report = await rig.run(accidental_deletions=2)
    assert report.counts["deleted"] == 1
    assert len(rig.rows()) == 4


@pytest.mark.parametrize("patient", [False, True])
async def test_a_user_who_is_back_and_fails_or_waits_is_not_deleted(rig, patient):
    rig.people(*(person(n) for n in range(5)))
    await rig.run(accidental_deletions=2)
    rig.people(person(0))
    await rig.run(accidental_deletions=2)
    if patient:
        rig.state.write("staff", Changes(failures=[Failure("1", 3, 1e12, "c", "r")]))
    rig.people(person(0), person(1, department="x" * 21))
    restart(rig.state, "staff", [RestartScope.FORCE_DELETES])
    report = await rig.run(accidental_deletions=2, patient=patient)
    assert (report.counts["deleted"], report.counts["waiting"]) == (3, int(patient))
    assert set(rig.rows()) == {"u00000", "u00001"}


async def test_another_key_of_the_source_matches_everybody_again_and_deletes_nobody(rig):
    rig.people(*(person(n) for n in range(3)))
    await rig.run()
    by_login = rig.document["source"] | {"key": "login"}
    before = rig.job()
    planned = await rig.run(source=by_login, dry=True)
    assert (planned.counts["matched"], len(planned.planned), rig.job()) == (3, 0, before)
    report = await rig.run(source=by_login)
    assert (report.kind, report.counts["matched"], report.counts["deleted"]) == ("initial", 3, 0)
    assert (len(rig.rows()), rig.link("0"), rig.link("u00000").target_id) == (3, None, "u00000")
    assert (await rig.run(source=by_login)).counts["unchanged"] == 3


async def test_a_key_that_changes_after_a_first_cycle_that_broke_off_deletes_nobody(rig):
    rig.people(*(person(n) for n in range(300)))
    with rig.file.open("a") as file:
        file.write(ENDLESS)
    assert (await rig.run()).ending == "unavailable"
    assert len(rig.rows()) > 0
    rig.people(*(person(n) for n in range(300)))
    report = await rig.run(source=rig.document["source"] | {"key": "login"})
    assert (report.ending, report.counts["deleted"], len(rig.rows())) == ("finished", 0, 300)


async def test_links_of_another_target_are_not_believed(rig, tmp_path_factory):
    """At another target the same id may be somebody else's: everybody is matched again, and nobody is deleted."""
    rig.people(*(person(n) for n in range(3)))
    await rig.run()
    async with serve(tmp_path_factory.mktemp("other")) as service:
        other = Rig(rig.folder, service, str(rig.state.engine.url))
        other.document["target"] |= {"trust": str(service.authority)}
        service.run("INSERT INTO Employees (Login, FirstName) VALUES ('u00001', 'Here before'), ('u00002', 'As well')")
        other.people(person(0), person(1))
        planned = await other.run(dry=True)
        assert {one.source_key: one.action for one in planned.planned} == {"0": "create", "1": "update"}
        report = await other.run()
        assert (report.kind, report.counts["created"], report.counts["deleted"]) == ("initial", 1, 0)
        names = {login: row["FirstName"] for login, row in other.rows().items()}
        assert names == {"u00000": "Given0", "u00001": "Given1", "u00002": "As well"}
        other.state.close()
    assert set(rig.rows()) == {"u00000", "u00001", "u00002"}


async def test_a_user_who_failed_and_is_gone_from_the_source_is_forgotten(rig):
    rig.people(person(1), person(2, department="x" * 21))
    await rig.run()
    assert rig.state.counts("staff")["failures"] == 1
    rig.people(person(1))
    await rig.run()
    assert rig.state.counts("staff")["failures"] == 0


async def test_a_misspelt_switch_disables_nobody(rig):
    rig.people(person(1))
    await rig.run()
    with pytest.raises(ConfigurationError, match="enabled_attribute: enabeld"):
        await rig.run(enabled_attribute="enabeld")
    findings = await check_job(rig.settings(enabled_attribute="enabeld").jobs["staff"])
    assert [one.subject for one in findings if one.level == "failure"] == ["switches"]


@pytest.mark.parametrize("value", ["Y", "", "active"])
async def test_a_user_of_whom_nobody_can_tell_whether_it_is_disabled_is_skipped(rig, value):
    rig.people(person(1), person(2))
    await rig.run()
    before = rig.rows()
    rig.people(person(1, enabled=value, given="Other"), person(2), person(3, enabled=value))
    report = await rig.run()
    assert (report.failures, rig.rows()) == (2, before)
    assert {(line["sourceIdentity"], line["errorCode"]) for line in rig.log(status="failure")} == {
        ("1", "ImportSkipped"),
        ("3", "ImportSkipped"),
    }
    rig.people(person(1, given="Other"), person(2), person(3, enabled="false"))
    assert (await rig.run()).failures == 0
    assert rig.rows()["u00001"]["FirstName"] == "Other"


async def test_a_source_without_anybody_deletes_nobody_by_itself(rig):
    rig.people(person(1))
    await rig.run()
    rig.people()
    report = await rig.run()
    assert report.ending == "quarantined"
    assert set(rig.rows()) == {"u00001"}
    restart(rig.state, "staff", [RestartScope.FORCE_DELETES])
    await rig.run()
    assert rig.rows() == {}


async def test_stopping_finishes_the_users_in_hand_and_the_next_run_goes_on(rig):
    rig.people(*(person(n) for n in range(600)))
    stop = asyncio.Event()
    engine = rig.engine(target=rig.document["target"] | {"concurrency": 2})
    engine.stop = stop
    engine.on_progress = lambda _report: stop.set()
    from connector_host.provisioning.cycles import Options

    stopped = await engine.run_once("staff", Options())
    assert stopped.ending == "stopped"
    assert 0 < len(rig.rows()) < 600
    done = min(rig.rows())
    rig.service.run("UPDATE Employees SET Department = 'Drifted' WHERE Login = ?", done)
    finished = await rig.run()
    assert rig.rows()[done]["Department"] == "Drifted"  # the cycle was done with it, and did not begin again
    assert (finished.cycle, finished.ending) == (stopped.cycle, "finished")
    assert len(rig.rows()) == 600
    assert len(rig.log(action="create")) == 600
    assert rig.log(action="update") == []


async def test_restarting_keeps_links_and_repairs_what_drifted(rig):
    rig.people(person(1))
    await rig.run()
    rig.service.run("UPDATE Employees SET Department = 'Drifted'")
    await rig.run()
    assert rig.rows()["u00001"]["Department"] == "Drifted"
    restart(rig.state, "staff", USUAL)
    assert rig.link("1") is not None
    assert (await rig.run()).kind == "initial"
    assert rig.rows()["u00001"]["Department"] == "Sales"


async def test_a_full_restart_drops_links_and_matches_again(rig):
    rig.people(person(1))
    await rig.run()
    restart(rig.state, "staff", [RestartScope.FULL])
    assert rig.link("1") is None
    report = await rig.run()
    assert (report.counts["created"], report.counts["matched"]) == (0, 1)


async def test_a_dry_run_says_what_would_change_and_why_and_writes_nothing(rig):
    rig.people(person(1), person(2), person(3))
    await rig.run()
    before = rig.job()
    rig.people(person(1, given="Ada"), person(2, enabled="false"), person(4))
    report = await rig.run(dry=True)
    planned = {one.source_key: (one.action.value, one.reason) for one in report.planned}
    assert planned == {
        "1": ("update", "changed"),
        "2": ("disable", "the user is disabled in the source"),
        "3": ("delete", "the user is gone from the source"),
        "4": ("create", "not in the target"),
    }
    modified = {one.source_key: one.modified for one in report.planned}
    assert [part.new for part in modified["1"]] == ["Ada"]
    assert (modified["2"], modified["3"]) == ((Modified("active", old=True, new=False),), ())
    assert rig.rows()["u00001"]["FirstName"] == "Given1"
    assert rig.job() == before
    assert len(rig.log()) == 3


async def test_a_dry_run_of_many_users_names_each_of_them(rig):
    rig.people(*(person(n) for n in range(2 * BLOCK + 3)))
    report = await rig.run(dry=True)
    planned = {one.source_key: (one.action, one.modified[0]) for one in report.planned}
    assert planned == {str(n): (Action.CREATE, Modified("userName", None, f"u{n:05}")) for n in range(2 * BLOCK + 3)}
    assert len(report.planned) == 2 * BLOCK + 3


async def test_a_dry_run_says_what_the_threshold_would_hold_back_and_writes_nothing(rig):
    rig.people(*(person(n) for n in range(5)))
    await rig.run(accidental_deletions=2)
    rig.people(person(0, enabled="false"), person(1, given="Ada"))
    allowed = await rig.run(accidental_deletions=4, dry=True)
    assert (allowed.held_back, [one.action for one in allowed.planned].count("delete")) == ("", 3)
    report = await rig.run(accidental_deletions=2, dry=True)
    assert report.held_back == "4 users would be disabled or deleted, more than 2"
    assert {one.source_key: one.action for one in report.planned} == {
        "0": "stageddelete",
        "1": "update",
        "2": "stageddelete",
        "3": "stageddelete",
        "4": "stageddelete",
    }
    (held,) = (one for one in report.planned if one.source_key == "0")
    assert "disable is held back: " in held.reason
    assert held.modified == (Modified("active", old=True, new=False),)
    assert "more than 2" in json.dumps(report.document())
    assert (rig.job().quarantined_at, rig.state.counts("staff")["staged"]) == (None, 0)


async def test_a_dry_run_knows_what_is_staged_and_allowed_and_who_is_back(rig):
    rig.people(*(person(n) for n in range(6)))
    await rig.run(accidental_deletions=2)
    rig.people(person(0), person(1))
    await rig.run(accidental_deletions=2)
    rig.people(person(0), person(1), person(2))
    assert "3 users" in (await rig.run(accidental_deletions=2, dry=True)).held_back
    restart(rig.state, "staff", [RestartScope.FORCE_DELETES])
    report = await rig.run(accidental_deletions=2, dry=True)
    assert (report.held_back, {one.source_key: one.action for one in report.planned}) == (
        "",
        dict.fromkeys(("3", "4", "5"), "delete"),
    )


async def test_a_mapping_that_fails_for_a_user_fails_that_user_only(rig):
    mapping = {"target": "title", "type": "expression", "expression": "CStr(CDate([department]))"}
    rig.people(person(1, department="2020-01-01"), person(2))
    report = await rig.run(mappings=[*MAPPINGS[:2], mapping])
    assert (report.counts["created"], report.counts["failed"]) == (1, 1)
    assert "title: " in rig.log(status="failure")[0]["reason"]
