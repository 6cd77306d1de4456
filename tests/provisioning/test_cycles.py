"""A cycle brings the target in step with the source, and writes no more than it must."""

from __future__ import annotations

import pytest

from connector_host.provisioning.restarting import USUAL, restart
from tests.endpoint.service import ECMA
from tests.provisioning.rig import MAPPINGS, person


async def test_the_first_cycle_creates_everybody_and_the_next_does_nothing(rig):
    rig.people(*(person(n) for n in range(5)))
    first = await rig.run()
    assert (first.kind, first.counts["created"]) == ("initial", 5)
    assert rig.rows()["u00003"]["Email"] == "u3@example.org"
    second = await rig.run()
    assert (second.kind, second.counts["unchanged"], second.counts["read"]) == ("full", 5, 5)
    assert len(rig.log()) == 5


async def test_only_the_attribute_that_changed_is_sent_and_drift_beside_it_stays(rig):
    rig.people(person(1))
    await rig.run()
    rig.service.run("UPDATE Employees SET Department = 'Drifted' WHERE Login = 'u00001'")
    rig.people(person(1, given="Ada"))
    report = await rig.run()
    assert report.counts["updated"] == 1
    row = rig.rows()["u00001"]
    assert (row["FirstName"], row["Department"]) == ("Ada", "Drifted")
    assert rig.log(action="update")[0]["modifiedProperties"] == [
        {"displayName": "name.givenName", "oldValue": "Given1", "newValue": "Ada"}
    ]


async def test_a_user_of_the_target_is_matched_and_brought_up_to_date(rig):
    rig.service.run("INSERT INTO Employees (Login, FirstName, Enabled) VALUES ('u00001', 'Old', 1)")
    rig.people(person(1))
    report = await rig.run()
    assert (report.counts["created"], report.counts["updated"]) == (0, 1)
    assert rig.rows()["u00001"]["FirstName"] == "Given1"
    assert rig.link("1").target_id == "u00001"


async def test_a_disabled_user_is_never_created_and_a_linked_one_is_disabled_then_enabled_again(rig):
    rig.people(person(1, enabled="false"), person(2))
    await rig.run()
    assert set(rig.rows()) == {"u00002"}
    rig.people(person(2, enabled="false"))
    assert (await rig.run()).counts["disabled"] == 1
    assert rig.rows()["u00002"]["Enabled"] == 0
    assert (await rig.run()).counts["disabled"] == 0
    rig.people(person(2))
    await rig.run()
    assert rig.rows()["u00002"]["Enabled"] == 1


async def test_who_is_gone_from_the_source_is_deleted(rig):
    rig.people(person(1), person(2))
    await rig.run()
    rig.people(person(2))
    assert (await rig.run()).counts["deleted"] == 1
    assert set(rig.rows()) == {"u00002"}
    assert rig.link("1") is None


async def test_rows_that_the_source_never_had_are_left_alone(rig):
    rig.service.run("INSERT INTO Employees (Login, FirstName) VALUES ('service', 'Robot')")
    rig.people(person(1))
    await rig.run()
    assert "service" in rig.rows()


async def test_leaving_the_scope_disables_and_coming_back_enables_at_the_next_cycle(rig):
    scope = [{"clauses": [{"attribute": "department", "operator": "EQUALS", "value": "Sales"}]}]
    rig.people(person(1), person(2, department="Research"))
    await rig.run(scope=scope)
    assert set(rig.rows()) == {"u00001"}
    rig.people(person(1, department="Research"), person(2, department="Research"))
    await rig.run(scope=scope)
    assert rig.rows()["u00001"]["Enabled"] == 0
    rig.people(person(1), person(2, department="Research"))
    await rig.run(scope=scope)
    assert rig.rows()["u00001"]["Enabled"] == 1


async def test_a_changed_scope_is_noticed_and_users_are_judged_again_by_themselves(rig):
    rig.people(person(1), person(2, department="Research"))
    await rig.run()
    scope = [{"clauses": [{"attribute": "department", "operator": "EQUALS", "value": "Sales"}]}]
    await rig.run(scope=scope)
    assert {login: row["Enabled"] for login, row in rig.rows().items()} == {"u00001": 1, "u00002": 0}


