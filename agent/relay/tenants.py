"""Which tenants there are, and who may speak as an agent of one: by certificate, or by token."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
from typing import TYPE_CHECKING, Final

from agent.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from agent.relay.store import Store
    from agent.settings import RelayConfiguration, TenantSettings

_NOBODY: Final = ("sha256:" + "0" * 64,)


class Tenants:
    """The tenants of the configuration, whose agents show tokens, and those of the store, whose agents enrol."""

    def __init__(self, configured: Mapping[str, TenantSettings], store: Store) -> None:
        self._hashes = {name: tenant.agent_token_hashes for name, tenant in configured.items()}
        self._client_hashes = {name: tenant.client_token_hashes for name, tenant in configured.items()}
        self._store = store
        self.names: frozenset[str] = frozenset()
        """All of them, as the store was seen last."""
        self.refresh()

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def refresh(self) -> None:
        """Look at the store again, which blocks: commands may have added tenants. Raises StoreUnavailable."""
        self.names = frozenset(self._hashes).union(self._store.tenants())

    def admits(self, name: str, token: str) -> bool:
        """Return whether this token belongs to an agent of this tenant; takes as long for one that does not exist."""
        return _is_one_of(token, self._hashes.get(name) or _NOBODY)

    def demands_token(self, name: str) -> bool:
        """Return whether SCIM clients of this tenant show a token to the relay, and not to the host."""
        return bool(self._client_hashes.get(name))

    def admits_client(self, name: str, authorization: str) -> bool:
        """Return whether this Authorization header holds a token of a SCIM client of this tenant."""
        scheme, _, token = authorization.partition(" ")
        return scheme.lower() == "bearer" and _is_one_of(token.strip(), self._client_hashes.get(name) or _NOBODY)

    async def welcomes(self, name: str, agent: str, end: datetime) -> bool:
        """Return whether the agent with this id, whose certificate ends then, is one of this tenant, and not revoked.

        Raises StoreUnavailable where nobody can tell just now.
        """
        return await asyncio.to_thread(self._store.is_welcome, name, agent, int(end.timestamp()))


def passthrough_names(configuration: RelayConfiguration) -> dict[str, str]:
    """Return whose host gets the TLS connections that ask for a name; raises ConfigurationError where that is not one.

    A name that two tenants had would lead one's clients to the other's host, and the relay's own would lead agents and
    the gateway's clients there.
    """
    relay = configuration.relay
    own = {relay.name.lower(), *(re.sub(r":\d+$", "", authority) for authority in relay.public)}
    owners: dict[str, str] = {}
    for tenant, given in configuration.tenants.items():
        for name in given.passthrough:
            if name in own:
                wanted = "give the host a name that is not in relay.name or relay.public"
                raise ConfigurationError(f"tenants.{tenant}.passthrough: {name} is the relay's own: {wanted}.")
            if owners.setdefault(name, tenant) != tenant:
                fact = f"{name} leads to tenant {owners[name]} already"
                raise ConfigurationError(f"tenants.{tenant}.passthrough: {fact}: give each host a name of its own.")
    return owners


def _is_one_of(token: str, hashes: tuple[str, ...]) -> bool:
    """Compare with all of them, each in constant time."""
    shown = "sha256:" + hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
    matches = [hmac.compare_digest(shown, known) for known in hashes]
    return any(matches)
