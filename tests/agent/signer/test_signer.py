"""A client that cannot sign speaks to the signer on loopback; the host behind the relay believes that and no more."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import ssl
from contextlib import asynccontextmanager

import aiohttp
import pytest
from multidict import CIMultiDict

from agent import events
from agent.errors import ConfigurationError
from agent.signer import service as signer_service
from agent.signer.settings import SignerSettings, load_signer
from connector_host.endpoint.outcomes import Outcomes
from connector_host.signing.keys import make_key
from tests.agent.chain import USERS, host_server, issue_papers
from tests.agent.weather import weather_before
from tests.endpoint.service import TOKEN, serve
from tests.provisioning.rig import until

BARBARA = {"userName": "bjensen", "name": {"givenName": "Barbara"}}
HEADERS = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def key(tmp_path):
    make_key(tmp_path / "signer.key")
    return tmp_path / "signer.key"


@asynccontextmanager
async def signing(log, upstream, key, **settings):
    """A running signer; yields its base URL."""
    stop = asyncio.Event()
    given = SignerSettings(**({"upstream": upstream, "key": key, "port": 0, "stop_s": 1.0} | settings))
    running = asyncio.create_task(signer_service.run(given, stop))
    try:
        yield (await log.wait_for(events.SIGNER_READY))["url"]
    finally:
        stop.set()
        await running


@pytest.fixture
async def local():
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        yield session


@asynccontextmanager
async def real_host(folder, url, key):
    """The connector host, which demands signatures for this public URL."""
    outcomes = Outcomes(folder / "state" / "outcomes.sqlite3")
    demand = {"keys": (key.with_name(key.name + ".pub"),), "urls": (f"{url}/ecma2host_HR/scim",)}
    try:
        async with serve(folder, outcomes=outcomes, signing=demand) as host:
            yield host
    finally:
        await outcomes.close()


@pytest.fixture
async def whole(chain, log, papers, tmp_path, key):
    """Signer, relay, agent, host: yields the host, the signer's URL, and the weather between agent and relay."""
    await chain.start_relay(limits={"wait_s": 5.0}, heartbeat_s=0.1, dead_s=0.6)
    public = f"{chain.url}/t/acme"
    async with (
        real_host(tmp_path, public, key) as host,
        weather_before(chain.port) as weather,
        signing(log, public, key, trust=papers.authority) as url,
    ):
        agent = {"host_trust": host.authority, "heartbeat_s": 0.1, "dead_s": 0.6}
        await chain.start_agent(host.origin, relay=f"https://localhost:{weather.port}", **agent)
        yield host, url, weather
        await chain.stop("one")


@pytest.fixture
async def pair(log, papers, key):
    """A stand-in for the host, and a signer right before it: yields both, the signer as its URL."""
    limits = {"body_bytes": 1_024, "request_s": 1.0}
    async with host_server(papers) as host, signing(log, host.url, key, trust=papers.authority, **limits) as url:
        yield host, url


async def test_what_the_signer_passes_on_is_carried_out_through_the_whole_chain(whole, local, chain, client):
    host, url, _ = whole
    async with local.post(url + USERS, json=BARBARA, headers=HEADERS) as response:
        assert response.status == 201
        assert response.headers["Location"].startswith(f"{chain.url}/t/acme{USERS}/")
    async with local.patch(
        f"{url}{USERS}/bjensen",
        json={
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
            "Operations": [{"op": "replace", "path": "active", "value": False}],
        },
        headers=HEADERS,
    ) as response:
        assert response.status == 200
    async with local.delete(f"{url}{USERS}/bjensen", headers=HEADERS) as response:
        assert response.status == 204
    async with client.post(chain.address(), json=BARBARA, headers=HEADERS) as response:
        assert response.status == 403
        assert "must be signed" in (await response.json(content_type=None))["detail"]
    assert not host.rows()


async def test_a_write_that_the_relay_repeats_gets_the_recorded_outcome(whole, local, log):
    host, url, weather = whole
    weather.silence()
    asked = asyncio.create_task(local.post(url + USERS, json=BARBARA, headers=HEADERS))
    # The host has carried it out, and its answer is on its way back, when the link breaks under it.
    await until(host.rows)
    weather.reset()
    weather.clear_up()
    async with await asked as response:
        assert response.status == 201
    assert len(host.rows()) == 1
    assert await log.wait_for(events.REQUEST_REPEATED)


