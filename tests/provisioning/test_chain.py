"""The engine in place of a cloud directory: source, engine, relay, agent, host, PostgreSQL; all real processes.

CHAOS_USERS=10000 CHAOS_KILLS=20 runs it at the size that a release is proven with.
"""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import time
from collections import Counter
from contextlib import closing

import pytest
from chain import Chain

from tests.conftest import absent
from tests.journeys.test_database_faults import TABLE
from tests.provisioning import jobs_in_files
from tests.provisioning.changing import changing
from tests.provisioning.directory import available
from tests.provisioning.rig import HEADING, person

COUNT = int(os.environ.get("CHAOS_USERS", "200"))
KILLS = int(os.environ.get("CHAOS_KILLS", "3"))
WITHIN_S = 120 + COUNT / 10
"""How long a part of the story may take on a machine that is busy."""


@pytest.fixture(scope="module")
def chain(tmp_path_factory, postgresql_server):
    server, folder = postgresql_server, tmp_path_factory.mktemp("chain")
    name = server.database()
    with closing(server.connect(name)) as connection:
        connection.execute(TABLE)
    with Chain(folder / "run", folder / "certs") as running:
        running.prepare()
        password = running.folder / "database-password"
        password.write_text(server.password)
        password.chmod(0o600)
        running.database_url = f"postgresql+psycopg://{server.user}@{server.host}:{server.port}/{name}"
        running.describe_table("--password-file", password)
        running.start()
        running.connect()
        running.sql = lambda statement: _run(server, name, statement)
        yield running


@pytest.fixture
def fresh(chain):
    """The chain with nobody in its table, and what was exported so far."""
    chain.sql('DELETE FROM "Employees"')
    return chain, exports(chain)


def _run(server, name, statement):
    with closing(server.connect(name)) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def write_people(chain, *people):
    with (chain.folder / "people.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, HEADING)
        writer.writeheader()
        writer.writerows(people)


def rows(chain):
    found = chain.sql('SELECT "ContosoLogin", "FirstName", "Active" FROM "Employees"')
    return {login: (first, bool(active)) for login, first, active in found}


def count(chain):
    return chain.sql('SELECT count(*) FROM "Employees"')[0][0]


def exports(chain):
    """Return how often each user was exported how, from the host's audit trail."""
    counts = Counter()
    for file in chain.folder.rglob("audit-*.jsonl"):
        for line in file.read_text().splitlines():
            record = json.loads(line)
            counts[record["operation"], record["anchor"]] += 1
    return counts


def created(config):
    """Return how often each user's creation is in the provisioning log."""
    asked = jobs_in_files.run(config, "log", "staff", "--action", "create", "--status", "success", "--format", "ndjson")
    assert asked.returncode == 0, asked.stderr
    return Counter(json.loads(line)["sourceIdentity"] for line in asked.stdout.splitlines())


def wait(condition):
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < deadline, "nothing happened in time"
        time.sleep(0.05)


@pytest.mark.timeout(3 * WITHIN_S)
def test_a_cycle_killed_at_random_moments_leaves_nothing_lost_or_doubled(fresh):
    chain, before = fresh
    config = jobs_in_files.write(chain.folder, chain.url, chain.token_file, chain.relay_trust)
    people = [person(number) for number in range(COUNT)]
    write_people(chain, *people)
    dice = random.Random(20261125)  # noqa: S311 - the same moments each time
    for _ in range(KILLS):
        held = count(chain)
        with jobs_in_files.running(config, "run", "--once") as engine:
            wait(lambda at=held, one=engine: count(chain) > at or one.poll() is not None)
            time.sleep(dice.random() * COUNT / 2_000)
    done = jobs_in_files.run(config, "run", "--once", "--json", within_s=WITHIN_S)
    assert done.returncode == 0, done.stderr
    assert rows(chain) == {one["login"]: (one["given"], True) for one in people}
    assert exports(chain) - before == Counter({("add", one["login"]): 1 for one in people})
    assert created(config) == Counter(one["id"] for one in people)

    write_people(chain, person(0, given="Ada"), person(1, enabled="false"), *people[3:])
    report = json.loads(jobs_in_files.run(config, "run", "--once", "--json", within_s=WITHIN_S).stdout)[0]
    assert {name: report["counts"][name] for name in ("updated", "disabled", "deleted", "unchanged")} == {
        "updated": 1,
        "disabled": 1,
        "deleted": 1,
        "unchanged": COUNT - 3,
    }
    left = rows(chain)
    assert (left["u00000"], left["u00001"], "u00002" in left) == (("Ada", True), ("Given1", False), False)


@pytest.mark.timeout(3 * WITHIN_S)
def test_of_two_engines_the_other_takes_over_when_the_leader_dies_and_doubles_nothing(fresh, postgresql_url):
    chain, before = fresh
    config = jobs_in_files.write(
        chain.folder, chain.url, chain.token_file, chain.relay_trust, state=postgresql_url, concurrency=2
    )
    people = [person(number) for number in range(COUNT)]
    write_people(chain, *people)
    with jobs_in_files.running(config, "run") as leader:
        wait(lambda: count(chain) > COUNT // 10)
        with jobs_in_files.running(config, "run") as other:
            wait(lambda: count(chain) > COUNT // 3)
            jobs_in_files.kill(leader)
            assert count(chain) < COUNT
            wait(lambda: count(chain) == COUNT)
            other.send_signal(signal.SIGTERM)
            assert other.wait(30) == 0
    assert rows(chain) == {one["login"]: (one["given"], True) for one in people}
    assert exports(chain) - before == Counter({("add", one["login"]): 1 for one in people})
    assert created(config) == Counter(one["id"] for one in people)


@pytest.mark.parametrize("kind", ["sql", "ldap", "graph"])
async def test_what_changes_since_a_mark_reaches_the_table_through_the_whole_chain(fresh, tmp_path, request, kind):
    chain, before = fresh
    if kind == "ldap" and (reason := available()) is not None:
        absent(reason, "LDAP", request.config)
    async with changing(kind, tmp_path) as source:
        login, given, enabled = source.attributes
        config = jobs_in_files.write_job(
            tmp_path,
            source=source.source,
            target={"url": chain.url, "token_file": str(chain.token_file), "trust": str(chain.relay_trust)},
            enabled_attribute=enabled,
            mappings=[
                {"target": "userName", "source": login, "match": 1},
                {"target": "name.givenName", "source": given},
                {"target": "name.familyName", "type": "constant", "constant": "Family"},
            ],
        )

        async def cycle():
            done = await jobs_in_files.run_beside(config, "run", "--once", "--json")
            assert done.returncode == 0, done.stdout + done.stderr
            return json.loads(done.stdout)[0]

        await source.begin()
        assert (await cycle())["counts"]["created"] == 3
        assert rows(chain) == {"ann": ("Ann", True), "bob": ("Bob", True), "cem": ("Cem", True)}
        await source.change()
        assert [(await cycle())["kind"] for _ in range(source.cycles)] == ["incremental", "full"][: source.cycles]
        assert rows(chain) == {"ann": ("Anna", True), "bob": ("Bob", False), "dea": ("Dea", True)}
    done = Counter({("add", one): 1 for one in ("ann", "bob", "cem", "dea")})
    done += Counter([("modify", "ann"), ("modify", "bob"), ("delete", "cem")])
    assert exports(chain) - before == done
