"""What a database refuses by itself, and what its words must not be mistaken for."""

from __future__ import annotations

import asyncio

import pytest

from connector_host.connectors.contract import Add, Modify, Query
from connector_host.connectors.errors import Conflict, InvalidValue, Unavailable
from connector_host.errors import Level

TRAPS = ("x (2013)", "(1213)", "y (2006) (SQLExecDirectW)", "connection lost", "PRIMARY' for key 'PRIMARY", "`Login`")


def add(login, **values):
    return Add({"Login": login, "Name": "x", **values})


@pytest.mark.parametrize("text", TRAPS)
async def test_a_value_in_the_databases_words_is_not_taken_for_a_code(connector, text):
    await connector.export(add("first", Email=text))
    group = [add("second", Email=text), *(add(f"user{number}") for number in range(5))]
    outcomes = await asyncio.gather(*(connector.export(export) for export in group), return_exceptions=True)
    assert isinstance(outcomes[0], Conflict)
    assert outcomes[0].attributes == ("Email",)
    assert [outcome.entry.anchor for outcome in outcomes[1:]] == [f"user{number}" for number in range(5)]


RULES = {
    "sqlite": (
        """CREATE TRIGGER "Rule" BEFORE {event} ON "Employees" WHEN new."Name" = 'forbidden'
           BEGIN SELECT RAISE(ABORT, '{words}'); END""",
    ),
    "postgresql": (
        """CREATE OR REPLACE FUNCTION rule() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN IF new."Name" = 'forbidden' THEN RAISE EXCEPTION '{words}'; END IF; RETURN new; END $$""",
        'CREATE TRIGGER "Rule" BEFORE {event} ON "Employees" FOR EACH ROW EXECUTE FUNCTION rule()',
    ),
    "mariadb": (
        """CREATE TRIGGER "Rule" BEFORE {event} ON "Employees" FOR EACH ROW
           IF new."Name" = 'forbidden' THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '{words}'; END IF""",
    ),
}


def rule(platform, event, words):
    platform.execute(*(text.format(event=event, words=words) for text in RULES[platform.database]))


@pytest.mark.parametrize("words", ["s3cr3t rule", "database is locked", "(2013) server closed the connection"])
async def test_a_triggers_own_refusal_is_an_invalid_value_that_repeats_nothing(employees, connector, words):
    rule(employees, "INSERT", words)
    refused, stored = await asyncio.gather(
        connector.export(Add({"Login": "anna", "Name": "forbidden"})),
        connector.export(add("bob")),
        return_exceptions=True,
    )
    assert isinstance(refused, InvalidValue)
    assert "rule of the database" in str(refused)
    assert words not in str(refused)
    assert stored.entry.anchor == "bob"


async def test_a_trigger_may_refuse_a_change_as_well(employees, connector):
    await connector.export(add("anna"))
    rule(employees, "UPDATE", "never")
    with pytest.raises(InvalidValue, match="rule of the database"):
        await connector.export(Modify("anna", lambda _: {"Name": "forbidden"}))
    assert (await connector.search(Query())).entries[0].values["Name"] == "x"


WRONG_LOGINS = {
    "another password": {"password": "wrong"},
    "no password": {"password": None},
    "another user": {"user": "nobody"},
    "another database": {"database": "nowhere"},
}


@pytest.mark.parametrize("wrong", WRONG_LOGINS.values(), ids=list(WRONG_LOGINS))
async def test_a_login_that_is_not_accepted_is_told_apart_from_a_server_that_is_down(employees, wrong):
    employees.only("postgresql", "mariadb")
    url = employees.url.replace("scim@", f"{wrong.get('user', 'scim')}@")
    url = url.replace(f"/{employees.server_database}", f"/{wrong.get('database', employees.server_database)}")
    connector = employees.open(database=url, password=wrong.get("password", employees.password))
    for attempt in (connector.describe(), connector.export(add("anna")), connector.read("anna")):
        with pytest.raises(Unavailable, match="does not accept our login, or there is no such database"):
            await attempt
    findings = await connector.check()
    assert [(finding.level, finding.subject) for finding in findings] == [(Level.FAILURE, "login")]
    await connector.close()