async def test_a_request_has_one_id_and_one_trace_from_the_signer_on(whole, local, log):
    _, url, _ = whole
    trace = "0af7651916cd43dd8448eb211c80319c"
    given = HEADERS | {"traceparent": f"00-{trace}-b7ad6b7169203331-01"}
    async with local.get(url + USERS, headers=given) as response:
        assert response.status == 200
        identity = response.headers["X-Request-Id"]

    def told():
        """By signer, relay and agent."""
        return [
            seen for event, seen in log.seen if (event, seen.get("request_id")) == (events.REQUEST_ANSWERED, identity)
        ]

    await until(lambda: len(told()) == 3)
    assert {seen["traceparent"].split("-")[1] for seen in told()} == {trace}
    assert len({seen["traceparent"] for seen in told()}) == 2, "the agent's hop is the relay's, the signer's its own"


async def test_a_compressed_body_is_undone_before_it_is_signed(whole, local):
    host, url, _ = whole
    coded = HEADERS | {"Content-Encoding": "gzip"}
    async with local.post(url + USERS, data=gzip.compress(json.dumps(BARBARA).encode()), headers=coded) as response:
        assert response.status == 201, await response.text()
    async with local.post(url + USERS, data=b"no gzip", headers=coded) as response:
        assert (response.status, "not coded" in await response.text()) == (400, True)
    assert len(host.rows()) == 1


async def test_a_header_of_several_lines_is_signed_as_a_whole(whole, local):
    _, url, _ = whole
    async with local.post(url + USERS, json=BARBARA, headers=HEADERS) as response:
        version = response.headers["ETag"]
    lines = CIMultiDict(HEADERS)
    for name, values in {"If-Match": ('W/"another"', version), "Prefer": ("return=minimal", "wait=5")}.items():
        for value in values:
            lines.add(name, value)
    async with local.delete(f"{url}{USERS}/bjensen", headers=lines) as response:
        assert response.status == 204, await response.text()


@pytest.mark.parametrize(("length", "first", "then"), [(2, b"100", b"200"), (2_000, b"413", None)])
async def test_a_client_that_asks_first_hears_whether_to_send_its_body(pair, length, first, then):
    host, url = pair
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    head = f"POST {USERS} HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n"
    writer.write(head.encode())
    async with asyncio.timeout(10):
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 %b " % first)
        if then:
            writer.write(b"{}")
            assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 %b " % then)
    writer.close()
    assert ["Expect" in headers for _, _, headers, _ in host.asked] == ([False] if then else [])


