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
    from collections.abc import Callable

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
    answered: Counter[int] = field(default_factory=Counter)
    """Requests that the host answered, by status."""
    failed: Counter[str] = field(default_factory=Counter)
    """Requests without an answer, by reason."""
    last_error: str = ""
    """When and why the last of them failed."""
    deadlines: Deadlines = field(default_factory=Deadlines)

    async def serve(self, stream: Stream, packed: bytes) -> None:
        """Carry the request of this stream; returns when the stream is over, however it ended."""
        exchange = Exchange(stream, self)
        if self.draining:
            exchange.give_up(Reason.DRAINING, "The agent is about to stop.")
            return
        if self.carried >= self.in_flight:
            exchange.give_up(Reason.BUSY, f"The agent already carries {self.in_flight} requests.")
            return
        if self.rates.take("", asyncio.get_running_loop().time()):
            exchange.give_up(Reason.BUSY, f"The agent carries no more than {self.rates.per_s:g} requests a second.")
            return
        self.carried += 1
        try:
            await exchange.run(packed)
        finally:
            self.carried -= 1
