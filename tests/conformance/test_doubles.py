"""Two users never differ in the case of a unique value only, whatever the database's own key says."""

from __future__ import annotations

import asyncio

import pytest

from connector_host.connectors.contract import Add, Comparator, Compare, Modify, Query
from connector_host.connectors.errors import Conflict

UNIQUE = {
    "sqlite": 'CREATE UNIQUE INDEX "Any{0}" ON "Employees" ("{0}" COLLATE NOCASE)',
    "postgresql": 'CREATE UNIQUE INDEX "Any{0}" ON "Employees" (lower("{0}"))',
}


def user(login, email=None):
    return Add({"Login": login, "Name": "X", "Email": email})


async def refused(connector, export):
    with pytest.raises(Conflict) as conflict:
        await connector.export(export)
    return list(conflict.value.attributes)


async def test_a_value_in_another_case_is_a_conflict(connector):
    await connector.export(user("alice", "alice@example.org"))
    assert await refused(connector, user("ALICE")) == ["Login"]
    assert await refused(connector, user("bob", "Alice@Example.org")) == ["Email"]
    await connector.export(user("bob", "bob@example.org"))
    assert await refused(connector, Modify("bob", lambda _: {"Email": "ALICE@example.org"})) == ["Email"]
    assert (await connector.search(Query(Compare("Login", Comparator.EQ, "Alice")))).total == 1


async def test_a_user_may_change_the_case_of_its_own_value(connector):
    await connector.export(user("alice", "alice@example.org"))
    done = await connector.export(Modify("alice", lambda _: {"Email": "Alice@example.org"}))
    assert done.entry.values["Email"] == "Alice@example.org"


async def test_of_creations_at_once_one_is_made(connector):
    names = ["Zed", "zed", "ZED", *(f"user{number}" for number in range(20))]
    done = await asyncio.gather(*(connector.export(user(name)) for name in names), return_exceptions=True)
    failures = [one for one in done if isinstance(one, BaseException)]
    assert [type(one) for one in failures] == [Conflict, Conflict]
    assert (await connector.search(Query(limit=0))).total == 21


async def test_of_changes_that_are_committed_together_one_is_made(employees):
    connector = employees.open(writers=1)
    try:
        for name in ("a", "b", "c"):
            await connector.export(user(name))
        changes = (
            connector.export(Modify(name, lambda _, email=email: {"Email": email}))
            for name, email in (("a", "x@y"), ("b", "X@y"), ("c", "x@Y"))
        )
        done = await asyncio.gather(*changes, return_exceptions=True)
        assert sum(isinstance(one, Conflict) for one in done) == 2
    finally:
        await connector.close()


async def test_an_index_without_regard_to_case_refuses_by_itself(employees):
    employees.only("sqlite", "postgresql")
    employees.execute(*(UNIQUE[employees.database].format(name) for name in ("Login", "Email")))
    connector = employees.open()
    try:
        await connector.export(user("alice", "alice@example.org"))
        assert not (await connector._shape()).guarded
        assert await refused(connector, user("ALICE")) == ["Login"]
        assert await refused(connector, user("bob", "Alice@Example.org")) == ["Email"]
    finally:
        await connector.close()


async def test_check_names_the_index_that_settles_it(employees, connector):
    employees.only("sqlite", "postgresql")
    warned = [finding for finding in await connector.check() if "UNIQUE INDEX" in finding.mend]
    assert [finding.subject for finding in warned] == ["Login", "Email"]
    employees.execute(*(finding.mend.partition(": ")[2] for finding in warned))
    assert not [finding for finding in await connector.check() if "UNIQUE INDEX" in finding.mend]


async def test_check_warns_where_the_anchors_collation_takes_accents_for_nothing(employees):
    employees.only("mariadb")
    for collation, warned in (("utf8mb4_general_ci", True), ("utf8mb4_uca1400_as_ci", False), ("utf8mb4_bin", False)):
        employees.execute(f'ALTER TABLE "Employees" MODIFY "Login" varchar(20) COLLATE {collation} NOT NULL')
        connector = employees.open()
        try:
            findings = await connector.check()
        finally:
            await connector.close()
        assert any("zoé" in finding.fact for finding in findings) is warned, collation
