"""What the database does not keep by itself at once: anchors that nothing enforces, late keys, tables without undo."""

from __future__ import annotations

import asyncio

import pytest

from connector_host.connectors.contract import Add, Modify
from connector_host.connectors.errors import Conflict
from connector_host.connectors.sql import guarding
from connector_host.errors import ConfigurationError, Level

LOOSE = 'CREATE TABLE "Loose" ("Login" varchar(20), "Name" varchar(20))'


@pytest.fixture
async def hosts(platform):
    """Two connectors over one table whose anchor nothing enforces, as two processes have them."""
    platform.execute('DROP TABLE IF EXISTS "Loose"', LOOSE)
    opened = [platform.open(table="Loose", accept_unenforced_anchor=True, writers=4) for _ in range(2)]
    yield opened
    for connector in opened:
        await connector.close()


@pytest.mark.parametrize("spellings", [["same"], ["é0", "e0", "e0 ", "E0"]], ids=["alike", "equal by collation"])
async def test_creations_at_once_make_no_anchor_twice_that_nothing_enforces(platform, hosts, spellings):
    for number in range(15):
        exports = [Add({"Login": f"{text}{number:02}"[-20:], "Name": "x"}) for text in spellings] * 2
        if spellings != ["same"]:
            exports = [Add({"Login": text.replace("0", f"{number:02}"), "Name": "x"}) for text in spellings]
        outcomes = await asyncio.gather(
            *(connector.export(export) for connector in hosts for export in exports), return_exceptions=True
        )
        assert {type(outcome) for outcome in outcomes if isinstance(outcome, BaseException)} == {Conflict}
    ((total, different),) = platform.execute('SELECT count("Login"), count(DISTINCT "Login") FROM "Loose"')
    assert total == different


async def test_the_guard_over_an_anchor_is_given_back(platform, hosts):
    for number in range(5):
        for connector in hosts:
            await connector.export(Add({"Login": f"{number}-{id(connector)}"[-20:], "Name": "x"}))
        with pytest.raises(Conflict):
            await hosts[0].export(Add({"Login": f"{number}-{id(connector)}"[-20:], "Name": "x"}))


async def test_the_lock_over_an_anchor_is_one_however_two_hosts_spell_the_table(platform):
    """With lower_case_table_names, as on Windows, both spellings are that table."""
    platform.only("mariadb")
    one, other = (
        platform.execute("SELECT " + guarding.NAME.replace(":schema", "NULL").replace(":table", f"'{table}'"))
        for table in ("Loose", "LOOSE")
    )
    assert one == other
    assert len(one[0][0]) <= 64


LATE = 'ALTER TABLE "Employees" ADD CONSTRAINT late UNIQUE ("Number") DEFERRABLE INITIALLY DEFERRED'


async def test_a_key_that_is_looked_at_late_fails_the_guilty_export_alone(employees):
    employees.only("postgresql")
    employees.execute(LATE)
    connector = employees.open(writers=1)
    await connector.export(Add({"Login": "first", "Name": "x", "Number": 1}))
    exports = [
        Add({"Login": "guilty", "Name": "x", "Number": 1}),
        *(Add({"Login": f"user{number}", "Name": "x", "Number": 10 + number}) for number in range(5)),
        Modify("first", lambda _: {"Name": "y"}),
    ]
    guilty, *others = await asyncio.gather(*map(connector.export, exports), return_exceptions=True)
    assert isinstance(guilty, Conflict)
    assert guilty.attributes == ("Number",)
    assert all(done.written for done in others)
    assert employees.execute('SELECT count(*) FROM "Employees"')[0][0] == 6
    warned = [finding for finding in await connector.check() if "DEFERRABLE" in finding.fact]
    assert [(finding.level, finding.subject) for finding in warned] == [(Level.WARNING, "Number")]
    await connector.close()


@pytest.mark.parametrize("engine", ["MyISAM", "MEMORY", "Aria"])
async def test_a_table_that_cannot_undo_is_refused_with_the_mend(platform, engine):
    platform.only("mariadb")
    platform.execute(
        'DROP TABLE IF EXISTS "Flat"', f'CREATE TABLE "Flat" ("Login" varchar(20) PRIMARY KEY) ENGINE={engine}'
    )
    connector = platform.open(table="Flat")
    with pytest.raises(ConfigurationError, match=rf"{engine}.*ALTER TABLE Flat ENGINE=InnoDB"):
        await connector.describe()
    failures = [finding for finding in await connector.check() if finding.level is Level.FAILURE]
    assert [finding.subject for finding in failures] == ["table"]
    platform.execute('ALTER TABLE "Flat" ENGINE=InnoDB')
    assert (await connector.describe()).anchor == "Login"
    await connector.close()
