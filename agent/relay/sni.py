"""Which host name a TLS client asks for, read from its first bytes without taking them (RFC 6066 §3).

OpenSSL reads the ClientHello: it is fed a copy, names the host, and is told to stop before it would answer.
"""

from __future__ import annotations

import ssl
from typing import Final

from connector_host.tls.hellos import pass_over_odd_names

HELLO_BYTES: Final = 16_389
"""The longest TLS record: a ClientHello that needs more names no host that we serve."""


class Incomplete(Exception):
    """More of the ClientHello is still to come."""


class NameReader:
    """Reads names, one connection after the other."""

    def __init__(self) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        pass_over_odd_names()
        self._context.sni_callback = self._note
        self._found: str | None = None

    def server_name(self, beginning: bytes) -> str | None:
        """Return the name in this beginning of a TLS connection, lower-case; None where it names none or is no TLS.

        Raises Incomplete where more bytes are needed to know.
        """
        self._found = None
        incoming = ssl.MemoryBIO()
        incoming.write(beginning)
        try:
            self._context.wrap_bio(incoming, ssl.MemoryBIO(), server_side=True).do_handshake()
        except ssl.SSLWantReadError:
            raise Incomplete from None
        except ssl.SSLError:
            pass  # It was told to stop, or this is no TLS: then no name was found.
        return self._found

    def _note(self, _: ssl.SSLObject | ssl.SSLSocket, name: str | None, __: ssl.SSLContext) -> int:
        self._found = None if name is None else name.lower()
        return ssl.ALERT_DESCRIPTION_USER_CANCELLED
