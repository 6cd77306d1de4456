"""Addresses that secrets and personal data are sent to: encrypted, unless they never leave this machine."""

from __future__ import annotations

from typing import Final
from urllib.parse import SplitResult, urlsplit

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def is_loopback(url: str) -> bool:
    """Return whether the address is this machine's own."""
    return urlsplit(url).hostname in LOOPBACK


def has_a_port(parts: SplitResult) -> bool:
    """Return whether the port is one, or left out; `:99999` would only be noticed when something is sent."""
    try:
        return parts.port != 0
    except ValueError:
        return False


def checked_https(url: str, example: str) -> str:
    """Return the URL without a slash at its end; raises ValueError, with the mend, where it is none or unencrypted."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or not has_a_port(parts):
        raise ValueError(f"is no URL: write {example}")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise ValueError("is sent in the clear, secret and users alike: write https://")
    if parts.username or parts.password or parts.fragment:
        raise ValueError("has a login or a fragment in it: write the address only")
    return url.rstrip("/")