@asynccontextmanager
async def saying(answer):
    """Something that takes connections and answers what comes first with this, or says nothing; yields its port."""

    async def take(reader, writer):
        await reader.read(1)
        writer.write(answer)
        await reader.read()
        writer.close()

    async with await asyncio.start_server(take, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize("way", ["a relay that is silent", "a proxy that refuses"])
async def test_what_never_left_is_told_as_not_done(log, key, local, monkeypatch, way):
    monkeypatch.setattr(signer_service, "CONNECT_S", 0.2)
    refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n" if "proxy" in way else b""
    async with saying(refusal) as port:
        if refusal:
            monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        upstream = "https://relay.example" if refusal else f"https://localhost:{port}"
        async with signing(log, upstream, key) as url, local.post(url + USERS, data=b"{}") as response:
            detail = (await response.json(content_type=None))["detail"]
            assert (response.status, " Nothing was done. (request " in detail) == (502, True), detail


async def test_an_upstream_without_tls_is_told_as_such(log, key, local):
    async with (
        saying(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port,
        signing(log, f"https://localhost:{port}", key) as url,
        local.post(url + USERS, data=b"{}") as response,
    ):
        detail = (await response.json(content_type=None))["detail"]
        assert (response.status, "it does not speak TLS as it should (" in detail) == (502, True), detail


@pytest.mark.parametrize("stays", [True, False], ids=["stays", "vanishes"])
async def test_a_write_that_left_is_sent_once_and_unknown_whatever_becomes_of_its_host(log, papers, key, local, stays):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(papers.certificate, papers.key)
    taken = []

    async def take(reader, writer):
        taken.append(await reader.readuntil(b"\r\n\r\n"))
        if not stays:
            server.close()
        writer.transport.abort()

    server = await asyncio.start_server(take, "127.0.0.1", 0, ssl=context)
    upstream = f"https://localhost:{server.sockets[0].getsockname()[1]}"
    async with (
        signing(log, upstream, key, trust=papers.authority) as url,
        local.put(url + USERS, data=b"{}") as response,
    ):
        detail = (await response.json(content_type=None))["detail"]
    server.close()
    assert (response.status, "outcome of this request is unknown" in detail) == (504, True), detail
    assert len(taken) == 1


async def test_a_write_without_a_key_gets_one_that_is_signed(pair, local):
    host, url = pair
    async with local.post(url + USERS, data=b"{}"):
        pass
    async with local.post(url + USERS, data=b"{}", headers={"Idempotency-Key": "mine", "If-Match": 'W/"1"'}):
        pass
    async with local.get(f'{url}{USERS}?filter=userName eq "x"'):
        pass
    first, second, read = host.asked
    assert '"idempotency-key"' in first[2]["Signature-Input"]
    assert first[2]["Idempotency-Key"].startswith("signer-")
    assert second[2]["Idempotency-Key"] == "mine"
    assert '"if-match"' in second[2]["Signature-Input"]
    assert "Idempotency-Key" not in read[2]
    assert "Signature" in read[2]


async def test_a_signature_that_the_client_sends_is_replaced(pair, local):
    forged = {"Signature": "x=:AAAA:", "Signature-Input": 'x=("@method")', "Content-Digest": "sha-256=:AAAA:"}
    host, url = pair
    async with local.post(url + USERS, data=b"{}", headers=forged):
        pass
    [(_, _, headers, _)] = host.asked
    assert headers["Signature-Input"].startswith("scim=")
    assert len(headers.getall("Signature")) == 1
    assert "AAAA" not in headers["Content-Digest"]


async def test_blanks_and_quotes_of_a_client_are_encoded_and_signed(pair):
    host, url = pair
    port = int(url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f'GET {USERS}?filter=userName%20eq%20"x" HTTP/1.1\r\nHost: localhost\r\n\r\n'.encode())
    assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200 ")
    writer.close()
    assert host.asked[0][1] == f"{USERS}?filter=userName%20eq%20%22x%22"


@pytest.mark.parametrize("mark", ["?", "??", "?attributes=userName&"])
async def test_what_is_signed_is_what_is_sent_where_a_query_is_empty(whole, mark):
    _, url, _ = whole
    port = int(url.rpartition(":")[2])
    body = json.dumps({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"]} | BARBARA)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST {USERS}{mark} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n"
    writer.write(f"{head}Content-Type: application/scim+json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
    assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 201 ")
    writer.close()


async def test_an_answer_streams_through_as_it_is(pair, local):
    async def answer(request):
        from aiohttp import web

        response = web.StreamResponse(headers={"ETag": 'W/"1"'})
        await response.prepare(request)
        for _ in range(20):
            await response.write(b"s" * 50_000)
        return response

    host, url = pair
    host.answer = answer
    async with local.get(url + USERS) as response:
        assert await response.read() == b"s" * 1_000_000
        assert response.headers["ETag"] == 'W/"1"'


async def test_an_answer_that_breaks_off_looks_whole_to_nobody_and_is_told_of(local, log, key, papers):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(papers.certificate, papers.key)

    async def half(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(half, "127.0.0.1", 0, ssl=context) as server:
        upstream = f"https://localhost:{server.sockets[0].getsockname()[1]}"
        async with signing(log, upstream, key, trust=papers.authority) as url:
            async with local.get(url + USERS, headers={"X-Request-Id": "mine"}) as response:
                with pytest.raises(aiohttp.ClientPayloadError):
                    await response.read()
            await log.wait_for(events.REQUEST_TRUNCATED, request_id="mine")


async def test_the_signer_listens_on_loopback_only(pair):
    host, url = pair
    port = int(url.rpartition(":")[2])
    with socket.socket() as other:
        other.settimeout(2)
        assert other.connect_ex((own_address(), port)) != 0
    assert not host.asked


def own_address():
    """Return an address of this machine that is not loopback's, as a neighbour would use it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no address but loopback's")
        address = probe.getsockname()[0]
    if address.startswith("127."):
        pytest.skip("this machine has no address but loopback's")
    return address


async def test_a_page_that_asks_for_another_name_is_sent_away(pair, local):
    host, url = pair
    async with local.post(url + USERS, data=b"{}", headers={"Host": "evil.example"}) as response:
        assert response.status == 421
    assert not host.asked


async def test_an_upstream_that_is_not_who_it_says_is_not_believed(log, papers, local, key, tmp_path):
    folder = tmp_path / "other"
    folder.mkdir()
    other = issue_papers(folder)
    async with (
        host_server(other) as host,
        signing(log, host.url, key, trust=papers.authority) as url,
        local.post(url + USERS, data=b"{}") as response,
    ):
        document = json.loads(await response.read())
        assert response.status == 502
    assert "certificate is not believed" in document["detail"]
    assert "Nothing was done" in document["detail"]
    assert not host.asked


@pytest.fixture
def login(tmp_path, monkeypatch):
    """A login for every host, as the account keeps it for curl and ftp."""
    (netrc := tmp_path / "netrc").write_text("default login somebody password s3cret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))


@pytest.mark.usefixtures("login")
async def test_a_login_that_the_account_keeps_for_other_programs_goes_nowhere(log, papers, local, key):
    async with host_server(papers) as host, signing(log, host.url, key, trust=papers.authority) as url:
        for headers in (HEADERS, {}):
            async with local.get(url + USERS, headers=headers) as response:
                assert response.status == 200
    assert [headers.get("Authorization") for _, _, headers, _ in host.asked] == [HEADERS["Authorization"], None]


async def test_another_authority_is_believed_from_the_next_connection_on(log, papers, local, key, tmp_path):
    (folder := tmp_path / "other").mkdir()
    (trust := tmp_path / "trust.pem").write_bytes(issue_papers(folder).authority.read_bytes())
    async with host_server(papers) as host, signing(log, host.url, key, trust=trust) as url:
        async with local.get(url + USERS) as response:
            assert response.status == 502
        (right := tmp_path / "right.pem").write_bytes(papers.authority.read_bytes())
        right.replace(trust)
        async with local.get(url + USERS) as response:
            assert response.status == 200


async def test_a_body_over_the_limit_is_refused_and_told_of(pair, local, log):
    host, url = pair
    async with local.post(url + USERS, data=b"x" * 1_025, headers={"X-Request-Id": "mine"}) as response:
        assert response.status == 413
        assert (await response.json(content_type=None))["detail"].endswith("(request mine)")
    refused = await log.wait_for(events.REQUEST_REFUSED, request_id="mine")
    assert "larger than the signer's" in refused["detail"]
    assert not host.asked


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_upstream_that_does_not_answer_leaves_a_write_unknown(pair, local, method):
    async def never(_):
        await asyncio.Event().wait()

    host, url = pair
    host.answer = never
    async with local.request(method, url + USERS) as response:
        assert response.status == 504
        assert ("unknown" in (await response.json(content_type=None))["detail"]) == (method == "POST")


async def test_a_request_that_does_not_end_is_given_up_once_the_time_to_stop_is_over(log, papers, key, local):
    asked = asyncio.Event()

    async def never(_):
        asked.set()
        await asyncio.Event().wait()

    async with host_server(papers) as host:
        host.answer = never
        async with signing(log, host.url, key, trust=papers.authority, stop_s=3.0) as url:
            answer = asyncio.create_task(local.get(url + USERS))
            await asked.wait()
            told = asyncio.get_running_loop().time()
        # Not after twice that time, as aiohttp would by itself: the service manager was told less.
        assert 3.0 <= asyncio.get_running_loop().time() - told < 6.0
        with pytest.raises(aiohttp.ClientError):
            await answer


@pytest.mark.parametrize(
    "upstream", ["http://relay.example.org", "relay", "https://a@relay.example.org", "https://x/?a"]
)
async def test_an_upstream_that_is_none_is_refused(key, upstream):
    with pytest.raises(ConfigurationError, match=r"sign\.upstream"):
        await signer_service.run(SignerSettings(upstream=upstream, key=key), asyncio.Event())


async def test_a_key_that_is_none_is_refused(key):
    with pytest.raises(ConfigurationError, match=r"sign\.key"):
        await signer_service.run(SignerSettings(upstream="https://x", key=key.with_name("none")), asyncio.Event())


def test_the_settings_are_read_from_a_file_and_the_environment(tmp_path):
    (tmp_path / "sign.toml").write_text('[sign]\nupstream = "https://relay.example.org/t/acme"\nkey = "a.key"\n')
    settings = load_signer(tmp_path / "sign.toml", {"PROVISIONING_SIGNER__SIGN__PORT": "1234"}).sign
    assert (settings.key, settings.port) == (tmp_path / "a.key", 1234)
