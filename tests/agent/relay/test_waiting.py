"""Clients that announce a body and send none hold up themselves: not the tenant, not the relay."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from tests.agent.chain import USERS
from tests.agent.raw import answer_to, connected

ANNOUNCED = f"POST /t/acme{USERS} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500\r\n\r\n1"


async def silent(stack, chain, papers, count, text=ANNOUNCED):
    """Open so many connections that announce a body and send one byte of it."""
    held = [await stack.enter_async_context(connected(papers, chain.port)) for _ in range(count)]
    for _, writer in held:
        writer.write(text.encode())
    return held


async def test_bodies_that_do_not_come_take_no_place_of_the_tenant(chain, host, client, papers):
    await chain.start_relay(limits={"in_flight": 4, "request_s": 5.0})
    await chain.start_agent(host.url)
    async with AsyncExitStack() as stack:
        await silent(stack, chain, papers, 40)
        for _ in range(3):
            async with client.post(chain.address(), data=b"{}") as response:
                assert response.status == 200


async def test_a_body_that_does_not_come_is_given_up_at_the_deadline(chain, host, papers):
    await chain.start_relay(limits={"request_s": 0.3})
    await chain.start_agent(host.url)
    async with AsyncExitStack() as stack:
        [(reader, _)] = await silent(stack, chain, papers, 1)
        line, _, error = await answer_to(reader)
    assert line.startswith("HTTP/1.1 408 ")
    assert error["status"] == "408"
    assert not host.asked


@pytest.mark.parametrize("limits", [{"bodies_per_address": 2}, {"bodies": 2}])
async def test_so_many_bodies_are_awaited_and_no_more(chain, host, client, papers, limits):
    await chain.start_relay(limits=limits)
    await chain.start_agent(host.url)
    async with AsyncExitStack() as stack:
        held = await silent(stack, chain, papers, 3)
        answers = [asyncio.create_task(answer_to(reader)) for reader, _ in held]
        done, waiting = await asyncio.wait(answers, timeout=10, return_when=asyncio.FIRST_COMPLETED)
        line, headers, error = done.pop().result()
        assert line.startswith("HTTP/1.1 429 ")
        assert (headers["retry-after"], error["status"]) == ("5", "429")
        assert "2 request bodies" in error["detail"]
        # Requests without a body, or whose body is here at once, go on.
        async with client.get(chain.address()) as response:
            assert response.status == 200
        for _, writer in held:
            writer.write(b"1" * 499)
        assert {task.result()[0] for task in (await asyncio.wait(waiting))[0]} == {"HTTP/1.1 200 OK"}
    # The places are free again.
    async with client.post(chain.address(), data=b"y" * 900_000) as response:
        assert response.status == 200


async def test_a_long_body_that_stalls_half_way_keeps_its_place_and_ends(chain, host, papers):
    await chain.start_relay(limits={"request_s": 0.5, "replay_bytes": 100, "bodies_per_address": 1})
    await chain.start_agent(host.url)
    async with AsyncExitStack() as stack:
        [(reader, _)] = await silent(stack, chain, papers, 1, ANNOUNCED + "1" * 300)
        line, *_ = await answer_to(reader)
        assert line.startswith("HTTP/1.1 504 ")


async def test_the_time_for_the_body_is_part_of_the_time_for_the_request(chain, host, papers):
    async def never(_):
        await asyncio.Event().wait()

    host.answer = never
    await chain.start_relay(limits={"request_s": 2.0})
    await chain.start_agent(host.url)
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        [(reader, writer)] = await silent(stack, chain, papers, 1)
        started_s = loop.time()
        loop.call_later(1.5, writer.write, b"1" * 499)
        line, *_ = await answer_to(reader)
    assert line.startswith("HTTP/1.1 504 ")
    assert loop.time() - started_s < 3.2
