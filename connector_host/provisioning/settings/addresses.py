"""Addresses that secrets and personal data are sent to: encrypted, unless they never leave this machine."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from connector_host.settings import refuse_uri
from connector_host.urls import split

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
PORT_MAX: Final = 65_535

DATABASE_URL: Final = re.compile(
    r"[\w+]+://(?:[^:/@]*(?P<password>:[^@]*)?@)?(?:\[[^/?]+\]|[^/:?]+)?(?::(?P<port>[^/?]*))?(?:[/?]|$)"
)
"""The beginning of a SQLAlchemy URL, split as SQLAlchemy does: a password goes on to the first `@`."""


def is_loopback(url: str) -> bool:
    """Return whether the address is this machine's own."""
    return urlsplit(url).hostname in LOOPBACK


def database_parts(url: str, example: str) -> re.Match[str]:
    """Return the parts of a SQLAlchemy URL; raises ValueError, with the mend, where it or its port is none."""
    parts = DATABASE_URL.match(url)
    if parts is None:
        raise ValueError(f"is no SQLAlchemy URL: write {example}")
    refuse_uri(url)
    port = parts["port"]
    if port and not (port.isdecimal() and 0 < int(port) <= PORT_MAX):
        raise ValueError(f"its port is none: write a number up to {PORT_MAX}, or leave it out ({example})")
    return parts


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
