"""Relay nodes, NATS and agents are killed at random while a client writes at one node and the agents are at others.

CHAOS_USERS=5000 runs it at the size that a release is proven with.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import random
import ssl
from collections import Counter

import aiohttp
import pytest
from chain import Chain

from tests.journeys.nodes import Nodes
from tests.journeys.writers import CLIENTS, Tally, Writer, check, logins_of, users, write, writes_go_on

USERS = users(120)
PARTS = ("node-0", "node-1", "node-2", "nats", "one", "host")


@pytest.fixture(scope="module")
def nodes(tmp_path_factory, own_nats):
    folder = tmp_path_factory.mktemp("nodes")
    with Chain(folder / "run", folder / "certs") as chain:
        chain.prepare()
        chain.describe_table()
        chain.spawn("connector host")
        running = Nodes(chain, own_nats, 3)
        running.prepare()
        try:
            for number in range(3):
                running.spawn(f"node-{number}")
            running.agent("one", [1, 2])
            running.agent("two", [2, 1])
            yield running
        finally:
            running.end()


@pytest.fixture
async def session(nodes):
    context = ssl.create_default_context(cafile=str(nodes.chain.relay_trust))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as client:
        yield client


async def until_answered(nodes, session, number):
    token = nodes.chain.token_file.read_text().strip()
    async with asyncio.timeout(30):
        while True:
            try:
                async with session.get(
                    f"{nodes.url(number)}/Users?count=1", headers={"Authorization": f"Bearer {token}"}
                ) as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.1)


async def test_status_shows_all_nodes_and_the_agents_of_each(nodes, session):
    await until_answered(nodes, session, 0)
    async with asyncio.timeout(20):
        while True:
            await asyncio.sleep(0.5)
            status = json.loads(nodes.command(0, "status", "--json"))
            if sum(len(node["links"]) for node in status["nodes"]) == 4:
                break
    assert {node["name"] for node in status["nodes"]} == {"node-1", "node-2"}
    assert {link["peer"] for node in status["nodes"] for link in node["links"]} == {"one", "two"}
    words = nodes.command(0, "status")
    assert "This is node node-0; 2 others are up." in words
    assert f"Node node-1 {status['version']} at https://localhost:{nodes.ports[1]}" in words


@pytest.mark.timeout(90 + USERS // 8)
async def test_no_acknowledged_write_is_lost_and_none_is_done_twice_over_several_nodes(nodes, session):
    await until_answered(nodes, session, 0)
    tally, killed = Tally(USERS), Counter()
    logins = (f"nodes{number:05}" for number in itertools.count())
    # Most clients stay with the node that has no agent, so that most requests travel between nodes.
    urls = itertools.cycle([nodes.url(0)] * 3 + [nodes.url(1)])
    writer = Writer(session, urls, nodes.chain.token_file.read_text().strip())
    kills = asyncio.create_task(kill_at_random(nodes, tally, killed))
    await asyncio.gather(*(write(writer, logins, tally, killed) for _ in range(CLIENTS)))
    kills.cancel()
    await asyncio.gather(kills, return_exceptions=True)
    figures = f"{tally.sent} users, kills {dict(killed)}, statuses {dict(tally.statuses)}, unknown {tally.unknown}"
    logging.getLogger(__name__).info(figures)
    check(tally, logins_of(nodes.chain.database))
    assert len(tally.unknown) <= killed["host"] * CLIENTS, "only a host that dies half-way leaves a doubt"


async def kill_at_random(nodes, tally, killed):
    """Kill one part after another, without a warning, and start it again."""
    dice = random.Random(20261125)  # noqa: S311 - the same kills each time
    dead = ""
    try:
        for part in itertools.chain.from_iterable(dice.sample(PARTS, len(PARTS)) for _ in itertools.count()):
            await asyncio.sleep(dice.uniform(0.1, 0.6))
            dead = part
            _kill(nodes, part)
            killed[part] += 1
            await asyncio.sleep(dice.uniform(0.0, 0.3))
            _start(nodes, part)
            dead = ""
            # The chain must be whole at times, however slow the machine.
            await writes_go_on(tally)
            await asyncio.sleep(dice.uniform(0.2, 1.5))
    finally:
        if dead:
            _start(nodes, dead)


def _kill(nodes, part):
    if part == "nats":
        nodes.nats.kill()
    elif part == "host":
        nodes.chain.stop("connector host", number=9)
    else:
        nodes.kill(part)


def _start(nodes, part):
    if part == "nats":
        nodes.nats.start()
    elif part == "host":
        nodes.chain.spawn("connector host")
    else:
        nodes.spawn(part)
