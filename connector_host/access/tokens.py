"""Bearer tokens: making one, and telling a valid one from any other without keeping it.

Only SHA-256 hashes are kept. A token that is made here has 32 random bytes, so a plain hash is enough: there is
nothing to guess. One that somebody thought up has 12 characters at least, and the lock-out to protect it.

A file of hashes has one a line, what is known of it, and room for a comment:

    sha256:9f86d081…  name=entra made=2026-11-23 expires=2027-11-23  # asked for by Ada
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import structlog

from connector_host import clock
from connector_host.errors import ConfigurationError
from connector_host.observability import events
from connector_host.small_files import read_small

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

CHARACTERS_MIN: Final = 12
"""As in the product that this one replaces (ecma.md §1.3)."""
TOGETHER_BYTES: Final = 512
"""URL and token together must stay below: directories keep them in small fields."""

_HASH: Final = re.compile(r"sha256:[0-9a-f]{64}")
_ID_DIGITS: Final = 8
_TOKEN_MAX: Final = 1_024
"""Characters; Entra keeps 1 kB for all of its credentials, so no longer token can be in use."""
_WRITING_S: Final = 5.0
"""Seconds after its last modification for which a file may still be half written."""


def make_token() -> str:
    """Return a new token: 32 random bytes in hex digits, since one that begins with a hyphen is taken for an option."""
    return secrets.token_hex(32)


def accept_token(token: str, url: str) -> str:
    """Return a token that somebody thought up; raises ConfigurationError where it is too weak or does not fit."""
    if len(token) < CHARACTERS_MIN:
        raise ConfigurationError(
            f"The token is too short: {CHARACTERS_MIN} characters at least, better none of your own."
        )
    if not re.fullmatch(r"[A-Za-z0-9._~+/-]+=*", token):
        raise ConfigurationError(
            "The token has characters that a header cannot carry: letters, digits and . _ ~ + / - do."
        )
    if len(set(token)) < CHARACTERS_MIN // 2:
        raise ConfigurationError("The token repeats itself: take one that nobody can guess.")
    if len(url.encode()) + len(token.encode()) >= TOGETHER_BYTES:
        raise ConfigurationError(
            f"URL and token together must stay below {TOGETHER_BYTES} bytes: take a shorter token."
        )
    return token


def hash_token(token: str) -> str:
    """Return what is kept of a token: `sha256:` and 64 hex digits."""
    return "sha256:" + hashlib.sha256(token.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class KnownToken:
    """What is kept of one token."""

    hash: str
    name: str = ""
    made: str = ""
    expires: datetime | None = None
    """None never expires; otherwise the first moment at which it is not valid any more."""

    @property
    def id(self) -> str:
        """Return what people and the audit trail call it: the first digits of its hash."""
        return self.hash.removeprefix("sha256:")[:_ID_DIGITS]

    def is_valid(self, now: datetime) -> bool:
        """Return whether it has not expired."""
        return self.expires is None or now < self.expires

    def line(self) -> str:
        """Return it as a line of a file."""
        facts = [f"{key}={value}" for key, value in (("name", self.name), ("made", self.made)) if value]
        if self.expires is not None:
            facts.append(f"expires={self.expires:%Y-%m-%d}")
        return "  ".join([self.hash, " ".join(facts)]).rstrip()


@dataclass(slots=True)
class TokenGate:
    """Knows the valid tokens of one connector, and reads its file again whenever that changes."""

    hashes: tuple[str, ...] = ()
    file: Path | None = None
    _seen: tuple[int, int, int] | None = field(default=None, init=False)
    _from_file: tuple[KnownToken, ...] = field(default=(), init=False)
    _mistakes: tuple[str, ...] = field(default=(), init=False)
    """What is wrong with the file as it was read last."""
    _told: tuple[str, ...] = field(default=(), init=False)
    _missing: tuple[tuple[KnownToken, float], ...] = field(default=(), init=False)
    """What a moment ago stood in the file that was since written in place, and when that was modified."""
    _modified_s: float = field(default=0.0, init=False)
    _inode: int = field(default=0, init=False)
    _configured: tuple[KnownToken, ...] = field(init=False)

    def __post_init__(self) -> None:
        self._configured = tuple(map(KnownToken, self.hashes))

    def admits(self, authorization: str) -> bool:
        """Return whether an Authorization header carries a valid token."""
        return self.recognise(authorization) is not None

    def recognise(self, authorization: str) -> str | None:
        """Return the id of the valid token that an Authorization header carries, or None.

        Every hash is compared, in constant time each, so that the time says nothing about which one came near. What
        is wrong with the file is logged once, and shuts out nobody else: a stranger must not hear of it.
        """
        offered = _offered(authorization)
        if offered is None:
            return None
        found = None
        for known in self._kept():
            if hmac.compare_digest(offered, known.hash) and known.is_valid(clock.now()):
                found = known.id
        self._tell()
        return found

    def pardons(self, authorization: str) -> bool:
        """Return whether a token that was not recognised just now may be valid once the file is written to its end.

        So it is for seconds only, and admits nobody: a token that was revoked does not live on.
        """
        if self.is_blind and _may_be_half_written(self._modified_s):
            return True
        offered, now = _offered(authorization) or "", clock.now()
        return any(
            hmac.compare_digest(offered, known.hash) and known.is_valid(now) and _may_be_half_written(modified_s)
            for known, modified_s in self._missing
        )

    def demand_readable(self) -> None:
        """Log what is wrong with the file; raises ConfigurationError where none of it can be read.

        With that nobody could be told a valid token from a wrong one. A line that is none shuts out nobody else.
        """
        self._kept()
        if self._mistakes and self._seen is None:  # one that makes no sense now may be half written
            raise ConfigurationError(self._mistakes[0])
        self._tell()

    def is_readable(self) -> bool:
        """Look at the file now, and return whether it can be read; what is wrong with it is logged, once."""
        self._kept()
        self._tell()
        return not self.is_blind

    @property
    def is_blind(self) -> bool:
        """Return whether nothing of the file made sense when it was needed last, so that a valid token is not known.

        So it is for a moment, too, where somebody writes it in place; whoever guesses must not profit from either.
        """
        return bool(self._mistakes) and not self._from_file

    def count(self) -> int:
        """Return how many tokens are valid now; raises ConfigurationError as `known` does."""
        now = clock.now()
        return sum(known.is_valid(now) for known in self.known())

    def known(self) -> tuple[KnownToken, ...]:
        """Return every token that is kept, expired ones included.

        Raises ConfigurationError where the file cannot be read, or holds a line that is no hash.
        """
        kept = self._kept()
        if self._mistakes:
            raise ConfigurationError(self._mistakes[0])
        return kept

    def _kept(self) -> tuple[KnownToken, ...]:
        return self._configured + self._read_again()

    def _read_again(self) -> tuple[KnownToken, ...]:
        """Return the tokens of the file; one that is not there admits nobody, and is no mistake."""
        if self.file is None:
            return ()
        facts = None
        try:
            facts = os.stat(self.file)  # noqa: PTH116 - for each request: pathlib's takes twice as long
            seen = (facts.st_mtime_ns, facts.st_size, facts.st_ino)
            if seen != self._seen:
                self._take(*_parse(self.file, read_small(self.file).decode().splitlines()), facts)
                self._seen = seen
        except FileNotFoundError:
            self._take((), (), None)
            self._seen = None
        except (OSError, UnicodeDecodeError) as failure:
            reason = failure.strerror if isinstance(failure, OSError) else "it is no text"
            mend = "Let the account that runs the host read it."
            self._take((), (f"{self.file}: the tokens in it cannot be read ({reason}). {mend}",), facts)
            self._seen = None
        return self._from_file

    def _take(self, tokens: tuple[KnownToken, ...], mistakes: tuple[str, ...], facts: os.stat_result | None) -> None:
        """Keep what was read, and for a moment what is missing of what was read before.

        A file that was put in the place of another, as `token revoke` does, is whole: nothing is missing from it.
        """
        inode, self._modified_s = (facts.st_ino, facts.st_mtime) if facts is not None else (0, 0.0)
        before = (*self._missing, *((known, self._modified_s) for known in self._from_file))
        hashes = {known.hash for known in tokens}
        self._missing = tuple(
            (known, modified_s)
            for known, modified_s in before
            if inode == self._inode and known.hash not in hashes and _may_be_half_written(modified_s)
        )
        self._from_file, self._mistakes, self._inode = tokens, mistakes, inode

    def _tell(self) -> None:
        """Log what is wrong with the file, once."""
        if self._mistakes != self._told:
            self._told = self._mistakes
            for mistake in self._mistakes:
                structlog.get_logger().error(events.TOKENS_UNREADABLE, reason=mistake)


def _offered(authorization: str) -> str | None:
    """Return the hash of the token that an Authorization header carries, or None where it carries none."""
    scheme, _, token = authorization.strip().partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token or len(token) > _TOKEN_MAX:
        return None
    return "sha256:" + hashlib.sha256(token.encode(errors="surrogateescape")).hexdigest()


def _may_be_half_written(modified_s: float) -> bool:
    """Return whether that was just now; a time to come, of a file server whose clock is ahead, is not for ever."""
    return abs(clock.now().timestamp() - modified_s) < _WRITING_S


def _parse(file: Path, lines: Iterable[str]) -> tuple[tuple[KnownToken, ...], tuple[str, ...]]:
    """Return the tokens, and what is wrong with other lines; blank ones and what follows a `#` are passed over."""
    tokens, mistakes = [], []
    for number, line in enumerate(lines, start=1):
        text, *words = line.partition("#")[0].split() or [""]
        if not text:
            continue
        try:
            tokens.append(_token(text, dict(word.partition("=")[::2] for word in words)))
        except ValueError as failure:
            mistakes.append(f"{file}, line {number}: {failure}.")
    return tuple(tokens), tuple(mistakes)


def _token(text: str, facts: dict[str, str]) -> KnownToken:
    if not _HASH.fullmatch(text):
        raise ValueError("is no hash of a token: write sha256: and 64 hex digits")
    return KnownToken(text, facts.get("name", ""), facts.get("made", ""), _moment(facts))


def _moment(facts: dict[str, str]) -> datetime | None:
    text = facts.get("expires")
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        # An expiry that cannot be read must not make a token live for ever.
        raise ValueError(f"expires={text} is no date such as 2027-11-23") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
