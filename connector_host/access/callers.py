"""Who is calling now: which token, and from where; known to everything that is done for the request."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever sent the request that is being answered."""

    token: str = ""
    """The first eight digits of the token's hash, as `connector-host token list` shows them; never the token."""
    source: str = ""
    """The address that the connection came from."""


_CALLER: ContextVar[Caller] = ContextVar("caller", default=Caller())  # noqa: B039 - frozen


def current_caller() -> Caller:
    """Return who is calling; nobody in particular outside of a request."""
    return _CALLER.get()


@contextmanager
def calling(caller: Caller) -> Iterator[None]:
    """Say for the block, and for the tasks that it starts, who is calling."""
    previous = _CALLER.set(caller)
    try:
        yield
    finally:
        _CALLER.reset(previous)