async def test_a_changed_mapping_reaches_everybody(rig):
    rig.people(person(1), person(2))
    await rig.run()
    upper = {"target": "name.givenName", "type": "expression", "expression": "ToUpper([given])"}
    report = await rig.run(mappings=[MAPPINGS[0], upper])
    assert report.counts["updated"] == 2
    assert rig.rows()["u00002"]["FirstName"] == "GIVEN2"


async def test_a_link_whose_target_is_gone_is_matched_again_or_made_again(rig):
    rig.people(person(1))
    await rig.run()
    rig.service.run("DELETE FROM Employees")
    rig.people(person(1, given="Ada"))
    assert (await rig.run()).counts["created"] == 1
    assert rig.rows()["u00001"]["FirstName"] == "Ada"


@pytest.mark.parametrize(
    ("action", "rows"),
    [
        ("create", {"u00001": "Given1"}),
        ("update", {"u00001": "Given1", "u00003": "Given3"}),
        ("delete", {"u00001": "Ada", "u00002": "Given2", "u00003": "Given3"}),
    ],
)
async def test_each_action_can_be_switched_off(rig, action, rows):
    rig.people(person(1), person(2))
    await rig.run()
    rig.people(person(1, given="Ada"), person(3))
    await rig.run(actions={action: False})
    kept = {login: row["FirstName"] for login, row in rig.rows().items()}
    assert kept == rows or (action == "create" and kept == {"u00001": "Ada"})


async def test_without_updates_a_user_who_differs_is_linked_and_so_deleted_when_gone(rig):
    rig.service.run("INSERT INTO Employees (Login, FirstName, Enabled) VALUES ('u00001', 'Old', 0)")
    rig.people(person(1), person(2))
    report = await rig.run(actions={"update": False})
    assert (report.counts["matched"], report.counts["created"]) == (1, 1)
    assert (rig.rows()["u00001"]["FirstName"], rig.rows()["u00001"]["Enabled"]) == ("Old", 0)
    rig.people(person(2))
    assert (await rig.run(actions={"update": False})).counts["deleted"] == 1
    assert set(rig.rows()) == {"u00002"}


async def test_what_differs_is_sent_once_updates_are_switched_on(rig):
    rig.service.run("INSERT INTO Employees (Login, FirstName, Enabled) VALUES ('u00001', 'Old', 0)")
    rig.people(person(1))
    await rig.run(actions={"update": False})
    assert (await rig.run()).counts["updated"] == 1
    assert (rig.rows()["u00001"]["FirstName"], rig.rows()["u00001"]["Enabled"]) == ("Given1", 1)


async def test_another_way_of_disabling_is_carried_out_for_those_who_are_enabled_and_disabled_already(rig):
    """`Badge` stands for a column that disables; the way before is undone for whoever is enabled by the new one."""
    badge = {"disable": {"path": f"{ECMA}:Badge", "value": True}}
    rig.people(person(1), person(2), person(3))
    await rig.run()
    rig.people(person(1), person(2, enabled="false"), person(3, enabled="false"))
    await rig.run()
    report = await rig.run(**badge)
    assert (report.counts["updated"], report.counts["disabled"]) == (1, 2)
    assert {login: row["Badge"] for login, row in rig.rows().items()} == {"u00001": 0, "u00002": 1, "u00003": 1}
    assert (await rig.run(**badge)).counts["disabled"] == 0
    rig.people(person(1), person(2), person(3, enabled="false"))
    await rig.run(**badge)
    assert (rig.rows()["u00002"]["Badge"], rig.rows()["u00002"]["Enabled"]) == (0, 1)
    await rig.run()
    assert {login: row["Enabled"] for login, row in rig.rows().items()} == {"u00001": 1, "u00002": 1, "u00003": 0}


