"""Work is done by tasks that are used again, each piece ends once, and nobody's end is another's."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from agent.workers import IDLE, Workers


class Pieces:
    """Pieces of work that note who did them, and how they ended."""

    def __init__(self):
        self.workers = Workers()
        self.tasks, self.ended, self.cancelled = {}, [], []
        self.go_on = asyncio.Event()
        self.news = asyncio.Event()

    def begin(self, name, work=None):
        return self.workers.begin(self._work(name, work or self.go_on.wait), lambda: self._end(name))

    async def _work(self, name, work):
        self.tasks[name] = asyncio.current_task()
        try:
            await work()
        except asyncio.CancelledError:
            self.cancelled.append(name)
            raise

    def _end(self, name):
        self.ended.append(name)
        self.news.set()

    async def until_ended(self, count):
        async with asyncio.timeout(10):
            while len(self.ended) < count:
                self.news.clear()
                await self.news.wait()


@pytest.fixture
async def pieces():
    made = Pieces()
    yield made
    await made.workers.stop()


async def at_once():
    """Do nothing."""


async def test_the_next_piece_is_done_by_the_task_that_did_the_last_one(pieces):
    for name in "ab":
        pieces.begin(name, at_once)
        await pieces.until_ended(len(pieces.tasks) + 1)
    assert pieces.ended == ["a", "b"]
    assert pieces.tasks["a"] is pieces.tasks["b"]


async def test_pieces_at_the_same_time_are_done_by_tasks_of_their_own(pieces):
    for name in "ab":
        pieces.begin(name)
    pieces.go_on.set()
    await pieces.until_ended(2)
    assert pieces.tasks["a"] is not pieces.tasks["b"]


async def test_a_piece_that_is_begun_as_the_last_one_ends_is_done(pieces):
    pieces.workers.begin(at_once(), lambda: pieces.begin("next", at_once))
    await pieces.until_ended(1)
    assert pieces.ended == ["next"]


@pytest.mark.parametrize("used", [False, True])
async def test_a_piece_that_is_cancelled_before_it_begins_has_ended(pieces, used):
    if used:
        pieces.begin("first", at_once)
        await pieces.until_ended(1)
    pieces.begin("never").cancel()
    await pieces.until_ended(1 + used)
    assert pieces.ended[-1] == "never"
    assert "never" not in pieces.tasks
    pieces.begin("next", at_once)
    await pieces.until_ended(2 + used)
    assert pieces.ended[-1] == "next"


async def test_a_cancelled_piece_ends_once_and_its_task_does_no_more(pieces):
    worker = pieces.begin("a")
    await asyncio.sleep(0)
    worker.cancel()
    await pieces.until_ended(1)
    pieces.begin("b", at_once)
    await pieces.until_ended(2)
    assert (pieces.cancelled, pieces.ended) == (["a"], ["a", "b"])
    assert pieces.tasks["a"] is not pieces.tasks["b"]


async def test_who_was_told_to_end_and_went_on_does_no_more(pieces):
    async def stubborn():
        try:
            await pieces.go_on.wait()
        except asyncio.CancelledError:
            return

    worker = pieces.begin("a", stubborn)
    await asyncio.sleep(0)
    worker.cancel()
    await pieces.until_ended(1)
    pieces.begin("b", at_once)
    await pieces.until_ended(2)
    assert pieces.tasks["a"] is not pieces.tasks["b"]


async def test_what_a_burst_brought_does_not_stay(pieces):
    for name in range(IDLE + 20):
        pieces.begin(name)
    await asyncio.sleep(0)
    pieces.go_on.set()
    await pieces.until_ended(IDLE + 20)
    done = [task for name, task in pieces.tasks.items() if name >= IDLE]
    async with asyncio.timeout(10):
        await asyncio.wait(done)
    assert sum(not task.done() for task in pieces.tasks.values()) == IDLE


async def test_a_stop_cancels_what_is_under_way_and_waits_for_it(pieces):
    for name in "ab":
        pieces.begin(name)
    pieces.begin("idle", at_once)
    await pieces.until_ended(1)
    await pieces.workers.stop()
    assert sorted(pieces.cancelled) == ["a", "b"]
    assert sorted(pieces.ended) == ["a", "b", "idle"]
    assert all(task.done() for task in pieces.tasks.values())
    pieces.begin("late", at_once)
    await pieces.until_ended(4)


async def test_what_fails_after_a_piece_fails_no_other_one(pieces):
    told = asyncio.Queue()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.put_nowait(context["exception"]))
    failure = ValueError("afterwards")

    def fail():
        raise failure

    for _ in range(3):
        pieces.workers.begin(at_once(), fail)
    async with asyncio.timeout(10):
        assert [await told.get() for _ in range(3)] == [failure] * 3
    for name in "abc":
        pieces.begin(name, at_once)
    await pieces.until_ended(3)
    assert pieces.ended == ["a", "b", "c"]


async def test_an_idle_worker_keeps_nothing_of_its_last_piece(pieces):
    class Kept:
        def end(self):
            pieces.ended.append("kept")
            pieces.news.set()

    kept = Kept()
    gone = weakref.ref(kept)
    pieces.workers.begin(at_once(), kept.end)
    await pieces.until_ended(1)
    del kept
    gc.collect()
    assert gone() is None
