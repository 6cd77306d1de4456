"""For whom a connector works at the moment: each origin waits in a lane of its own, so that none starves the others."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_ORIGIN: ContextVar[str] = ContextVar("origin", default="")


def current_origin() -> str:
    """Return for whom the work is; empty for nobody in particular."""
    return _ORIGIN.get()


@contextmanager
def working_for(origin: str) -> Iterator[None]:
    """Say for the block, and for the tasks that it starts, for whom the work is; never a secret, never a person."""
    previous = _ORIGIN.set(origin)
    try:
        yield
    finally:
        _ORIGIN.reset(previous)
