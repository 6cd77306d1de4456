"""How many connections one client holds, from the moment they are accepted: a handshake that never ends is one, too.

Knows nothing of what a connection is used for: whoever holds it gives the place back when it ends.
"""

from __future__ import annotations

import logging
import sys
from collections import Counter
from contextlib import ExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from agent import events, logs
from agent.relay.refusals import Refusals
from connector_host.networks import is_among, network_of

if TYPE_CHECKING:
    from collections.abc import Callable


_FILES: Final = 65_536
"""What systemd's unit has, too; more are asked for where a client may hold more than its part of them."""
_PART: Final = 4
"""So many clients it takes at the least to leave no room for others."""
_BALANCER: Final = 4
"""So many times what one client may hold a balancer holds, behind which there are many."""
_HOLDS: Final = "relay.limits.connections_per_address"


def within_files(limit: int) -> int:
    """Return how many connections one client may hold, where that is bounded by the files that this program may open.

    Those are raised as far as that goes: shells give 1,024, and allow a lot more.
    """
    if sys.platform != "win32":
        import resource  # noqa: PLC0415 - Windows has none

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = max(_FILES, _PART * limit)
        wanted = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            with suppress(OSError, ValueError):  # macOS has another bound besides
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != resource.RLIM_INFINITY:
            return max(1, min(limit, soft // _PART))
    return limit


class Connections:
    """The connections that are held now, by client: an IPv4 address, or a /64 in IPv6."""

    def __init__(self, limit: int, within: int | None = None, proxies: tuple[str, ...] = ()) -> None:
        """Let a client hold `limit`, and `within` at the most; a proxy, four times `limit`."""
        self._limit = limit
        self._within = limit if within is None else min(limit, within)
        self._proxies = proxies
        self._held: Counter[str] = Counter()
        self._refusals = Refusals()

    def admit(self, address: str) -> Callable[[], None] | None:
        """Return what gives the place back, however often it is called; None where this client holds too many."""
        client = network_of(address)
        is_proxy = is_among(address, self._proxies)
        limit = _BALANCER * self._limit if is_proxy else self._within
        if self._held[client] >= limit:
            reason = f"too many connections: it holds {limit} ({self._bound(is_proxy=is_proxy)})"
            self._refusals.take(client, partial(_tell, address, reason))
            return None
        self._held[client] += 1
        place = ExitStack()
        place.callback(self._leave, client)
        return place.close

    def _bound(self, *, is_proxy: bool) -> str:
        if is_proxy:
            return f"four times {_HOLDS}, as a load balancer of relay.trusted_proxies"
        if self._within < self._limit:
            return "a quarter of all open files"
        return f"{_HOLDS}; of a load balancer see relay.trusted_proxies"

    def _leave(self, client: str) -> None:
        self._held[client] -= 1
        if not self._held[client]:
            del self._held[client]


def _tell(address: str, reason: str, count: int) -> None:
    logs.event(events.CONNECTION_REFUSED, level=logging.WARNING, peer=address, count=count, reason=reason)
