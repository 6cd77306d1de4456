"""`location` carries the address that the client used, and forwarded addresses only from proxies that are trusted."""

from __future__ import annotations

import pytest

from connector_host.endpoint.addresses import _forwarded
from tests.endpoint.service import serve
from tests.growth import is_linear

USER = {"userName": "anna", "name": {"givenName": "Anna"}}


@pytest.mark.parametrize(
    ("headers", "origin"),
    [
        ({"Forwarded": "for=1.2.3.4;proto=https;host=relay.example.org"}, "https://relay.example.org"),
        ({"Forwarded": 'host="relay.example.org:8443";proto=https, host=inner'}, "https://relay.example.org:8443"),
        (
            {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "relay", "X-Forwarded-Prefix": "/t/acme"},
            "https://relay/t/acme",
        ),
        ({"X-Forwarded-Host": "relay, inner", "X-Forwarded-Prefix": "/t/acme/"}, "https://relay/t/acme"),
        ({"X-Forwarded-Host": "relay", "X-Forwarded-Proto": "http"}, "http://relay"),
        ({"X-Forwarded-Host": "relay", "X-Forwarded-Proto": "javascript"}, "https://relay"),
    ],
)
async def test_a_trusted_proxy_tells_the_public_address(scim, headers, origin):
    answer = await scim.post(USER, headers=headers)
    location = f"{origin}/ecma2host_HR/scim/Users/anna"
    assert answer.headers["Location"] == answer.body["meta"]["location"] == location
    listed = await scim.get("/Users", headers=headers)
    assert listed.body["Resources"][0]["meta"]["location"] == location
    config = await scim.get("/ServiceProviderConfig", headers=headers)
    assert config.body["meta"]["location"].startswith(origin)


@pytest.mark.parametrize(("piece", "pieces"), [("a", 30_000), (" ", 30_000), ('host="', 5_000), (";", 30_000)])
def test_a_forwarded_header_is_looked_at_once(piece, pieces):
    assert _forwarded(piece * pieces).get("for") is None
    assert is_linear(lambda count: _forwarded(piece * count), pieces)


@pytest.mark.parametrize("host", ["a b", "evil\\x", "x/y?", "<script>"])
async def test_a_host_that_is_none_is_not_repeated(scim, host):
    answer = await scim.post(USER, headers={"X-Forwarded-Host": host})
    assert host not in answer.headers["Location"]


async def test_anybody_else_tells_nothing(tmp_path):
    async with serve(tmp_path, trusted_proxies=("10.0.0.0/8", "192.0.2.1")) as scim:
        answer = await scim.post(USER, headers={"X-Forwarded-Host": "evil", "Forwarded": "host=evil"})
        assert answer.headers["Location"].startswith(scim.origin)


async def test_a_trusted_network_may_be_given_as_such(tmp_path):
    async with serve(tmp_path, trusted_proxies=("127.0.0.0/8",)) as scim:
        assert (
            (await scim.post(USER, headers={"X-Forwarded-Host": "relay"}))
            .headers["Location"]
            .startswith("https://relay/")
        )
