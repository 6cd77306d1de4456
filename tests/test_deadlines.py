"""Many deadlines, one timer: each ends its own task, at its own moment, and nobody else's."""

from __future__ import annotations

import asyncio

import pytest

from connector_host.deadlines import Deadlines

LONG_S = 3600.0


@pytest.fixture
def deadlines():
    return Deadlines()


async def forever():
    await asyncio.Event().wait()


async def test_a_task_is_ended_at_its_deadline(deadlines):
    with pytest.raises(TimeoutError), deadlines.within(0.01):
        await forever()
    assert asyncio.current_task().cancelling() == 0


@pytest.mark.parametrize("first_s", [0.01, LONG_S], ids=["after an earlier one", "before a later one"])
async def test_each_task_has_a_deadline_of_its_own(deadlines, first_s):
    async def over(seconds):
        with deadlines.within(seconds):
            await forever()

    first, second = asyncio.create_task(over(first_s)), asyncio.create_task(over(0.02))
    with pytest.raises(TimeoutError):
        await second
    assert first.done() is (first_s != LONG_S)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)


async def test_a_deadline_counts_although_an_earlier_one_was_left_in_time(deadlines):
    with deadlines.within(0.01):
        await asyncio.sleep(0)
    with pytest.raises(TimeoutError), deadlines.within(0.02):
        await forever()


async def test_a_deadline_is_moved_to_an_earlier_moment(deadlines):
    async def moved():
        with deadlines.within(LONG_S) as deadline:
            deadline.move(0.01)
            await forever()

    with pytest.raises(TimeoutError):
        await moved()


async def test_a_deadline_that_was_moved_to_a_later_moment_does_not_count_before(deadlines):
    with deadlines.within(0.01) as deadline:
        deadline.move(LONG_S)
        with pytest.raises(TimeoutError), deadlines.within(0.02):
            await forever()
        # Only the inner one is over.
        await asyncio.sleep(0)


async def test_a_task_that_somebody_else_ends_was_not_late(deadlines):
    async def waiting():
        with deadlines.within(LONG_S):
            await forever()

    task = asyncio.create_task(waiting())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_task_that_somebody_else_ends_at_its_deadline_is_ended(deadlines):
    async def waiting():
        with deadlines.within(LONG_S) as deadline:
            asyncio.current_task().cancel()
            deadline.expire()
            await forever()

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(waiting())


async def test_what_is_no_task_hears_once_that_its_time_is_up_and_nothing_once_it_was_dropped(deadlines):
    loop = asyncio.get_running_loop()

    class Heard:
        def __init__(self):
            self.times = 0
            self.once = asyncio.Event()

        def expire(self):
            self.times += 1
            self.once.set()

    first, dropped, last = Heard(), Heard(), Heard()
    for one, seconds in ((last, 0.03), (dropped, 0.02), (first, 0.01)):
        deadlines.put(one, loop.time() + seconds)
    deadlines.drop(dropped)
    await last.once.wait()
    assert [one.times for one in (first, dropped, last)] == [1, 0, 1]


async def test_one_that_expires_may_drop_others_or_fail_and_all_that_come_later_still_count(deadlines):
    class Last:
        def __init__(self, drops):
            self.drops = drops

        def expire(self):
            deadlines.drop(self.drops)
            raise ValueError("a mistake")

    told = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: told.append(context["exception"]))
    last = Last(None)
    last.drops = dropped = Last(last)
    due_s = loop.time() + 0.01
    deadlines.put(last, due_s)
    deadlines.put(dropped, due_s)
    with pytest.raises(TimeoutError), deadlines.within(0.02):
        await forever()
    assert list(map(type, told)) == [ValueError]
