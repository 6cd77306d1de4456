"""Which links this node holds, by number, and what of them another node has still to hear."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

from agent.link.messages import Health
from agent.link.packing import encode
from agent.relay.nodes.messages import Held, Roster

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.link.links import Link
    from agent.relay.admission import Admission
    from agent.relay.matching import Agents

PIECE: Final = 20
"""Links in one message at the most: below what a frame holds, whatever agents say of themselves, once it is cut."""

_NAME: Final = 128
_DETAIL: Final = 256
"""Characters that are told of what an agent says: a longer word would break the session, and with it every tenant."""


class Numbered:
    """Numbers the links of this node, so that other nodes can name them."""

    def __init__(self, agents: Agents, admission: Admission) -> None:
        self._agents = agents
        self._admission = admission
        self._numbers: dict[Link, int] = {}
        self._links: dict[int, tuple[str, Link]] = {}
        self._next = itertools.count(1)

    def find(self, tenant: str, number: int) -> Link | None:
        """Return the link of this number where it is of this tenant."""
        owner, link = self._links.get(number, ("", None))
        return link if owner == tenant else None

    def look(self) -> dict[int, Held]:
        """Return all links as they are now."""
        held: dict[int, Held] = {}
        live: dict[Link, int] = {}
        for tenant, link in self._agents.all():
            number = live[link] = self._numbers.get(link) or next(self._next)
            self._links[number] = (tenant, link)
            held[number] = self._held(number, tenant, link)
        for link in self._numbers.keys() - live.keys():
            del self._links[self._numbers[link]]
        self._numbers = live
        return held

    def _held(self, number: int, tenant: str, link: Link) -> Held:
        name = self._admission.named.get(link)
        return Held(
            number,
            tenant,
            link.peer.name[:_NAME],
            link.peer.software[:_NAME],
            link.usable,
            link.in_flight,
            _told(link.health),
            name.agent if name is not None else "",
            link.since_s,
            None if link.round_trip_s is None else round(link.round_trip_s * 1000, 2),
            link.peer.instance[:_NAME],
        )


def _told(health: Health) -> Health:
    """Return this within bounds; a record that is too long is none, so that no write is sent again for it."""
    record = health.record if len(health.record) <= _NAME else ""
    return Health(health.reachable, record, health.detail[:_DETAIL])


def news(told: dict[int, Held], held: dict[int, Held]) -> Iterator[bytes]:
    """Return what is new, in messages; nothing where nothing is."""
    changed = [link for number, link in held.items() if _has_moved(told.get(number), link)]
    gone = [number for number in told if number not in held]
    for first in range(0, max(len(changed), len(gone)), PIECE):
        piece = slice(first, first + PIECE)
        yield encode(Roster(changed[piece], gone[piece]))


def _has_moved(old: Held | None, new: Held) -> bool:
    """Return whether there is news; a round trip that took another millisecond is none."""
    return old is None or (old.usable, old.in_flight, old.health) != (new.usable, new.in_flight, new.health)
