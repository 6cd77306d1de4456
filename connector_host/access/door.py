"""Who may come in: first the address, then the lock-out, then the token; no answer tells which connector exists."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec
import structlog

from connector_host import clock
from connector_host.access.callers import Caller
from connector_host.access.lockout import Counter, LockOut
from connector_host.networks import network_of
from connector_host.observability import events

if TYPE_CHECKING:
    from collections.abc import Iterable

    from connector_host.access.tokens import TokenGate

Network: TypeAlias = IPv4Network | IPv6Network


_BLIND_S: Final = 30
"""Seconds after which to ask again where tokens cannot be read."""


@dataclass(frozen=True, slots=True)
class TurnedAway:
    """A request that may not come in."""

    status: int
    """401 without a valid token, 403 from an address that is not allowed, 429 while it is locked out, 503 while nobody
    can tell whether a token is valid."""
    retry_after_s: int = 0


class Source(msgspec.Struct, frozen=True):
    """Where a request came from."""

    address: str
    shared: bool = False
    """Whether others come from there, too: a proxy or an agent that does not say for whom it asks."""


@dataclass(slots=True)
class Door:
    """One for the whole host."""

    allowed: tuple[Network, ...] = ()
    """Networks that may call; empty is any."""
    lock_out: Counter = field(default_factory=LockOut)

    def let_in(
        self,
        source: Source,
        authorization: str,
        gate: TokenGate,
        *,
        decoy: bool = False,
        others: Iterable[TokenGate] = (),
    ) -> Caller | TurnedAway:
        """Return who it is, or why not; every way takes the same look at the token, so time tells nothing apart.

        A decoy is somebody else's gate, looked at in place of one that does not exist: no token is valid at it.
        `others` are the gates of all connectors: while one of them is blind, no token is called wrong at any, since
        that would tell which connector exists. It counts as wrong all the same, save where the file is being written.
        """
        now_s = clock.monotonic_s()
        token = gate.recognise(authorization)
        if decoy:
            token = None
        if not self._is_allowed(source.address):
            return TurnedAway(403)
        client = network_of(source.address)
        wait_s = self.lock_out.wait_s(client, now_s)
        # One guesser behind a proxy must not shut out everybody behind it: there a valid token still comes in.
        if wait_s and not (source.shared and token is not None):
            return TurnedAway(429, max(1, round(wait_s)))
        if token is None:
            if not authorization:
                return TurnedAway(401)
            pardoned = not decoy and gate.pardons(authorization)
            if not pardoned and self.lock_out.count_failure(client, now_s):
                structlog.get_logger().warning(events.SOURCE_LOCKED_OUT, source=client)
            unclear = pardoned or gate.is_blind or not all(one.is_readable() for one in others)
            return TurnedAway(503, _BLIND_S) if unclear else TurnedAway(401)
        if not source.shared:
            self.lock_out.forgive(client)
        return Caller(token, source.address)

    def _is_allowed(self, address: str) -> bool:
        if not self.allowed:
            return True
        try:
            peer = ip_address(address.partition("%")[0])
        except ValueError:
            return False
        peer = getattr(peer, "ipv4_mapped", None) or peer
        return any(peer in network for network in self.allowed)


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Return the networks that these texts name; raises ValueError for one that is none."""
    return tuple(ip_network(text, strict=False) for text in texts)
