"""Bytes both ways between a stream of a link and a TCP connection, until both directions have ended."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from agent.link.streams import Stream

STRETCH_BYTES: Final = 65_536


async def pipe(stream: Stream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry bytes both ways; raises AgentError or OSError as soon as one end breaks."""
    inward = asyncio.create_task(_to_stream(stream, reader))
    outward = asyncio.create_task(_from_stream(stream, writer))
    try:
        done, _ = await asyncio.wait({inward, outward}, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()
    finally:
        inward.cancel()
        outward.cancel()
        await asyncio.gather(inward, outward, return_exceptions=True)


async def _to_stream(stream: Stream, reader: asyncio.StreamReader) -> None:
    while data := await reader.read(STRETCH_BYTES):
        await stream.write(data)
    await stream.write(b"", end=True)


async def _from_stream(stream: Stream, writer: asyncio.StreamWriter) -> None:
    while data := await stream.read():
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
