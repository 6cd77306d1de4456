"""The engine in place of a cloud directory: source, engine, relay, agent, host, table; all real processes."""

from __future__ import annotations

import csv
import json
import sqlite3
import time
from collections import Counter
from contextlib import closing

import pytest
from chain import Chain

from tests.provisioning import jobs_in_files
from tests.provisioning.rig import HEADING, person

COUNT = 300


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    folder = tmp_path_factory.mktemp("chain")
    with Chain(folder / "run", folder / "certs") as running:
        running.prepare()
        running.describe_table()
        running.start()
        running.connect()
        yield running


def write_people(chain, *people):
    with (chain.folder / "people.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, HEADING)
        writer.writeheader()
        writer.writerows(people)


def rows(chain):
    with closing(sqlite3.connect(chain.database)) as database:
        found = database.execute("SELECT ContosoLogin, FirstName, Active FROM Employees WHERE ContosoLogin LIKE 'u0%'")
        return {login: (first, bool(active)) for login, first, active in found}


def exports(chain):
    """Return how often each user was exported how, from the host's audit trail."""
    counts = Counter()
    for file in chain.folder.rglob("audit-*.jsonl"):
        for line in file.read_text().splitlines():
            record = json.loads(line)
            counts[record["operation"], record["anchor"]] += 1
    return counts


@pytest.mark.timeout(180)
def test_a_cycle_killed_on_its_way_through_the_relay_leaves_nothing_lost_or_doubled(chain):
    config = jobs_in_files.write(chain.folder, chain.url, chain.token_file, chain.relay_trust)
    people = [person(number) for number in range(COUNT)]
    write_people(chain, *people)
    for enough in (60, 150):
        engine = jobs_in_files.spawn(config, "run", "--once")
        deadline = time.monotonic() + 30
        while len(rows(chain)) < enough and time.monotonic() < deadline:
            time.sleep(0.02)
        jobs_in_files.kill(engine)
    done = jobs_in_files.run(config, "run", "--once", "--json")
    assert done.returncode == 0, done.stderr
    assert rows(chain) == {one["login"]: (one["given"], True) for one in people}
    assert exports(chain) == Counter({("add", one["login"]): 1 for one in people})

    write_people(chain, person(0, given="Ada"), person(1, enabled="false"), *people[3:])
    report = json.loads(jobs_in_files.run(config, "run", "--once", "--json").stdout)[0]
    assert {name: report["counts"][name] for name in ("updated", "disabled", "deleted", "unchanged")} == {
        "updated": 1,
        "disabled": 1,
        "deleted": 1,
        "unchanged": COUNT - 3,
    }
    left = rows(chain)
    assert (left["u00000"], left["u00001"], "u00002" in left) == (("Ada", True), ("Given1", False), False)
