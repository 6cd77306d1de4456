"""Both ends speak modern TLS only, and the client believes its anchor and nothing else."""

import asyncio
import ssl

import pytest

from connector_host import clock
from connector_host.tls.contexts import client_context, server_context
from connector_host.tls.issuing import issue_authority, issue_files, write_public


@pytest.fixture
def files(tmp_path):
    return issue_files(tmp_path / "tls", "hr.example.org", clock.now())


async def handshake(server, client, name="localhost"):
    """Return the TLS version that both ends agree on."""

    async def greet(_reader, writer):
        writer.write(b"hello\n")
        await writer.drain()
        writer.close()

    listener = await asyncio.start_server(greet, "127.0.0.1", 0, ssl=server)
    async with listener:
        port = listener.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client, server_hostname=name)
        version = writer.get_extra_info("ssl_object").version()
        assert await reader.readline() == b"hello\n"
        writer.close()
        return version


@pytest.mark.parametrize("name", ["localhost", "hr.example.org", "127.0.0.1"])
async def test_the_two_ends_meet_over_tls_1_3(files, name):
    client = client_context(files.authority)
    assert await handshake(server_context(files.certificate, files.key), client, name) == "TLSv1.3"


async def test_a_client_of_tls_1_2_gets_forward_secrecy(files):
    client = client_context(files.authority)
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    assert await handshake(server_context(files.certificate, files.key), client) == "TLSv1.2"


async def test_a_hosts_own_certificate_may_be_the_anchor(files):
    client = client_context(files.certificate)
    assert await handshake(server_context(files.certificate, files.key), client) == "TLSv1.3"


async def test_another_authority_is_not_believed(files, tmp_path):
    stranger = tmp_path / "stranger.pem"
    write_public(stranger, issue_authority("stranger", clock.now()).certificate_pem)
    with pytest.raises(ssl.SSLCertVerificationError):
        await handshake(server_context(files.certificate, files.key), client_context(stranger))
    with pytest.raises(ssl.SSLCertVerificationError):
        await handshake(server_context(files.certificate, files.key), client_context())


async def test_another_name_is_not_believed(files):
    with pytest.raises(ssl.SSLCertVerificationError):
        await handshake(server_context(files.certificate, files.key), client_context(files.authority), "other.example")


def test_nothing_below_tls_1_2_and_no_weak_cipher_is_offered(files):
    for context in (server_context(files.certificate, files.key), client_context()):
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2
        assert all(cipher["aead"] and cipher["strength_bits"] >= 128 for cipher in context.get_ciphers())
