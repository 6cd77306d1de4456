"""NATS is believed in nothing: it is verified, it reads nothing, and who has a login there gets no further."""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path

import nats
import pytest

from agent import events
from agent.errors import ConfigurationError
from agent.link.frames import HEADER, Kind, pack
from agent.link.messages import Health, Hello
from agent.link.packing import encode
from agent.link.tls import trusting
from agent.relay.nodes.fabric import Fabric
from agent.settings import NatsSettings
from tests.agent.chain import TOKEN, issue_papers
from tests.agent.relay.nodes.accounts import Party, User

OPEN = b"\x02"
SECRET = b"Bearer a-secret-of-the-client"


@pytest.fixture
async def tap(own_nats):
    """Somebody with a login at NATS: what they hear, and their connection."""
    heard = []

    async def hear(message):
        heard.append((message.subject, message.data))

    context = trusting(own_nats.authority, "trust")
    client = await nats.connect(own_nats.url, user=own_nats.user, password=own_nats.password, tls=context)
    await client.subscribe(">", cb=hear)
    await client.flush()
    yield client, heard
    await client.close()


@pytest.fixture
async def apart(cluster, host, tap):
    a, b = await cluster.start("a"), await cluster.start("b")
    await b.start_agent(host.url)
    return a


async def write(client, node):
    headers = {"Authorization": SECRET.decode()}
    async with client.post(node.address(), data=b"personal data" * 100, headers=headers) as response:
        assert response.status == 200


async def test_what_passes_through_nats_cannot_be_read_there(apart, client, tap):
    await write(client, apart)
    _, heard = tap
    said = b"".join(data for _, data in heard)
    assert len(said) > 1300, "it did pass there"
    for plain in (SECRET, b"personal data", b"acme", b"/ecma2host_HR"):
        assert plain not in said


async def test_what_passed_through_nats_can_be_sent_again_and_nothing_comes_of_it(apart, host, client, tap):
    await write(client, apart)
    listener, heard = tap
    for subject, data in list(heard):
        await listener.publish(subject, data)
    await listener.flush()
    await write(client, apart)
    assert len(host.asked) == 2, "one for each that the client sent"


async def test_who_repeats_the_beginning_of_each_session_disturbs_none(cluster, host, client, tap):
    listener, _ = tap
    repeated = set()

    async def repeat(message):
        if message.data[:1] == OPEN and message.data not in repeated:
            repeated.add(message.data)
            for _ in range(5):
                await listener.publish(message.subject, message.data)
            await listener.flush()

    await listener.subscribe("provisioning-relay.node.*", cb=repeat)
    a, b = await cluster.start("a", limits={"wait_s": 10.0}), await cluster.start("b")
    await b.start_agent(host.url)
    await write(client, a)
    assert len(repeated) == 2, "each node has opened one session, which stands"
    assert not [seen for event, seen in cluster.log.seen if event == events.LINK_ENDED and "node" in seen]


async def test_what_was_changed_on_its_way_is_passed_over(apart, host, client, tap):
    listener, heard = tap
    await write(client, apart)
    for subject, data in list(heard):
        await listener.publish(subject, data[:-1] + bytes((data[-1] ^ 1,)))
        await listener.publish(subject, data[:20])
        await listener.publish(subject, b"\x04")
    await listener.flush()
    await write(client, apart)
    assert len(host.asked) == 2


async def test_an_agent_that_says_too_much_disturbs_no_other_tenant(cluster, host, client):
    a, b = await cluster.start("a"), await cluster.start("b")
    await b.start_agent(host.url)
    await write(client, a)
    said = pack(Kind.HELLO, 0, encode(Hello((1, 1), 65_536, "m" * 128, "9" * 128))) + pack(
        Kind.HEALTH, 0, encode(Health(reachable=True, record="r" * 30_000, detail="d" * 30_000))
    )
    headers = {"Authorization": f"Bearer {TOKEN}other"}
    async with client.ws_connect(f"{b.url}/link/other", headers=headers) as mallory:
        await mallory.send_bytes(said)
        asked = asyncio.create_task(client.get(a.address(tenant="other")))
        async with asyncio.timeout(5):
            while HEADER.unpack_from(await mallory.receive_bytes())[0] != Kind.REQUEST:
                pass
        await write(client, a)
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
    assert len(host.asked) == 2
    assert not [seen for event, seen in cluster.log.seen if event == events.LINK_ENDED and "node" in seen]


async def test_a_node_with_another_authority_stays_outside(cluster, host, client):
    a = await cluster.start("a", limits={"wait_s": 0.5})
    b = await cluster.start("b", shared_authority=False)
    await b.start_agent(host.url)
    refused = await cluster.log.wait_for(events.NODE_REFUSED)
    assert "was not sealed by a node with this relay's authority" in refused["reason"]
    async with client.get(a.address()) as response:
        assert response.status == 503
    assert not cluster.joined()


