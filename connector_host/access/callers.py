"""Who is calling now: which token, and from where; known to everything that is done for the request."""

from __future__ import annotations

from contextvars import ContextVar

import msgspec

from connector_host.scopes import Scope


class Caller(msgspec.Struct, frozen=True):
    """Whoever sent the request that is being answered."""

    token: str = ""
    """The first eight digits of the token's hash, as `connector-host token list` shows them; never the token."""
    source: str = ""
    """The address that the connection came from."""


_CALLER: ContextVar[Caller] = ContextVar("caller", default=Caller())  # noqa: B039 - frozen


def current_caller() -> Caller:
    """Return who is calling; nobody in particular outside of a request."""
    return _CALLER.get()


def calling(caller: Caller) -> Scope[Caller]:
    """Say for the block, and for the tasks that it starts, who is calling."""
    return Scope(_CALLER, caller)
