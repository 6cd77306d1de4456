"""An answer may take longer than a request may wait for its beginning, as long as it goes on."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from aiohttp import web

from agent import events

PIECE = b"p" * 1_000


@pytest.fixture
async def answering(chain, host):
    """Let the host begin an answer, and then do what the test says between its pieces."""

    async def answering(pieces, request_s, between):
        async def answer(request):
            response = web.StreamResponse()
            await response.prepare(request)
            for _ in range(pieces):
                await response.write(PIECE)
                await between()
            return response

        host.answer = answer
        await chain.start_relay(limits={"request_s": request_s})
        await chain.start_agent(host.url)

    return answering


async def test_an_answer_that_goes_on_is_never_cut_off(chain, client, answering):
    await answering(5, 1.0, lambda: asyncio.sleep(0.3))
    async with client.get(chain.address()) as response:
        assert await response.read() == PIECE * 5


async def test_an_answer_that_does_not_go_on_is_cut_off(chain, client, answering):
    await answering(1, 0.5, asyncio.Event().wait)
    async with client.get(chain.address()) as response:
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()
    truncated = await chain.log.wait_for(events.REQUEST_TRUNCATED)
    assert "nothing more of it came for 0.5 s" in truncated["detail"]


async def test_an_answer_whose_body_never_begins_is_known_to_have_been_given(chain, host, client):
    async def answer(request):
        response = web.StreamResponse(status=201)
        await response.prepare(request)
        await asyncio.Event().wait()

    host.answer = answer
    await chain.start_relay(limits={"request_s": 0.5})
    await chain.start_agent(host.url)
    async with client.post(chain.address(), data=b"{}") as response:
        assert response.status == 502
        detail = (await response.json(content_type=None))["detail"]
    assert "answered 201" in detail
    assert "nothing more of it came" in detail
