"""A new certificate is shown in the next handshake, and no connection that is up notices."""

import asyncio
import socket
import ssl

import pytest

from connector_host import clock
from connector_host.tls.contexts import client_context
from connector_host.tls.issuing import IssuedFiles, issue_files, issue_leaf, write_private, write_public
from connector_host.tls.live import LiveContext
from connector_host.tls.renewal import own_authority
from tests.tls.certificates import write_client


async def echo(reader, writer):
    while line := await reader.readline():
        writer.write(line)
        await writer.drain()
    writer.close()


def serial(writer):
    return writer.get_extra_info("ssl_object").getpeercert()["serialNumber"]


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
async def test_connections_go_on_while_the_certificate_is_exchanged(tmp_path, name):
    files = issue_files(tmp_path, "localhost", clock.now())
    live = LiveContext(files.certificate, files.key)
    trust = client_context(files.authority)
    async with await asyncio.start_server(echo, "127.0.0.1", 0, ssl=live.context) as listener:
        port = listener.sockets[0].getsockname()[1]
        reader, first = await asyncio.open_connection("127.0.0.1", port, ssl=trust, server_hostname=name)
        authority = own_authority(files.certificate)
        leaf = issue_leaf(authority, "localhost", clock.now(), also=("127.0.0.1",))
        write_private(files.key, leaf.key_pem)
        write_public(files.certificate, leaf.certificate_pem)
        live.reload()
        _, second = await asyncio.open_connection("127.0.0.1", port, ssl=trust, server_hostname=name)
        first.write(b"still here\n")
        assert await reader.readline() == b"still here\n"
        assert serial(first) != serial(second)
        for writer in (first, second):
            writer.close()
            await writer.wait_closed()


async def test_only_clients_of_the_given_authority_may_connect(tmp_path):
    files = issue_files(tmp_path / "host", "localhost", clock.now())
    write_client(tmp_path)
    told = []
    authority = tmp_path / "client.pem"
    context = LiveContext(files.certificate, files.key, client_authority=authority, turned_away=told.append).context
    stranger, server, known = (client_context(files.authority) for _ in range(3))
    server.load_cert_chain(files.certificate, files.key)
    known.load_cert_chain(tmp_path / "client.pem", tmp_path / "client.key")
    async with await asyncio.start_server(echo, "127.0.0.1", 0, ssl=context) as listener:
        port = listener.sockets[0].getsockname()[1]
        for other in (stranger, server):
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await _said(port, other)
        assert await _said(port, known) == b"hello\n"
    nothing, unknown = told
    assert nothing == "it showed none"
    assert "certificate" in unknown  # OpenSSL's own words


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_client_whose_authority_was_withdrawn_is_not_let_in_on_an_old_session(tmp_path, version):
    files, clients = issue_files(tmp_path / "host", "localhost", clock.now()), tmp_path / "clients.pem"
    old, new = write_client(tmp_path / "old"), write_client(tmp_path / "new")
    clients.write_bytes(old[0].read_bytes())
    live = LiveContext(files.certificate, files.key, client_authority=clients)
    trust = client_context(files.authority)
    trust.load_cert_chain(*old)
    trust.maximum_version = version
    async with await asyncio.start_server(echo, "127.0.0.1", 0, ssl=live.context) as listener:
        port = listener.sockets[0].getsockname()[1]
        line, session = await asyncio.to_thread(_spoken, port, trust)
        assert line == b"hello\n"
        clients.write_bytes(new[0].read_bytes())
        live.reload()
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.to_thread(_spoken, port, trust, session)
        trust.load_cert_chain(*new)
        assert (await asyncio.to_thread(_spoken, port, trust))[0] == b"hello\n"


def _spoken(port, trust, session=None):
    """Return the answer, and the session to come back with."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=60) as plain,
        trust.wrap_socket(plain, server_hostname="localhost", session=session) as connection,
    ):
        connection.sendall(b"hello\n")
        line = connection.recv(100)
        if not line:
            raise ConnectionError("The server hung up.")
        return line, connection.session


async def _said(port, trust):
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trust, server_hostname="localhost")
    try:
        writer.write(b"hello\n")
        line = await reader.readline()
        if not line:
            raise ConnectionError("The server hung up.")
        return line
    finally:
        writer.close()


def test_an_authority_beside_another_certificate_is_not_its_own(tmp_path):
    issue_files(tmp_path / "a", "localhost", clock.now())
    issue_files(tmp_path / "b", "localhost", clock.now())
    a, b = IssuedFiles.within(tmp_path / "a"), IssuedFiles.within(tmp_path / "b")
    assert own_authority(a.certificate) is not None
    write_public(a.certificate, b.certificate.read_bytes())
    assert own_authority(a.certificate) is None
    a.authority_key.unlink()
    assert own_authority(a.certificate) is None
