"""How many connections one client holds, from the moment they are accepted: a handshake that never ends is one, too.

Knows nothing of what a connection is used for: whoever holds it gives the place back when it ends.
"""

from __future__ import annotations

import logging
import sys
from collections import Counter
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Final

from agent import events, logs
from connector_host.networks import network_of

if TYPE_CHECKING:
    from collections.abc import Callable


_FILES: Final = 65_536
"""What systemd's unit has, too."""
_PART: Final = 4
"""So many clients it takes at the least to leave no room for others."""


def within_files(limit: int) -> int:
    """Return how many connections one client may hold, where that is bounded by the files that this program may open.

    Those are raised as far as that goes: shells give 1,024, and allow a lot more.
    """
    if sys.platform != "win32":
        import resource  # noqa: PLC0415 - Windows has none

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            with suppress(OSError, ValueError):  # macOS has another bound besides
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != resource.RLIM_INFINITY:
            return max(1, min(limit, soft // _PART))
    return limit


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
