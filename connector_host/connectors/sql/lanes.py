"""A bounded queue with a lane for each origin: whoever takes from it takes one from each lane in turn.

A client that sends a thousand exports waits for them itself; one that sends a single export is next. Within a lane
the order is that of arrival.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from typing import Generic, TypeVar

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
        self._is_closed = False
        self._news = threading.Condition()

    def __len__(self) -> int:
        return self._waiting

    def put(self, item: Item, lane: str, room: int) -> None:
        """Let an item wait at the end of its lane, until `tell`; raises Full where so many wait already.

        A lane in which less waits than its reserve may go a little beyond the room.
        """
        reserve = room // RESERVED
        with self._news:
            queued = self._lanes.get(lane)
            few = len(queued) < reserve if queued is not None else reserve > 0
            if self._waiting >= (room + reserve if few and len(self._lanes) > (queued is not None) else room):
                raise Full
            if queued is None:
                queued = self._lanes[lane] = deque()
            queued.append(item)
            self._waiting += 1

    def tell(self) -> None:
        """Wake whoever takes: once for what many put in one turn of an event loop, which then goes together."""
        with self._news:
            self._news.notify()

    def take(self, most: int) -> list[Item]:
        """Wait for one item, then return all that wait, but so many at the most; empty once closed and drained."""
        with self._news:
            while not self._waiting and not self._is_closed:
                self._news.wait()
            taken: list[Item] = []
            while self._lanes and len(taken) < most:
                lane, queued = self._lanes.popitem(last=False)
                taken.append(queued.popleft())
                if queued:
                    self._lanes[lane] = queued
            self._waiting -= len(taken)
            return taken

    def close(self) -> None:
        """Let whoever takes end once nothing waits any more."""
        with self._news:
            self._is_closed = True
            self._news.notify_all()
