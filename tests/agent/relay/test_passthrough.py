"""A client's own TLS reaches the host untouched, by the name that it asks for; everybody else meets the gateway."""

from __future__ import annotations

import asyncio
import socket
import ssl

import aiohttp
import msgspec
import pytest
from yarl import URL

from agent import events
from agent.errors import ConfigurationError
from agent.relay import listening, service
from agent.relay.sni import Incomplete, NameReader
from agent.settings import RelayConfiguration, RelaySettings, TenantSettings
from agent.status import RelayStatus, words
from tests.agent.chain import USERS, host_server, issue_papers
from tests.agent.test_status import free_port, scrape, status_of

NAME = "scim.acme.example"


@pytest.fixture
def host_papers(tmp_path):
    return issue_papers(tmp_path, NAME)


@pytest.fixture
async def host(host_papers):
    async with host_server(host_papers) as server:
        yield server


@pytest.fixture
async def joined(chain, host):
    await chain.start_relay(passthrough=(NAME,), limits={"wait_s": 0.2})
    await chain.start_agent(host.url, passthrough=True)
    return chain


@pytest.fixture
async def untouched(joined, host_papers):
    """A client that trusts the host's authority only, and asks for the host's name at the relay's port."""
    connector = aiohttp.TCPConnector(ssl=host_papers.context(), limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def call(method, path=USERS, **options):
            url = f"https://localhost:{joined.port}{path}"
            async with session.request(method, url, server_hostname=NAME, **options) as response:
                return response.status, await response.read()

        yield call


async def test_the_client_speaks_with_the_host_itself(untouched, host):
    assert await untouched("POST", data=b"{}") == (200, b"{}")
    assert host.asked[0][2]["Host"].startswith("localhost")
    assert "X-Forwarded-Host" not in host.asked[0][2]


async def test_large_bodies_pass_both_ways(untouched):
    body = b"x" * 900_000
    assert await untouched("POST", data=body) == (200, body)


async def test_many_connections_pass_at_once(untouched):
    answers = await asyncio.gather(*(untouched("POST", data=b"%d" % number) for number in range(50)))
    assert answers == [(200, b"%d" % number) for number in range(50)]


@pytest.mark.parametrize("end", ["close", "abort"])
async def test_a_client_that_leaves_while_no_agent_is_there_keeps_no_place(chain, end):
    await chain.start_relay(passthrough=(NAME,), limits={"wait_s": 600.0, "passthrough_connections": 2})
    for _ in range(2):
        _, writer = await asyncio.open_connection("localhost", chain.port)
        writer.write(client_hello(NAME))
        with pytest.raises(TimeoutError):
            await chain.log.wait_for(events.PASSTHROUGH_FAILED, limit_s=0.3)
        getattr(writer.transport, end)()
        failed = await chain.log.wait_for(events.PASSTHROUGH_FAILED)
        assert failed["reason"] == "the client left while there was no agent for it"
        chain.log.seen.clear()


async def opened(chain, papers, address="127.0.0.1"):
    return await asyncio.open_connection(
        "localhost", chain.port, ssl=papers.context(), server_hostname=NAME, local_addr=(address, 0)
    )


async def test_one_address_leaves_as_many_connections_free_as_it_holds(chain, host, host_papers):
    await chain.start_relay(passthrough=(NAME,), limits={"wait_s": 0.2, "passthrough_connections": 5})
    await chain.start_agent(host.url, passthrough=True)
    held = [await opened(chain, host_papers) for _ in range(3)]
    with pytest.raises(OSError):  # noqa: PT011 - as below
        await opened(chain, host_papers)
    failed = await chain.log.wait_for(events.PASSTHROUGH_FAILED)
    assert (failed["peer"], "passthrough_connections" in failed["reason"]) == ("127.0.0.1", True)
    held.append(await opened(chain, host_papers, "127.0.0.2"))
    with pytest.raises(OSError):  # noqa: PT011 - as below
        await opened(chain, host_papers, "127.0.0.2")
    held.append(await opened(chain, host_papers, "127.0.0.3"))
    with pytest.raises(OSError):  # noqa: PT011 - as below
        await opened(chain, host_papers, "127.0.0.4")
    for _, writer in held:
        writer.close()
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await opened(chain, host_papers)
                break
            except OSError:
                continue
    writer.close()


async def test_what_is_carried_and_what_was_not_stands_in_status_and_figures(chain, host, host_papers):
    figures = free_port()
    await chain.start_relay(
        passthrough=(NAME,), limits={"wait_s": 0.2, "passthrough_connections": 3}, metrics_port=figures
    )
    await chain.start_agent(host.url, passthrough=True)
    held = [await opened(chain, host_papers) for _ in range(2)]
    with pytest.raises(OSError):  # noqa: PT011 - as below
        await opened(chain, host_papers)
    fits = lambda found: found["untouched"] == {"acme": 2} and found["last_error"]  # noqa: E731
    found = await status_of(chain.folder / "relay-state", "relay-status.json", fits)
    assert "tenant acme: a connection was not carried: this address holds as many" in found["last_error"]
    said = words(msgspec.convert(found, RelayStatus), found["at_s"])
    assert "Tenant acme: 2 connections in passthrough." in said
    scraped = await scrape(figures)
    assert 'relay_passthrough_connections{tenant="acme"} 2' in scraped
    assert 'relay_passthrough_failed_total{tenant="acme"} 1' in scraped
    for _, writer in held:
        writer.close()


async def test_connections_leave_places_of_an_agent_to_the_gateway(chain, tmp_path, client):
    host_papers = issue_papers(tmp_path, NAME, also=("localhost",))
    await chain.start_relay(passthrough=(NAME,), limits={"wait_s": 0.2})
    async with host_server(host_papers) as host:
        trust = {"host_trust": host_papers.authority}
        await chain.start_agent(host.url, passthrough=True, in_flight=4, **trust)
        await connections_leave_a_place(chain, host_papers, client)
        await chain.stop("one")


async def connections_leave_a_place(chain, host_papers, client):
    held = [await opened(chain, host_papers) for _ in range(3)]
    with pytest.raises(OSError):  # noqa: PT011 - as below
        await opened(chain, host_papers)
    failed = await chain.log.wait_for(events.PASSTHROUGH_FAILED)
    assert "already carries 3 connections untouched" in failed["reason"]
    async with client.get(chain.address()) as response:
        assert response.status == 200
    for _, writer in held:
        writer.close()


async def test_the_gateway_is_still_there_for_every_other_name(joined, client, host):
    async with client.get(joined.url + "/healthz") as response:
        assert response.status == 200


async def test_an_agent_that_did_not_agree_carries_nothing_untouched(chain, host, host_papers):
    await chain.start_relay(passthrough=(NAME,), limits={"wait_s": 0.2})
    await chain.start_agent(host.url)
    with pytest.raises(OSError):  # noqa: PT011 - whatever a TLS client says when it is hung up on
        await asyncio.open_connection("localhost", chain.port, ssl=host_papers.context(), server_hostname=NAME)
    failed = await chain.log.wait_for(events.PASSTHROUGH_FAILED)
    assert "set passthrough = true in its agent.toml" in failed["reason"]
    assert not host.asked


async def ended(reader):
    """Return whether nothing more comes: a reset, or an end without a good-bye."""
    try:
        return await asyncio.wait_for(reader.read(), 5) == b""
    except OSError:
        return True


async def test_a_link_that_breaks_ends_the_connection(joined, host_papers):
    reader, writer = await asyncio.open_connection(
        "localhost", joined.port, ssl=host_papers.context(), server_hostname=NAME
    )
    await joined.kill("one")
    assert await ended(reader)
    writer.close()


async def test_a_client_that_says_nothing_keeps_nobody_waiting(joined, untouched):
    reader, writer = await asyncio.open_connection("localhost", joined.port)
    writer.write(b"\x16\x03\x01")
    assert await untouched("GET") == (200, b'{"totalResults":0}')
    writer.close()
    assert URL(joined.url).port == joined.port
    assert await reader.read() == b""


def client_hello(name):
    context = ssl.create_default_context()
    context.check_hostname = name is not None
    outgoing = ssl.MemoryBIO()
    handshake = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        handshake.do_handshake()
    return outgoing.read()


def test_the_name_is_read_from_the_first_bytes():
    reader = NameReader()
    hello = client_hello("Scim.Acme.Example")
    assert reader.server_name(hello) == "scim.acme.example"
    for cut in (0, 1, 5, 100, len(hello) - 1):
        with pytest.raises(Incomplete):
            reader.server_name(hello[:cut])


@pytest.mark.parametrize(
    "beginning", [client_hello(None), b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x05" + b"x" * 5]
)
def test_what_names_nothing_names_nothing(beginning):
    reader = NameReader()
    reader.server_name(client_hello("other.example"))
    assert reader.server_name(beginning) is None


@pytest.mark.parametrize(
    ("acme", "other", "words"),
    [
        ((NAME,), (NAME,), rf"tenants\.other\.passthrough: {NAME} leads to tenant acme already"),
        (("relay.example",), (), r"tenants\.acme\.passthrough: relay\.example is the relay's own"),
        ((), ("also.example",), r"tenants\.other\.passthrough: also\.example is the relay's own"),
    ],
)
async def test_a_name_that_is_not_one_tenants_alone_is_refused_at_start(papers, tmp_path, acme, other, words):
    relay = RelaySettings(
        certificate=papers.certificate,
        key=papers.key,
        name="Relay.example",
        public=("also.example:8443",),
        state=tmp_path,
    )
    tenants = {"acme": TenantSettings(passthrough=acme), "other": TenantSettings(passthrough=other)}
    with pytest.raises(ConfigurationError, match=words):
        await service.run(RelayConfiguration(relay=relay, tenants=tenants), asyncio.Event())


class LookedAt(socket.socket):
    """A socket that tells how often it was looked at."""

    looks = 0

    def recv(self, *arguments):
        self.looks += 1
        if self.looks == 5:
            self.often.set()
        return super().recv(*arguments)


class CountingReader(NameReader):
    """Reads names, and counts how often."""

    reads = 0

    def server_name(self, beginning):
        self.reads += 1
        return super().server_name(beginning)


async def test_half_a_hello_is_read_once_and_the_whole_of_it_again(monkeypatch):
    monkeypatch.setattr(listening, "_AGAIN_S", 0.001)
    here, there = socket.socketpair()
    looked_at, hello = LookedAt(fileno=here.detach()), client_hello(NAME)
    looked_at.often = asyncio.Event()
    port = listening.Port(None)
    port._names = reader = CountingReader()
    with looked_at, there:
        there.sendall(hello[:100])
        looking = asyncio.create_task(port._peek_name(looked_at, "192.0.2.1"))
        await looked_at.often.wait()
        assert reader.reads == 1
        there.sendall(hello[100:])
        assert await looking == NAME
        assert reader.reads == 2
