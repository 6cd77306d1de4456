"""How long whoever asked still waits for the answer: what is not begun in time need not be begun at all."""

from __future__ import annotations

from contextvars import ContextVar
from math import inf

from connector_host.scopes import Scope

_LEFT_S: ContextVar[float] = ContextVar("patience", default=inf)


def current_patience_s() -> float:
    """Return for how many seconds somebody waits, as of when the work was started; infinite where nobody said."""
    return _LEFT_S.get()


def answering_within(seconds: float) -> Scope[float]:
    """Say for the block, and for the tasks that it starts, how long somebody waits."""
    return Scope(_LEFT_S, seconds)
