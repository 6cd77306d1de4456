"""The agent's way out may lead through an HTTP proxy, with a password, by configuration or by environment."""

from __future__ import annotations

import asyncio
import base64
from contextlib import asynccontextmanager

import pytest
from yarl import URL

from agent import events
from agent.errors import ConfigurationError
from agent.outbound.credentials import enrol
from agent.outbound.proxies import Way
from agent.settings import AgentSettings
from tests.agent.relay.test_enrolment import invite

USER, PASSWORD = "agent", "a proxy's password"


class Proxy:
    """An HTTP proxy that knows CONNECT and nothing else, and wants a password."""

    def __init__(self):
        self.url, self.asked = "", []
        self.password = PASSWORD

    async def serve(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.asked.append(head.split("\r\n")[0])
        wanted = base64.b64encode(f"{USER}:{self.password}".encode()).decode()
        if f"Proxy-Authorization: Basic {wanted}" not in head:
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            writer.close()
            return
        name, _, port = head.split()[1].rpartition(":")
        inner_reader, inner_writer = await asyncio.open_connection(name, int(port))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await asyncio.gather(self._pump(reader, inner_writer), self._pump(inner_reader, writer))

    async def _pump(self, reader, writer):
        try:
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def proxy_server():
    proxy = Proxy()
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.url = f"http://{USER}@127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()


@pytest.fixture
async def proxy():
    async with proxy_server() as server:
        yield server


@pytest.fixture
def password_file(tmp_path):
    file = tmp_path / "proxy-password"
    file.write_text(PASSWORD + "\n")
    return file


async def test_the_link_leads_through_the_configured_proxy(chain, host, client, proxy, password_file):
    await chain.start_relay()
    await chain.start_agent(host.url, proxy=proxy.url, proxy_password_file=password_file)
    async with client.get(chain.address()) as response:
        assert response.status == 200
    assert proxy.asked == [f"CONNECT localhost:{chain.port} HTTP/1.1"]


async def test_a_password_that_the_proxy_changed_is_taken_from_its_file(chain, host, client, proxy, password_file):
    await chain.start_relay()
    proxy.password = "the next one"
    await chain.start_agent(host.url, proxy=proxy.url, proxy_password_file=password_file, connected=False)
    await chain.log.wait_for(events.LINK_FAILED)
    password_file.write_text(proxy.password)
    await chain.log.wait_for(events.LINK_CONNECTED, agent="one")
    async with client.get(chain.address()) as response:
        assert response.status == 200


async def test_enrolment_leads_through_the_proxy(chain, host, proxy, password_file):
    await chain.start_relay()
    settings = chain.agent_settings(host.url, proxy=proxy.url, proxy_password_file=password_file)
    await enrol(settings, URL(chain.url), settings.state, invite(chain))
    assert proxy.asked == [f"CONNECT localhost:{chain.port} HTTP/1.1"]


async def test_the_environment_names_the_proxy_where_the_configuration_does_not(chain, host, proxy, monkeypatch):
    address = proxy.url.removeprefix(f"http://{USER}@")
    monkeypatch.setenv("HTTPS_PROXY", f"http://{USER}:{PASSWORD.replace(' ', '%20')}@{address}")
    await chain.start_relay()
    await chain.start_agent(host.url)
    assert proxy.asked
    monkeypatch.setenv("NO_PROXY", "localhost")
    await chain.stop("one")
    proxy.asked.clear()
    await chain.start_agent(host.url, "two")
    assert not proxy.asked


async def test_a_proxy_that_refuses_is_named(chain, host, proxy):
    await chain.start_relay()
    await chain.start_agent(host.url, proxy=proxy.url, connected=False)
    failed = await chain.log.wait_for(events.LINK_FAILED)
    assert "the proxy answered 407: check agent.proxy or HTTPS_PROXY, its user and password" in failed["reason"]


async def link_failed_behind(said, chain, host):
    """Return why the link failed, of an agent behind a proxy that says this to everybody."""

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        proxy = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await chain.start_relay()
        await chain.start_agent(host.url, proxy=proxy, connected=False)
        return await chain.log.wait_for(events.LINK_FAILED)


@pytest.mark.parametrize(
    ("answer", "mend"),
    [
        (b"403 Filtered", "have it allow CONNECT to name and port of agent.relay"),
        (b"502 Bad", "does not reach the relay"),
    ],
)
async def test_a_proxy_that_lets_nobody_through_is_not_blamed_on_its_login(chain, host, answer, mend):
    failed = await link_failed_behind(b"HTTP/1.1 " + answer + b"\r\nContent-Length: 0\r\n\r\n", chain, host)
    assert mend in failed["reason"]
    assert "password" not in failed["reason"]


async def test_a_proxy_that_is_down_is_named(chain, host):
    await chain.start_relay()
    await chain.start_agent(host.url, proxy="http://127.0.0.1:1", connected=False)
    failed = await chain.log.wait_for(events.LINK_FAILED)
    assert "the proxy 127.0.0.1:1 cannot be reached" in failed["reason"]


async def test_a_proxy_whose_name_nobody_knows_is_named_and_not_the_relay(chain, host):
    await chain.start_relay()
    await chain.start_agent(host.url, proxy="http://proxy.invalid:3128", connected=False)
    failed = await chain.log.wait_for(events.LINK_FAILED)
    assert failed["reason"].startswith("the name proxy.invalid cannot be resolved: ")


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n<html>log in!", "proxy on the way may not let it through"),
        (b"s3cret page\r\n\r\n", "what answers is no HTTP: check agent.relay, and the proxy on the way"),
        (b"", "was ended without an answer, by the relay or by a proxy on the way"),
    ],
)
async def test_a_proxy_that_does_something_else_is_told_without_its_words(chain, host, said, reason):
    failed = await link_failed_behind(said, chain, host)
    assert reason in failed["reason"]
    assert "s3cret" not in failed["reason"]


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy"])
@pytest.mark.parametrize(
    "proxy",
    [
        "me:s3cret@proxy:3128",
        "proxy:3128",
        "http://me:s3cret@[::1",
        "socks5://me:s3cret@proxy:1",
        "https://me:s3cret@proxy:3128",
        "http://p:x",
    ],
)
def test_a_proxy_of_the_environment_that_is_none_is_refused_without_repeating_it(
    tmp_path, monkeypatch, variable, proxy
):
    settings = AgentSettings(relay="https://relay.example", tenant="t", host="https://h", state=tmp_path)
    monkeypatch.setenv(variable, proxy)
    wanted = rf"{variable}: .* write http://\[USER:PASSWORD@\]NAME:PORT"
    with pytest.raises(ConfigurationError, match=wanted) as caught:
        Way(settings)
    assert "s3cret" not in str(caught.value)
    monkeypatch.setenv("NO_PROXY", "relay.example")
    assert Way(settings).to(URL("https://relay.example")).url is None


