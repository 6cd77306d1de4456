"""What waits for the writers of one connector, and which of them goes on with it.

One writer takes all that waits: a large group costs the database and us a fraction of what small ones do. Another one
begins only where those at work have been so for a while, with a slow commit, or behind somebody's lock, or where more
waits than one group may hold. Exports of one anchor are never in two hands at once, and none is taken before another of
its anchor that waits, so they run in the order in which they came. Some go apart: each by itself, and any writer may.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from connector_host import clock
from connector_host.connectors.sql.lanes import Lanes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from connector_host.connectors.sql.jobs import Job

HELP_S = 0.02
"""How long a group may be under way until another writer begins the next one beside it."""


class Seat:
    """One writer's place: what it has in hand, and how it is woken."""

    def __init__(self, backlog: Backlog) -> None:
        self.news = threading.Condition(backlog.lock)
        self.keys: set[str] = set()
        self.since_s: float | None = None
        """When its group was taken; None while it has none."""


class Backlog:
    """The queue before the writers; any thread may put, and each writer takes."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._jobs: Lanes[Job] = Lanes()
        self._seats: list[Seat] = []
        self._idle: list[Seat] = []
        """Those who wait. The last one is woken first: its connection is warm, and others may never be needed."""
        self._watching: Seat | None = None
        """Who of them looks again once those at work have been so for long."""
        self._apart = 0
        """How many of those that wait go apart."""
        self._may_go = False
        """Whether any of what waits may be taken, for all that is known."""
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._jobs)

    def seat(self) -> Seat:
        """Return the place of one more writer."""
        seat = Seat(self)
        self._seats.append(seat)
        return seat

    @property
    def has_others(self) -> bool:
        """Return whether there is more than one writer."""
        return len(self._seats) > 1

    def put(self, job: Job, room: int) -> None:
        """Let an export wait, until `tell`; raises lanes.Full where so many wait already."""
        with self.lock:
            self._jobs.put(job, job.origin, room)
            self._apart += job.is_apart
            self._may_go = self._may_go or all(seat.keys.isdisjoint(job.keys) for seat in self._seats)

    def give_back(self, group: Sequence[Job]) -> None:
        """Let what a writer had in hand wait again, first of all, and go apart; called before it takes anew."""
        with self.lock:
            for job in group:
                job.is_apart = True
            self._jobs.put_first([(job.origin, job) for job in group])
            self._apart += len(group)

    def tell(self) -> None:
        """Have what waits looked at: once for what many put in one turn of an event loop, which then goes together."""
        with self.lock:
            self._wake_one()

    def take(self, seat: Seat, most: Callable[[], int]) -> list[Job]:
        """Give back what the writer had in hand, and return its next group; empty once closed and drained. Blocks."""
        with self.lock:
            seat.keys.clear()
            seat.since_s = None
            self._may_go = True
            while not (group := self._next(most())):
                if self._is_closed and not self._jobs:
                    self._wake_all()
                    return []
                self._wait(seat)
            seat.since_s = clock.monotonic_s()
            seat.keys.update(key for job in group for key in job.keys)
            if self._jobs:
                self._wake_one()
            return group

    def close(self) -> None:
        """Let the writers end once nothing waits any more."""
        with self.lock:
            self._is_closed = True
            self._wake_all()

    def _next(self, most: int) -> list[Job]:
        if not self._jobs or not self._may_go:
            return []
        if not self._apart and len(self._jobs) <= most and self._help_in_s():
            return []
        held = set().union(*(seat.keys for seat in self._seats))
        group: list[Job] = []

        def may(job: Job) -> bool:
            if held.isdisjoint(job.keys) and not (group and job.is_apart):
                return True
            held.update(job.keys)  # none of its anchor overtakes it
            return False

        chooses = may if held or self._apart else None
        group += self._jobs.take(1, chooses)
        if group and group[0].is_apart:
            self._apart -= 1
        elif group and most > 1:
            group += self._jobs.take(most - 1, chooses)
        self._may_go = bool(group)
        return group

    def _help_in_s(self) -> float:
        """Return how long those at work are left alone with what waits."""
        youngest_s = max((seat.since_s for seat in self._seats if seat.since_s is not None), default=None)
        return 0.0 if youngest_s is None else max(0.0, youngest_s + HELP_S - clock.monotonic_s())

    def _wait(self, seat: Seat) -> None:
        """Wait to be woken; one of those who wait looks again by itself while others are at work."""
        limit_s = None
        if self._jobs and self._may_go and self._watching is None:
            # Of what waits for an anchor in somebody's hand, that one hears first.
            limit_s = self._help_in_s() or None
        if limit_s is not None:
            self._watching = seat
        self._idle.append(seat)
        seat.news.wait(limit_s)
        self._idle.remove(seat)
        if self._watching is seat:
            self._watching = None

    def _wake_one(self) -> None:
        if not self._may_go:
            return
        if self._idle and self._watching is None:
            self._idle[-1].news.notify()
        elif self._watching is not None and not self._help_in_s():
            self._watching.news.notify()

    def _wake_all(self) -> None:
        for seat in self._idle:
            seat.news.notify()
