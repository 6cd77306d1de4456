"""Writes whose answer nobody heard, for a kill or a cut line: each has its line in the log all the same."""

from __future__ import annotations

import asyncio

import pytest

from connector_host.provisioning.state import intents
from tests.provisioning import jobs_in_files
from tests.provisioning.jobs import MAPPINGS

SCOPE = ({"clauses": [{"attribute": "title", "operator": "NOT EQUALS", "value": "left"}]},)


class Killed:
    """A run of the engine in a process of its own, which a write to the target ends."""

    def __init__(self, moody):
        self.moody = moody
        self.process = None

    def now(self):
        jobs_in_files.kill(self.process)

    async def run(self, *moods, **job):
        """Run a cycle, one user at a time, whose writes meet these moods."""
        target = {"url": self.moody.url, "token": "t" * 20, "concurrency": 1, "attempts": 1}
        source = {"type": "csv", "path": "people.csv", "key": "id"}
        document = {"source": source, "target": target, "mappings": MAPPINGS} | job
        config = jobs_in_files.write_job(self.moody.folder, state=str(self.moody.state.engine.url), **document)
        self.moody.moods = list(moods)
        with jobs_in_files.running(config, "run", "--once") as self.process:
            assert await asyncio.to_thread(self.process.wait, 60) < 0, "it was not killed"
        self.moody.moods = []


@pytest.fixture
def killed(moody):
    return Killed(moody)


def people(*numbers, given="G", title="T"):
    return [(n, f"u{n}@x.org", given, title) for n in numbers]


@pytest.mark.parametrize("mood", ["silent", "cut"])
async def test_a_creation_whose_answer_is_lost_is_found_counted_and_told_once(moody, mood):
    moody.moods = [mood]
    report = await moody.run()
    assert (report.counts["created"], moody.log()) == (1, [("create", "success", "0")])
    assert intents.keys(moody.state, "staff") == set()


async def test_a_creation_that_does_not_arrive_is_told_once(moody):
    moody.moods = ["lost"]
    report = await moody.run()
    assert (report.counts["created"], moody.log()) == (1, [("create", "success", "0")])


async def test_what_was_done_before_a_kill_is_told_by_the_next_run(moody, killed):
    moody.people(*people(*range(5)))
    await killed.run("well", "well", killed.now)
    assert (len(moody.users), moody.log()) == (3, [])
    report = await moody.run(people=5)
    assert report.counts["created"] == 5
    assert sorted(moody.log()) == [("create", "success", str(n)) for n in range(5)]
    assert intents.keys(moody.state, "staff") == set()


async def test_a_write_that_a_kill_kept_from_arriving_is_told_as_not_shown_and_made(moody, killed):
    moody.people(*people(0))
    moody.written = lambda request: killed_before(moody, request)
    await killed.run(killed.now)
    del moody.written
    await moody.run()
    assert moody.log() == [("create", "warning", "0"), ("create", "success", "0")]


async def killed_before(_moody, _request):
    """Write nothing."""


async def test_a_change_before_a_kill_is_told_by_the_next_run_and_undone_where_the_source_has_undone_it(moody, killed):
    await moody.run(people=2)
    moody.people(*people(0, 1, given="Ada"))
    await killed.run("well", killed.now)
    moody.people(*people(0, given="Ada"), *people(1))
    report = await moody.run(people=None)
    assert sorted(moody.log(action="update")) == [("update", "success", key) for key in ("0", "1", "1")]
    assert [user["name"]["givenName"] for user in moody.users.values()] == ["Ada", "G"]
    assert report.counts["updated"] == 2


async def test_who_was_created_before_a_kill_and_left_the_scope_is_disabled(moody, killed):
    moody.people(*people(0))
    await killed.run(killed.now, scope=SCOPE)
    moody.people(*people(0, title="left"))
    report = await moody.run(people=None, job={"scope": SCOPE})
    assert (report.counts["disabled"], moody.users["1"]["active"]) == (1, False)
    assert [line for line in moody.log() if line[1] == "success"] == [
        ("create", "success", "0"),
        ("disable", "success", "0"),
    ]


async def test_who_was_created_before_a_kill_and_is_gone_from_the_source_is_named_to_the_administrator(moody, killed):
    moody.people(*people(0, 1))
    await killed.run(killed.now)
    moody.people(*people(1))
    await moody.run(people=None)
    assert ("create", "warning", "0") in moody.log()
    assert intents.keys(moody.state, "staff") == set()


async def test_a_delete_before_a_kill_is_told_and_who_is_back_is_made_again(moody, killed):
    await moody.run(people=2)
    moody.people(*people(1))
    await killed.run(killed.now)
    assert len(moody.users) == 1
    report = await moody.run(people=2)
    assert (report.counts["created"], len(moody.users)) == (1, 2)
    assert ("delete", "success", "0") in moody.log()


async def test_a_disable_before_a_kill_is_told_and_who_is_enabled_again_is_enabled(moody, killed):
    job = {"enabled_attribute": "title", "mappings": MAPPINGS[:2]}
    moody.people(*people(0, title="true"))
    await moody.run(people=None, job=job)
    moody.people(*people(0, title="false"))
    await killed.run(killed.now, **job)
    assert moody.users["1"]["active"] is False
    moody.people(*people(0, title="true"))
    await moody.run(people=None, job=job)
    assert moody.users["1"]["active"] is True
    assert ("disable", "success", "0") in moody.log()


async def test_for_another_target_nobody_looks_and_the_log_says_so(moody, killed):
    moody.people(*people(0))
    await killed.run(killed.now)
    await moody.run(job={"source": {"type": "csv", "path": str(moody.folder / "people.csv"), "key": "mail"}})
    assert ("create", "warning", "0") in moody.log()
    assert intents.keys(moody.state, "staff") == set()


async def test_a_write_that_the_target_is_too_busy_for_leaves_nothing_to_ask(moody):
    moody.moods = [(429, {}, {"Retry-After": "0"})] * 3
    await moody.run()
    assert intents.keys(moody.state, "staff") == set()


async def test_a_delete_before_a_kill_is_told_once_where_the_job_may_not_delete_any_more(moody, killed):
    await moody.run(people=2)
    moody.people(*people(1))
    await killed.run(killed.now)
    for _ in range(2):
        await moody.run(people=None, job={"actions": {"delete": False}})
    assert moody.log(action="delete", status="warning") == [("delete", "warning", "0")]
    assert intents.keys(moody.state, "staff") == set()
