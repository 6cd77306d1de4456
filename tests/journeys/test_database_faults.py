"""The database goes away and comes back, and a link drops while a write is under way: over a real PostgreSQL."""

from __future__ import annotations

import asyncio
import itertools
import ssl
import threading
import time
from collections import Counter
from contextlib import closing

import aiohttp
import pytest
from chain import MAPPINGS, Chain
from directory import CORE

from tests.journeys.writers import CLIENTS, KILLS, Tally, Writer, check, users, write

USERS = users(200)

TABLE = """
CREATE TABLE "Employees" (
    "ContosoLogin" varchar(128) PRIMARY KEY,
    "FirstName" varchar(50) NOT NULL,
    "LastName" varchar(50) NOT NULL,
    "DisplayName" varchar(101) GENERATED ALWAYS AS ("FirstName" || ' ' || "LastName") STORED,
    "Email" varchar(128) UNIQUE,
    "Department" varchar(64),
    "JobTitle" varchar(64),
    "Country" char(2),
    "Active" boolean NOT NULL DEFAULT true
)
"""


@pytest.fixture
def server(own_postgresql):
    return own_postgresql


@pytest.fixture(scope="module")
def chain(own_postgresql, tmp_path_factory):
    name = own_postgresql.database()
    with closing(own_postgresql.connect(name)) as connection:
        connection.execute(TABLE)
    folder = tmp_path_factory.mktemp("chain")
    with Chain(folder / "run", folder / "certs") as running:
        running.prepare()
        password = running.folder / "database-password"
        password.write_text(own_postgresql.password)
        password.chmod(0o600)
        running.database_url = (
            f"postgresql+psycopg://{own_postgresql.user}@{own_postgresql.host}:{own_postgresql.port}/{name}"
        )
        running.describe_table("--password-file", password)
        running.start()
        running.connect()
        running.database_name = name
        yield running


@pytest.fixture
def directory(chain):
    for part in ("connector host", "relay", "agent"):
        if part not in chain.processes:
            chain.spawn(part)
    return chain.connect()


def person(login):
    return {"schemas": [CORE], "userName": login, "name": {"givenName": "Nora", "familyName": "Nilsen"}}


def eventually(call, status, *, within_s=30.0):
    """Repeat the call until it is answered with the status, and return that answer."""
    deadline = time.monotonic() + within_s
    while (answer := call()).status != status and time.monotonic() < deadline:
        time.sleep(0.1)
    return answer


def test_every_mapped_attribute_arrives(server, chain, directory):
    row_of_the_file = {
        "userName": "maya@contoso.com",
        "givenName": "Maya",
        "familyName": "Öz",
        "mail": "m@contoso.com",
        "department": "Ops",
        "title": "Lead",
        "hireDate": "2025-01-01",
        "country": "TR",
        "accountEnabled": "true",
    }
    created = directory.create(row_of_the_file)
    assert created.status == 201
    columns = ", ".join(f'"{column}"' for column in MAPPINGS)
    with closing(server.connect(chain.database_name)) as connection:
        row = connection.execute(f'SELECT {columns} FROM "Employees" WHERE "FirstName" = %s', ["Maya"]).fetchone()
    assert row == ("maya@contoso.com", "Maya", "Öz", "Maya Öz", "m@contoso.com", "Ops", "Lead", "TR", True)


def test_a_database_that_goes_away_is_told_and_found_again(server, directory):
    server.kill()
    answer = directory.call("GET", "Users?count=1")
    assert answer.status == 503
    assert int(answer.headers["retry-after"]) > 0
    assert "database" in answer.document["detail"]
    assert directory.call("POST", "Users", person("early@contoso.com")).status == 503
    server.start()
    assert eventually(lambda: directory.call("GET", "Users?count=1"), 200).status == 200
    assert directory.call("POST", "Users", person("early@contoso.com")).status == 201


def test_a_database_that_is_down_at_start_holds_nobody_up(server, chain, directory):
    chain.stop("connector host")
    server.stop()
    chain.spawn("connector host")
    assert eventually(lambda: directory.call("GET", "Users?count=1"), 503).status == 503
    server.start()
    assert eventually(lambda: directory.call("GET", "Users?count=1"), 200).status == 200


async def test_no_write_is_lost_or_done_twice_while_the_database_is_killed(server, chain, directory):
    """Killed without a warning while clients write, and started again: what it committed is there, and once."""
    tally, killed = Tally(USERS), Counter()
    logins = (f"doomed{number:05}" for number in itertools.count())
    context = ssl.create_default_context(cafile=str(chain.relay_trust))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session:
        kills = asyncio.create_task(kill_at_random(server, killed, tally))
        writer = Writer(session, itertools.repeat(chain.url), chain.token_file.read_text().strip())
        await asyncio.gather(*(write(writer, logins, tally, killed) for _ in range(CLIENTS)))
        await kills
    with closing(server.connect(chain.database_name)) as connection:
        check(tally, Counter(row[0] for row in connection.execute('SELECT "ContosoLogin" FROM "Employees"')))
    assert tally.statuses[503], "no write met a database that was away"
    assert len(tally.unknown) <= KILLS * CLIENTS, "only a commit that was cut off leaves a doubt"


async def kill_at_random(server, killed, tally):
    """Kill the database while writes are acknowledged, and start it again."""
    while killed.total() < KILLS:
        before = len(tally.acknowledged)
        while len(tally.acknowledged) < before + CLIENTS:  # noqa: ASYNC110 - the tally is a plain count
            await asyncio.sleep(0.01)
        server.kill()
        await asyncio.sleep(0.1)
        # Not in a thread of the loop's: the server ends with the thread that started it.
        server.start()
        killed["database"] += 1


def test_a_write_in_flight_when_the_agent_dies_is_answered_as_unknown(server, chain, directory):
    """The write waits for a lock in the database, so it is certainly sent, and certainly not answered."""
    answers = []
    with closing(server.connect(chain.database_name)) as other:
        other.execute("BEGIN")
        other.execute('LOCK TABLE "Employees" IN ACCESS EXCLUSIVE MODE')
        write = threading.Thread(
            target=lambda: answers.append(directory.call("POST", "Users", person("nora@contoso.com")))
        )
        write.start()
        wait_for_lock(server, chain.database_name)
        chain.processes["agent"].kill()
        chain.stop("agent")
        write.join(timeout=30)
        other.execute("ROLLBACK")
    assert answers[0].status == 504
    assert "unknown" in answers[0].document["detail"]


def wait_for_lock(server, name):
    deadline = time.monotonic() + 20
    with closing(server.connect(name)) as watcher:
        while not watcher.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone():
            assert time.monotonic() < deadline, "the write did not reach the database"
            time.sleep(0.02)
