"""A client that writes bytes as they are, proper HTTP or not."""

from __future__ import annotations

import asyncio
import json
import os
import socket
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


def ends_of(trust, port, request):
    """Return the answer, and what comes over TCP once the other end has said that TLS is over and is told nothing."""
    with socket.create_connection(("localhost", port)) as plain:
        plain.settimeout(10)
        with trust.wrap_socket(plain, server_hostname="localhost") as connection:
            connection.sendall(request)
            answer = b"".join(iter(lambda: connection.recv(65_536), b""))
            with socket.socket(fileno=os.dup(connection.fileno())) as below:
                below.settimeout(10)
                return answer, below.recv(1)
