"""A change is made once, to one row, on top of what is there: whatever breaks in between."""

from __future__ import annotations

import asyncio

import pytest

from connector_host.connectors.contract import Add, Delete, Modify
from connector_host.connectors.errors import ConnectorError, InDoubt
from tests.conformance.cutting import CuttingProxy

ANNA = Add({"Login": "anna", "Name": "Anna", "Number": 0})
AUDIT = {
    "postgresql": (
        """CREATE OR REPLACE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN INSERT INTO "Audit" VALUES (new."Number"); RETURN NULL; END $$""",
        'CREATE TRIGGER noted AFTER UPDATE ON "Employees" FOR EACH ROW EXECUTE FUNCTION note()',
    ),
    "mariadb": (
        """CREATE TRIGGER noted AFTER UPDATE ON "Employees" FOR EACH ROW INSERT INTO "Audit" VALUES (new."Number")""",
    ),
}


def increment(entry):
    return {"Number": entry.values["Number"] + 1}


async def test_an_export_whose_commit_was_lost_is_never_carried_out_again(employees):
    employees.only("postgresql", "mariadb")
    employees.execute('DROP TABLE IF EXISTS "Audit"', 'CREATE TABLE "Audit" (n int)', *AUDIT[employees.database])
    with CuttingProxy(employees.server.host, employees.server.port) as proxy:
        url = employees.url.replace(f":{employees.server.port}/", f":{proxy.port}/")
        connector = employees.open(database=url, writers=1, readers=1)
        await connector.export(ANNA)
        proxy.cut_after(b"COMMIT")
        with pytest.raises(InDoubt):
            await connector.export(Modify("anna", increment))
        # The next one waits for the row, so that the lost one has ended when it is through.
        done = await connector.export(Modify("anna", lambda _: {"Number": 100}))
        await connector.close()
    assert done.entry.values["Number"] == 100
    assert sorted(row[0] for row in employees.execute('SELECT n FROM "Audit"')) in ([100], [1, 100])


@pytest.mark.parametrize("export", [Modify("anna", increment), Delete("anna")], ids=["modify", "delete"])
async def test_a_write_that_the_database_passes_over_is_no_success(employees, connector, export):
    employees.only("postgresql")
    await connector.export(ANNA)
    event = "UPDATE" if isinstance(export, Modify) else "DELETE"
    employees.execute(
        "CREATE OR REPLACE FUNCTION pass_over() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$",
        f'CREATE TRIGGER passes BEFORE {event} ON "Employees" FOR EACH ROW EXECUTE FUNCTION pass_over()',
    )
    with pytest.raises(ConnectorError, match="0 rows instead of one"):
        await connector.export(export)
    assert (await connector.read("anna")).values["Number"] == 0


async def test_changes_of_one_row_by_two_hosts_are_not_lost(employees, connector):
    await connector.export(ANNA)
    other = employees.open(readers=1)
    for _ in range(15):
        await asyncio.gather(*(host.export(Modify("anna", increment)) for host in (connector, other)))
    assert (await connector.read("anna")).values["Number"] == 30
    await other.close()
