"""Many time limits by one timer mean what a timer for each would mean."""

import asyncio

import pytest

from connector_host.endpoint.deadlines import Deadlines


async def test_a_block_whose_time_is_over_is_cancelled_and_says_so():
    deadlines = Deadlines()
    with pytest.raises(TimeoutError), deadlines.within(0):
        await asyncio.Event().wait()
    assert asyncio.current_task().cancelling() == 0
    with deadlines.within(0):
        pass  # what ends by itself is not called late


async def test_a_block_that_somebody_else_cancels_is_cancelled():
    deadlines, began = Deadlines(), asyncio.Event()

    async def wait():
        with deadlines.within(60):
            began.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(wait())
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_each_of_several_blocks_has_its_own_limit():
    deadlines, ended = Deadlines(), []

    async def wait(name, seconds, event):
        try:
            with deadlines.within(seconds):
                await event.wait()
        except TimeoutError:
            ended.append(name)

    event = asyncio.Event()
    long = asyncio.create_task(wait("long", 60, event))
    await wait("short", 0, event)
    await wait("another", 0, event)
    event.set()
    await long
    assert ended == ["short", "another"]
