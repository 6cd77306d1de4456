"""A relay that was taken over: the agent lets nothing through to the host that it has not looked at."""

from __future__ import annotations

import asyncio

import pytest

from agent.errors import StreamFailed
from agent.link.messages import Failure, Reason, RequestHead
from agent.link.packing import decode, encode
from tests.agent.chain import USERS
from tests.agent.outbound.linked import linked

SMUGGLED = b"DELETE /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
async def link(chain, host, papers):
    """The link of an agent, in the hands of such a relay."""
    async with linked(chain, host.url, papers) as taken:
        yield taken


async def ask(link, length, *stretches):
    """Send one request whose body comes in these stretches, and return why the agent gave it up."""
    head = RequestHead(
        method="POST", target=USERS, headers=b"", request_id="1", deadline_ms=2_000, record="", length=length
    )
    stream = link.open(encode(head), end=False)
    for stretch in stretches:
        await stream.write(stretch)
    with pytest.raises(StreamFailed) as failed:
        async with asyncio.timeout(5):
            await stream.answer()
    link.forget(stream)
    return decode(Failure, failed.value.payload)


async def test_a_body_that_begins_longer_than_announced_never_reaches_the_host(link, host):
    failure = await ask(link, 2, b"{}" + SMUGGLED)
    assert (failure.reason, failure.sent) == (Reason.MALFORMED, False)
    assert "announced as 2" in failure.detail
    await answered(link)
    assert [target for _, target, *_ in host.asked] == [USERS]


async def test_a_body_that_grows_longer_than_announced_ends_its_connection(link, host):
    failure = await ask(link, 2, b"{", b"}" + SMUGGLED)
    assert failure.reason == Reason.MALFORMED
    await answered(link)
    assert {target for _, target, *_ in host.asked} == {USERS}


async def answered(link):
    """Return once a proper request was answered, and so all before it were looked at."""
    head = RequestHead(method="GET", target=USERS, headers=b"", request_id="2", deadline_ms=5_000)
    stream = link.open(encode(head), end=True)
    async with asyncio.timeout(5):
        await stream.answer()
    link.forget(stream)
