"""URLs that an administrator writes, judged when they are read. No error repeats one: a password may stand in it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.request import getproxies, getproxies_environment, proxy_bypass

from aiohttp import encode_basic_auth
from yarl import URL

from agent.errors import ConfigurationError
from connector_host.urls import split

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Proxy:
    """The HTTP proxy of a connection, as arguments of aiohttp; None where there is none."""

    url: URL | None = None
    headers: dict[str, str] | None = None


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


def proxy_with_login(url: URL, password: str) -> Proxy:
    """Return the proxy at this URL, with the login of its user where it names one."""
    if url.user is None:
        return Proxy(url)
    return Proxy(url.with_user(None), {"Proxy-Authorization": encode_basic_auth(url.user, password)})


def environment_proxy(url: URL) -> Proxy:
    """Return the proxy that the environment names for this URL.

    aiohttp's own `trust_env` would take a login from ~/.netrc besides, for the relay, too, and pass over a port in
    NO_PROXY.
    """
    text = getproxies().get("https")
    if text is None or _needs_none(url):
        return Proxy()
    proxy = URL(text)
    # What a system's own settings name is judged by nobody.
    return proxy_with_login(proxy, proxy.password or "") if proxy.scheme == "http" else Proxy()


def judge_environment(urls: Iterable[URL]) -> None:
    """Refuse what HTTPS_PROXY or https_proxy holds and is no HTTP proxy, where one of these URLs is reached so.

    TLS to the proxy is refused, too: a connection that passed it by would be a surprise.
    """
    text = getproxies_environment().get("https")
    if text is None or all(_needs_none(url) for url in urls):
        return
    wanted = "http://[USER:PASSWORD@]NAME:PORT, or name what needs no proxy in NO_PROXY"
    # Where both are set the lower-case one counts.
    key = "https_proxy" if os.environ.get("https_proxy") else "HTTPS_PROXY"
    _judged(text, frozenset({"http"}), key, wanted, user=True, password=True)


def _needs_none(url: URL) -> bool:
    """Return whether NO_PROXY names this host, alone or with its port."""
    return bool(proxy_bypass(url.host or "") or proxy_bypass(f"{url.host_subcomponent}:{url.port}"))


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
