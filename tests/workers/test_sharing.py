"""Two workers at the desks of one parent, over real channels: they share the record, the trail and the lock-out."""

import asyncio
import socket
import sqlite3
from contextlib import closing

import pytest

from connector_host import clock
from connector_host.access.lockout import LockOut
from connector_host.endpoint.outcomes import Answer, Names, Outcomes, Unrecordable
from connector_host.observability.audit import AuditTrail, AuditUnavailable
from connector_host.observability.audit_reading import verify
from connector_host.workers.channel import open_channel
from connector_host.workers.remote import RemoteLockOut, RemoteRecord, RemoteTrail
from connector_host.workers.sharing import Desk, Shared

NAMES = Names(b"key", b"nonce")
ANSWER = Answer(201, [("ETag", "one")], b"{}")


class Parent:
    """Owns what is shared, and seats workers."""

    def __init__(self, folder):
        self.folder = folder / "audit"
        self.outcomes = Outcomes(folder / "outcomes.sqlite3")
        self.trail = AuditTrail(self.folder, rotate_bytes=1_000_000, keep_files=0)
        self.shared = Shared(self.trail, self.outcomes, LockOut(failures=2), self.tell_all)
        self.seats = []

    def tell_all(self, verb, body):
        for seat in self.seats:
            seat.there.tell(verb, body)

    async def seat(self):
        seat = Seat(Desk(self.shared))
        here, there = socket.socketpair()
        seat.channel, seat.there = await open_channel(here, seat.hear), await open_channel(there, seat.desk.answer)
        seat.begin(self.shared.state())
        self.seats.append(seat)
        return seat

    async def close(self):
        for seat in self.seats:
            seat.channel.close()
        await self.trail.close()
        await self.outcomes.close()


class Seat:
    def __init__(self, desk):
        self.desk = desk
        self.news = asyncio.Queue()

    def begin(self, state):
        self.record = RemoteRecord(self.channel, state["record"])
        self.trail = RemoteTrail(self.channel, state["broken"])
        self.lock_out = RemoteLockOut(self.channel, 2)
        self.lock_out.begin(state["sources"])

    async def hear(self, verb, body):
        match verb:
            case "suspected":
                self.lock_out.suspect(*body)
            case "forgiven":
                self.lock_out.forgiven(body)
            case "broken":
                self.trail.is_broken = body
        self.news.put_nowait(verb)

    def wait_s(self):
        return self.lock_out.wait_s("192.0.2.1", clock.monotonic_s())


@pytest.fixture
async def parent(tmp_path):
    opened = Parent(tmp_path)
    yield opened
    await opened.close()


async def test_a_write_that_comes_to_another_worker_waits_for_the_first(parent):
    one, two = await parent.seat(), await parent.seat()
    assert await one.record.begin(NAMES, b"request") is None
    again = asyncio.create_task(two.record.begin(NAMES, b"request"))
    await two.channel.ask("alive")  # so the parent has heard of both
    await one.record.finish(NAMES, ANSWER)
    assert not again.done()
    one.record.leave(NAMES)
    recorded = await again
    assert (recorded.request, recorded.answer) == (b"request", ANSWER)


async def test_what_was_not_done_may_be_done_by_another_worker(parent):
    one, two = await parent.seat(), await parent.seat()
    assert await one.record.begin(Names(b"key"), b"request") is None
    await one.record.forget(Names(b"key"), Answer(400, [], b""))
    one.record.leave(Names(b"key"))
    assert await two.record.begin(Names(b"key"), b"request") is None


async def test_a_worker_that_died_leaves_what_it_began_unknown_and_keeps_nobody_waiting(parent):
    one, two = await parent.seat(), await parent.seat()
    await one.record.begin(NAMES, b"request")
    again = asyncio.create_task(two.record.begin(NAMES, b"request"))
    await two.channel.ask("alive")
    one.channel.close()
    one.desk.close()
    assert (await again).answer is None


