"""How many exports go together: as many as one commit is worth, and fewer where the database refuses groups.

A commit that is slow pays for a large group; statements that are slow make a small one, since everybody in it waits
for all of them. A group that was refused was run for nothing and again one by one, so the next ones are smaller.
"""

from __future__ import annotations

import math
import threading

GROUP_MAX = 128
"""Exports in one transaction at the most: what is lost when it fails must stay bounded."""
GROUP_REFUSED_MIN = 8
"""Groups are not made smaller than this because they are refused: one by one they still share a commit."""
WORK_S = 0.25
"""Seconds that the statements of a group may take, unless its commit takes long, too."""
COMMITS = 4
"""… or so many times what its commit took."""
RETRY_AFTER_MAX_S = 60
SMOOTHING = 0.2


class GroupSize:
    """The size of the next group, by what became of the last ones; used by the threads of all writers."""

    def __init__(self) -> None:
        self.limit = GROUP_MAX
        self._per_second = 0.0
        self._lock = threading.Lock()

    def committed(self, count: int, work_s: float, commit_s: float) -> None:
        """Learn from a group that was committed: what its statements took, and what its commit took."""
        took_s = max(work_s + commit_s, 1e-6)
        rate = count / took_s
        with self._lock:
            self._per_second += (rate - self._per_second) * (SMOOTHING if self._per_second else 1.0)
            if count > 1 and work_s > max(WORK_S, COMMITS * commit_s):
                self.limit = min(self.limit, max(1, count // 2))
            elif count >= self.limit:
                self.limit = min(GROUP_MAX, self.limit * 2)

    def refused(self, count: int, *, too_slow: bool = False) -> None:
        """Learn from a group of which the database refused something, or ended all of it, so that it was run twice."""
        least = 1 if too_slow else GROUP_REFUSED_MIN
        with self._lock:
            if count > least:
                self.limit = min(self.limit, max(least, count // 2))

    def retry_after_s(self, waiting: int, least_s: float = 0.0) -> int:
        """Return in how many seconds what waits now will have been done, as far as anybody can tell."""
        likely_s = waiting / self._per_second if self._per_second else 2
        return min(RETRY_AFTER_MAX_S, max(1, math.ceil(max(likely_s, least_s))))
