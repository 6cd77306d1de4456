"""How the work of a call grows with its input, which a slow machine does not change."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

STEP = 8


def is_linear(work: Callable[[int], object], size: int) -> bool:
    """Whether an input of `size` costs about as much a piece as an eighth of it, rather than eight times as much.

    Both take turns, and the quickest turn of each counts: what else the machine does only ever adds.
    """
    small_s = large_s = float("inf")
    for _ in range(3):
        small_s = min(small_s, _taken_s(work, size // STEP))
        large_s = min(large_s, _taken_s(work, size))
    return large_s < small_s * STEP * STEP / 2


def _taken_s(work: Callable[[int], object], size: int) -> float:
    began_s = time.thread_time()
    work(size)
    return time.thread_time() - began_s
