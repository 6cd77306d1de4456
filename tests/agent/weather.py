"""A TCP proxy that brings bad weather: it stalls, resets, swallows everything, or lets little through."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress

STRETCH_BYTES = 16_384


class Weather:
    """What happens to the bytes between two ends, from now on."""

    def __init__(self, port):
        self.port = 0
        self._target = port
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._speaking = asyncio.Event()
        self._speaking.set()
        self._swallows = False
        self._pause_s = 0.0
        self.outward_bytes = 0
        """What passed from whoever dialled, the agent, so far."""
        self._writers = set()
        self._tasks = set()

    def stall(self):
        """Let nothing through, and drop nothing."""
        self._flowing.clear()

    def silence(self):
        """Let nothing more through from whoever dialled, the agent; what it is sent still arrives."""
        self._speaking.clear()

    def lead_to(self, port):
        """Lead new connections somewhere else, as a load balancer does, or a name that moved."""
        self._target = port

    def clear_up(self):
        self._flowing.set()
        self._speaking.set()
        self._swallows = False
        self._pause_s = 0.0

    def swallow(self):
        """Take everything and deliver nothing, as a black-holed route does."""
        self._swallows = True

    def slow_down(self, bytes_per_s):
        self._pause_s = STRETCH_BYTES / bytes_per_s

    def reset(self):
        """Break every connection at once."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def serve(self, reader, writer):
        self._tasks.add(asyncio.current_task())
        onward_reader, onward_writer = await asyncio.open_connection("127.0.0.1", self._target)
        self._writers |= {writer, onward_writer}
        try:
            await asyncio.gather(self._pump(reader, onward_writer, self._speaking), self._pump(onward_reader, writer))
        finally:
            for one in (writer, onward_writer):
                self._writers.discard(one)
                one.transport.abort()

    async def _pump(self, reader, writer, gate=None):
        with suppress(OSError):
            while data := await reader.read(STRETCH_BYTES):
                await self._flowing.wait()
                if gate is not None:
                    self.outward_bytes += len(data)
                    await gate.wait()
                if self._pause_s:
                    await asyncio.sleep(self._pause_s)
                if not self._swallows:
                    writer.write(data)
                    await writer.drain()
        writer.transport.abort()

    async def end(self):
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def weather_before(port):
    weather = Weather(port)
    server = await asyncio.start_server(weather.serve, "127.0.0.1", 0)
    weather.port = server.sockets[0].getsockname()[1]
    try:
        yield weather
    finally:
        server.close()
        await weather.end()
