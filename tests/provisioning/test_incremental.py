"""Over a source that gives changes, a cycle reads no more than those, and still forgets nobody."""

from __future__ import annotations

import sqlite3

import pytest

from connector_host.provisioning.restarting import RestartScope, restart
from tests.provisioning.rig import DOWN, MAPPINGS

SCOPE = [{"clauses": [{"attribute": "department", "operator": "EQUALS", "value": "Sales"}]}]


class Staff:
    """A source table with a version that grows with each change."""

    def __init__(self, rig):
        self.rig = rig
        self.path = rig.folder / "staff.sqlite"
        self.version = 0
        self.run("CREATE TABLE staff (id TEXT PRIMARY KEY, login, given, family, mail, department, version)")

    def run(self, sql, *values):
        with sqlite3.connect(self.path) as connection:
            connection.execute(sql, values)
        connection.close()

    def put(self, number, department="Sales", given="Given"):
        self.version += 1
        row = (str(number), f"u{number}", given, "Family", f"u{number}@x.org", department, self.version)
        self.run("INSERT OR REPLACE INTO staff VALUES (?, ?, ?, ?, ?, ?, ?)", *row)

    async def cycle(self, *, patient=False, dry=False, full_every=24, **changes):
        source = {
            "type": "sql",
            "database": f"sqlite:///{self.path}",
            "query": "SELECT * FROM staff",
            "key": "id",
            "mark": "version",
            "full_every": full_every,
        }
        return await self.rig.run(patient=patient, dry=dry, source=source, enabled_attribute=None, **changes)


@pytest.fixture
def staff(rig):
    staff = Staff(rig)
    for number in range(5):
        staff.put(number)
    return staff


async def test_only_what_has_changed_is_read(rig, staff):
    assert (await staff.cycle()).counts["created"] == 5
    staff.put(9)
    staff.put(1, given="Ada")
    report = await staff.cycle()
    assert (report.kind, report.counts["read"] <= 3) == ("incremental", True)
    assert (report.counts["created"], report.counts["updated"]) == (1, 1)
    assert rig.rows()["u1"]["FirstName"] == "Ada"


async def test_rows_that_are_gone_are_found_by_the_full_reading_that_comes_every_so_often(rig, staff):
    await staff.cycle(full_every=3)
    staff.run("DELETE FROM staff WHERE id = '2'")
    kinds = []
    while "u2" in rig.rows() and len(kinds) < 5:
        kinds.append((await staff.cycle(full_every=3)).kind.value)
    assert kinds == ["incremental", "incremental", "full"]


async def test_a_user_who_failed_is_tried_again_though_nothing_changed(rig, staff):
    rig.service.run("INSERT INTO Employees (Login, FirstName, Email) VALUES ('other', 'X', 'u7@x.org')")
    await staff.cycle()
    staff.put(7)
    staff.put(8)
    assert (await staff.cycle()).counts["failed"] == 1
    rig.service.run("DELETE FROM Employees WHERE Login = 'other'")
    assert (await staff.cycle()).counts["created"] == 1
    assert "u7" in rig.rows()
    assert rig.state.counts("staff")["failures"] == 0


async def test_restarting_the_escrows_tries_everybody_who_failed_in_the_next_cycle(rig, staff):
    rig.service.run("INSERT INTO Employees (Login, FirstName, Email) VALUES ('other', 'X', 'u7@x.org')")
    await staff.cycle()
    staff.put(7)
    staff.put(8)
    for _ in range(3):
        await staff.cycle()
    rig.service.run("DELETE FROM Employees WHERE Login = 'other'")
    assert (await staff.cycle(patient=True)).counts["created"] == 0
    restart(rig.state, "staff", [RestartScope.ESCROWS])
    report = await staff.cycle(patient=True)
    assert (report.kind, report.counts["created"]) == ("incremental", 1)
    assert rig.state.counts("staff")["failures"] == 0


async def test_a_dropped_link_is_matched_again_by_the_next_cycle_though_nothing_changed(rig, staff):
    await staff.cycle()
    assert rig.state.unlink("staff", ["1", "nobody"]) == 1
    assert (rig.link("1"), rig.state.counts("staff")["failures"]) == (None, 0)
    report = await staff.cycle(patient=True)
    assert (report.kind, report.counts["matched"]) == ("incremental", 1)
    assert rig.link("1").target_id == "u1"
    assert (await staff.cycle(patient=True)).counts["read"] <= 1


async def test_of_two_rows_with_one_key_in_one_reading_of_changes_the_last_counts(rig, staff):
    staff.run("ALTER TABLE staff RENAME TO one")
    staff.run("CREATE TABLE staff AS SELECT * FROM one")
    await staff.cycle()
    staff.put(9, given="First")
    staff.put(9, given="Last")
    report = await staff.cycle()
    assert (report.counts["created"], report.counts["failed"]) == (1, 0)
    assert rig.rows()["u9"]["FirstName"] == "Last"


