"""What check says of rights that come by a detour: sequences, roles, columns, views."""

from __future__ import annotations

import pytest

from connector_host.connectors.contract import Add
from connector_host.connectors.errors import Denied
from connector_host.errors import Level

ALL = "SELECT, INSERT, UPDATE, DELETE"


async def failures_of(connector):
    findings = [finding for finding in await connector.check() if finding.level is Level.FAILURE]
    await connector.close()
    return [finding.fact for finding in findings]


async def test_a_sequence_without_its_right_is_named(employees, poor):
    employees.only("postgresql")
    employees.execute(
        'DROP TABLE IF EXISTS "Serial"',
        'CREATE TABLE "Serial" (id serial PRIMARY KEY, name text)',
        f'GRANT {ALL} ON "Serial" TO poor',
    )
    connector = poor(table="Serial", anchor="id")
    with pytest.raises(Denied):
        await connector.export(Add({"name": "x"}))
    assert await failures_of(connector) == ["""The login may not USAGE of "Serial_id_seq"."""]
    employees.execute('GRANT USAGE ON SEQUENCE "Serial_id_seq" TO poor')
    assert await failures_of(poor(table="Serial", anchor="id")) == []


async def test_a_login_that_may_not_read_is_told_which_right_it_lacks(employees, poor):
    employees.only("postgresql")
    employees.execute('GRANT INSERT, UPDATE, DELETE ON "Employees" TO poor')
    assert await failures_of(poor()) == ["The login may not SELECT."]


@pytest.mark.parametrize("level", ['"Employees"', "{}.*"], ids=["table", "database"])
async def test_rights_by_an_enabled_role_count(employees, poor, level):
    employees.only("mariadb")
    place = level.format(f'"{employees.server_database}"')
    employees.execute("CREATE OR REPLACE ROLE clerk", f"GRANT {ALL} ON {place} TO clerk", "GRANT clerk TO poor")
    assert len(await failures_of_nobody(poor)) == 1
    employees.execute("SET DEFAULT ROLE clerk FOR poor")
    connector = poor()
    assert (await connector.export(Add({"Login": "anna", "Name": "x"}))).written
    assert await failures_of(connector) == []
    employees.execute("DROP ROLE clerk")


async def failures_of_nobody(poor):
    """Return what is wrong for the login whose role is not enabled: it does not even get in."""
    return await failures_of(poor())


async def test_rights_on_every_column_are_enough(employees, poor):
    employees.only("postgresql")
    columns = '"Login", "Email", "Name", "Number", "Salary", "Active", "Hired", "Born", "Guid", "Status"'
    employees.execute(
        f'GRANT SELECT ({columns}, "Shout"), INSERT ({columns}), UPDATE ({columns}) ON "Employees" TO poor',
        'GRANT DELETE ON "Employees" TO poor',
    )
    connector = poor()
    assert (await connector.export(Add({"Login": "anna", "Name": "x"}))).written
    assert await failures_of(connector) == []


@pytest.mark.parametrize("select", ['SELECT DISTINCT "Login", "Name" FROM', 'SELECT "Login", "Name" FROM'])
async def test_a_view_that_cannot_be_written_is_a_failure_and_its_advice_can_be_followed(employees, select):
    employees.execute('DROP VIEW IF EXISTS "Seen"', f'CREATE VIEW "Seen" AS {select} "Employees"')
    connector = employees.open(table="Seen", accept_unenforced_anchor=True)
    advice = [finding.mend for finding in await connector.check() if finding.subject == "anchor"]
    cannot = "DISTINCT" in select or employees.database == "sqlite"
    words = ["The database cannot INSERT, UPDATE, DELETE through the view Seen."] if cannot else []
    assert await failures_of(connector) == words
    assert "in the table behind it" in advice[0]
    employees.execute('DROP VIEW "Seen"')
