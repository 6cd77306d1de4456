"""Whether a text is the URL of a service that can be reached: judged when it is read, and not when it is used."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit


def split(url: str, schemes: frozenset[str]) -> SplitResult | None:
    """Return the parts of a URL, None where it has no host, no port that is one, or another scheme.

    `:99999`, or a host that DNS has no way to write (`..org`), would only be noticed when something is sent.
    """
    try:
        parts = urlsplit(url)
        whole = parts.scheme in schemes and bool((parts.hostname or "").encode("idna")) and parts.port != 0
    except ValueError:
        return None
    return None if not whole or any(part.isspace() for part in parts.netloc) else parts
