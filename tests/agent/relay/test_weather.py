"""Between agent and relay lies a network: whatever it does, clients hear the truth soon, and the link comes back."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web

from agent import events
from tests.agent.chain import USERS
from tests.agent.weather import weather_before


@pytest.fixture
async def weather(chain, host):
    """The weather on the link of agent one, which is up."""
    await chain.start_relay(heartbeat_s=0.1, dead_s=0.6, limits={"wait_s": 3.0})
    async with weather_before(chain.port) as weather:
        relay_port, chain.port = chain.port, weather.port
        await chain.start_agent(host.url, heartbeat_s=0.1, dead_s=0.6)
        chain.port = relay_port
        yield weather
        await chain.stop("one")


async def test_a_reset_is_found_at_once_and_the_link_comes_back(weather, chain, client):
    weather.reset()
    async with client.get(chain.address()) as response:
        assert response.status == 200
    await chain.relay_sees(2)


async def test_a_black_hole_is_found_by_the_heartbeat(weather, chain, host, client):
    weather.swallow()
    begun_s = asyncio.get_running_loop().time()
    asked = asyncio.create_task(client.post(chain.address(), data=b"{}"))
    await chain.log.wait_for(events.LINK_ENDED, reason="nothing came from the other end for 0.6 s", limit_s=3)
    assert asyncio.get_running_loop().time() - begun_s < 2
    weather.clear_up()
    async with await asked as response:
        assert response.status == 504, "it was sent into the hole: nobody can know"
    async with client.post(chain.address(), data=b"{}") as response:
        assert response.status == 200


async def test_a_black_hole_costs_a_read_nothing_but_time(weather, chain, client):
    weather.swallow()
    asked = asyncio.create_task(client.get(chain.address()))
    await chain.log.wait_for(events.LINK_ENDED, limit_s=3)
    weather.clear_up()
    async with await asked as response:
        assert response.status == 200


async def test_a_stall_shorter_than_the_limit_is_lived_through(weather, chain, client):
    weather.stall()
    asked = asyncio.create_task(client.post(chain.address(), data=b"{}"))
    await asyncio.sleep(0.3)
    weather.clear_up()
    async with await asked as response:
        assert response.status == 200
    assert not [event for event, _ in chain.log.seen if event == events.LINK_ENDED]


async def test_little_bandwidth_delivers_late_but_whole(weather, chain, host, client):
    async def answer(_):
        return web.Response(body=b"w" * 400_000)

    host.answer = answer
    weather.slow_down(600_000)
    async with client.get(chain.address(USERS)) as response:
        assert await response.read() == b"w" * 400_000
    assert not [event for event, _ in chain.log.seen if event == events.LINK_ENDED]
