"""Writes that aiohttp's client sends once: it would send PUT and DELETE again by itself where a connection breaks.

Whoever then hears that the second connection did not come about would believe that nothing was sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import aiohttp

if TYPE_CHECKING:
    from aiohttp import ClientHandlerType, ClientRequest, ClientResponse

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class BrokenOff(aiohttp.ClientError):
    """The connection broke while a write was on it: its outcome is unknown."""


async def writes_once(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """Send one request; a middleware for `aiohttp.ClientSession`, which repeats nothing that fails like this."""
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as failure:
        if request.method in SAFE:
            raise
        raise BrokenOff(type(failure).__name__) from failure
