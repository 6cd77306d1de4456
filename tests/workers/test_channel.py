"""Two ends of a channel over a real socket pair: questions are answered, news come in order, a lost end is noticed."""

import asyncio
import socket

import pytest

from connector_host.errors import HostError
from connector_host.workers.channel import ChannelLost, Refused, open_channel


class Ends:
    """Both ends; the other one answers with what it was asked."""

    def __init__(self):
        self.heard = []

    async def open(self):
        here, there = socket.socketpair()
        self.here, self.there = await open_channel(here, self.answer), await open_channel(there, self.answer)
        return self

    async def answer(self, verb, body):
        if verb == "refuse":
            raise HostError("it cannot be done")
        if verb == "fail":
            raise RuntimeError(body)
        if verb == "wait":
            await asyncio.Event().wait()
        self.heard.append((verb, body))
        return body


@pytest.fixture
async def ends():
    opened = await Ends().open()
    yield opened
    opened.here.close()
    opened.there.close()


async def test_every_question_gets_its_own_answer(ends):
    bodies = [b"x" * size for size in (0, 1, 100_000)] + [{"a": [1, None]}, "ä"]
    assert await asyncio.gather(*(ends.here.ask("say", body) for body in bodies)) == bodies
    assert await ends.there.ask("say", 7) == 7


async def test_news_arrive_in_their_order(ends):
    for number in range(100):
        ends.here.tell("news", number)
    await ends.here.ask("last")
    assert ends.heard == [*(("news", number) for number in range(100)), ("last", None)]


async def test_a_refusal_says_why_and_a_fault_says_nothing_but_its_kind(ends):
    with pytest.raises(Refused, match="it cannot be done"):
        await ends.here.ask("refuse")
    with pytest.raises(Refused, match=r"^RuntimeError$"):
        await ends.here.ask("fail", "somebody's value")
    assert await ends.here.ask("say", 1) == 1


async def test_whoever_waits_hears_that_the_other_end_is_gone(ends):
    asked = asyncio.create_task(ends.here.ask("wait"))
    await ends.here.ask("say")
    ends.there.close()
    with pytest.raises(ChannelLost):
        await asked
    with pytest.raises(ChannelLost):
        await ends.here.ask("say")
    ends.here.tell("news")
