"""A user whose key in the source has changed keeps the account that a matching attribute finds."""

from __future__ import annotations

import pytest

from connector_host.provisioning import on_demand
from connector_host.provisioning.departures import GONE
from connector_host.provisioning.errors import SourceFailed
from connector_host.provisioning.opening import opened
from connector_host.provisioning.sources.sql import SqlSource
from connector_host.provisioning.state.records import Action, Changes, Failure, Staged
from tests.provisioning.rig import person
from tests.provisioning.test_incremental import Staff
from tests.provisioning.test_sources import csv_source
from tests.provisioning.test_sources_web import graph_source, job_of


def mark(rig):
    """Write into each row what no mapping writes, and a delete and a create would lose."""
    rig.service.run("UPDATE Employees SET HomeEmail = 'of-' || Login")


def are_the_same(rig):
    """Return whether all rows are those that were marked."""
    return all(row["HomeEmail"] == f"of-{login}" for login, row in rig.rows().items())


async def test_new_keys_of_everybody_move_the_links_and_neither_delete_nor_create(rig):
    rig.people(*(person(n) for n in range(300)))
    await rig.run()
    mark(rig)
    rig.people(*(person(n, id=f"new-{n}", given="Ada" if n == 7 else f"Given{n}") for n in reversed(range(300))))
    dry = await rig.run(dry=True)
    assert [(one.source_key, one.action) for one in dry.planned] == [("new-7", "update")]
    report = await rig.run(accidental_deletions=0)
    assert (report.ending, report.failures) == ("finished", 0)
    assert (report.counts["matched"], report.counts["updated"], report.counts["to delete"]) == (299, 1, 0)
    assert (are_the_same(rig), len(rig.rows()), rig.state.counts("staff")["links"]) == (True, 300, 300)
    assert (rig.link("7"), rig.link("new-7").target_id) == (None, "u00007")
    assert "7, who had it, is gone" in str(rig.log(action="update")[0]["provisioningSteps"])
    assert (await rig.run()).counts["unchanged"] == 300


async def test_nobody_takes_an_account_whose_user_is_in_the_source_wherever_that_row_stands(rig):
    rig.people(person(1))
    await rig.run()
    twin = person(2, login="u00001")
    for people in ([person(1), twin], [twin, *(person(n) for n in range(10, 300)), person(1)]):
        rig.people(*people)
        report = await rig.run()
        assert (report.failures, rig.link("1").target_id, rig.link("2")) == (1, "u00001", None)
    rig.people(person(1), twin)
    await rig.run()
    mark(rig)
    rig.people(twin)
    report = await rig.run(patient=True)
    assert (report.failures, rig.link("1"), rig.link("2").target_id) == (0, None, "u00001")
    assert are_the_same(rig)


async def test_of_two_who_match_an_account_that_is_left_the_first_gets_it_and_nobody_deletes_it(rig):
    rig.people(person(1))
    await rig.run()
    rig.people(person(2, login="u00001"), *(person(n) for n in range(10, 300)), person(3, login="u00001"))
    report = await rig.run()
    assert (report.failures, rig.link("2").target_id, rig.link("3")) == (1, "u00001", None)
    assert rig.log(status="failure")[0]["errorCode"] == "DuplicateSourceEntries"
    assert (await rig.run()).counts["deleted"] == 0


async def test_an_account_is_not_deleted_where_its_new_user_cannot_be_written(rig):
    rig.people(person(1))
    await rig.run()
    rig.people(person(2, login="u00001", department="x" * 21))
    report = await rig.run()
    assert (report.failures, report.counts["to delete"], rig.link("2").target_id) == (1, 0, "u00001")
    assert (await rig.run(patient=True)).counts["waiting"] == 1
    rig.people(person(2, login="u00001", given="Ada"))
    await rig.run()
    assert rig.rows()["u00001"]["FirstName"] == "Ada"


async def test_what_was_staged_is_forgotten_once_somebody_else_has_the_account(rig):
    rig.people(*(person(n) for n in range(5)))
    await rig.run(accidental_deletions=2)
    rig.people(person(0))
    assert (await rig.run(accidental_deletions=2)).ending == "quarantined"
    rig.people(person(0), *(person(n, id=f"new-{n}") for n in range(1, 5)))
    report = await rig.run(accidental_deletions=2)
    assert (report.ending, rig.state.counts("staff")["staged"], len(rig.rows())) == ("finished", 0, 5)


async def test_while_a_key_cannot_be_read_no_account_changes_hands(rig):
    rig.people(person(1))
    await rig.run()
    rig.people(person(2, login="u00001"))
    with rig.file.open("a") as file:
        file.write("1\n")
    report = await rig.run()
    assert (report.failures, rig.link("1").target_id, rig.link("2")) == (2, "u00001", None)


