"""For whom a connector works at the moment: each origin waits in a lane of its own, so that none starves the others."""

from __future__ import annotations

from contextvars import ContextVar

from connector_host.scopes import Scope

_ORIGIN: ContextVar[str] = ContextVar("origin", default="")


def current_origin() -> str:
    """Return for whom the work is; empty for nobody in particular."""
    return _ORIGIN.get()


def working_for(origin: str) -> Scope[str]:
    """Say for the block, and for the tasks that it starts, for whom the work is; never a secret, never a person."""
    return Scope(_ORIGIN, origin)
