"""A client that creates users while parts of the chain are killed, and what it heard: shared by the tests of kills."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import aiohttp

if TYPE_CHECKING:
    from collections.abc import Iterator

KILLS = 6
CLIENTS = 8


def users(few):
    """Return how many users to write: few by default, or as many as the environment says."""
    return int(os.environ.get("CHAOS_USERS", few))


@dataclass
class Writer:
    """Who writes, and where: each attempt goes to the next of the URLs."""

    session: aiohttp.ClientSession
    urls: Iterator[str]
    token: str


@dataclass
class Tally:
    """What the client heard."""

    wanted: int
    """Users to send at least."""
    sent: int = 0
    acknowledged: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)
    statuses: Counter = field(default_factory=Counter)


async def write(writer, logins, tally, killed):
    """Create users until all are sent and enough was killed; each is repeated with its key until its fate is known."""
    while tally.sent < tally.wanted or killed.total() < KILLS:
        login = next(logins)
        tally.sent += 1
        body = {"userName": login, "name": {"givenName": "C", "familyName": "K"}, "displayName": login}
        headers = {"Authorization": f"Bearer {writer.token}", "Idempotency-Key": f"key-{login}"}
        doubts = 0
        while True:
            try:
                async with writer.session.post(f"{next(writer.urls)}/Users", json=body, headers=headers) as response:
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


async def writes_go_on(tally, limit_s=30.0):
    """Return once some more users were acknowledged, or when the time is up: what never runs proves nothing."""
    before = len(tally.acknowledged)
    with suppress(TimeoutError):
        async with asyncio.timeout(limit_s):
            while len(tally.acknowledged) < before + 2 * CLIENTS:  # noqa: ASYNC110 - eight writers add to it
                await asyncio.sleep(0.05)


def logins_of(database):
    """Return how often each login stands in this SQLite file."""
    with sqlite3.connect(database) as connection:
        rows = Counter(row[0] for row in connection.execute("SELECT ContosoLogin FROM Employees"))
    connection.close()
    return rows


def check(tally, rows):
    """Hold that what was acknowledged is there, that nothing is there twice, and that all were told something."""
    assert tally.statuses[409] == 0, "a write was carried out twice"
    assert tally.acknowledged <= rows.keys()
    assert len(tally.acknowledged) + len(tally.unknown) == tally.sent >= tally.wanted
    assert set(rows.values()) == {1}
