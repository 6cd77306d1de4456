"""The pace: how many exports a fragile database is given in a second, by all writers together."""

from __future__ import annotations

import threading
import time

from connector_host import clock


class Pace:
    """Lets so many exports through in a second, evenly; without a rate, all of them at once."""

    def __init__(self, per_second: float | None) -> None:
        self._per_second = per_second
        self._lock = threading.Lock()
        self._free_s = 0.0

    @property
    def group_max(self) -> int | None:
        """Return how many exports may go together: no more than the rate of one second; None is any number."""
        return None if self._per_second is None else max(1, int(self._per_second))

    def seconds_for(self, count: int) -> float:
        """Return how long so many exports take at the least."""
        return 0.0 if self._per_second is None else count / self._per_second

    def wait(self, count: int) -> None:
        """Wait until so many exports may begin. Blocks."""
        if self._per_second is None or not count:
            return
        with self._lock:
            now_s = clock.monotonic_s()
            begin_s = max(now_s, self._free_s)
            self._free_s = begin_s + count / self._per_second
        time.sleep(begin_s - now_s)