async def test_a_reading_of_changes_asks_the_source_whether_the_old_key_is_gone(rig):
    staff = Staff(rig)
    staff.put(1)
    staff.put(2)
    await staff.cycle()
    mark(rig)
    staff.run("UPDATE staff SET id = '9', version = 9 WHERE id = '1'")
    report = await staff.cycle()
    assert (report.kind, report.failures, rig.link("9").target_id) == ("incremental", 0, "u1")
    assert (are_the_same(rig), len(rig.rows())) == (True, 2)


@pytest.mark.parametrize("newcomer_first", [False, True])
async def test_whoever_comes_with_another_key_beside_the_end_of_the_old_one_is_no_deletion(rig, newcomer_first):
    async with graph_source() as (graph, source):
        job = job_of(source) | {
            "mappings": [
                {"target": "userName", "source": "displayName", "match": 1},
                {"target": "name.givenName", "source": "displayName"},
            ]
        }
        await rig.run(**job)
        mark(rig)
        users = [graph.users.pop(key) for key in ("id-0", "id-1", "id-2")]
        news = [{"id": user["id"], "@removed": {"reason": "deleted"}} for user in users]
        newcomers = [user | {"id": f"new-{user['id']}"} for user in users]
        graph.users |= {user["id"]: user for user in newcomers}
        graph.changes = newcomers + news if newcomer_first else news + newcomers
        report = await rig.run(accidental_deletions=0, **job)
        assert (report.kind, report.ending, report.failures) == ("incremental", "finished", 0)
        assert (are_the_same(rig), len(rig.rows()), rig.state.counts("staff")["staged"]) == (True, 5, 0)
        assert (rig.link("id-0"), rig.link("new-id-0").target_id) == (None, "Name 0")


@pytest.fixture
def unsure(monkeypatch):
    """Break the statement by which a source of SQL tells whether some row is without a key, until it is undone."""

    def broken(_source):
        raise SourceFailed("cannot be asked")

    monkeypatch.setattr(SqlSource, "_has_nameless", broken)
    return monkeypatch


@pytest.mark.parametrize("full_every", [1, 24])
async def test_an_account_is_not_deleted_while_nobody_can_tell_whether_its_user_has_another_key(
    rig, unsure, full_every
):
    staff = Staff(rig)
    for number in range(5):
        staff.put(number)
    await staff.cycle(full_every=full_every)
    mark(rig)
    rig.state.write("staff", Changes(staged=[Staged("1", Action.DELETE, GONE, 1)]))
    staff.run("UPDATE staff SET id = '9', version = 9 WHERE id = '1'")
    staff.run("DELETE FROM staff WHERE id = '2'")
    rig.state.write("staff", Changes(staged=[Staged("2", Action.DELETE, GONE, 1)]))
    dry = await staff.cycle(full_every=full_every, dry=True)
    assert [one.source_key for one in dry.planned if one.action is Action.DELETE] == ["2"]
    assert len(dry.planned) == len(list(dry.planned)) == 2
    report = await staff.cycle(full_every=full_every, accidental_deletions=1)
    assert (report.ending, report.failures, report.counts["deleted"]) == ("finished", 1, 1)
    assert (sorted(rig.rows()), rig.link("1").target_id) == (["u0", "u1", "u3", "u4"], "u1")
    line = rig.log(action="delete", status="skipped")[0]
    assert (line["sourceIdentity"], "next cycle" in line["reason"]) == ("1", True)
    rig.state.write("staff", Changes(failures=[Failure("9", 5, 1e12, "DuplicateSourceEntries", "r")]))
    unsure.undo()
    dry = await staff.cycle(full_every=full_every, dry=True, patient=True)
    assert list(dry.planned) == []
    report = await staff.cycle(full_every=full_every, patient=True)
    assert (report.failures, report.counts["deleted"], rig.link("9").target_id) == (0, 0, "u1")
    assert (are_the_same(rig), rig.state.counts("staff")["staged"]) == (True, 0)


@pytest.mark.parametrize("gone", [True, False])
async def test_on_demand_an_account_is_taken_over_only_where_its_user_is_gone(rig, gone):
    rig.people(person(1))
    await rig.run()
    rig.people(*([] if gone else [person(1)]), person(2, login="u00001"))
    async with opened("staff", rig.settings().jobs["staff"]) as ready:
        shown = await on_demand.provision(ready, rig.state, "2")
    assert (shown.succeeded, rig.link("1") is None, rig.link("2") is not None) == (gone, gone, gone)


async def test_a_file_knows_whom_it_lacks_until_it_is_another(tmp_path):
    path = tmp_path / "people.csv"
    path.write_text("id,name\n1,A\n2,B\n")
    source = csv_source(path)
    assert [await source.lacks(key) for key in ("1", "2", "3")] == [False, False, True]
    path.write_text("id,name\n1,A\n3,C\n9,D\n")
    assert [await source.lacks(key) for key in ("1", "2", "3")] == [False, True, False]
    path.write_text("id,name\n1,A\n,C\n")
    assert not await source.lacks("2")
    path.unlink()
    assert not await source.lacks("2")
