"""Agents get their certificates from the relay's own authority, renew them by themselves, and can be revoked."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import aiohttp
import msgspec
import pytest
import time_machine
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from yarl import URL

from agent import events
from agent.errors import ConfigurationError
from agent.link.credentials import AgentName, is_proven, name_in, prove
from agent.link.frames import HEADER, Kind, pack
from agent.link.messages import EnrolmentAnswer, Hello
from agent.link.notices import PING_BYTES
from agent.link.packing import encode
from agent.outbound import credentials
from agent.outbound.credentials import EnrolmentRefused, enrol, new_request
from agent.relay import service
from agent.relay.authority import CERTIFICATE_FILE, KEY_FILE, RequestRefused, open_authority
from agent.relay.databases import SQLite
from agent.relay.store import FILE, KEPT_S, EnrolledAgent, Store
from connector_host.clock import now
from tests.agent.test_status import status_of
from tests.tls.certificates import X400_NAME, armoured, odd_certificates, self_signed

DAY_S = 86_400


def invite(chain, tenant="acme", life_s=DAY_S):
    store = Store(SQLite(chain.folder / "relay-state" / FILE))
    store.add_tenant(tenant)
    return store.new_enrolment(tenant, int(now().timestamp()), life_s)


async def enrolled(chain, host, token=None, **keys):
    settings = chain.agent_settings(host.url, **keys)
    token = invite(chain) if token is None else token
    identity = await enrol(settings, URL(chain.url), settings.state, token)
    return settings, identity


async def test_an_enrolled_agent_carries_requests(chain, host, client):
    await chain.start_relay()
    settings, identity = await enrolled(chain, host)
    chain.run_agent(settings)
    await chain.relay_sees(1)
    assert (await chain.log.wait_for(events.LINK_CONNECTED, id=identity.name.agent))["tenant"] == "acme"
    async with client.get(chain.address()) as response:
        assert response.status == 200


async def test_a_tenant_that_a_command_added_is_there_at_once(chain, host, client):
    await chain.start_relay(tenants=())
    settings, _ = await enrolled(chain, host)
    chain.run_agent(settings)
    await chain.relay_sees(1)
    async with asyncio.timeout(5):
        while (response := await client.get(chain.address())).status == 404:  # noqa: ASYNC110 - a look once a second
            await asyncio.sleep(0.05)
    assert response.status == 200


@pytest.mark.parametrize("name", ["", "n" * 101, "one\x1b[2J", "one\ntwo  good"])
async def test_a_name_that_would_confuse_who_reads_it_is_refused_and_costs_no_token(chain, host, name):
    await chain.start_relay()
    token = invite(chain)
    with pytest.raises(EnrolmentRefused, match="printable"):
        await enrolled(chain, host, token, name=name)
    await enrolled(chain, host, token)


async def test_a_name_in_letters_that_take_more_bytes_than_one_is_a_name(chain, host):
    await chain.start_relay()
    _, identity = await enrolled(chain, host, name="Bürö-" * 20)
    assert identity.certificate.subject.rfc4514_string().startswith("CN=Bürö-Bürö-")


async def test_a_folder_that_cannot_be_written_costs_no_token(chain, host):
    await chain.start_relay()
    token = invite(chain)
    (chain.folder / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"agent\.state: .* cannot be written .*the token is still good"):
        await enrolled(chain, host, token, state=chain.folder / "file" / "state")
    await enrolled(chain, host, token)


async def test_a_request_that_no_agent_makes_costs_no_token(chain, host, monkeypatch):
    await chain.start_relay()
    token, genuine = invite(chain), credentials.new_request
    monkeypatch.setattr(credentials, "new_request", lambda: (genuine()[0], b"no request"))
    with pytest.raises(EnrolmentRefused, match="no certificate request"):
        await enrolled(chain, host, token)
    monkeypatch.undo()
    await enrolled(chain, host, token)


async def test_a_token_is_good_for_one_agent(chain, host):
    await chain.start_relay()
    token = invite(chain)
    await enrolled(chain, host, token)
    with pytest.raises(EnrolmentRefused, match="it was used"):
        await enrolled(chain, host, token, name="two")


@pytest.mark.parametrize("token", ["", "guess", "ä"])
async def test_a_token_that_nobody_made_is_refused(chain, host, token):
    await chain.start_relay()
    with pytest.raises(EnrolmentRefused, match="not valid"):
        await enrolled(chain, host, token)
    logged = await chain.log.wait_for(events.ENROLMENT_REFUSED, tenant="acme", status=403)
    assert "it was used, has expired, or is of another tenant" in logged["reason"]
    assert not token or token not in str(logged)


async def test_the_log_says_why_a_request_to_enrol_is_refused_and_no_tenant_that_can_be_none(chain, client):
    await chain.start_relay()
    wanted = {"tenant": "two\nlines", "token": invite(chain), "name": "", "request": ""}
    async with client.post(f"{chain.url}/enroll", data=msgspec.json.encode(wanted)) as response:
        assert response.status == 400
    logged = await chain.log.wait_for(events.ENROLMENT_REFUSED, status=400)
    assert "agent.name: an agent has a name" in logged["reason"]
    assert logged.get("tenant") is None
    async with client.post(f"{chain.url}/enroll", data=b"{}") as response:
        assert response.status == 400
    await chain.log.wait_for(events.ENROLMENT_REFUSED, reason="The enrolment request cannot be read.")


async def test_a_token_of_another_tenant_is_refused(chain, host):
    await chain.start_relay()
    with pytest.raises(EnrolmentRefused, match="not valid"):
        await enrolled(chain, host, invite(chain, "other"))


async def test_a_token_expires(chain, host):
    await chain.start_relay()
    with pytest.raises(EnrolmentRefused, match="not valid"):
        await enrolled(chain, host, invite(chain, life_s=0))


async def test_nobody_enrols_with_an_authority_that_has_ended_and_the_token_stays_good(chain, host):
    open_authority(chain.folder / "relay-state", now() - timedelta(days=3650))
    await chain.start_relay()
    token = invite(chain)
    with pytest.raises(EnrolmentRefused, match="authority for agents has expired"):
        await enrolled(chain, host, token)
    warned = await chain.log.wait_for(events.CERTIFICATE_WARNING)
    assert "The authority for agents ended on" in warned["fact"]
    await chain.stop("relay")
    for file in (CERTIFICATE_FILE, KEY_FILE):
        (chain.folder / "relay-state" / file).unlink()
    await chain.start_relay()
    await enrolled(chain, host, token)


async def test_a_clock_that_is_ahead_is_thought_of_where_a_fresh_certificate_has_expired(chain, host):
    await chain.start_relay()
    settings, _ = await enrolled(chain, host)
    ahead = now() + timedelta(days=40)
    words = rf"clock says {ahead:%Y-%m-%d}.*set the clock"
    with time_machine.travel(ahead), pytest.raises(ConfigurationError, match=words):
        credentials.load(settings.state)


async def test_a_revoked_agent_loses_its_link_within_seconds(chain, host):
    await chain.start_relay()
    settings, identity = await enrolled(chain, host)
    chain.run_agent(settings)
    await chain.relay_sees(1)
    Store(SQLite(chain.folder / "relay-state" / FILE)).revoke(identity.name.agent, int(now().timestamp()))
    await chain.log.wait_for(events.LINK_ENDED, reason="the agent was revoked", limit_s=3)
    failed = await chain.log.wait_for(events.LINK_FAILED, limit_s=3)
    assert "does not accept this agent" in failed["reason"]
    refused = await chain.log.wait_for(events.LINK_REFUSED)
    assert f"agent {identity.name.agent} of tenant acme is revoked" in refused["reason"]


async def test_a_relay_forgets_by_itself_whose_certificate_expired_long_ago(chain, monkeypatch):
    monkeypatch.setattr(service, "TIDY_S", 0.1)
    await chain.start_relay()
    token, ends_s = invite(chain), int(now().timestamp()) - KEPT_S - 60
    store = Store(SQLite(chain.folder / "relay-state" / FILE))
    assert store.enrol(token, EnrolledAgent("0" * 32, "acme", "one", ends_s - 60, ends_s, None))
    forgotten = await chain.log.wait_for(events.AGENT_FORGOTTEN)
    assert (forgotten["tenant"], forgotten["agent"], forgotten["id"]) == ("acme", "one", "0" * 32)
    assert store.agents() == []


async def test_a_store_from_a_backup_learns_of_renewals_since_when_agents_come(chain, host):
    await chain.start_relay()
    settings, identity = await enrolled(chain, host)
    store = Store(SQLite(chain.folder / "relay-state" / FILE))
    store.renew_agent(identity.name.agent, int(now().timestamp()) - KEPT_S - 60)
    chain.run_agent(settings)
    await chain.log.wait_for(events.LINK_CONNECTED)
    assert store.forget_over(int(now().timestamp())) == []
    assert store.agents()[0].ends_s == int(identity.certificate.not_valid_after_utc.timestamp())


def test_a_node_whose_clock_is_hours_behind_knows_what_was_issued_this_minute(tmp_path):
    authority, name, moment = open_authority(tmp_path, now()), AgentName("acme", "0" * 32), now()
    issued = authority.issue(new_request()[1], name, "x", moment, timedelta(days=30))
    assert authority.recognise(issued.public_bytes(Encoding.DER), moment - timedelta(hours=12)) == name
    assert issued.not_valid_after_utc - moment.replace(microsecond=0) == timedelta(days=30)


def test_a_certificate_that_ends_with_its_authority_is_not_renewed_at_once(tmp_path):
    with time_machine.travel(now(), tick=False) as clock:
        authority = open_authority(tmp_path, now())
        clock.move_to(authority.certificate.not_valid_after_utc - timedelta(hours=10))
        key, request = new_request()
        certificate = authority.issue(request, AgentName("acme", "1"), "one", now(), timedelta(days=30))
        identity = credentials.Identity(certificate, AgentName("acme", "1"), tmp_path, key)
        assert not identity.renewal_due(now() + timedelta(hours=6))
        assert identity.renewal_due(now() + timedelta(hours=7))


async def test_a_machine_without_a_thread_to_spare_delays_revocations_and_ends_none(chain, host, monkeypatch):
    await chain.start_relay()
    settings, identity = await enrolled(chain, host)
    chain.run_agent(settings)
    await chain.relay_sees(1)
    with monkeypatch.context() as patched:

        async def without(*_):
            raise RuntimeError("can't start new thread")

        patched.setattr(asyncio, "to_thread", without)
        seen = await chain.log.wait_for(events.STORE_UNAVAILABLE)
    assert "can't start new thread" in seen["reason"]
    Store(SQLite(chain.folder / "relay-state" / FILE)).revoke(identity.name.agent, int(now().timestamp()))
    await chain.log.wait_for(events.LINK_ENDED, reason="the agent was revoked")


async def test_a_tenant_that_a_command_removed_is_gone_within_seconds(chain, host, client):
    store = Store(SQLite(chain.folder / "relay-state" / FILE))
    store.add_tenant("acme")
    await chain.start_relay(tenants=())
    settings, identity = await enrolled(chain, host)
    chain.run_agent(settings)
    await chain.relay_sees(1)
    async with client.get(chain.address()) as response:
        assert response.status == 200
    store.remove_tenant("acme", int(now().timestamp()))
    await chain.log.wait_for(events.LINK_ENDED, id=identity.name.agent, reason="the agent was revoked", limit_s=3)
    async with client.get(chain.address()) as response:
        assert response.status == 404


async def test_the_certificate_of_one_tenant_opens_no_other(chain, host):
    await chain.start_relay()
    settings, identity = await enrolled(chain, host)
    chain.run_agent(msgspec.structs.replace(settings, tenant="other"))
    failed = await chain.log.wait_for(events.LINK_FAILED)
    assert "does not accept this agent" in failed["reason"]
    refused = await chain.log.wait_for(events.LINK_REFUSED)
    assert refused["reason"] == f"agent {identity.name.agent} is of tenant acme"


async def test_an_agent_behind_a_load_balancer_proves_itself_inside_the_link(chain, host, client, monkeypatch):
    # A load balancer ends the TLS, so the client certificate never reaches the relay: here the agent shows none.
    monkeypatch.setattr(credentials.Identity, "add_to", lambda *_: None)
    await chain.start_relay(limits={"bodies_per_address": 1})
    settings, identity = await enrolled(chain, host)
    chain.run_agent(settings)
    await chain.log.wait_for(events.LINK_CONNECTED, id=identity.name.agent)
    async with client.get(chain.address()) as response:
        assert response.status == 200
    # And holds no place of those who have not.
    async with client.ws_connect(f"{chain.url}/link/acme", headers={"Authorization": "Certificate"}) as other:
        assert (await other.receive()).type is aiohttp.WSMsgType.BINARY


async def test_an_agent_behind_a_load_balancer_hears_why_it_is_let_in_no_more(chain, host, monkeypatch):
    monkeypatch.setattr(credentials.Identity, "add_to", lambda *_: None)
    await chain.start_relay()
    settings, identity = await enrolled(chain, host)
    chain.run_agent(settings)
    await chain.relay_sees(1)
    Store(SQLite(chain.folder / "relay-state" / FILE)).revoke(identity.name.agent, int(now().timestamp()))
    # What the agent itself logs names the relay.
    await chain.log.wait_for(events.LINK_ENDED, relay=chain.url, reason="the agent was revoked")
    await chain.log.wait_for(events.LINK_ENDED, relay=chain.url, reason="the certificate is not accepted")
    refused = await chain.log.wait_for(events.LINK_REFUSED)
    assert f"agent {identity.name.agent} of tenant acme is revoked" in refused["reason"]
    fits = lambda found: "ended: the certificate is not accepted" in found["last_error"]  # noqa: E731
    await status_of(settings.state, "agent-status.json", fits)


async def test_a_certificate_without_its_key_proves_nothing(chain, host, monkeypatch):
    monkeypatch.setattr(credentials.Identity, "add_to", lambda *_: None)
    await chain.start_relay()
    settings, identity = await enrolled(chain, host)
    stranger = ec.generate_private_key(ec.SECP256R1())
    stolen = credentials.Identity(identity.certificate, identity.name, identity.file, stranger)
    monkeypatch.setattr("agent.outbound.dialling.load", lambda _: stolen)
    chain.run_agent(settings)
    refused = await chain.log.wait_for(events.LINK_REFUSED)
    assert refused["reason"] == "the certificate is not accepted"


async def test_a_certificate_is_renewed_after_two_thirds_of_its_life(chain, host):
    await chain.start_relay(agent_days=900 / DAY_S)
    settings, first = await enrolled(chain, host)
    # Backdated by five minutes, for 15 more: two thirds are over after some 8 minutes.
    with time_machine.travel(now() + timedelta(minutes=9), tick=True):
        chain.run_agent(settings)
        await chain.log.wait_for(events.CERTIFICATE_RENEWED)
        renewed = credentials.load(settings.state)
    assert renewed.name == first.name
    assert renewed.certificate.not_valid_after_utc > first.certificate.not_valid_after_utc
    assert renewed.key.public_key() != first.key.public_key()


async def test_a_certificate_that_ends_within_a_minute_is_renewed_in_time(chain, host):
    await chain.start_relay(agent_days=0.0005)
    settings, _ = await enrolled(chain, host)
    chain.run_agent(settings)
    await chain.log.wait_for(events.CERTIFICATE_RENEWED)
    await chain.log.wait_for(events.CERTIFICATE_RENEWED, count=2, limit_s=20.0)


async def test_several_links_that_come_about_at_once_ask_for_one_certificate(chain, host):
    await chain.start_relay(agent_days=900 / DAY_S)
    settings, _ = await enrolled(chain, host, links=4)
    with time_machine.travel(now() + timedelta(minutes=9), tick=True):
        chain.run_agent(settings)
        await chain.log.wait_for(events.CERTIFICATE_RENEWED)
        await chain.relay_sees(4)
        await chain.stop(settings.name)
    told = [event for event, _ in chain.log.seen]
    assert told.count(events.AGENT_RENEWED) == 1
    assert events.CERTIFICATE_REFUSED not in told


HELLO = pack(Kind.HELLO, 0, encode(Hello((1, 1), 65_536, "one", "0")))


@pytest.fixture
async def bare(chain, host, client):
    """A WebSocket to the relay with the certificate of an enrolled agent, over which nothing was said yet."""
    await chain.start_relay(heartbeat_s=60.0, dead_s=60.0)
    _, identity = await enrolled(chain, host)
    context = chain.papers.context()
    identity.add_to(context)
    async with client.ws_connect(f"{chain.url}/link/acme", ssl=context) as socket:
        yield socket


async def test_an_agent_gets_no_more_certificates_than_it_may_need(chain, bare):
    await bare.send_bytes(HELLO)
    await chain.relay_sees(1)
    await bare.send_bytes(20 * pack(Kind.RENEW, 0, credentials.new_request()[1]))
    await chain.log.wait_for(events.AGENT_RENEWED)
    with pytest.raises(TimeoutError):
        await chain.log.wait_for(events.AGENT_RENEWED, count=2, limit_s=1.0)


async def test_an_agent_that_asks_with_its_hello_gets_its_next_certificate(chain, bare):
    await bare.send_bytes(HELLO + pack(Kind.RENEW, 0, credentials.new_request()[1]))
    await chain.log.wait_for(events.AGENT_RENEWED)


async def test_an_expired_agent_says_what_to_do_and_recovers_without_a_restart(chain, host):
    await chain.start_relay(agent_days=60 / DAY_S)
    settings, _ = await enrolled(chain, host)
    with time_machine.travel(now() + timedelta(minutes=2), tick=True):
        chain.run_agent(settings)
        failed = await chain.log.wait_for(events.LINK_FAILED)
        assert "set the clock where it is wrong, else ask" in failed["reason"]
        assert "run `provisioning-agent enroll`" in failed["reason"]
        await status_of(settings.state, "agent-status.json", lambda found: found["certificate_days"] == -1)
        await enrolled(chain, host)
        await chain.relay_sees(1)


async def test_an_agent_whose_certificate_is_gone_does_not_pass_for_one_with_a_token(chain, host):
    await chain.start_relay()
    settings, _ = await enrolled(chain, host)
    chain.run_agent(settings)
    await chain.relay_sees(1)
    (settings.state / credentials.IDENTITY_FILE).unlink()
    await status_of(settings.state, "agent-status.json", lambda found: found["certificate_days"] == -1)


async def test_a_link_ends_with_the_certificate_of_its_agent(chain, host):
    await chain.start_relay(agent_days=60 / DAY_S)
    settings, _ = await enrolled(chain, host)
    chain.run_agent(settings)
    await chain.relay_sees(1)
    await chain.log.wait_for(events.CERTIFICATE_RENEWED)
    with time_machine.travel(now() + timedelta(minutes=2), tick=True):
        # What the agent itself logs names the relay.
        await chain.log.wait_for(events.LINK_ENDED, relay=chain.url, reason="the agent's certificate has expired")
        await chain.relay_sees(0)


async def test_an_agent_that_stays_when_its_certificate_has_expired_is_cut_off(chain, host, client):
    await chain.start_relay(agent_days=60 / DAY_S)
    _, identity = await enrolled(chain, host)
    context = chain.papers.context()
    identity.add_to(context)
    async with client.ws_connect(f"{chain.url}/link/acme", ssl=context) as socket:
        await socket.send_bytes(pack(Kind.HELLO, 0, encode(Hello((1, 1), 65_536, "one", "0"))))
        await chain.relay_sees(1)
        with time_machine.travel(now() + timedelta(minutes=12), tick=True):
            await socket.send_bytes(pack(Kind.RENEW, 0, credentials.new_request()[1]))
            await chain.log.wait_for(events.LINK_ENDED, reason="the agent's certificate has expired")
    assert events.AGENT_RENEWED not in [event for event, _ in chain.log.seen]


async def until_the_relay_looked(chain, client):
    invite(chain, "late")
    async with asyncio.timeout(10):
        while (await client.get(chain.address(tenant="late"))).status == 404:  # noqa: ASYNC110 - a look once a second
            await asyncio.sleep(0.05)


async def test_links_of_an_agent_that_renewed_its_certificate_go_on(chain, host, client):
    await chain.start_relay(agent_days=900 / DAY_S)
    settings, _ = await enrolled(chain, host, links=2)
    begin = now()
    with time_machine.travel(begin + timedelta(minutes=9), tick=True):
        chain.run_agent(settings)
        await chain.log.wait_for(events.CERTIFICATE_RENEWED)
        await chain.relay_sees(2)
    with time_machine.travel(begin + timedelta(minutes=17), tick=True):
        await until_the_relay_looked(chain, client)
    assert events.LINK_ENDED not in [event for event, _ in chain.log.seen]


async def test_a_link_that_came_about_while_its_agents_certificate_was_renewed_goes_on(chain, host, client):
    await chain.start_relay(agent_days=60 / DAY_S)
    _, identity = await enrolled(chain, host)
    context, begin, hello = (
        chain.papers.context(),
        now(),
        pack(Kind.HELLO, 0, encode(Hello((1, 1), 65_536, "one", "0"))),
    )
    identity.add_to(context)
    with time_machine.travel(begin + timedelta(seconds=40), tick=True):
        first = await client.ws_connect(f"{chain.url}/link/acme", ssl=context)
        await first.send_bytes(hello)
        await chain.relay_sees(1)
        await first.send_bytes(pack(Kind.RENEW, 0, credentials.new_request()[1]))
        await chain.log.wait_for(events.AGENT_RENEWED)
        second = await client.ws_connect(f"{chain.url}/link/acme", ssl=context)
        await second.send_bytes(hello)
        await chain.relay_sees(2)
    with time_machine.travel(begin + timedelta(seconds=70), tick=True):
        await until_the_relay_looked(chain, client)
        await second.send_bytes(pack(Kind.PING, 0, bytes(PING_BYTES)))
        async with asyncio.timeout(10):
            kinds = {Kind.PING}
            while Kind.PONG not in kinds:
                kinds.add(Kind(HEADER.unpack_from((await second.receive()).data)[0]))
    assert Kind.GOAWAY not in kinds
    await first.close()
    await second.close()


async def test_a_certificate_of_another_authority_is_not_taken(chain, host, tmp_path):
    await chain.start_relay()
    settings, identity = await enrolled(chain, host)
    key, request = new_request()
    other = open_authority(tmp_path / "other", now())
    forged = other.issue(request, identity.name, "one", now(), timedelta(days=1))
    with pytest.raises(EnrolmentRefused, match="not of the authority"):
        credentials.store(settings.state, key, forged.public_bytes(credentials.Encoding.PEM))


def test_an_authority_recognises_its_own_and_nobody_else(tmp_path):
    mine, other = open_authority(tmp_path / "a", now()), open_authority(tmp_path / "b", now())
    name = AgentName("acme", "0" * 32)
    certificate = mine.issue(new_request()[1], name, "x", now(), timedelta(days=1))
    der = certificate.public_bytes(credentials.Encoding.DER)
    assert open_authority(tmp_path / "a", now()).recognise(der, now()) == name
    assert other.recognise(der, now()) is None
    assert mine.recognise(der, now() + timedelta(days=2)) is None
    assert mine.recognise(b"garbage", now()) is None


@pytest.mark.parametrize("request_", [b"", b"garbage", new_request()[1].replace(b"A", b"B")])
def test_a_request_that_is_none_gets_no_certificate(tmp_path, request_):
    with pytest.raises(RequestRefused):
        open_authority(tmp_path, now()).issue(request_, AgentName("acme", "0" * 32), "x", now(), timedelta(days=1))


ODD = ["curve", "kind of key", "signature", "version"]


@pytest.mark.parametrize("what", ODD)
def test_an_odd_certificate_names_nobody_and_proves_nothing(tmp_path, what):
    authority, name = open_authority(tmp_path, now()), AgentName("acme", "0" * 32)
    key, request = new_request()
    odd = odd_certificates(authority.issue(request, name, "x", now(), timedelta(days=1)))[what]
    assert authority.recognise(odd, now()) is None
    if what in {"curve", "kind of key"}:
        assert not is_proven(x509.load_der_x509_certificate(odd), b"c" * 32, prove(key, b"c" * 32))


def test_a_certificate_with_a_name_of_an_unknown_kind_names_nobody():
    assert name_in(self_signed(extensions=[X400_NAME])[0]) is None


@pytest.mark.parametrize("what", ["curve", "kind of key", "signature"])
def test_an_odd_request_gets_no_certificate(tmp_path, what):
    odd = odd_certificates(x509.load_pem_x509_csr(new_request()[1]))[what]
    request = armoured(odd).replace(b"CERTIFICATE", b"CERTIFICATE REQUEST")
    with pytest.raises(RequestRefused):
        open_authority(tmp_path, now()).issue(request, AgentName("acme", "0" * 32), "x", now(), timedelta(days=1))


@pytest.mark.parametrize("what", ODD)
async def test_an_odd_certificate_from_the_relay_is_not_taken_and_whoever_is_enrolled_stays_so(
    chain, host, tmp_path, what
):
    await chain.start_relay()
    settings, identity = await enrolled(chain, host)
    other, (key, request) = open_authority(tmp_path / "other", now()), new_request()
    odd = odd_certificates(other.issue(request, identity.name, "one", now(), timedelta(days=1)))[what]
    answer = EnrolmentAnswer(identity.name.agent, armoured(odd).decode(), other.pem.decode())
    before = {path.name: path.read_bytes() for path in settings.state.iterdir()}
    with pytest.raises(EnrolmentRefused, match="not of the authority"):
        credentials._keep(settings.state, key, answer)
    assert {path.name: path.read_bytes() for path in settings.state.iterdir()} == before


def test_an_authority_with_the_key_of_another_is_refused_by_the_key_that_is_wrong(tmp_path):
    for folder in ("a", "b"):
        open_authority(tmp_path / folder, now())
    (tmp_path / "b" / KEY_FILE).replace(tmp_path / "a" / KEY_FILE)
    with pytest.raises(ConfigurationError, match=r"relay\.agent_authority_key: .* is not the key of the certificate"):
        open_authority(tmp_path / "a", now())


def test_a_missing_authority_sends_nobody_to_a_program_that_makes_another_thing(tmp_path):
    made = open_authority(tmp_path, now())
    (tmp_path / CERTIFICATE_FILE).unlink()
    wanted = r"relay\.agent_authority: .* does not exist\. Take both files, .* from the state of another node"
    with pytest.raises(ConfigurationError, match=wanted) as caught:
        open_authority(tmp_path, now())
    assert made.pem.decode() not in str(caught.value)
    assert "connector-host" not in str(caught.value)


def test_a_proof_fits_one_challenge(tmp_path):
    key, request = new_request()
    name = AgentName("acme", "0" * 32)
    certificate = open_authority(tmp_path, now()).issue(request, name, "x", now(), timedelta(days=1))
    proof = prove(key, b"c" * 32)
    assert isinstance(certificate, x509.Certificate)
    assert name_in(certificate) == name
    assert is_proven(certificate, b"c" * 32, proof)
    assert not is_proven(certificate, b"d" * 32, proof)
    assert not is_proven(certificate, b"", prove(key, b""))


async def test_the_commands_add_list_and_revoke(tmp_path, capsys):
    from agent.cli import main

    config = tmp_path / "relay.toml"
    config.write_text('[relay]\ncertificate = "c"\nkey = "k"\n')
    assert main(["relay", "--config", str(config), "tenant", "add", "acme"]) == 0
    token = capsys.readouterr().out.strip()
    one = EnrolledAgent("0" * 32, "acme", "one", int(now().timestamp()), 0, None)
    assert Store(SQLite(tmp_path / "state" / FILE)).enrol(token, one)
    assert main(["relay", "--config", str(config), "tenant", "add", "No Name"]) == 2
    assert main(["relay", "--config", str(config), "tenant", "add", "beta"]) == 0
    capsys.readouterr()
    assert main(["relay", "--config", str(config), "tenant", "list", "--json"]) == 0
    acme, beta = json.loads(capsys.readouterr().out)
    assert beta == {"name": "beta", "agents": 0, "tokens": 1, "configured": False}
    assert acme == {"name": "acme", "agents": 0, "tokens": 0, "configured": False}
    assert [main(["relay", "--config", str(config), "tenant", "remove", "beta"]) for _ in range(2)] == [0, 1]
    config.write_text(config.read_text() + "[tenants.acme]\n")
    assert main(["relay", "--config", str(config), "tenant", "remove", "acme"]) == 2
    assert "take [tenants.acme] out there" in capsys.readouterr().err
    assert main(["relay", "--config", str(config), "tenant", "list"]) == 0
    assert capsys.readouterr().out.split() == ["TENANT", "AGENTS", "TOKENS", "CONFIGURED", "acme", "0", "0", "yes"]
    assert main(["relay", "--config", str(config), "agent", "revoke", "nobody"]) == 1
    capsys.readouterr()
    assert main(["relay", "--config", str(config), "agent", "list", "--json"]) == 0
    assert [found["id"] for found in json.loads(capsys.readouterr().out)] == [one.id]
