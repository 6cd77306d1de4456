"""The requests that the relay sends over its links: which are taken, and what became of them so far."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent.link.messages import Reason
from agent.outbound.exchange import Exchange
from connector_host.deadlines import Deadlines

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from agent.link.messages import Health
    from agent.link.streams import Stream
    from agent.outbound.host import HostPool
    from agent.outbound.tokens import HostToken
    from agent.rates import Rates


@dataclass(slots=True)
class Forwarder:
    """Answers the streams that the relay opens."""

    pool: HostPool
    token: HostToken
    passthrough: bool
    """Whether connections are carried untouched, too."""
    in_flight: int
    """Requests that are carried at once; more are refused, so that another agent may take them."""
    rates: Rates
    """How many in a second."""
    body_bytes: int
    """The largest body, whatever the relay let through."""
    heard: Callable[[Health], None]
    """Called where a request finds the host to be another one than the probe last saw."""
    draining: bool = False
    carried: int = 0
    untouched: int = 0
    """How many of those are connections in passthrough."""
    answered: Counter[int] = field(default_factory=Counter)
    """Requests that the host answered, by status."""
    failed: Counter[str] = field(default_factory=Counter)
    """Requests without an answer, by reason."""
    last_error: str = ""
    """When and why the last of them failed."""
    deadlines: Deadlines = field(default_factory=Deadlines)

    def serve(self, stream: Stream, packed: bytes) -> Coroutine[object, object, None] | None:
        """Take up the request of this stream; return what is left for a task to do, None where all else calls back."""
        exchange = Exchange(stream, self)
        unfit = self._unfit()
        if unfit is None:
            self.carried += 1
            stream.on_over = exchange.over
        return exchange.begin(packed, unfit)

    @property
    def most_untouched(self) -> int:
        """Return how many connections in passthrough there may be: anybody opens them, so requests have places left."""
        return max(1, self.in_flight * 3 // 4)

    def _unfit(self) -> tuple[Reason, str] | None:
        """Return why nothing more is carried just now, or None where something may be."""
        if self.draining:
            return Reason.DRAINING, "The agent is about to stop."
        if self.carried >= self.in_flight:
            return Reason.BUSY, f"The agent already carries {self.in_flight} requests."
        if self.rates.take("", asyncio.get_running_loop().time()):
            return Reason.BUSY, f"The agent carries no more than {self.rates.per_s:g} requests a second."
        return None
