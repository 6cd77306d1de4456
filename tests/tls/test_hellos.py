"""Names that Python cannot read end the handshake, and no more: a stranger writes nothing to the log with them."""

import ssl
import sys

import pytest

from connector_host.tls.hellos import pass_over_odd_names

NAME = "hr.example.org"


@pytest.fixture
def told(monkeypatch):
    heard = []
    monkeypatch.setattr(sys, "unraisablehook", heard.append)
    return heard


def greet(name, called):
    """Have a server read a hello that asks for this name, of as many bytes as NAME."""
    outgoing, incoming = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=NAME)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    hello = outgoing.read()
    assert (hello.count(NAME.encode()), len(name)) == (1, len(NAME))
    incoming.write(hello.replace(NAME.encode(), name))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sni_callback = called
    with pytest.raises(ssl.SSLError):
        context.wrap_bio(incoming, ssl.MemoryBIO(), server_side=True).do_handshake()


def test_a_name_that_cannot_be_read_is_passed_over(told):
    odd = b"hr.\xff\xfe\xfd\nab.org."
    greet(odd, lambda *_: None)
    assert len(told) == 1, "else Python says nothing by itself any more, and this module can go"
    for _ in range(2):
        pass_over_odd_names()
    greet(odd, lambda *_: None)
    assert len(told) == 1


def test_whatever_else_nobody_catches_is_still_told(told):
    def failing(*_):
        b"\xff".decode("ascii")

    pass_over_odd_names()
    greet(NAME.encode(), failing)
    assert [type(unraisable.exc_value) for unraisable in told] == [UnicodeDecodeError]
