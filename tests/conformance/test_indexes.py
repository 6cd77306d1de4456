"""`check` finds the index that a lookup of users lacks, and the index that it proposes mends it."""

from __future__ import annotations

import pytest

from connector_host.errors import Level


async def lacking(platform, **settings):
    connector = platform.open(**settings)
    try:
        findings = await connector.check()
    finally:
        await connector.close()
    return [one for one in findings if one.level is Level.WARNING and "No index" in one.fact]


@pytest.mark.parametrize("path", ["userName", "externalId", "urn:ietf:params:scim:schemas:core:2.0:User:userName"])
async def test_a_column_to_match_by_that_no_index_serves_is_named_and_can_be_mended(employees, path):
    (finding,) = await lacking(employees, attributes={"Name": path})
    assert finding.subject == "Name"
    employees.execute(finding.mend.removeprefix("Create one: "))
    assert await lacking(employees, attributes={"Name": path}) == []


async def test_a_number_needs_a_plain_index(employees):
    (finding,) = await lacking(employees, attributes={"Number": "externalId"})
    employees.execute(finding.mend.removeprefix("Create one: "))
    assert await lacking(employees, attributes={"Number": "externalId"}) == []


async def test_an_index_that_the_comparison_cannot_use_does_not_count(employees):
    employees.only("sqlite", "postgresql")
    employees.execute('CREATE INDEX plain ON "Employees" ("Name")')
    assert await lacking(employees, attributes={"Name": "userName"})


async def test_an_index_that_only_starts_elsewhere_does_not_count(employees):
    employees.execute('CREATE INDEX other ON "Employees" ("Number", "Name")')
    assert await lacking(employees, attributes={"Name": "userName"})


async def test_other_columns_need_none(employees):
    names = [finding.subject for finding in await lacking(employees, attributes={"Name": "displayName"})]
    assert "Name" not in names


async def test_no_index_is_proposed_for_a_view(employees):
    """No database of these makes one there."""
    employees.execute("DROP VIEW IF EXISTS staff", 'CREATE VIEW staff AS SELECT * FROM "Employees"')
    connector = employees.open(table="staff", accept_unenforced_anchor=True)
    try:
        findings = await connector.check()
    finally:
        await connector.close()
        employees.execute("DROP VIEW staff")
    assert not [one for one in findings if "INDEX" in one.mend]
    assert "A view has no index" in " ".join(one.fact for one in findings)
