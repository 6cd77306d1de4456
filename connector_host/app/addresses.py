"""Where a connector is found, as an administrator pastes it into the directory (DESIGN §5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from connector_host.settings import HostSettings


def url_of(host: HostSettings, connector: str, port: int | None = None) -> str:
    """Return the tenant URL; `port` is the one that is listened on, where that is not the configured one."""
    name = f"[{host.name}]" if ":" in host.name else host.name
    return f"https://{name}:{host.port if port is None else port}/ecma2host_{connector}/scim"