async def test_a_restart_disables_again_whom_somebody_has_enabled_in_the_target(rig):
    rig.people(person(1), person(2))
    await rig.run()
    rig.people(person(1, enabled="false"), person(2))
    await rig.run()
    rig.service.run("UPDATE Employees SET Enabled = 1")
    assert (await rig.run()).counts["disabled"] == 0
    restart(rig.state, "staff", USUAL)
    assert (await rig.run()).counts["disabled"] == 1
    assert {login: row["Enabled"] for login, row in rig.rows().items()} == {"u00001": 0, "u00002": 1}


async def test_nulls_are_passed_over_and_cleared_where_asked_for(rig):
    rig.people(person(1))
    await rig.run()
    rig.people(person(1, department=""))
    await rig.run()
    assert rig.rows()["u00001"]["Department"] == "Sales"
    clearing = [MAPPINGS[0], MAPPINGS[4] | {"clear_when_null": True}]
    await rig.run(mappings=clearing)
    assert rig.rows()["u00001"]["Department"] is None


async def test_an_empty_cell_of_a_csv_file_is_null_to_expressions(rig):
    expression = "Coalesce([department], [family])"
    mapping = {"target": "name.familyName", "type": "expression", "expression": expression}
    rig.people(person(1, department=""))
    await rig.run(mappings=[*MAPPINGS[:2], mapping])
    assert rig.rows()["u00001"]["LastName"] == "Family1"


async def test_two_users_with_one_key_are_a_fault_of_the_source(rig):
    rig.people(person(1), person(1, login="other"))
    report = await rig.run()
    assert (report.counts["created"], report.counts["failed"]) == (1, 1)
    assert rig.log(status="failure")[0]["errorCode"] == "DuplicateSourceEntries"


async def test_two_users_that_match_one_user_of_the_target_do_not_fight(rig):
    rig.people(person(1), person(2, login="u00001", mail="other@example.org"))
    report = await rig.run(target=rig.document["target"] | {"concurrency": 1})
    assert (report.counts["created"], report.counts["failed"]) == (1, 1)


async def test_matching_goes_on_to_the_next_attribute_where_the_first_finds_nobody(rig):
    rig.service.run("INSERT INTO Employees (Login, FirstName, Email, Badge) VALUES ('u00001', 'Old', 'x@x.org', 7)")
    mappings = [
        {"target": "name.familyName", "source": "family", "match": 1},
        {"target": "userName", "source": "login", "match": 2},
    ]
    rig.people(person(1))
    await rig.run(mappings=mappings)
    assert rig.link("1").target_id == "u00001"


async def test_values_with_quotes_and_backslashes_match_and_flow(rig):
    odd = 'O\'Brien "the \\ one" & Søn %'
    mappings = [{"target": "name.familyName", "source": "family", "match": 1}, *MAPPINGS[:2], *MAPPINGS[3:]]
    rig.people(person(1, family=odd))
    await rig.run(mappings=mappings)
    await rig.run(mappings=mappings)
    assert [row["LastName"] for row in rig.rows().values()] == [odd]


async def test_a_unique_value_is_chosen_by_asking_the_target(rig):
    rig.service.run("INSERT INTO Employees (Login, FirstName, Email) VALUES ('x', 'X', 'given1@example.org')")
    unique = 'SelectUniqueValue(Append(ToLower([given]), "@example.org"), Append([login], "@example.org"))'
    mail = {"target": 'emails[type eq "work"].value', "type": "expression", "expression": unique, "apply": "creation"}
    rig.people(person(1))
    await rig.run(mappings=[*MAPPINGS[:2], mail])
    assert rig.rows()["u00001"]["Email"] == "u00001@example.org"


async def test_redacted_values_stay_out_of_the_log(rig):
    mapping = {"target": "name.givenName", "type": "expression", "expression": "Redact([given])"}
    rig.people(person(1))
    await rig.run(mappings=[MAPPINGS[0], mapping])
    assert "Given1" not in str(rig.log())
    assert "[Redact]" in str(rig.log())
