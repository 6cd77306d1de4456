"""How the relay is reached where the way out leads through an HTTP proxy: by configuration, else by environment.

The environment's HTTPS_PROXY and NO_PROXY are read by aiohttp itself. The connection through the proxy is TLS with the
relay, so the proxy sees no more than the relay's name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp

from agent.addresses import judge_environment, proxy_url, relay_url
from agent.secrets import read_secret

if TYPE_CHECKING:
    from yarl import URL

    from agent.settings import AgentSettings


class Way:
    """The way to the relay, as arguments of aiohttp."""

    def __init__(self, settings: AgentSettings) -> None:
        """Read the settings; raises ConfigurationError where the proxy, configured or of the environment, is none."""
        if settings.proxy is None:
            relays = (settings.relay,) if isinstance(settings.relay, str) else settings.relay
            judge_environment(relay_url(url).host for url in relays)
        self.url, self.headers = _configured(settings)

    @property
    def client(self) -> aiohttp.ClientSession:
        """Return a new session; the environment counts only where no proxy is configured."""
        return aiohttp.ClientSession(trust_env=self.url is None)


def _configured(settings: AgentSettings) -> tuple[URL | None, dict[str, str] | None]:
    if settings.proxy is None:
        return None, None
    url = proxy_url(settings.proxy)
    if url.user is None:
        return url, None
    return url.with_user(None), {"Proxy-Authorization": aiohttp.encode_basic_auth(url.user, _password(settings))}


def _password(settings: AgentSettings) -> str:
    file = settings.proxy_password_file
    if file is None:
        return ""
    return read_secret(file, "agent.proxy_password_file")
