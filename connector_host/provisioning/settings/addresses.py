"""Addresses that secrets and personal data are sent to: encrypted, unless they never leave this machine."""

from __future__ import annotations

from typing import Final
from urllib.parse import SplitResult, urlsplit

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
PORT_MAX: Final = 65_535


def is_loopback(url: str) -> bool:
    """Return whether the address is this machine's own."""
    return urlsplit(url).hostname in LOOPBACK


def split(url: str, schemes: frozenset[str]) -> SplitResult | None:
    """Return the parts of a URL, None where it has no host, no port that is one, or another scheme.

    `:99999` would only be noticed when something is sent.
    """
    try:
        parts = urlsplit(url)
        whole = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    return None if not whole or any(part.isspace() for part in parts.netloc) else parts


def checked_database(url: str, example: str) -> str:
    """Return the SQLAlchemy URL; raises ValueError, with the mend, where it is none or its port cannot be one."""
    try:
        port = sa.make_url(url).port
    except ArgumentError:
        raise ValueError(f"is no SQLAlchemy URL: write {example}") from None
    except ValueError:
        port = 0
    if port is not None and not 0 < port <= PORT_MAX:
        raise ValueError(f"its port is none: write a number up to {PORT_MAX}, or leave it out ({example})")
    return url


def checked_https(url: str, example: str) -> str:
    """Return the URL without a slash at its end; raises ValueError, with the mend, where it is none or unencrypted."""
    parts = split(url, frozenset({"http", "https"}))
    if parts is None:
        raise ValueError(f"is no URL: write {example}")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise ValueError("is sent in the clear, secret and users alike: write https://")
    if parts.username or parts.password or parts.fragment:
        raise ValueError("has a login or a fragment in it: write the address only")
    return url.rstrip("/")
