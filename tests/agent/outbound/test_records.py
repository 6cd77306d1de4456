"""A write goes only to the host that the relay means: the agent looks on the very connection that the write takes."""

from __future__ import annotations

import asyncio

import pytest
from yarl import URL

from agent.errors import StreamFailed
from agent.link.messages import Failure, Reason, RequestHead
from agent.link.packing import decode, encode
from tests.agent.chain import USERS, host_server
from tests.agent.outbound.linked import linked
from tests.agent.weather import weather_before


@pytest.fixture
async def other(papers):
    async with host_server(papers) as server:
        server.record = "r2"
        yield server


@pytest.fixture
async def balancer(host):
    host.record = "r1"
    async with weather_before(URL(host.url).port) as proxy:
        yield proxy


@pytest.fixture
async def link(chain, balancer, papers):
    """The link of an agent that holds a connection to the host already."""
    async with linked(chain, f"https://localhost:{balancer.port}", papers) as taken:
        yield taken


async def write(link, record):
    """Send a write that is for the host with this record; raises StreamFailed."""
    head = RequestHead("POST", USERS, b"", "1", deadline_ms=5_000, length=0, record=record)
    stream = link.open(encode(head), end=True)
    try:
        async with asyncio.timeout(5):
            await stream.answer()
    finally:
        link.forget(stream)


async def test_a_write_takes_no_connection_to_another_host(link, balancer, host, other):
    balancer.lead_to(URL(other.url).port)
    await write(link, "r2")
    assert (len(host.asked), len(other.asked)) == (0, 1)


async def test_a_write_for_a_host_that_is_gone_goes_nowhere_and_the_relay_hears_who_is_there(
    link, balancer, host, other
):
    balancer.lead_to(URL(other.url).port)
    balancer.reset()
    with pytest.raises(StreamFailed) as failed:
        await write(link, "r1")
    failure = decode(Failure, failed.value.payload)
    assert (failure.reason, failure.sent) == (Reason.OTHER_HOST, False)
    assert not other.asked
    assert not host.asked
    assert link.health.record == "r2", "said before the failure, so that the relay's next attempt is for that host"


async def test_a_host_that_ends_each_connection_after_one_answer_is_no_host_to_repeat_at(link, balancer, host, other):
    """Each connection may lead to another host."""
    other.closes = True
    balancer.lead_to(URL(other.url).port)
    balancer.reset()
    with pytest.raises(StreamFailed):
        await write(link, "r2")
    await write(link, "")
    assert (len(host.asked), len(other.asked)) == (0, 1)
