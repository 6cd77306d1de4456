"""A bounded queue with a lane for each origin: whoever takes from it takes one from each lane in turn.

A client that sends a thousand exports waits for them itself; one that sends a single export is next. Within a lane
the order is that of arrival.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Item = TypeVar("Item")

RESERVED = 4
"""One part in so many of the room is kept above it for lanes in which little waits, while others fill the queue."""


class Full(Exception):
    """No more may wait in this lane."""


class Lanes(Generic[Item]):
    """The queue; any thread may put and take."""

    def __init__(self) -> None:
        self._lanes: OrderedDict[str, deque[Item]] = OrderedDict()
        self._waiting = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self._waiting

    def put(self, item: Item, lane: str, room: int) -> None:
        """Let an item wait at the end of its lane; raises Full where so many wait already.

        A lane in which less waits than its reserve may go a little beyond the room.
        """
        reserve = room // RESERVED
        with self._lock:
            queued = self._lanes.get(lane)
            few = len(queued) < reserve if queued is not None else reserve > 0
            if self._waiting >= (room + reserve if few and len(self._lanes) > (queued is not None) else room):
                raise Full
            if queued is None:
                queued = self._lanes[lane] = deque()
            queued.append(item)
            self._waiting += 1

    def put_first(self, items: Sequence[tuple[str, Item]]) -> None:
        """Let items with their lanes wait again, before all others of their lane and in this order."""
        with self._lock:
            for lane, item in reversed(items):
                self._lanes.setdefault(lane, deque()).appendleft(item)
            self._waiting += len(items)

    def take(self, most: int, may: Callable[[Item], bool] | None = None) -> list[Item]:
        """Return what waits, but so many at the most; what may not be taken keeps its place, and its lane its turn."""
        taken: list[Item] = []
        kept: dict[str, deque[Item]] = {}
        served: set[str] = set()
        with self._lock:
            while self._lanes and len(taken) < most:
                lane, queued = self._lanes.popitem(last=False)
                while queued:
                    item = queued.popleft()
                    if may is None or may(item):
                        taken.append(item)
                        served.add(lane)
                        break
                    kept.setdefault(lane, deque()).append(item)
                if queued:
                    self._lanes[lane] = queued
            for lane, passed_over in reversed(kept.items()):
                passed_over.extend(self._lanes.pop(lane, ()))
                self._lanes[lane] = passed_over
                self._lanes.move_to_end(lane, last=lane in served)
            self._waiting -= len(taken)
        return taken
