"""A cycle that was broken off goes on where it was, and carries out what changed while it was down."""

from __future__ import annotations

import asyncio

import pytest

from connector_host.endpoint.outcomes import Outcomes
from connector_host.provisioning.cycles import Options, Parts, run_cycle
from connector_host.provisioning.opening import opened
from connector_host.provisioning.reports import Ending
from connector_host.provisioning.restarting import RestartScope, restart
from connector_host.provisioning.state import store
from tests.endpoint.service import serve
from tests.provisioning.jobs import MAPPINGS as MOODY_MAPPINGS
from tests.provisioning.rig import MAPPINGS, Rig, person

COUNT = 300
"""More than a source hands over at once, so that a cycle can be stopped between two batches."""


async def stopped_after_a_batch(rig, **changes):
    """Run a cycle that is stopped as soon as its first batch is done."""
    engine = rig.engine(**changes)
    engine.on_progress = lambda _report: engine.stop.set()
    report = await engine.run_once("staff", Options(patient=False))
    assert report.ending == Ending.STOPPED
    return report


async def half_done(rig, **changes):
    """Leave an initial cycle that has done some users, and return it with two of those."""
    rig.people(*(person(n) for n in range(COUNT)))
    report = await stopped_after_a_batch(rig, **changes)
    done = sorted(rig.rows())
    assert 2 < len(done) < COUNT
    return report, done


async def test_who_changed_while_an_initial_cycle_was_down_is_changed_by_the_same_cycle(rig):
    report, _ = await half_done(rig)
    rig.people(person(0, given="Ada"), *(person(n) for n in range(1, COUNT)))
    finished = await rig.run()
    assert (finished.cycle, finished.kind) == (report.cycle, "initial")
    assert rig.rows()["u00000"]["FirstName"] == "Ada"


async def test_who_left_the_scope_while_an_initial_cycle_was_down_is_disabled_by_the_same_cycle(rig):
    await half_done(rig)
    rig.people(person(0, department="Research"), *(person(n) for n in range(1, COUNT)))
    scope = [{"clauses": [{"attribute": "department", "operator": "EQUALS", "value": "Sales"}]}]
    finished = await rig.run(scope=scope)
    assert finished.counts["disabled"] == 1
    assert rig.rows()["u00000"]["Enabled"] == 0


async def test_a_mapping_that_changed_while_an_initial_cycle_was_down_reaches_those_done_before(rig):
    await half_done(rig)
    upper = {"target": "name.givenName", "type": "expression", "expression": "ToUpper([given])"}
    await rig.run(mappings=[MAPPINGS[0], upper, *MAPPINGS[2:]])
    assert {row["FirstName"] for row in rig.rows().values()} == {f"GIVEN{n}" for n in range(COUNT)}


async def test_who_is_gone_while_a_reading_of_everybody_was_down_is_deleted_by_the_same_cycle(rig):
    report, done = await half_done(rig)
    rig.people(*(person(n) for n in range(1, COUNT)))
    assert done[0] == "u00000"
    finished = await rig.run()
    assert (finished.cycle, finished.counts["deleted"]) == (report.cycle, 1)
    assert set(rig.rows()) == {f"u{n:05}" for n in range(1, COUNT)}


async def test_those_done_before_are_not_asked_for_again_where_nothing_changed(rig):
    _, done = await half_done(rig)
    rig.service.run("UPDATE Employees SET Department = 'Drifted' WHERE Login = ?", done[0])
    finished = await rig.run()
    assert rig.rows()[done[0]]["Department"] == "Drifted"
    assert finished.counts["unchanged"] == len(done)


async def test_a_key_that_comes_twice_far_apart_is_a_fault_of_the_source_in_a_resumed_cycle_too(rig):
    people = [person(n) for n in range(COUNT)]
    rig.people(*people)
    await stopped_after_a_batch(rig)
    rig.people(*people, person(0, given="Other"))
    report = await rig.run()
    assert (report.counts["failed"], rig.rows()["u00000"]["FirstName"]) == (1, "Given0")
    assert rig.log(status="failure")[0]["errorCode"] == "DuplicateSourceEntries"


async def test_a_key_that_comes_twice_far_apart_is_a_fault_of_the_source(rig):
    rig.people(*(person(n) for n in range(COUNT)), person(0, given="Other"))
    for dry in (True, False):
        report = await rig.run(dry=dry)
        assert (report.counts["created"], report.counts["failed"]) == (COUNT, 1)
    assert rig.rows()["u00000"]["FirstName"] == "Given0"
    rig.people(*(person(n) for n in range(COUNT)))
    assert (await rig.run()).counts["failed"] == 0


