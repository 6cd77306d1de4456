"""How the relay is reached where the way out leads through an HTTP proxy: by configuration, else by environment.

The connection through the proxy is TLS with the
relay, so the proxy sees no more than the relay's name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.addresses import Proxy, environment_proxy, judge_environment, proxy_url, proxy_with_login, relay_url
from agent.secrets import read_secret

if TYPE_CHECKING:
    from yarl import URL

    from agent.settings import AgentSettings


class Way:
    """The way to the relay."""

    def __init__(self, settings: AgentSettings) -> None:
        """Read the settings; raises ConfigurationError where the proxy, configured or of the environment, is none."""
        self._settings = settings
        if settings.proxy is None:
            relays = (settings.relay,) if isinstance(settings.relay, str) else settings.relay
            judge_environment(relay_url(url) for url in relays)
        else:
            _configured(settings.proxy, settings)

    def to(self, url: URL) -> Proxy:
        """Return the proxy to this URL; the environment counts only where none is configured.

        The password is read anew. Raises ConfigurationError where it cannot be.
        """
        proxy = self._settings.proxy
        return environment_proxy(url) if proxy is None else _configured(proxy, self._settings)


def _configured(text: str, settings: AgentSettings) -> Proxy:
    url = proxy_url(text)
    return Proxy(url) if url.user is None else proxy_with_login(url, _password(settings))


def _password(settings: AgentSettings) -> str:
    file = settings.proxy_password_file
    if file is None:
        return ""
    return read_secret(file, "agent.proxy_password_file")