def test_what_is_a_proxy_of_the_environment_is_taken(tmp_path, monkeypatch):
    settings = AgentSettings(relay="https://relay.example", tenant="t", host="https://h", state=tmp_path)
    monkeypatch.setenv("HTTPS_PROXY", "http://me:s3cret@proxy.example:3128/")
    way = Way(settings).to(URL("https://relay.example"))
    assert way.url == URL("http://proxy.example:3128/")
    assert way.headers == {"Proxy-Authorization": "Basic bWU6czNjcmV0"}


@pytest.mark.parametrize(
    ("named", "relay", "through"),
    [
        ("relay.example:8443", "https://relay.example:8443", False),
        ("relay.example:443", "https://relay.example", False),
        (".example:8443", "https://relay.example:8443", False),
        ("[::1]:8443", "https://[::1]:8443", False),
        ("relay.example:8444", "https://relay.example:8443", True),
        ("relay.example:8443", "https://relay.example", True),
        ("lay.example", "https://relay.example", True),
    ],
)
def test_a_name_that_needs_no_proxy_may_have_a_port(tmp_path, monkeypatch, named, relay, through):
    settings = AgentSettings(relay=relay, tenant="t", host="https://h", state=tmp_path)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", named)
    assert (Way(settings).to(URL(relay)).url is not None) is through


async def test_a_login_that_the_account_keeps_for_other_programs_goes_to_no_relay(chain, host, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password s3cret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    await chain.start_relay()
    await chain.start_agent(host.url)
    settings = chain.agent_settings(host.url)
    await enrol(settings, URL(chain.url), settings.state, invite(chain))
