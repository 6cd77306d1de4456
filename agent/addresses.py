"""URLs that an administrator writes, judged when they are read. No error repeats one: a password may stand in it."""

from __future__ import annotations

from typing import Final

from yarl import URL

from agent.errors import ConfigurationError
from connector_host.urls import split

_HTTPS: Final = frozenset({"https"})
_BESIDE: Final = "and the password into agent.proxy_password_file"


def relay_url(text: str) -> URL:
    """Return the relay's URL; raises ConfigurationError where it is not `https://NAME[:PORT]`."""
    return _origin(text, _HTTPS | {"wss"}, "agent.relay", "https://NAME:PORT").with_scheme("https")


def host_url(text: str) -> URL:
    """Return the connector host's URL; raises ConfigurationError where it is not `https://NAME[:PORT]`."""
    return _origin(text, _HTTPS, "agent.host", "https://NAME:PORT")


def proxy_url(text: str) -> URL:
    """Return the URL of an HTTP proxy; raises ConfigurationError where it is not `http://[USER@]NAME:PORT`."""
    return _origin(text, frozenset({"http"}), "agent.proxy", f"http://[USER@]NAME:PORT, {_BESIDE}", user=True)


def upstream_url(text: str) -> str:
    """Return what a signer's requests begin with; raises ConfigurationError where it is not `https://NAME[/PATH]`."""
    _judged(text, _HTTPS, "sign.upstream", "https://NAME[:PORT][/PATH]")
    return text.rstrip("/")


def _origin(text: str, schemes: frozenset[str], key: str, wanted: str, *, user: bool = False) -> URL:
    url = _judged(text, schemes, key, wanted, user=user)
    if url.path != "/":
        raise ConfigurationError(f"{key}: has a path in it: write {wanted}, and no path.")
    return url


def _judged(text: str, schemes: frozenset[str], key: str, wanted: str, *, user: bool = False) -> URL:
    try:
        url = URL(text)
        whole = split(text, schemes) is not None and bool(url.host)
    except ValueError:  # yarl refuses more: a backslash, say
        url, whole = URL(), False
    if not whole:
        raise ConfigurationError(f"{key}: is no such URL, or names no host or port that can be: write {wanted}.")
    if url.password is not None or (url.user and not user) or url.query_string or url.fragment:
        raise ConfigurationError(f"{key}: has a login, a query or a fragment in it: write {wanted}.")
    return url