async def test_stopping_ends_the_deletes_too_and_the_next_run_does_the_rest(rig, monkeypatch):
    monkeypatch.setattr(store, "CHUNK", 3)
    rig.people(*(person(n) for n in range(10)))
    await rig.run()
    rig.people(person(0))
    engine = rig.engine()
    engine.on_progress = lambda report: report.counts["deleted"] and engine.stop.set()
    report = await engine.run_once("staff", Options(patient=False))
    assert (report.ending, report.counts["deleted"]) == ("stopped", 3)
    finished = await rig.run()
    assert (finished.cycle, finished.counts["deleted"], set(rig.rows())) == (report.cycle, 6, {"u00000"})


async def test_a_stop_in_mid_batch_keeps_what_an_administrator_has_allowed(moody):
    job = {"enabled_attribute": "title", "accidental_deletions": 1}
    changes = {"people": None, "mappings": MOODY_MAPPINGS[:2], "job": job, "concurrency": 1}
    moody.people(*((n, f"u{n}@x.org", "G", "true") for n in range(4)))
    await moody.run(**changes)
    moody.people((0, "u0@x.org", "G", "true"), *((n, f"u{n}@x.org", "G", "false") for n in (1, 2, 3)))
    assert (await moody.run(**changes)).ending == "quarantined"
    restart(moody.state, "staff", [RestartScope.FORCE_DELETES])

    moody.people((0, "u0@x.org", "Ada", "true"), *((n, f"u{n}@x.org", "G", "false") for n in (1, 2, 3)))
    stop = asyncio.Event()
    moody.moods = [stop]
    job = moody.engine(**changes).settings.jobs["staff"]
    async with opened("staff", job) as one:
        stopped = await run_cycle(Parts("staff", job, one.flows, moody.state, one.source, one.target, stop))
    assert (stopped.ending, stopped.counts["read"]) == ("stopped", 1)
    report = await moody.run(**changes)
    assert (report.ending, report.counts["disabled"]) == ("finished", 3)


async def test_who_is_allowed_to_be_disabled_and_fails_needs_not_be_allowed_again(moody):
    job = {"enabled_attribute": "title", "accidental_deletions": 0}
    changes = {"people": None, "mappings": MOODY_MAPPINGS[:2], "job": job}
    moody.people((0, "u0@x.org", "G", "true"))
    await moody.run(**changes)
    moody.people((0, "u0@x.org", "G", "false"))
    await moody.run(**changes)
    restart(moody.state, "staff", [RestartScope.FORCE_DELETES])
    moody.moods = [(403, {}, {})]
    assert (await moody.run(**changes)).counts["failed"] == 1
    report = await moody.run(**changes)
    assert (report.ending, report.counts["disabled"]) == ("finished", 1)


@pytest.fixture
async def remembering(tmp_path):
    """A rig whose host remembers the keys of writes, as an installed one does."""
    outcomes = Outcomes(tmp_path / "outcomes.sqlite3")
    async with serve(tmp_path, outcomes=outcomes) as service:
        rig = Rig(tmp_path, service)
        yield rig
        rig.state.close()
    await outcomes.close()


async def test_who_is_disabled_enabled_and_disabled_again_by_one_cycle_is_disabled(remembering):
    rig = remembering
    rig.people(person(0), person(1))
    await rig.run()
    cycles = []
    for enabled in ("false", "true", "false"):
        rig.people(person(0, enabled=enabled), person(1))
        cycles.append((await rig.run()).cycle)
        rig.state.set_job("staff", open_kind="full")  # as if killed before it could say that it is finished
    assert len(set(cycles)) == 1
    assert rig.rows()["u00000"]["Enabled"] == 0


async def test_a_source_that_keeps_silent_does_not_keep_a_cycle_from_stopping(rig):
    asked = asyncio.Event()

    async def keep_silent(reader, writer):
        asked.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(keep_silent, "127.0.0.1", 0)
    origin = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    source = {
        "type": "graph",
        "tenant": "t",
        "client": "c",
        "secret": "s",
        "url": f"{origin}/v1.0",
        "authority": origin,
    }
    mappings = [{"target": "userName", "source": "mail", "match": 1}]
    engine = rig.engine(source=source, mappings=mappings, enabled_attribute="accountEnabled")
    cycle = asyncio.create_task(engine.run_once("staff", Options()))
    await asyncio.wait_for(asked.wait(), 10)
    engine.stop.set()
    assert (await asyncio.wait_for(cycle, 10)).ending == "stopped"
    server.close()
