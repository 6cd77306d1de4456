"""What is remembered of writes with an unknown outcome: for whom, how long, and how little of what clients chose."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from agent.relay import replicas, unknown
from agent.relay.forwarded import onward
from agent.relay.noted import MOST, Noted
from agent.relay.replicas import Replica
from agent.relay.requests import Headers
from agent.relay.unknown import KEPT_S, UnknownOutcomes
from connector_host import clock, traces

SECRET = b"what all nodes know"


def keyed(key, name="Idempotency-Key"):
    return f"Accept: */*\r\n{name}: {key}\r\nX-Last: 1\r\n".encode()


def noted(number, tenant="acme"):
    return Noted(tenant, f"{number:032x}", "r1", int(datetime.now(UTC).timestamp()) + 60)


@pytest.mark.parametrize(
    ("first", "second", "found"),
    [
        (keyed("mine"), keyed("mine"), "r1"),
        (keyed('"mine"'), keyed("mine", "idempotency-key"), "r1"),
        (keyed("a" * 128), keyed(f'"{"a" * 128}"'), "r1"),
        (keyed("mine") + keyed("other"), keyed("mine"), "r1"),
        (keyed("mine"), keyed("Mine"), None),
        (keyed("mine"), b"Accept: */*\r\n", None),
        (keyed("a" * 129), keyed("a" * 129), None),
        (keyed("mine", "X-Idempotency-Key"), keyed("mine", "X-Idempotency-Key"), None),
    ],
)
def test_a_key_is_read_as_the_host_reads_it(first, second, found):
    outcomes = UnknownOutcomes()
    outcomes.note("acme", first, "r1")
    assert outcomes.record_of("acme", second) == found


def test_no_tenant_meets_the_key_of_another():
    outcomes = UnknownOutcomes()
    outcomes.note("acme", keyed("mine"), "r1")
    outcomes.note("other", keyed("theirs"), "r2")
    assert outcomes.record_of("other", keyed("mine")) is None


def test_a_key_that_the_relay_itself_drew_is_not_remembered():
    headers = Headers((), host="relay.example", authorization="", request_id=None, traceparents=())
    block = onward(headers, (False, True, "acme", None), "id", traces.go_on(()), keyed=True)
    assert b"Idempotency-Key: relay-" in block
    outcomes = UnknownOutcomes()
    outcomes.note("acme", block, "r1")
    assert outcomes.all() == []


@pytest.mark.parametrize("record", ["", "r" * 129, "r\x00", "r\n"])
def test_where_no_record_of_a_usable_name_is_kept_nothing_is_remembered(record):
    outcomes = UnknownOutcomes()
    outcomes.note("acme", keyed("mine"), record)
    assert outcomes.all() == []


def test_the_last_writes_of_each_tenant_are_remembered():
    outcomes = UnknownOutcomes()
    outcomes.note("other", keyed("theirs"), "r1")
    for number in range(MOST + 1):
        outcomes.note("acme", keyed(f"key-{number}"), "r1")
    assert outcomes.record_of("acme", keyed("key-0")) is None
    assert outcomes.record_of("acme", keyed("key-1")) == "r1"
    assert outcomes.record_of("other", keyed("theirs")) == "r1"


def test_after_a_day_nothing_is_remembered(monkeypatch):
    outcomes, begin = UnknownOutcomes(), datetime.now(UTC)
    outcomes.note("acme", keyed("mine"), "r1")
    monkeypatch.setattr(clock, "now", lambda: begin + timedelta(seconds=KEPT_S - 5))
    assert outcomes.record_of("acme", keyed("mine")) == "r1"
    monkeypatch.setattr(clock, "now", lambda: begin + timedelta(seconds=KEPT_S + 5))
    assert outcomes.all() == []
    assert outcomes.record_of("acme", keyed("mine")) is None


def test_what_is_over_is_forgotten_for_good_and_nothing_else(monkeypatch):
    outcomes, begin = UnknownOutcomes(), datetime.now(UTC)
    outcomes.note("acme", keyed("mine"), "r1")
    outcomes.learn([noted(1), noted(2, "other")])
    monkeypatch.setattr(clock, "now", lambda: begin + timedelta(seconds=65))
    assert outcomes.record_of("acme", keyed("mine")) == "r1"
    assert outcomes.record_of("other", keyed("theirs")) is None
    assert {tenant: len(kept) for tenant, kept in outcomes._of_tenants.items()} == {"acme": 1}


def test_nodes_understand_each_other_and_nobody_else_does():
    here, there, stranger = UnknownOutcomes(SECRET), UnknownOutcomes(SECRET), UnknownOutcomes(b"another")
    here.note("acme", keyed("create-ada"), "r1")
    there.learn(here.all())
    stranger.learn(here.all())
    assert there.record_of("acme", keyed("create-ada")) == "r1"
    assert stranger.record_of("acme", keyed("create-ada")) is None
    assert "ada" not in str(here.all())


def test_what_is_known_here_stays_whatever_others_say():
    here, there = UnknownOutcomes(SECRET), UnknownOutcomes(SECRET)
    for outcomes, record in ((here, "r1"), (there, "r2")):
        outcomes.note("acme", keyed("mine"), record)
    here.learn(there.all())
    assert here.record_of("acme", keyed("mine")) == "r1"


def test_a_key_falls_to_one_record_at_all_nodes_and_moves_only_with_that():
    here, there = UnknownOutcomes(SECRET), UnknownOutcomes(SECRET)
    keys = [keyed(f"key-{number}") for number in range(60)]
    homes = {key: here.home("acme", key, {"r1", "r2", "r3"}) for key in keys}
    assert homes == {key: there.home("acme", key, ["r3", "r2", "r1"]) for key in keys}
    assert set(homes.values()) == {"r1", "r2", "r3"}
    left = {key: here.home("acme", key, {"r1", "r2"}) for key in keys}
    assert [left[key] for key in keys if homes[key] != "r3"] == [homes[key] for key in keys if homes[key] != "r3"]
    assert here.home("acme", b"Accept: */*\r\n", {"r1", "r2"}) is None
    assert here.home("acme", keyed("mine"), ()) is None


class Place:
    """A place that keeps what it is given once it is open."""

    def __init__(self):
        self.kept, self.offered, self.offers = [], [], 0
        self.works = True
        self.asked, self.open = asyncio.Event(), asyncio.Event()

    async def keep(self, notes):
        self.offers += 1
        self.offered += notes
        self.asked.set()
        await self.open.wait()
        self.kept += notes if self.works else []
        return self.works


@pytest.fixture
async def place():
    return Place()


async def test_whoever_asks_waits_until_it_is_kept_elsewhere(place):
    outcomes = UnknownOutcomes()
    outcomes.replicas.append(Replica(place.keep))
    outcomes.note("acme", keyed("mine"), "r1")
    running = asyncio.create_task(outcomes.replicas[0].run())
    settled = asyncio.create_task(outcomes.settled("acme", keyed("mine")))
    await place.asked.wait()
    await outcomes.settled("acme", keyed("another"))
    assert not settled.done()
    place.open.set()
    await settled
    assert place.kept == outcomes.all()
    running.cancel()


async def test_nobody_waits_for_long(place, monkeypatch):
    monkeypatch.setattr(unknown, "SETTLE_S", 0.01)
    outcomes = UnknownOutcomes()
    outcomes.replicas.append(Replica(place.keep))
    outcomes.note("acme", keyed("mine"), "r1")
    await outcomes.settled("acme", keyed("mine"))


async def test_what_could_not_be_kept_is_offered_again_and_nobody_waits_for_that(place, monkeypatch):
    monkeypatch.setattr(replicas, "_AGAIN_S", 0.01)
    replica = Replica(place.keep)
    place.works = False
    place.open.set()
    replica.put(noted(1))
    running = asyncio.create_task(replica.run())
    await replica.tried(noted(1).key)
    assert place.kept == []
    place.works = True
    place.open.clear()
    replica.put(noted(2))
    place.open.set()
    await replica.tried(noted(2).key)
    assert sorted(one.key for one in place.kept) == [noted(1).key, noted(2).key]
    running.cancel()


async def test_what_was_on_its_way_at_a_stop_is_offered_once_more(place):
    replica = Replica(place.keep)
    replica.put(noted(1))
    running = asyncio.create_task(replica.run())
    await place.asked.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    place.open.set()
    await replica.flush()
    assert [one.key for one in place.kept] == [noted(1).key]
    await replica.flush()
    assert place.offers == 2


def filled(count, place):
    """Return a replica in which so many notes wait."""
    replica = Replica(place.keep)
    for number in range(count):
        replica.put(noted(number))
    return replica


async def test_a_place_that_is_away_costs_bounded_memory(place, monkeypatch):
    monkeypatch.setattr(replicas, "MOST", 3)
    replica = filled(5, place)
    await replica.tried(noted(0).key)
    place.open.set()
    place.works = False
    await replica.flush()
    replica.put(noted(5))
    place.works = True
    await replica.flush()
    assert [one.key for one in place.kept] == [noted(number).key for number in (3, 4, 5)]


async def test_what_could_not_be_kept_keeps_nothing_newer_waiting(place, monkeypatch):
    monkeypatch.setattr(replicas, "BATCH", 2)
    replica = filled(4, place)
    place.open.set()
    place.works = False
    for _ in range(2):
        await replica.flush()
    assert [one.key for one in place.offered] == [noted(number).key for number in range(4)]


async def test_a_tenant_with_many_crowds_no_other_one_out(place, monkeypatch):
    monkeypatch.setattr(replicas, "MOST", 6)
    monkeypatch.setattr(replicas, "BATCH", 4)
    replica = Replica(place.keep)
    for number in range(20):
        replica.put(noted(number, "loud"))
        if number in {0, 8}:
            replica.put(noted(100 + number, "quiet"))
    place.open.set()
    await replica.flush()
    assert [one.tenant for one in place.kept[:4]].count("quiet") == 2
    assert [one.key for one in place.kept if one.tenant == "loud"] == [noted(number).key for number in range(14, 20)]


async def test_many_are_offered_in_batches(place, monkeypatch):
    monkeypatch.setattr(replicas, "BATCH", 2)
    replica = filled(5, place)
    place.open.set()
    await replica.flush()
    assert (len(place.kept), place.offers) == (5, 3)


@pytest.mark.parametrize("takes_learned", [True, False])
async def test_what_others_say_goes_on_only_to_a_place_that_wants_it(place, takes_learned):
    outcomes = UnknownOutcomes()
    outcomes.replicas.append(Replica(place.keep, takes_learned=takes_learned))
    place.open.set()
    outcomes.learn([noted(1)])
    outcomes.learn([noted(1)])
    await outcomes.replicas[0].flush()
    assert len(place.kept) == takes_learned
