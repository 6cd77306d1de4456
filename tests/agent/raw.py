"""A client that writes bytes as they are, proper HTTP or not."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager


@asynccontextmanager
async def connected(papers, port):
    reader, writer = await asyncio.open_connection("localhost", port, ssl=papers.context())
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def answer_to(reader):
    """Return the status line, the headers in lower case, and the body as JSON where there is one."""
    async with asyncio.timeout(10):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        line, *rest = head.strip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in rest)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
    return line, headers, json.loads(body) if body else None