async def test_a_worker_that_dies_while_it_waits_takes_no_turn_with_it(parent):
    one, two, three = [await parent.seat() for _ in range(3)]
    await one.record.begin(NAMES, b"request")
    waiting = asyncio.create_task(two.record.begin(NAMES, b"request"))
    await two.channel.ask("alive")
    two.channel.close()
    two.desk.close()
    waiting.cancel()
    one.record.leave(NAMES)
    assert (await three.record.begin(NAMES, b"request")).answer is None


async def test_a_worker_that_dies_before_it_hears_that_it_may_begin_gives_the_key_back(parent):
    one, two = await parent.seat(), await parent.seat()
    with closing(sqlite3.connect(parent.folder.parent / "outcomes.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        waiting = asyncio.create_task(one.record.begin(Names(b"key"), b"request"))
        await one.channel.ask("alive")
        one.channel.close()
        one.desk.close()
        with pytest.raises(Unrecordable):
            await waiting
    assert await two.record.begin(Names(b"key"), b"request") is None


async def test_records_of_one_turn_are_one_question_and_each_hears_of_its_own():
    asked = []

    async def answer(verb, body):
        asked.append((verb, len(body)))
        return [None, "the disk is full"]

    here, there = socket.socketpair()
    channel, _ = await open_channel(here, answer), await open_channel(there, answer)
    trail = RemoteTrail(channel)
    one, two = await asyncio.gather(trail.record(number=1), trail.record(number=2), return_exceptions=True)
    assert (one, str(two), asked) == (None, "the disk is full", [("records", 2)])
    channel.close()


async def test_records_of_all_workers_are_one_chain_whatever_stands_in_them(parent):
    one, two = await parent.seat(), await parent.seat()
    odd = {"attributes": {"Note": "half \ud800", "Salary": 1.5, "Born": None}}
    await asyncio.gather(
        *(seat.trail.record(event="export", number=n, **odd) for n in range(20) for seat in (one, two))
    )
    assert len(b"".join(file.read_bytes() for file in parent.folder.glob("*.jsonl")).splitlines()) == 40
    assert [finding.level for finding in verify(parent.folder)] == ["ok"]


async def test_every_worker_hears_that_the_trail_cannot_be_written_and_that_it_can_again(parent, monkeypatch):
    one, two = await parent.seat(), await parent.seat()
    with monkeypatch.context() as patch:
        patch.setattr("connector_host.observability.audit.os.fsync", disk_full)
        with pytest.raises(AuditUnavailable, match="No space left"):
            await one.trail.record(event="export")
        assert await two.news.get() == "broken"
        with pytest.raises(AuditUnavailable, match="No space left"):
            await two.trail.demand()
        assert (await parent.seat()).trail.is_broken
    await two.trail.demand()
    assert await one.news.get() == "broken"
    assert await one.news.get() == "broken"
    assert not one.trail.is_broken


async def test_a_record_that_cannot_be_written_down_stops_no_other_one(parent):
    one = await parent.seat()
    endless = {}
    endless["in"] = endless
    with pytest.raises(AuditUnavailable, match="RecursionError"):
        await one.trail.record(event="export", values=endless)
    await one.trail.record(event="export")


def disk_full(_):
    raise OSError(28, "No space left on device")


async def test_wrong_tokens_count_together_and_lock_out_everywhere(parent):
    one, two = await parent.seat(), await parent.seat()
    one.lock_out.count_failure("192.0.2.1", clock.monotonic_s())
    await two.news.get()
    assert two.wait_s() == 0
    two.lock_out.count_failure("192.0.2.1", clock.monotonic_s())
    await one.news.get()
    await one.news.get()
    assert 0 < one.wait_s() <= 60
    await two.news.get()
    assert 0 < two.wait_s() <= 60
    assert 0 < (await parent.seat()).wait_s() <= 60


async def test_a_valid_token_at_one_worker_forgives_at_all(parent):
    one, two = await parent.seat(), await parent.seat()
    one.lock_out.count_failure("192.0.2.1", clock.monotonic_s())
    await two.news.get()
    two.lock_out.forgive("192.0.2.1")
    assert await two.news.get() == "forgiven"
    one.lock_out.count_failure("192.0.2.1", clock.monotonic_s())
    await two.news.get()
    assert two.wait_s() == 0
