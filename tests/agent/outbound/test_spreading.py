"""No write is carried out twice where a load balancer leads the requests of one connection to several real hosts."""

from __future__ import annotations

from contextlib import AsyncExitStack
from types import SimpleNamespace

import pytest

from agent import events
from connector_host.endpoint.outcomes import Outcomes
from tests.agent.outbound.spread import spreading
from tests.endpoint.service import TOKEN, serve

LOG = """
CREATE TABLE Employees (Login VARCHAR(64) NOT NULL PRIMARY KEY, FirstName VARCHAR(50));
CREATE TABLE Done (Login VARCHAR(64) NOT NULL);
CREATE TRIGGER done AFTER INSERT ON Employees BEGIN INSERT INTO Done VALUES (new.Login); END;
CREATE TRIGGER gone AFTER DELETE ON Employees BEGIN INSERT INTO Done VALUES (old.Login); END;
"""
MAPPING = {"Login": "userName", "FirstName": "name.givenName"}


@pytest.fixture
async def hosts(tmp_path):
    """Two hosts of one table, each with a record of its own."""
    async with AsyncExitStack() as stack:
        running = []
        for name in ("a", "b"):
            outcomes = Outcomes(tmp_path / name / "outcomes.sqlite3")
            stack.push_async_callback(outcomes.close)
            opened = serve(tmp_path, ddl=LOG, attributes=MAPPING, outcomes=outcomes)
            running.append(await stack.enter_async_context(opened))
        yield running


@pytest.fixture
async def spread(papers, hosts):
    async with spreading(papers, hosts) as balancer:
        yield balancer


@pytest.fixture
async def scim(chain, spread, client):
    """What a SCIM client does through relay, agent and load balancer."""
    await chain.start_relay(limits={"wait_s": 2.0})
    await chain.start_agent(f"https://localhost:{spread.port}", probe_s=60.0)
    headers = {"Authorization": f"Bearer {TOKEN}"}

    async def create(name):
        async with client.post(chain.address(), json={"userName": name}, headers=headers) as response:
            return response.status

    async def delete(name):
        async with client.delete(f"{chain.address()}/{name}", headers=headers) as response:
            return response.status

    return SimpleNamespace(create=create, delete=delete)


def done(hosts):
    return [row["Login"] for row in hosts[0].rows("SELECT Login FROM Done")]


async def test_writes_pass_where_hosts_take_turns(scim, hosts, spread):
    assert [await scim.create(f"user{number}") for number in range(6)] == [201] * 6
    assert sorted(done(hosts)) == [f"user{number}" for number in range(6)]
    assert len({host.origin for host in spread.led_to}) == 2


async def test_a_write_whose_answer_is_lost_is_repeated_at_the_host_that_did_it(scim, hosts, spread, chain):
    lost = []

    def lose(request):
        if request.method != "POST" or lost or not done(hosts):
            return False
        lost.append(request)
        return True

    spread.loses = lose
    assert await scim.create("bjensen") == 201, "the first one's recorded answer; another host would say 409"
    assert len(lost) == 1
    assert done(hosts) == ["bjensen"]
    assert await scim.delete("bjensen") == 204
    assert done(hosts) == ["bjensen"] * 2
    await chain.log.wait_for(events.REQUEST_REPEATED, sent=True)


async def test_the_host_that_did_it_is_gone_and_no_other_does_it_again(scim, hosts, spread):
    def lose(request):
        if request.method != "POST" or not done(hosts) or len(spread.hosts) == 1:
            return False
        spread.hosts = [host for host in hosts if host is not spread.led_to[-1]]
        hosts[0].run("DELETE FROM Employees")
        return True

    spread.loses = lose
    assert await scim.create("bjensen") == 504
    assert done(hosts) == ["bjensen"] * 2, "created, and taken away by the test"


async def test_hosts_that_are_chosen_by_the_path_get_the_writes_that_they_are_led(scim, hosts, spread):
    """What the agent looks at is one host then, and what takes the writes another, always."""
    spread.choose = lambda request: spread.hosts[request.path != "/healthz"]
    assert [await scim.create(f"user{number}") for number in range(3)] == [201] * 3
    assert sorted(done(hosts)) == [f"user{number}" for number in range(3)]