async def test_a_user_who_failed_and_is_gone_is_forgotten(rig, staff):
    rig.service.run("INSERT INTO Employees (Login, FirstName, Email) VALUES ('other', 'X', 'u7@x.org')")
    await staff.cycle()
    staff.put(7)
    await staff.cycle()
    staff.run("DELETE FROM staff WHERE id = '7'")
    await staff.cycle()
    assert rig.state.counts("staff")["failures"] == 0


async def test_a_changed_scope_means_looking_at_everybody_again(rig, staff):
    staff.put(4, department="Research")
    await staff.cycle()
    report = await staff.cycle(scope=SCOPE)
    assert (report.kind, report.counts["disabled"]) == ("full", 1)
    assert (await staff.cycle(scope=SCOPE)).kind == "incremental"
    assert (await staff.cycle()).kind == "full"
    assert rig.rows()["u4"]["Enabled"] == 1


async def test_changes_to_schedule_or_notices_mean_no_more_than_that(staff):
    await staff.cycle()
    assert (await staff.cycle(interval_min=5, accidental_deletions=7)).kind == "incremental"
    assert (await staff.cycle(mappings=MAPPINGS[:3])).kind == "full"


async def test_a_cycle_that_did_not_finish_keeps_the_old_mark(rig, staff):
    await staff.cycle()
    staff.put(9)
    down = rig.document["target"] | DOWN
    assert (await staff.cycle(target=down)).ending == "unavailable"
    assert (await staff.cycle()).counts["created"] == 1


@pytest.mark.parametrize("mended", [True, False])
async def test_whoever_is_back_in_the_source_is_kept_though_changes_do_not_name_them(rig, staff, mended):
    await staff.cycle(accidental_deletions=2)
    staff.run("ALTER TABLE staff RENAME TO whole")
    staff.run("CREATE TABLE staff AS SELECT * FROM whole WHERE id = '4'")
    restart(rig.state, "staff", [RestartScope.WATERMARK])
    assert (await staff.cycle(accidental_deletions=2)).ending == "quarantined"
    if mended:
        staff.run("INSERT INTO staff SELECT * FROM whole WHERE id IN ('1', '2', '3')")
    restart(rig.state, "staff", [RestartScope.FORCE_DELETES])
    report = await staff.cycle(accidental_deletions=2)
    assert (report.kind, report.ending) == ("full", "finished")
    assert sorted(rig.rows()) == (["u1", "u2", "u3", "u4"] if mended else ["u4"])
    assert (await staff.cycle(accidental_deletions=2)).kind == "incremental"


async def test_a_mended_source_ends_the_quarantine_by_itself(rig, staff):
    await staff.cycle(accidental_deletions=2)
    staff.run("ALTER TABLE staff RENAME TO whole")
    staff.run("CREATE TABLE staff AS SELECT * FROM whole WHERE id = '4'")
    restart(rig.state, "staff", [RestartScope.WATERMARK])
    assert (await staff.cycle(accidental_deletions=2)).ending == "quarantined"
    staff.run("INSERT INTO staff SELECT * FROM whole WHERE id <> '4'")
    assert (await staff.cycle(accidental_deletions=2)).ending == "finished"
    assert (rig.state.counts("staff")["staged"], len(rig.rows())) == (0, 5)


@pytest.mark.parametrize("dry", [False, True])
async def test_who_is_back_after_a_delete_that_the_target_refused_is_kept_though_changes_do_not_name_them(
    rig, staff, dry
):
    await staff.cycle(full_every=2)
    await staff.cycle(full_every=2)
    staff.run("ALTER TABLE staff RENAME TO whole")
    staff.run("CREATE TABLE staff AS SELECT * FROM whole WHERE id <> '2'")
    rig.service.run("CREATE TRIGGER kept BEFORE DELETE ON Employees BEGIN SELECT RAISE(ABORT, 'has orders'); END")
    assert (await staff.cycle(full_every=2)).counts["failed"] == 1
    assert rig.state.counts("staff")["staged"] == 1
    rig.service.run("DROP TRIGGER kept")
    staff.run("INSERT INTO staff SELECT * FROM whole WHERE id = '2'")
    report = await staff.cycle(full_every=2, dry=dry)
    assert (report.kind, report.counts["deleted"], len(report.planned)) == ("incremental", 0, 0)
    assert rig.state.counts("staff")["staged"] == int(dry)
    await staff.cycle(full_every=2)
    assert "u2" in rig.rows()


async def test_a_delete_that_the_target_refused_is_tried_again_by_the_next_reading_of_changes(rig, staff):
    await staff.cycle(full_every=2)
    await staff.cycle(full_every=2)
    staff.run("DELETE FROM staff WHERE id = '2'")
    rig.service.run("CREATE TRIGGER kept BEFORE DELETE ON Employees BEGIN SELECT RAISE(ABORT, 'has orders'); END")
    assert (await staff.cycle(full_every=2)).counts["failed"] == 1
    rig.service.run("DROP TRIGGER kept")
    report = await staff.cycle(full_every=2)
    assert (report.kind, report.counts["deleted"], report.counts["to delete"]) == ("incremental", 1, 1)
    assert "u2" not in rig.rows()