async def test_a_nats_server_of_another_authority_is_told_nothing(cluster, tmp_path, host, client):
    other = issue_papers(tmp_path, "localhost").authority
    a = await cluster.start("a", nats=cluster.settings(trust=other), limits={"wait_s": 0.0})
    failed = await cluster.log.wait_for(events.NATS_FAILED)
    assert "its certificate is not accepted" in failed["reason"]
    async with client.get(a.address()) as response:
        assert response.status == 503
        assert "NATS, which leads to the other nodes" in (await response.json(content_type=None))["detail"]


async def test_another_authority_of_nats_is_believed_from_the_next_connection_on(cluster, tmp_path):
    (folder := tmp_path / "other").mkdir()
    (trust := tmp_path / "trust.pem").write_bytes(issue_papers(folder, "localhost").authority.read_bytes())
    await cluster.start("a", nats=cluster.settings(trust=trust))
    assert "its certificate is not accepted" in (await cluster.log.wait_for(events.NATS_FAILED))["reason"]
    (right := tmp_path / "right.pem").write_bytes(cluster.nats.authority.read_bytes())
    right.replace(trust)
    await cluster.log.wait_for(events.NATS_CONNECTED)


async def test_why_nats_cannot_be_reached_is_said_once_and_again_when_the_reason_is_another(cluster, monkeypatch):
    monkeypatch.setattr("agent.relay.nodes.fabric.PAUSE_S", 0.1)

    async def hang_up(_, writer):
        tried.set()
        writer.close()

    with socket.create_server(("127.0.0.1", 0)) as unheard:
        port = unheard.getsockname()[1]
    tried = asyncio.Event()
    fabric = Fabric(cluster.settings(urls=(f"tls://localhost:{port}",)), "0" * 32)
    keeping = asyncio.create_task(fabric.keep())
    try:
        await cluster.log.wait_for(events.NATS_FAILED)
        async with await asyncio.start_server(hang_up, "127.0.0.1", port):
            await cluster.log.wait_for(events.NATS_FAILED, count=2, limit_s=20.0)
            for _ in range(3):
                tried.clear()
                await tried.wait()
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
    reasons = [seen["reason"] for event, seen in cluster.log.seen if event == events.NATS_FAILED]
    assert len(reasons) == len(set(reasons)) == 2
    assert events.NATS_TROUBLE not in [event for event, _ in cluster.log.seen]


USER = User()


@pytest.mark.parametrize("login", ["password", "nothing", "nkey", "credentials"])
async def test_a_nats_server_without_tls_gets_no_credentials(cluster, tmp_path, login):
    """The library goes on without TLS where the server says so; somebody on the way may say it in its place."""
    keys = {} if login == "password" else {"user": None, "password_file": None}
    if login in {"nkey", "credentials"}:
        file = tmp_path / login
        file.write_text(USER.seed if login == "nkey" else USER.credentials(Party("account")))
        file.chmod(0o600)
        keys[f"{login}_file"] = file
    said = []

    async def pretend(reader, writer):
        writer.write(b'INFO {"server_id":"x","auth_required":true,"nonce":"n","max_payload":1048576}\r\n')
        while data := await reader.read(4096):
            said.append(data)
            writer.write(b"PONG\r\n")
        writer.close()

    async with await asyncio.start_server(pretend, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        fabric = Fabric(cluster.settings(urls=(f"tls://localhost:{port}",), **keys), "0" * 32)
        keeping = asyncio.create_task(fabric.keep())
        failed = await cluster.log.wait_for(events.NATS_FAILED)
        assert "does not speak TLS" in failed["reason"]
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
    for kept in (cluster.nats.password.encode(), USER.public.encode(), b'"sig"', b'"jwt"', b"provisioning-relay.all"):
        assert kept not in b"".join(said)


def test_without_the_extra_the_mend_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "nats", None)
    with pytest.raises(ConfigurationError, match=r"relay\.nats: needs nats-py: .* -m pip install nats-py$"):
        Fabric(NatsSettings(urls=("tls://localhost:4222",)), "0" * 32)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"token_file": Path("token"), "user": "relay"}, r"user and relay\.nats\.token_file: NATS takes one login"),
        ({"user": "relay"}, "relay.nats.password_file: is missing"),
        ({"user": "relay", "password_file": Path("nowhere")}, "relay.nats.password_file: nowhere cannot be read"),
        ({"certificate": Path("c.pem")}, "give both, or neither"),
        ({"trust": Path("nowhere.pem")}, "relay.nats.trust: nowhere.pem cannot be used"),
    ],
)
def test_settings_that_cannot_be_used_are_named(keys, words):
    with pytest.raises(ConfigurationError, match=words):
        Fabric(NatsSettings(urls=("tls://localhost:4222",), **keys), "0" * 32)
