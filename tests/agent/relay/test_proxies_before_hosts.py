"""What a proxy before the host says in its place is no answer: what became of the request is told as of a lost one."""

from __future__ import annotations

import json

import pytest
from aiohttp import web

from agent import events

PAGE = "<html><body><h1>Bad Gateway</h1></body></html>"


def in_place_of(host, status, *, times):
    """Return what answers as a proxy does that lost the host, so many times, and then as the host does."""
    left = times

    async def answer(_):
        nonlocal left
        left -= 1
        if not left:
            host.answer = None
        return web.Response(status=status, text=PAGE, content_type="text/html")

    return answer


@pytest.mark.parametrize("status", [502, 503, 504])
async def test_a_write_is_sent_again_to_a_host_that_carries_it_out_once(chain, host, client, status):
    host.record = "r1"
    await chain.start_relay(limits={"wait_s": 5.0})
    await chain.start_agent(host.url)
    host.answer = in_place_of(host, status, times=1)
    async with client.post(chain.address(), data=b"{}") as response:
        assert (response.status, await response.read()) == (200, b"{}")
    keys = [headers["Idempotency-Key"] for _, _, headers, _ in host.asked]
    assert len(keys) == 2
    assert len(set(keys)) == 1


@pytest.mark.parametrize("status", [502, 503, 504])
async def test_the_outcome_of_a_write_that_cannot_be_sent_again_is_unknown(chain, host, client, status):
    await chain.start_relay()
    await chain.start_agent(host.url)
    host.answer = in_place_of(host, status, times=1)
    async with client.post(chain.address(), data=b"{}") as response:
        error = json.loads(await response.read())
    assert (response.status, error["status"]) == (504, "504")
    assert f"a proxy before it answered {status} in its place" in error["detail"]
    assert len(host.asked) == 1


async def test_a_read_is_sent_again_once(chain, host, client):
    await chain.start_relay(limits={"wait_s": 5.0})
    await chain.start_agent(host.url)
    host.answer = in_place_of(host, 503, times=1)
    async with client.get(chain.address()) as response:
        assert response.status == 200
    host.answer = in_place_of(host, 503, times=2)
    async with client.get(chain.address()) as response:
        error = json.loads(await response.read())
    assert (response.status, error["status"]) == (502, "502")
    assert "a proxy before it answered 503 in its place" in error["detail"]


async def test_the_hosts_own_errors_are_answers(chain, host, client):
    await chain.start_relay()
    await chain.start_agent(host.url)
    host.status = 503
    async with client.post(chain.address(), data=b'{"status":"503"}') as response:
        assert (response.status, await response.read()) == (503, b'{"status":"503"}')
    assert len(host.asked) == 1


async def test_nothing_is_sent_where_a_proxy_says_that_the_host_is_away(chain, host, client, log):
    host.away = True
    await chain.start_relay()
    await chain.start_agent(host.url, probe_s=0.2)
    probed = await log.wait_for(events.HOST_PROBED)
    assert "a proxy before it answered 503 in its place; it is to pass GET /healthz on, too" in probed["detail"]
    async with client.post(chain.address(), data=b"{}") as response:
        error = json.loads(await response.read())
    assert response.status == 502
    assert error["detail"].partition(" (request")[0].endswith("Nothing was done.")
    host.away = False
    await log.wait_for(events.HOST_PROBED, count=2)
    async with client.post(chain.address(), data=b"{}") as response:
        assert response.status == 200
    assert len(host.asked) == 1
