"""Writes of which nobody knows what became of them, by the idempotency keys that their clients chose.

A client that sends such a write again counts on its key, which only the record of outcomes knows that the first one was
for. What is asked for each write is memory; what is noted is kept elsewhere, too, so that it outlives this process and
is known at other nodes. Knows nothing of agents, stores and nodes.
"""

from __future__ import annotations

import asyncio
import hmac
import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from agent import events, logs
from agent.relay.forwarded import IDEMPOTENCY_KEY, is_drawn_here
from agent.relay.noted import MOST, Noted
from connector_host.clock import epoch_s

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from agent.relay.replicas import Replica

KEPT_S: Final = 86_400
"""As long as a host keeps an outcome."""

_RECORD: Final = re.compile(r"[\x21-\x7e]{1,128}")
"""What the name of a record may be; any other is none. An agent says it, and no store is to trip over it."""

SETTLE_S: Final = 3.0
"""How long a client waits at the most, before it hears that the outcome is unknown, for others to know that, too."""

_LINE: Final = f"\r\n{IDEMPOTENCY_KEY}: ".lower().encode()
_KEY: Final = re.compile(r"\"?([A-Za-z0-9._:-]{1,128})\"?")
"""As the host reads it: with or without quotes it is the same, and anything else is refused there."""


class UnknownOutcomes:
    """Which record of outcomes each such write was for."""

    def __init__(self, secret: bytes | None = None) -> None:
        """Begin with nothing; nodes with the same `secret` understand each other's notes."""
        self.replicas: list[Replica] = []
        """Where else it is kept."""
        self._secret = secret or os.urandom(32)
        self._of_tenants: dict[str, dict[str, Noted]] = {}

    def note(self, tenant: str, headers: bytes, record: str) -> None:
        """Remember that the write with these headers was sent to a host that keeps this record."""
        key = self._digest(tenant, headers)
        if key is None or _RECORD.fullmatch(record) is None:
            return
        noted = Noted(tenant, key, record, epoch_s() + KEPT_S)
        self._put(noted)
        for replica in self.replicas:
            replica.put(noted)

    def learn(self, notes: Iterable[Noted]) -> None:
        """Take in what others have noted; what is known here stays as it is."""
        now_s = epoch_s()
        new = [noted for noted in notes if noted.ends_s > now_s and self._find(noted.tenant, noted.key) is None]
        for noted in new:
            self._put(noted)
            for replica in self.replicas:
                if replica.takes_learned:
                    replica.put(noted)
        if new:
            logs.event(events.OUTCOMES_LEARNED, count=len(new))

    def record_of(self, tenant: str, headers: bytes) -> str | None:
        """Return the record that can tell what became of the first write with the key in these headers."""
        # Nothing is made of the headers for a tenant of whom nothing is noted, which is nearly every one.
        if not self._remembers(tenant) or (key := self._digest(tenant, headers)) is None:
            return None
        noted = self._find(tenant, key)
        return None if noted is None else noted.record

    def home(self, tenant: str, headers: bytes, records: Collection[str]) -> str | None:
        """Return the record that the client's key in these headers falls to, the same at all nodes; None without one.

        Where a record goes, the keys of that one alone fall to others (highest random weight, Thaler and Ravishankar).
        """
        if (key := self._digest(tenant, headers)) is None:
            return None
        return max(records, key=lambda record: self._weight(key, record), default=None)

    def all(self) -> list[Noted]:
        """Return all that is remembered, the oldest of each tenant first."""
        now_s = epoch_s()
        return [noted for kept in self._of_tenants.values() for noted in kept.values() if noted.ends_s > now_s]

    async def settled(self, tenant: str, headers: bytes) -> None:
        """Return once what is noted of the write with these headers is kept elsewhere, too, or could not be in time."""
        if not self.replicas or (key := self._digest(tenant, headers)) is None:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_S):
                for replica in self.replicas:
                    await replica.tried(key)

    def _weight(self, key: str, record: str) -> bytes:
        return hmac.digest(self._secret, f"{key}\n{record}".encode(), "sha256")

    def _put(self, noted: Noted) -> None:
        kept = self._of_tenants.setdefault(noted.tenant, {})
        kept.pop(noted.key, None)
        kept[noted.key] = noted
        if len(kept) > MOST:
            del kept[next(iter(kept))]

    def _remembers(self, tenant: str) -> bool:
        """Return whether anything is remembered of the tenant; what came last and is over takes all that is with it."""
        kept = self._of_tenants.get(tenant)
        if kept is None:
            return False
        now_s = epoch_s()
        if next(reversed(kept.values())).ends_s > now_s:
            return True
        left = {key: noted for key, noted in kept.items() if noted.ends_s > now_s}
        if left:
            self._of_tenants[tenant] = left
        else:
            del self._of_tenants[tenant]
        return bool(left)

    def _find(self, tenant: str, key: str) -> Noted | None:
        kept = self._of_tenants.get(tenant, {})
        noted = kept.get(key)
        return noted if noted is not None and noted.ends_s > epoch_s() else None

    def _digest(self, tenant: str, headers: bytes) -> str | None:
        """Return what the client's key in these headers is known by; None where no client can send it again."""
        block = b"\r\n" + headers
        begin = block.lower().find(_LINE)
        if begin < 0:
            return None
        begin += len(_LINE)
        found = _KEY.fullmatch(block[begin : block.find(b"\r\n", begin)].decode("latin-1").strip())
        if found is None or is_drawn_here(found[1]):
            return None
        return hmac.digest(self._secret, f"{tenant}\n{found[1]}".encode(), "sha256")[:16].hex()
