"""What a link needs of a WebSocket, and why it ended by one that carries no more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from aiohttp import WSMsgType

if TYPE_CHECKING:
    from aiohttp import WSMessage


class Socket(Protocol):
    """What both of aiohttp's WebSockets offer."""

    async def receive(self) -> WSMessage:
        """Return the next message; one of a closing kind at the end."""

    async def send_bytes(self, data: bytes) -> None:
        """Send one message, and wait while the peer does not keep up."""

    async def close(self) -> bool:
        """Say good-bye."""


def farewell(message: WSMessage) -> str:
    """Return why the link ended, where this came in place of frames."""
    match message.type:
        case WSMsgType.CLOSE:
            return f"the other end closed the link (code {message.data}{f', {message.extra}' if message.extra else ''})"
        case WSMsgType.TEXT:
            return "the other end broke the protocol: a text message"
        case WSMsgType.ERROR:
            return f"the link broke: {message.data}"
        case _:
            return "the link was cut"
