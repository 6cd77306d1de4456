"""Bytes both ways between a stream of a link and a TCP connection, until both directions have ended."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from agent.link.streams import Stream

STRETCH_BYTES: Final = 65_536


@dataclass(slots=True)
class Traffic:
    """What can be seen of a connection that nobody looks into."""

    last_s: float = 0.0
    """When bytes passed last, by the loop's clock."""
    outward: bool = False
    """Whether the last ones came from the stream: at the relay, from the host."""
    ended_s: float | None = None
    """When the stream ended, and the connection was told."""

    def note(self, *, outward: bool) -> None:
        """Bytes pass."""
        self.last_s, self.outward = asyncio.get_running_loop().time(), outward


async def pipe(
    stream: Stream,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    traffic: Traffic | None = None,
    beginning: bytes = b"",
) -> None:
    """Carry bytes both ways, after what was read already; raises AgentError or OSError as soon as one end breaks."""
    traffic = traffic or Traffic()
    inward = asyncio.create_task(_to_stream(stream, reader, traffic, beginning))
    outward = asyncio.create_task(_from_stream(stream, writer, traffic))
    try:
        done, _ = await asyncio.wait({inward, outward}, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()
    finally:
        inward.cancel()
        outward.cancel()
        await asyncio.gather(inward, outward, return_exceptions=True)


async def _to_stream(stream: Stream, reader: asyncio.StreamReader, traffic: Traffic, beginning: bytes) -> None:
    data = beginning or await reader.read(STRETCH_BYTES)
    while data:
        traffic.note(outward=False)
        await stream.write(data)
        data = await reader.read(STRETCH_BYTES)
    await stream.write(b"", end=True)


async def _from_stream(stream: Stream, writer: asyncio.StreamWriter, traffic: Traffic) -> None:
    while data := await stream.read():
        traffic.note(outward=True)
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
    traffic.ended_s = asyncio.get_running_loop().time()
