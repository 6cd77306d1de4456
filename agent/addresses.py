"""URLs that an administrator writes, judged when they are read. No error repeats one: a password may stand in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.request import getproxies_environment, proxy_bypass

from yarl import URL

from agent.errors import ConfigurationError
from connector_host.urls import split

if TYPE_CHECKING:
    from collections.abc import Iterable

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


def judge_environment(hosts: Iterable[str | None]) -> None:
    """Refuse what HTTPS_PROXY holds and is no proxy, where one of these hosts is reached through it.

    aiohttp, which reads it for each connection, knows no better then than to repeat it, password and all.
    """
    text = getproxies_environment().get("https")
    if text is None or all(proxy_bypass(host or "") for host in hosts):
        return
    wanted = "http://[USER:PASSWORD@]NAME:PORT, or name what needs no proxy in NO_PROXY"
    _judged(text, _HTTPS | {"http"}, "HTTPS_PROXY", wanted, user=True, password=True)


def upstream_url(text: str) -> str:
    """Return what a signer's requests begin with; raises ConfigurationError where it is not `https://NAME[/PATH]`."""
    _judged(text, _HTTPS, "sign.upstream", "https://NAME[:PORT][/PATH]")
    return text.rstrip("/")


def _origin(text: str, schemes: frozenset[str], key: str, wanted: str, *, user: bool = False) -> URL:
    url = _judged(text, schemes, key, wanted, user=user)
    if url.path != "/":
        raise ConfigurationError(f"{key}: has a path in it: write {wanted}, and no path.")
    return url


def _judged(  # noqa: PLR0913 - which parts a URL may have
    text: str, schemes: frozenset[str], key: str, wanted: str, *, user: bool = False, password: bool = False
) -> URL:
    try:
        url = URL(text)
        whole = split(text, schemes) is not None and bool(url.host)
    except ValueError:  # yarl refuses more: a backslash, say
        url, whole = URL(), False
    if not whole:
        raise ConfigurationError(f"{key}: is no such URL, or names no host or port that can be: write {wanted}.")
    if (url.password is not None and not password) or (url.user and not user) or url.query_string or url.fragment:
        raise ConfigurationError(f"{key}: has a login, a query or a fragment in it: write {wanted}.")
    return url
