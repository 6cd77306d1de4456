"""Answers are compressed on the link where that pays, whatever the age of the ends, and clients never notice."""

from __future__ import annotations

import gzip
import json

import pytest
from aiohttp import web

from tests.agent.test_status import status_of
from tests.agent.weather import weather_before

BODY = json.dumps(
    {"Resources": [{"id": str(number), "userName": f"user{number}"} for number in range(10_000)]}
).encode()


@pytest.fixture
async def fetch(chain, host, client):
    """Fetch BODY through a line of its own, and return how many bytes passed there from the agent to the relay."""

    async def answer(_):
        return web.Response(body=BODY, headers={"Content-Type": "application/scim+json"})

    async def fetch(*, relay=None, bytes_per_s=None, **agent):
        await chain.start_relay(**(relay or {}))
        async with weather_before(chain.port) as weather:
            if bytes_per_s:
                weather.slow_down(bytes_per_s)
            await chain.start_agent(host.url, relay=f"https://localhost:{weather.port}", **agent)
            # The agent knows the round trip by then, and has acted upon it.
            await status_of(chain.folder / "one", "agent-status.json", _measured)
            before = weather.outward_bytes
            async with client.get(chain.address()) as response:
                assert await response.read() == BODY
                assert response.headers["Content-Length"] == str(len(BODY))
                assert "Content-Encoding" not in response.headers
            carried = weather.outward_bytes - before
            await chain.stop("one")
        return carried

    host.answer = answer
    return fetch


def _measured(status):
    return status["links"] and status["links"][0]["round_trip_ms"] is not None


async def test_a_long_answer_is_short_on_the_line(fetch):
    assert await fetch(compression="on") < len(BODY) / 4


async def test_a_line_that_leads_far_is_compressed_by_itself(fetch):
    assert await fetch(bytes_per_s=1_000_000) < len(BODY) / 4


@pytest.mark.parametrize(
    ("relay", "agent"),
    [({"compression": False}, {"compression": "on"}), ({}, {"compression": "off"})],
    ids=["relay without", "agent without"],
)
async def test_an_end_that_does_not_compress_works_with_one_that_does(fetch, relay, agent):
    assert await fetch(relay=relay, **agent) > len(BODY)


async def test_what_the_host_compressed_passes_as_it_is(chain, host, client):
    body = gzip.compress(BODY)

    async def answer(_):
        return web.Response(body=body, headers={"Content-Encoding": "gzip"})

    host.answer = answer
    await chain.start_relay()
    await chain.start_agent(host.url, compression="on")
    async with client.get(chain.address()) as response:
        assert response.headers["Content-Encoding"] == "gzip"
        assert await response.read() == body


async def test_status_says_that_a_link_is_compressed(chain, host):
    await chain.start_relay()
    await chain.start_agent(host.url, compression="on")
    found = await status_of(chain.folder / "one", "agent-status.json", _measured)
    assert found["links"][0]["compressed"]
