"""How many connections one client holds, from the moment they are accepted: a handshake that never ends is one, too.

Knows nothing of what a connection is used for: whoever holds it gives the place back when it ends.
"""

from __future__ import annotations

import logging
from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING

from agent import events, logs
from connector_host.networks import network_of

if TYPE_CHECKING:
    from collections.abc import Callable


class Connections:
    """The connections that are held now, by client: an IPv4 address, or a /64 in IPv6."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held: Counter[str] = Counter()

    def admit(self, address: str) -> Callable[[], None] | None:
        """Return what gives the place back, however often it is called; None where this client holds too many."""
        client = network_of(address)
        if self._held[client] >= self._limit:
            logs.event(events.CONNECTION_REFUSED, level=logging.WARNING, peer=address, reason="too many connections")
            return None
        self._held[client] += 1
        place = ExitStack()
        place.callback(self._leave, client)
        return place.close

    def _leave(self, client: str) -> None:
        self._held[client] -= 1
        if not self._held[client]:
            del self._held[client]
