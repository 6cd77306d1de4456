"""The time, from one place, so that a test can move it without touching the code that asks."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now() -> datetime:
    """Return the present moment as an aware datetime in UTC."""
    return datetime.now(UTC)


def epoch_s() -> int:
    """Return the present moment in whole seconds since 1970: what stores and files keep of it."""
    return int(now().timestamp())


def monotonic_s() -> float:
    """Return seconds since an arbitrary start, never going backwards: for durations and deadlines."""
    return time.monotonic()
