"""Bearer tokens: making one, and telling a valid one from any other without keeping it.

Only SHA-256 hashes are kept. A token is 32 random bytes, so a plain hash is enough: there is nothing to guess.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from connector_host.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_HASH: Final = re.compile(r"sha256:[0-9a-f]{64}")
_TOKEN_MAX: Final = 1_024
"""Characters; Entra keeps 1 kB for all of its credentials, so no longer token can be in use."""


def make_token() -> str:
    """Return a new token: 32 random bytes as 43 characters of base64url."""
    return secrets.token_urlsafe(32)


def hash_token(token: str) -> str:
    """Return what is kept of a token: `sha256:` and 64 hex digits."""
    return "sha256:" + hashlib.sha256(token.encode(errors="surrogateescape")).hexdigest()


@dataclass(slots=True)
class TokenGate:
    """Knows the valid tokens of one connector, and reads its file again whenever that changes."""

    hashes: tuple[str, ...] = ()
    file: Path | None = None
    _seen: tuple[int, int, int] | None = field(default=None, init=False)
    _from_file: tuple[str, ...] = field(default=(), init=False)

    def admits(self, authorization: str) -> bool:
        """Return whether an Authorization header carries a valid token; every hash is compared in constant time.

        Raises ConfigurationError where the file holds a line that is no hash.
        """
        scheme, _, token = authorization.strip().partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token or len(token) > _TOKEN_MAX:
            return False
        offered = hash_token(token)
        # Every hash is looked at, so that the time says nothing about which one came near.
        return sum(hmac.compare_digest(offered, known) for known in self._known()) > 0

    def count(self) -> int:
        """Return how many tokens are valid now; raises ConfigurationError as `admits` does."""
        return len(self._known())

    def _known(self) -> tuple[str, ...]:
        return self.hashes + self._read_again()

    def _read_again(self) -> tuple[str, ...]:
        """Return the hashes of the file; a file that is gone for a moment admits nobody, and is no error."""
        if self.file is None:
            return ()
        try:
            facts = self.file.stat()
            seen = (facts.st_mtime_ns, facts.st_size, facts.st_ino)
            if seen != self._seen:
                self._from_file = _parse(self.file, self.file.read_text(encoding="utf-8").splitlines())
                self._seen = seen
        except OSError:
            self._from_file, self._seen = (), None
        return self._from_file


def refuse_all() -> TokenGate:
    """Return a gate without any token, for names that nobody serves: the answer takes the same way."""
    return TokenGate()


def _parse(file: Path, lines: Iterable[str]) -> tuple[str, ...]:
    """Return the hashes; blank lines and lines with `#` in front are passed over."""
    hashes = []
    for number, line in enumerate(lines, start=1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        if not _HASH.fullmatch(text):
            raise ConfigurationError(f"{file}, line {number}: is no hash of a token: write sha256: and 64 hex digits.")
        hashes.append(text)
    return tuple(hashes)
