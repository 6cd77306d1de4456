"""The host's own token, where the agent adds it to requests: then neither the relay nor its clients ever see it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from agent.errors import ConfigurationError
from agent.secrets import read_secret
from connector_host.clock import monotonic_s

if TYPE_CHECKING:
    from pathlib import Path

AGAIN_S: Final = 5.0
"""Seconds after which the file is read again, so that a token can be replaced without a restart."""

_AUTHORIZATION: Final = re.compile(rb"^authorization: [^\r]*\r\n", re.IGNORECASE | re.MULTILINE)
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")


class HostToken:
    """The token in a file; without a file, requests keep what the client sent."""

    def __init__(self, file: Path | None) -> None:
        """Read the file; raises ConfigurationError where it holds no token."""
        self._file = file
        self._line = b"" if file is None else _read(file)
        self._read_s = monotonic_s()

    @property
    def is_own(self) -> bool:
        """Return whether requests get the host's token here."""
        return self._file is not None

    def read_again(self) -> bool:
        """Read the file now, because the host does not accept the token; return whether another one stands there."""
        before = self._line
        if self._file is not None:
            self._refresh(self._file)
        return self._line != before

    def put_into(self, block: bytes) -> bytes:
        """Return the header block with the host's token in place of whatever the client sent."""
        if self._file is None:
            return block
        if monotonic_s() - self._read_s > AGAIN_S:
            self._refresh(self._file)
        return _AUTHORIZATION.sub(b"", block) + self._line

    def _refresh(self, file: Path) -> None:
        self._read_s = monotonic_s()
        try:
            self._line = _read(file)
        except ConfigurationError:
            # Somebody is replacing the file just now; the token that was good a moment ago is the best guess.
            return


def _read(file: Path) -> bytes:
    token = read_secret(file, "agent.host_token_file")
    if not _TOKEN.fullmatch(token):
        raise ConfigurationError(f"agent.host_token_file: {file} holds no bearer token (RFC 6750 §2.1).")
    return f"Authorization: Bearer {token}\r\n".encode("ascii")
