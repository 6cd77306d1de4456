"""Relay, agent and host are killed at random while a client writes: acknowledged is there, nothing is done twice.

CHAOS_USERS=5000 runs it at the size that a release is proven with.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import random
import signal
import sqlite3
import ssl
from collections import Counter
from dataclasses import dataclass, field

import aiohttp
import pytest
from chain import Chain

USERS = int(os.environ.get("CHAOS_USERS", "400"))
KILLS = 6
CLIENTS = 8
PARTS = ("connector host", "relay", "agent")


@dataclass
class Tally:
    """What the client heard."""

    sent: int = 0
    acknowledged: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)
    statuses: Counter = field(default_factory=Counter)


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kills")
    with Chain(folder / "run", folder / "certs") as running:
        running.prepare()
        running.describe_table()
        running.start()
        running.directory = running.connect()
        yield running


@pytest.mark.timeout(60 + USERS // 10)
async def test_no_acknowledged_write_is_lost_and_none_is_done_twice(chain):
    tally, killed = Tally(), Counter()
    logins = (f"chaos{number:05}" for number in itertools.count())
    context = ssl.create_default_context(cafile=str(chain.relay_trust))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session:
        kills = asyncio.create_task(kill_at_random(chain, killed))
        await asyncio.gather(*(write(session, chain, logins, tally, killed) for _ in range(CLIENTS)))
        kills.cancel()
        await asyncio.gather(kills, return_exceptions=True)
    with sqlite3.connect(chain.database) as connection:
        rows = Counter(row[0] for row in connection.execute("SELECT ContosoLogin FROM Employees"))
    connection.close()
    figures = f"{tally.sent} users, kills {dict(killed)}, statuses {dict(tally.statuses)}, unknown {tally.unknown}"
    logging.getLogger(__name__).info(figures)
    assert tally.statuses[409] == 0, "a write was carried out twice"
    assert tally.acknowledged <= rows.keys()
    assert len(tally.acknowledged) + len(tally.unknown) == tally.sent >= USERS
    assert set(rows.values()) == {1}
    assert len(tally.unknown) <= killed["connector host"] * CLIENTS, "only a host that dies half-way leaves a doubt"


async def write(session, chain, logins, tally, killed):
    """Create users until all are sent and enough was killed; each is repeated with its key until its fate is known."""
    token = chain.token_file.read_text().strip()
    while tally.sent < USERS or killed.total() < KILLS:
        login = next(logins)
        tally.sent += 1
        body = {"userName": login, "name": {"givenName": "C", "familyName": "K"}, "displayName": login}
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": f"key-{login}"}
        doubts = 0
        while True:
            try:
                async with session.post(f"{chain.url}/Users", json=body, headers=headers) as response:
                    status, text = response.status, await response.text()
            except aiohttp.ClientError:
                status, text = 0, ""
            tally.statuses[status] += 1
            if status == 201:
                tally.acknowledged.add(login)
                break
            doubts += status == 504
            if doubts == 3:
                tally.unknown.add(login)
                break
            assert status in {0, 502, 503, 504}, text
            await asyncio.sleep(0.05)


async def kill_at_random(chain, killed):
    """Kill one part after another, without a warning, and start it again."""
    dice = random.Random(20261123)  # noqa: S311 - the same kills each time
    try:
        for part in itertools.chain.from_iterable(dice.sample(PARTS, len(PARTS)) for _ in itertools.count()):
            await asyncio.sleep(dice.uniform(0.1, 0.6))
            chain.stop(part, number=signal.SIGKILL)
            killed[part] += 1
            await asyncio.sleep(dice.uniform(0.0, 0.3))
            chain.spawn(part)
            # Long enough for the chain to be whole at times: what never runs proves nothing.
            await asyncio.sleep(dice.uniform(1.0, 3.0))
    finally:
        for part in PARTS:
            if part not in chain.processes:
                chain.spawn(part)
