"""The relay takes a renewed certificate over while it serves, and never one that is not for its name."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import time
from datetime import timedelta

import pytest
from cryptography import x509
from yarl import URL

from agent import events
from agent.outbound.credentials import enrol
from agent.relay import certificate
from agent.relay.authority import CERTIFICATE_FILE, KEY_FILE
from agent.relay.reporting import STATUS_FILE
from agent.settings import RelaySettings
from agent.status import RelayStatus, read, words
from connector_host.clock import now
from connector_host.tls.issuing import issue_authority, issue_leaf
from tests.agent.chain import issue_papers
from tests.agent.relay.test_enrolment import invite
from tests.agent.test_status import status_of
from tests.tls.certificates import self_signed


@pytest.fixture
async def renewable(chain, tmp_path, papers, monkeypatch):
    """A chain whose relay runs, with certificate files that a test may replace."""
    monkeypatch.setattr(certificate, "LOOK_S", 0.05)
    chain.papers = issue_papers(tmp_path)
    await chain.start_relay()
    return chain


def replace(papers, new):
    for name in ("key", "certificate"):
        shutil.copy(getattr(new, name), getattr(papers, name))


async def shown_by(chain):
    """Return the certificate that the relay shows, whoever issued it."""
    pem = await asyncio.to_thread(ssl.get_server_certificate, ("localhost", chain.port))
    return x509.load_pem_x509_certificate(pem.encode())


async def test_a_renewed_certificate_is_shown_from_the_next_handshake_on(renewable, papers):
    before = await shown_by(renewable)
    replace(renewable.papers, papers)
    await renewable.log.wait_for(events.CERTIFICATE_TAKEN)
    after = await shown_by(renewable)
    assert after.serial_number != before.serial_number
    assert after == x509.load_pem_x509_certificate(papers.certificate.read_bytes())


async def test_a_certificate_for_another_name_is_refused_and_the_old_one_goes_on(renewable, tmp_path_factory):
    before = await shown_by(renewable)
    replace(renewable.papers, issue_papers(tmp_path_factory.mktemp("other"), "other.example.org"))
    refused = await renewable.log.wait_for(events.CERTIFICATE_REFUSED)
    assert "not for localhost" in refused["reason"]
    assert "`name` in [relay]" in refused["reason"]
    assert await shown_by(renewable) == before


async def test_the_status_tells_of_a_new_certificate_that_is_refused_until_another_one_is_taken(
    renewable, papers, tmp_path_factory, monkeypatch
):
    monkeypatch.setattr("agent.status.EVERY_S", 0.05)
    replace(renewable.papers, issue_papers(tmp_path_factory.mktemp("other"), "other.example.org"))
    folder = renewable.folder / "relay-state"
    await status_of(folder, STATUS_FILE, lambda status: status["troubles"])
    told = words(read(folder / STATUS_FILE, RelayStatus, time.time()), time.time())
    assert "Trouble: the new certificate is refused, and the old one goes on: " in told
    assert "not for localhost" in told
    replace(renewable.papers, papers)
    await status_of(folder, STATUS_FILE, lambda status: not status["troubles"])


async def test_a_look_that_fails_unforeseen_does_not_end_the_watch(tmp_path, papers, caplog, monkeypatch):
    monkeypatch.setattr(certificate, "LOOK_S", 0.01)
    caplog.set_level("INFO")
    (tmp_path / "own").mkdir()
    own = issue_papers(tmp_path / "own")
    settings = RelaySettings(name="localhost", certificate=own.certificate, key=own.key)
    authority = x509.load_pem_x509_certificate(papers.authority.read_bytes())
    live = certificate.LiveCertificate(settings, authority)
    watch = asyncio.create_task(live.keep())
    try:
        live._authority = None  # nothing that anybody would check for
        replace(own, papers)
        await _until(lambda: events.CERTIFICATE_REFUSED in caplog.messages)
        live._authority = authority
        replace(own, issue_papers(tmp_path))
        await _until(lambda: events.CERTIFICATE_TAKEN in caplog.messages)
    finally:
        watch.cancel()


async def test_the_status_goes_on_while_the_files_of_the_certificate_are_away(renewable, monkeypatch):
    monkeypatch.setattr("agent.status.EVERY_S", 0.05)
    renewable.papers.certificate.unlink()
    await renewable.log.wait_for(events.CERTIFICATE_REFUSED)
    (renewable.folder / "relay-state" / STATUS_FILE).unlink()
    found = await status_of(renewable.folder / "relay-state", STATUS_FILE, lambda status: status["authority_days"])
    assert found["certificate_days"] > 300


def test_an_end_that_comes_near_is_told_once_on_each_of_a_few_days(caplog):
    (leaf, _), countdown = self_signed(end=365), certificate.Countdown("The certificate", "Renew it.")
    end = leaf.not_valid_after_utc
    for left in (61, 60, 59, 30, 29, 7, 2, 1, 0, -1, -2):
        countdown.look(leaf, end - timedelta(days=left))
    facts = [record.fields["fact"] for record in caplog.records]
    assert facts == [f"The certificate {word} on {end:%Y-%m-%d %H:%M} UTC." for word in ["ends"] * 4 + ["ended"]]
    for left in (400, 60):
        countdown.look(leaf, end - timedelta(days=left))
    assert len(caplog.records) == 6, "a new certificate begins anew"


def test_an_end_that_is_near_at_the_start_is_told_once(tmp_path, caplog):
    moment = now() - timedelta(days=70)
    issued = issue_leaf(issue_authority("an authority", moment), "localhost", moment, days=90)
    settings = RelaySettings(name="localhost", certificate=tmp_path / "certificate.pem", key=tmp_path / "key.pem")
    settings.certificate.write_bytes(issued.certificate_pem)
    settings.key.write_bytes(issued.key_pem)
    settings.key.chmod(0o600)
    certificate.LiveCertificate(settings, issue_authority("for agents", now()).certificate).warn(now())
    assert caplog.messages == [events.CERTIFICATE_WARNING]
    assert "The relay's certificate ends on" in caplog.records[0].fields["fact"]


async def test_whoever_shows_a_certificate_of_another_authority_is_told_of(renewable, host, tmp_path):
    settings = renewable.agent_settings(host.url)
    await enrol(settings, URL(renewable.url), settings.state, invite(renewable))
    await renewable.stop("relay")
    for file in (CERTIFICATE_FILE, KEY_FILE):
        (renewable.folder / "relay-state" / file).unlink()
    await renewable.start_relay()
    renewable.run_agent(settings)
    refused = await renewable.log.wait_for(events.LINK_REFUSED)
    assert (refused["peer"], "is not of this relay's authority" in refused["reason"]) == ("127.0.0.1", True)
    failed = await renewable.log.wait_for(events.LINK_FAILED)
    assert "enrol anew" in failed["reason"]


async def _until(held):
    async with asyncio.timeout(60):
        while not held():  # noqa: ASYNC110 - what changes is plain data
            await asyncio.sleep(0.01)


async def test_agents_still_show_their_certificate_in_the_handshake_after_a_renewal(
    renewable, papers, host, monkeypatch
):
    # No proof inside the link counts here, so only the handshake can let the agent in.
    monkeypatch.setattr("agent.relay.admission.is_proven", lambda *_: False)
    settings = renewable.agent_settings(host.url)
    identity = await enrol(settings, URL(renewable.url), settings.state, invite(renewable))
    shutil.copy(papers.authority, renewable.papers.authority)
    replace(renewable.papers, papers)
    await renewable.log.wait_for(events.CERTIFICATE_TAKEN)
    renewable.run_agent(settings)
    connected = await renewable.log.wait_for(events.LINK_CONNECTED, id=identity.name.agent)
    assert connected["tenant"] == "acme"
