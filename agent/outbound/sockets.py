"""The agent's end of a link's WebSocket, read into one buffer that stays.

aiohttp makes the connection; knows nothing of what travels on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import ClientWebSocketResponse

from connector_host.reading import Reading

if TYPE_CHECKING:
    from aiohttp import ClientResponse


class LinkSocket(ClientWebSocketResponse):
    """A WebSocket for which the event loop asks the system for no new memory with each read."""

    def __init__(
        self,
        reader: Any,  # noqa: ANN401 - aiohttp's own, handed on
        writer: Any,  # noqa: ANN401
        protocol: str | None,
        response: ClientResponse,
        *others: Any,  # noqa: ANN401
        **named: Any,  # noqa: ANN401
    ) -> None:
        """Take over a connection that aiohttp has made."""
        super().__init__(reader, writer, protocol, response, *others, **named)
        connection = response.connection
        if connection is None or connection.transport is None or (inner := connection.protocol) is None:
            return  # The relay has hung up, which the first message tells.
        connection.transport.set_protocol(Reading().into(lambda: inner))
