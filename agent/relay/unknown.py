"""Writes of which nobody knows what became of them, by the idempotency keys that their clients chose.

A client that sends such a write again counts on its key, which only the record of outcomes knows that the first one was
for. Knows nothing of agents.
"""

from __future__ import annotations

from typing import Final

from agent.link.headers import said
from agent.relay.forwarded import IDEMPOTENCY_KEY
from connector_host.clock import monotonic_s

KEPT_S: Final = 86_400.0
"""As long as a host keeps an outcome."""

MOST: Final = 1_000
"""Writes of one tenant that are remembered: the last ones."""


class UnknownOutcomes:
    """Which record of outcomes each such write was for."""

    def __init__(self) -> None:
        self._of_tenants: dict[str, dict[str, tuple[str, float]]] = {}

    def note(self, tenant: str, headers: bytes, record: str) -> None:
        """Remember that the write with these headers was sent to a host that keeps this record."""
        key = _key(headers)
        if key is None or not record:
            return
        noted = self._of_tenants.setdefault(tenant, {})
        noted.pop(key, None)
        noted[key] = record, monotonic_s() + KEPT_S
        if len(noted) > MOST:
            del noted[next(iter(noted))]

    def record_of(self, tenant: str, headers: bytes) -> str | None:
        """Return the record that can tell what became of the first write with the key in these headers."""
        noted = self._of_tenants.get(tenant)
        if not noted or (key := _key(headers)) is None:
            return None
        record, end_s = noted.get(key, ("", 0.0))
        return record if end_s > monotonic_s() else None


def _key(headers: bytes) -> str | None:
    """Return the key, as the host reads it: with or without quotes it is the same."""
    key = said(headers, IDEMPOTENCY_KEY)
    return None if key is None else key.strip('"')
