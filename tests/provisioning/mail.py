"""A mail server and a webhook of this machine, which remember what they were told."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

from aiohttp import web


@asynccontextmanager
async def mail_server(answers=None):
    """Serve SMTP; `answers` maps a command word to the line it is answered with, 250 otherwise."""
    received = []
    given = {"QUIT": "221 bye", "DATA": "354 go"} | (answers or {})

    async def smtp(reader, writer):
        writer.write(b"220 test\r\n")
        in_data = False
        while line := await reader.readline():
            received.append(line.decode().rstrip())
            word = received[-1].split(" ")[0].upper()
            in_data = (in_data and line != b".\r\n") or word == "DATA"
            if word == "DATA" or not in_data:
                writer.write(f"{given.get(word, '250 ok')}\r\n".encode())
            if word == "QUIT":
                break
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(smtp, "127.0.0.1", 0)
    try:
        yield f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}", received
    finally:
        server.close()
        await server.wait_closed()


@asynccontextmanager
async def webhook(status=200):
    """Serve a webhook that answers every request with this status."""
    received = []

    async def take(request):
        received.append((request.method, await request.text()))
        headers = {"Location": "/elsewhere"} if 300 <= status < 400 else {}
        return web.Response(status=status, headers=headers)

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook-secret", received
    finally:
        await runner.cleanup()
