"""One session between two nodes, as the socket that a link wants: messages in order, or an end that says why.

NATS delivers at most once. A message that is missing ends the session, and with it the link: what was on it then has
its fate known, as with any link that broke.
"""

from __future__ import annotations

import asyncio
import struct
from typing import TYPE_CHECKING, Final

from aiohttp import WSMessage, WSMsgType
from cryptography.exceptions import InvalidTag

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from agent.relay.nodes.seals import SessionKeys

SESSION_BYTES: Final = 16

_COUNT: Final = struct.Struct("!Q")
_PADDING: Final = b"\x00\x00\x00\x00"


class NodeSocket:
    """One end of a session; satisfies `agent.link.links.Socket`."""

    def __init__(self, session: bytes, keys: SessionKeys, send: Callable[[bytes], Awaitable[None]]) -> None:
        """Prepare; `send` takes what is to reach the other end, and raises OSError where it cannot."""
        self.session = session
        """Its name, the same at both ends."""
        self._keys = keys
        self._send = send
        self._sent = 0
        self._received = 0
        self._over = False
        self._arrived: asyncio.Queue[WSMessage] = asyncio.Queue()

    @property
    def has_begun(self) -> bool:
        """Return whether the other end was heard."""
        return self._received > 0

    async def receive(self) -> WSMessage:
        """Return the next message; one of a closing kind at the end."""
        return await self._arrived.get()

    async def send_bytes(self, data: bytes) -> None:
        """Send one message; raises OSError where it cannot leave."""
        count = _COUNT.pack(self._sent)
        self._sent += 1
        await self._send(count + self._keys.outgoing.encrypt(_PADDING + count, data, None))

    async def close(self) -> bool:
        """Say good-bye, so that the other end need not wait for silence."""
        if not self._over:
            self._over = True
            await self.send_bytes(b"")
        return True

    def take(self, packet: bytes) -> None:
        """Take in what the other end sent; what was not sealed by it is passed over."""
        try:
            (count,) = _COUNT.unpack_from(packet)
            data = self._keys.incoming.decrypt(_PADDING + packet[: _COUNT.size], packet[_COUNT.size :], None)
        except (InvalidTag, ValueError, struct.error):
            return
        if count < self._received:
            return
        if count > self._received:
            self.break_off("a message between the nodes was lost")
            return
        self._received += 1
        if data:
            self._arrived.put_nowait(WSMessage(WSMsgType.BINARY, data, None))
        else:
            self._over = True
            self._arrived.put_nowait(WSMessage(WSMsgType.CLOSE, 1000, "the other node ended the session"))

    def break_off(self, reason: str) -> None:
        """Let the link know that nothing more comes."""
        self._over = True
        self._arrived.put_nowait(WSMessage(WSMsgType.ERROR, reason, None))
