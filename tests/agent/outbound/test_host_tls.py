"""A host that demands a certificate of its clients gets the agent's, and whoever shows a wrong one is told so."""

from __future__ import annotations

import errno
import socket

import pytest

from agent import events
from agent.errors import ConfigurationError, system_words
from agent.outbound.host_tls import HostTls
from tests.agent.chain import host_server, issue_papers, scim_client
from tests.tls.certificates import write_client

KEYS = ("host_client_certificate", "host_client_key")


@pytest.fixture
def files(tmp_path):
    return write_client(tmp_path)


@pytest.fixture
async def strict(papers, files):
    """A host that knows this one client."""
    authority = files[0].with_name("clients.pem")
    authority.write_bytes(files[0].read_bytes())
    async with host_server(papers, clients=authority) as server:
        yield server


async def test_the_host_is_shown_the_certificate_that_it_demands(chain, strict, client, files):
    await chain.start_relay()
    await chain.start_agent(strict.url, **dict(zip(KEYS, files, strict=True)))
    async with client.post(chain.address(), data=b"{}") as response:
        assert response.status == 200
    assert len(strict.asked) == 1


@pytest.mark.parametrize("others", [False, True])
async def test_an_agent_that_shows_none_or_another_one_says_so_and_gets_nothing_in(chain, strict, files, log, others):
    shows = dict(zip(KEYS, write_client(files[0].parent / "others"), strict=True))
    await chain.start_relay()
    await chain.start_agent(strict.url, **(shows if others else {}))
    assert "host_client_certificate" in (await log.wait_for(events.HOST_PROBED))["detail"]
    async with scim_client(chain.papers) as client, client.post(chain.address(), data=b"{}") as response:
        assert response.status == 502
        detail = (await response.json(content_type=None))["detail"]
    assert "host_client_certificate" in detail
    assert "Nothing was done" in detail, "it is known before the write is sent"
    assert not strict.asked


async def test_exchanged_files_are_shown_from_the_next_connection_on(chain, papers, client, files, log):
    new = write_client(files[0].parent / "new")
    async with host_server(papers, clients=new[0]) as host:
        await chain.start_relay()
        await chain.start_agent(host.url, **dict(zip(KEYS, files, strict=True)))
        await log.wait_for(events.HOST_PROBED, reachable=False)
        for old, file in zip(files, new, strict=True):
            file.replace(old)
        await log.wait_for(events.HOST_PROBED, reachable=True)
        async with client.post(chain.address(), data=b"{}") as response:
            assert response.status == 200


def readable_by_all(key):
    key.chmod(0o644)
    return key


async def test_another_authority_of_the_host_is_believed_from_the_next_connection_on(chain, client, log, tmp_path):
    (folder := tmp_path / "next").mkdir()
    (trust := tmp_path / "trust.pem").write_bytes(chain.papers.authority.read_bytes())
    async with host_server(papers := issue_papers(folder)) as host:
        await chain.start_relay()
        await chain.start_agent(host.url, host_trust=trust)
        await log.wait_for(events.HOST_PROBED, reachable=False)
        papers.authority.replace(trust)
        await log.wait_for(events.HOST_PROBED, reachable=True)
        async with client.post(chain.address(), data=b"{}") as response:
            assert response.status == 200


@pytest.mark.parametrize("content", [b"", None])
async def test_an_authority_that_cannot_be_used_leaves_the_one_before_in_force(papers, log, tmp_path, content):
    (trust := tmp_path / "trust.pem").write_bytes(papers.authority.read_bytes())
    one = HostTls(trust, None, None)
    before = one.context()
    trust.unlink() if content is None else trust.write_bytes(content)
    assert one.context() is before
    assert "agent.host_trust" in (await log.wait_for(events.CERTIFICATE_WARNING))["fact"]


async def test_files_that_do_not_belong_together_leave_the_ones_before_in_force(papers, files, log):
    one = HostTls(papers.authority, *files)
    before = one.context()
    files[0].write_bytes(write_client(files[0].parent / "other")[0].read_bytes())
    assert one.context() is before
    warning = await log.wait_for(events.CERTIFICATE_WARNING)
    assert "is not the key of the certificate" in warning["fact"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda _c, k: (None, k), "host_client_certificate: is missing"),
        (lambda c, _k: (c, None), "host_client_key: is missing"),
        (lambda c, k: (c, k.with_name("none.key")), "none.key"),
        (lambda c, _k: write_client(c.parent, begin=-900, end=-800), "expired on"),
        (lambda c, k: (write_client(c.parent / "other")[0], k), "is not the key of the certificate"),
        (lambda c, k: (c, readable_by_all(k)), "host_client_key: everybody on this machine may use"),
    ],
)
def test_files_that_cannot_be_used_stop_the_agent_at_its_start(papers, files, change, words):
    with pytest.raises(ConfigurationError, match=words):
        HostTls(papers.authority, *change(*files))


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed ('::1', 1)"), "Connection refused"),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "Name or service not known"),
        (OSError("Multiple exceptions: one, another"), "Multiple exceptions: one, another"),
    ],
)
def test_what_the_system_says_of_a_host_is_told_in_its_words(fault, words):
    assert system_words(fault) == words
