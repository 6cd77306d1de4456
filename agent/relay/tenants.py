"""Which tenants there are, and which tokens their agents may show."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.settings import TenantSettings

_NOBODY: Final = ("sha256:" + "0" * 64,)


class Tenants:
    """The tenants of the configuration."""

    def __init__(self, tenants: Mapping[str, TenantSettings]) -> None:
        self._hashes = {name: tenant.agent_token_hashes for name, tenant in tenants.items()}

    def __contains__(self, name: object) -> bool:
        return name in self._hashes

    def admits(self, name: str, token: str) -> bool:
        """Return whether this token belongs to an agent of this tenant; takes as long for one that does not exist."""
        shown = "sha256:" + hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
        matches = [hmac.compare_digest(shown, known) for known in self._hashes.get(name, _NOBODY)]
        return any(matches)
