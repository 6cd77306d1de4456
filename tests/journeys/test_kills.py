"""Relay, agent and host are killed at random while a client writes: acknowledged is there, nothing is done twice.

CHAOS_USERS=5000 runs it at the size that a release is proven with.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
import signal
import ssl
from collections import Counter

import aiohttp
import pytest
from chain import Chain

from tests.journeys.writers import CLIENTS, Tally, Writer, check, logins_of, users, write, writes_go_on

USERS = users(400)
PARTS = ("connector host", "relay", "agent")


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kills")
    with Chain(folder / "run", folder / "certs") as running:
        running.prepare()
        running.describe_table()
        running.start()
        running.directory = running.connect()
        yield running


@pytest.mark.timeout(90 + USERS // 8)
async def test_no_acknowledged_write_is_lost_and_none_is_done_twice(chain):
    tally, killed = Tally(USERS), Counter()
    logins = (f"chaos{number:05}" for number in itertools.count())
    context = ssl.create_default_context(cafile=str(chain.relay_trust))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session:
        kills = asyncio.create_task(kill_at_random(chain, tally, killed))
        writer = Writer(session, itertools.repeat(chain.url), chain.token_file.read_text().strip())
        await asyncio.gather(*(write(writer, logins, tally, killed) for _ in range(CLIENTS)))
        kills.cancel()
        await asyncio.gather(kills, return_exceptions=True)
    figures = f"{tally.sent} users, kills {dict(killed)}, statuses {dict(tally.statuses)}, unknown {tally.unknown}"
    logging.getLogger(__name__).info(figures)
    check(tally, logins_of(chain.database))
    assert len(tally.unknown) <= killed["connector host"] * CLIENTS, "only a host that dies half-way leaves a doubt"


async def kill_at_random(chain, tally, killed):
    """Kill one part after another, without a warning, and start it again."""
    dice = random.Random(20261123)  # noqa: S311 - the same kills each time
    try:
        for part in itertools.chain.from_iterable(dice.sample(PARTS, len(PARTS)) for _ in itertools.count()):
            await asyncio.sleep(dice.uniform(0.1, 0.6))
            chain.stop(part, number=signal.SIGKILL)
            killed[part] += 1
            await asyncio.sleep(dice.uniform(0.0, 0.3))
            chain.spawn(part)
            # The chain must be whole at times, however slow the machine.
            await writes_go_on(tally)
            await asyncio.sleep(dice.uniform(0.2, 1.5))
    finally:
        for part in PARTS:
            if part not in chain.processes:
                chain.spawn(part)
