"""A server's TLS context whose certificate, and whose clients' authority, can be exchanged while it serves.

Each new handshake takes what is current at that moment; connections that are up keep theirs.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from connector_host.tls.contexts import server_context
from connector_host.tls.hellos import pass_over_odd_names

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class LiveContext:
    """Owns the context that a listener was given, and the one that the next handshake uses."""

    def __init__(
        self,
        certificate: Path,
        key: Path,
        *,
        client_authority: Path | None = None,
        turned_away: Callable[[str], None] = lambda _reason: None,
    ) -> None:
        """Raise as `server_context` does; `turned_away` hears why a client's certificate was not accepted."""
        self.certificate, self.key, self.client_authority = certificate, key, client_authority
        self.context = self._load()
        """What the listener is given, once."""
        self._current = self.context
        pass_over_odd_names()
        # Called in every handshake, also where the client names no server (it then gets None).
        self.context.sni_callback = self._choose
        if client_authority is not None:
            self.context.sslobject_class = _telling(turned_away)

    def reload(self) -> None:
        """Take the files as they are now for every handshake from here on; raises as `server_context` does."""
        self._current = self._load()

    def _load(self) -> ssl.SSLContext:
        return server_context(self.certificate, self.key, client_authority=self.client_authority)

    def _choose(self, connection: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = self._current


def _telling(turned_away: Callable[[str], None]) -> type[ssl.SSLObject]:
    """Return connections that tell whom they turn away: asyncio drops what a handshake raises, and its alert."""

    class Telling(ssl.SSLObject):
        def do_handshake(self) -> None:
            try:
                super().do_handshake()
            except ssl.SSLCertVerificationError as failure:
                turned_away(failure.verify_message)
                raise
            except ssl.SSLError as failure:
                if failure.reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
                    turned_away("it showed none")
                raise

    return Telling
