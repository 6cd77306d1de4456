"""The client's token for the relay and the host's own token are two things, where the administrator wants that."""

from __future__ import annotations

import pytest
from aiohttp import web

from agent.errors import ConfigurationError
from agent.outbound import tokens
from agent.outbound.tokens import HostToken
from tests.agent.chain import USERS


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def token_file(tmp_path):
    file = tmp_path / "host-token"
    file.write_text("the-hosts-token\n")
    return file


async def test_the_host_sees_its_own_token_and_the_relay_never_does(chain, host, client, token_file):
    await chain.start_relay(clients=("the-clients-token",))
    await chain.start_agent(host.url, host_token_file=token_file)
    async with client.get(chain.address(), headers=bearer("the-clients-token")) as response:
        assert response.status == 200
    assert host.asked[0][2].getall("Authorization") == ["Bearer the-hosts-token"]


@pytest.mark.parametrize("headers", [{}, bearer("wrong"), bearer(""), {"Authorization": "Basic the-clients-token"}])
async def test_a_client_without_a_token_of_the_tenant_is_refused_at_the_relay(chain, host, client, headers):
    await chain.start_relay(clients=("the-clients-token",))
    await chain.start_agent(host.url)
    async with client.get(chain.address(), headers=headers) as response:
        assert response.status == 401
        assert response.headers["WWW-Authenticate"].startswith("Bearer")
        assert (await response.json(content_type=None))["status"] == "401"
    assert not host.asked


async def test_a_token_that_the_relay_checked_goes_no_further(chain, host, client):
    await chain.start_relay(clients=("the-clients-token",))
    await chain.start_agent(host.url)
    async with client.get(chain.address(), headers=bearer("the-clients-token")):
        pass
    assert "Authorization" not in host.asked[0][2]


@pytest.mark.parametrize("headers", [{}, bearer("for-the-host")])
async def test_an_agent_adds_no_token_where_the_relay_asked_for_none(chain, host, client, token_file, headers):
    await chain.start_relay()
    await chain.start_agent(host.url, host_token_file=token_file)
    async with client.get(chain.address(), headers=headers) as response:
        assert response.status == 502
        assert "anybody would come in: set client_token_hashes" in (await response.json(content_type=None))["detail"]
    assert not host.asked


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_host_that_turns_the_agents_token_away_is_not_the_clients_fault(
    chain, host, client, token_file, method
):
    async def turn_away(_):
        return web.json_response({"status": "401"}, status=401)

    host.answer = turn_away
    await chain.start_relay(clients=("the-clients-token",))
    await chain.start_agent(host.url, host_token_file=token_file)
    async with client.request(
        method, chain.address(), headers=bearer("the-clients-token"), data=b"{}" if method == "POST" else None
    ) as response:
        assert response.status == 502
        detail = (await response.json(content_type=None))["detail"]
        assert "does not accept the token in host_token_file" in detail
        assert "Nothing was done" in detail
        assert "WWW-Authenticate" not in response.headers


async def test_agents_of_one_name_are_two_and_the_one_that_works_is_asked(chain, host, client, token_file, only):
    only("the-hosts-token")
    wrong = chain.folder / "wrong"
    wrong.write_text("wrong")
    await chain.start_relay(clients=("the-clients-token",))
    for name, file in (("good", token_file), ("bad", wrong)):
        await chain.start_agent(host.url, name, host_token_file=file, called="cloned")
    for _ in range(6):
        async with client.get(chain.address(), headers=bearer("the-clients-token")) as response:
            assert response.status == 200


@pytest.fixture
def only(host):
    """Make the host answer 401 to every token but one."""

    def only(token):
        async def judge(request):
            good = request.headers.get("Authorization") == f"Bearer {token}"
            return web.json_response({}, status=200 if good else 401)

        host.answer = judge

    return only


async def ask(chain, client, method="GET"):
    data = b"{}" if method == "POST" else None
    headers = bearer("the-clients-token")
    async with client.request(method, chain.address(), headers=headers, data=data) as response:
        return response.status, (await response.json(content_type=None)).get("detail", "")


async def test_a_host_is_not_asked_again_with_a_token_that_it_turned_away(chain, host, client, token_file, only):
    only("another")
    await chain.start_relay(clients=("the-clients-token",), limits={"wait_s": 30.0})
    await chain.start_agent(host.url, host_token_file=token_file)
    assert (await ask(chain, client))[0] == 502
    assert len(host.asked) == 1


async def test_a_token_that_was_just_exchanged_costs_no_request(chain, host, client, token_file, only):
    only("the-next-token")
    await chain.start_relay(clients=("the-clients-token",), limits={"wait_s": 30.0})
    await chain.start_agent(host.url, host_token_file=token_file)
    token_file.write_text("the-next-token")
    assert (await ask(chain, client, "POST"))[0] == 200
    assert len(host.asked) == 2


async def test_another_agent_is_asked_where_one_has_a_token_that_the_host_turns_away(
    chain, host, client, token_file, only
):
    only("the-hosts-token")
    stale = token_file.with_name("stale")
    stale.write_text("stale")
    await chain.start_relay(clients=("the-clients-token",))
    await chain.start_agent(host.url, "one", host_token_file=stale)
    await chain.start_agent(host.url, "two", host_token_file=token_file)
    assert [await ask(chain, client) for _ in range(2)] == [(200, "")] * 2


async def test_an_agent_without_a_token_where_the_relay_kept_the_clients_says_what_is_missing(
    chain, host, client, only
):
    only("the-hosts-token")
    await chain.start_relay(clients=("the-clients-token",))
    await chain.start_agent(host.url)
    status, detail = await ask(chain, client)
    assert status == 502
    assert "set host_token_file in agent.toml" in detail


async def test_without_tokens_at_the_relay_a_host_that_turns_the_client_away_is_heard(chain, host, client, only):
    only("the-hosts-token")
    await chain.start_relay()
    await chain.start_agent(host.url)
    assert (await ask(chain, client))[0] == 401


async def test_without_tokens_at_the_relay_the_clients_own_goes_to_the_host(chain, host, client):
    await chain.start_relay()
    await chain.start_agent(host.url)
    async with client.get(chain.address(USERS), headers=bearer("for-the-host")):
        pass
    assert host.asked[0][2]["Authorization"] == "Bearer for-the-host"


def test_a_replaced_token_is_taken_over(token_file, monkeypatch):
    monkeypatch.setattr(tokens, "AGAIN_S", -1.0)
    token = HostToken(token_file)
    token_file.write_text("the-next-token")
    assert token.put_into(b"A: b\r\nauthorization: old\r\nC: d\r\n") == (
        b"A: b\r\nC: d\r\nAuthorization: Bearer the-next-token\r\n"
    )
    token_file.unlink()
    assert token.put_into(b"") == b"Authorization: Bearer the-next-token\r\n"


@pytest.mark.parametrize("content", ["", "two words", "a\r\nX-Header: b"])
def test_what_is_no_token_is_refused(token_file, content):
    token_file.write_text(content)
    with pytest.raises(ConfigurationError, match="host_token_file"):
        HostToken(token_file)
