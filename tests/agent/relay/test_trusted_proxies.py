"""Behind a load balancer that is trusted, clients have their own addresses; nobody else names one."""

from __future__ import annotations

import pytest


async def heard(chain, host, client, headers, **keys):
    """Return whom the host hears of."""
    await chain.start_relay(**keys)
    await chain.start_agent(host.url)
    async with client.get(chain.address(), headers=headers) as response:
        assert response.status == 200
    return host.asked[0][2].getall("X-Forwarded-For", [])


BALANCER = {"trusted_proxies": ("127.0.0.0/8", "10.0.0.9")}


@pytest.mark.parametrize(
    ("headers", "client_address"),
    [
        ({"X-Forwarded-For": "192.0.2.1"}, "192.0.2.1"),
        ({"X-Forwarded-For": "192.0.2.66, 192.0.2.1"}, "192.0.2.1"),
        ({"X-Forwarded-For": "192.0.2.1, 10.0.0.9"}, "192.0.2.1"),
        ({"Forwarded": 'for="[2001:db8::1]:4711"'}, "2001:db8::1"),
        ({"Forwarded": "for=192.0.2.1", "X-Forwarded-For": "192.0.2.1"}, "192.0.2.1"),
    ],
)
async def test_the_client_is_whom_the_balancer_names(chain, host, client, headers, client_address):
    assert await heard(chain, host, client, headers, **BALANCER) == [client_address]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Forwarded-For": "unknown"},
        {"Forwarded": "for=192.0.2.66", "X-Forwarded-For": "192.0.2.1"},
    ],
)
async def test_nobody_is_named_where_the_balancer_does_not_tell_for_certain(chain, host, client, headers):
    assert await heard(chain, host, client, headers, **BALANCER) == []


async def test_anybody_else_names_nobody(chain, host, client):
    said = {"X-Forwarded-For": "192.0.2.1", "Forwarded": "for=192.0.2.1"}
    assert await heard(chain, host, client, said, trusted_proxies=("10.0.0.9",)) == ["127.0.0.1"]


async def test_clients_behind_a_balancer_have_rates_of_their_own(chain, host, client):
    await chain.start_relay(limits={"requests_per_s_and_address": 0.1}, **BALANCER)
    await chain.start_agent(host.url, connected=False)

    async def ask(address):
        async with client.get(f"{chain.url}/t/nobody/", headers={"X-Forwarded-For": address}) as response:
            return response.status

    assert [await ask("192.0.2.1"), await ask("192.0.2.1"), await ask("192.0.2.2")] == [404, 429, 404]


async def test_a_body_that_streams_comes_through_a_balancer(chain, host, client):
    await chain.start_relay(**BALANCER)
    await chain.start_agent(host.url)

    async def body():
        for _ in range(8):
            yield b"x" * 65_536

    named = {"X-Forwarded-For": "192.0.2.1"}
    async with client.post(chain.address(), data=body(), headers=named) as response:
        assert response.status == 200
    assert len(host.asked[0][3]) == 8 * 65_536
