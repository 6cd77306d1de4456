"""One worker: answers requests on the connections that its parent gives it, until the parent says stop or is gone.

It is started as `python -P -m connector_host.app.worker CHANNEL CONNECTIONS`, with two handles from the parent.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import socket
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connector_host.app.hosting import Hosting, Kept, host, live_context
from connector_host.app.keeping import loop_factory
from connector_host.app.refusing import CannotStart, say
from connector_host.endpoint.protocol import Runner
from connector_host.errors import HostError
from connector_host.observability import logs
from connector_host.service.leaving import leave, threads_ended
from connector_host.service.lifecycle import EXIT_CONFIGURATION, running
from connector_host.workers.channel import open_channel
from connector_host.workers.handles import ignore_signals
from connector_host.workers.listening import Handed
from connector_host.workers.remote import RemoteLockOut, RemoteRecord, RemoteTrail

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from connector_host.settings import Configuration
    from connector_host.workers.channel import Channel


def main(arguments: list[str]) -> int:
    """Serve, and return the exit code."""
    ignore_signals()
    talk, given = (socket.socket(fileno=int(handle)) for handle in arguments)
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(_Worker(given).live(talk))
            if not runner.run(threads_ended()):
                leave(0)
    except CannotStart as failure:
        say(str(failure))
        return EXIT_CONFIGURATION
    return 0


@dataclass(slots=True)
class _Worker:
    """What the parent may say, and what becomes of it."""

    given: socket.socket
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    orders: asyncio.Queue[dict[str, Any]] = field(default_factory=asyncio.Queue)
    hosting: asyncio.Future[Hosting] = field(init=False)
    trail: RemoteTrail | None = None
    lock_out: RemoteLockOut | None = None

    async def live(self, talk: socket.socket) -> None:
        """Wait for the order to serve, and serve."""
        self.hosting = asyncio.get_running_loop().create_future()
        channel = await open_channel(talk, self._hear)
        async with AsyncExitStack() as stack:
            stack.callback(channel.close)
            await stack.enter_async_context(running([channel_watch(channel)]))
            order = await self.orders.get()
            await stack.enter_async_context(running([beats(channel, order["beat_s"])]))
            await self._serve(stack, channel, order)

    async def _serve(self, stack: AsyncExitStack, channel: Channel, order: dict[str, Any]) -> None:
        configuration: Configuration = pickle.loads(order["configuration"])  # noqa: S301 - from our own parent
        settings, number = configuration.host, order["number"]
        logs.configure(settings.log_format, settings.log_level, values=settings.log_values, worker=number)
        kept = self._kept(channel, order, settings.lock_out_failures)
        live = live_context(settings)
        hosting = host(stack, configuration, Path(order["path"]), kept, live, worker=number)
        runner = Runner(hosting.application, header_bytes=settings.header_bytes, stop_s=settings.stop_s)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await stack.enter_async_context(running(hosting.companions))
        handed = Handed(self.given, runner, hosting.tls)
        handed.begin()
        stack.callback(handed.end)
        self.hosting.set_result(hosting)
        await self.stop.wait()

    def _kept(self, channel: Channel, order: dict[str, Any], failures: int) -> Kept:
        """Return what the parent keeps for all."""
        if order["audited"]:
            self.trail = RemoteTrail(channel, order["broken"])
        self.lock_out = RemoteLockOut(channel, failures)
        self.lock_out.begin(order["sources"])
        identity = order["record"]
        return Kept(self.trail, None if identity is None else RemoteRecord(channel, identity), self.lock_out)

    async def _hear(self, verb: str, body: Any) -> object:  # noqa: ANN401 - each verb has a body of its own
        """Do what the parent says."""
        match verb:
            case "serve":
                self.orders.put_nowait(body)
                return list((await self.hosting).served)
            case "stop":
                self.stop.set()
            case "apply":
                wanted: Configuration = pickle.loads(body)  # noqa: S301 - from our own parent
                done = await (await self.hosting).reloading.apply(wanted)
                return done.connectors, dict(done.refused)
            case "metrics":
                return (await self.hosting).metrics.families()
            case "broken" if self.trail is not None:
                self.trail.is_broken = body
            case "suspected" if self.lock_out is not None:
                self.lock_out.suspect(*body)
            case "forgiven" if self.lock_out is not None:
                self.lock_out.forgiven(body)
            case "broken" | "suspected" | "forgiven":
                pass  # said before the order to serve, which tells it, too
            case _:
                raise HostError(f"nobody does {verb}")
        return None


def channel_watch(channel: Channel) -> Callable[[], Awaitable[None]]:
    """Return what ends this process at once when the parent is gone.

    Nothing can be put on record then, so nothing may be answered: clients see the connection cut, and know nothing.
    """

    async def watch() -> None:
        await channel.lost.wait()
        os._exit(1)

    return watch


def beats(channel: Channel, every_s: float) -> Callable[[], Awaitable[None]]:
    """Return what tells the parent again and again that the event loop runs."""

    async def beat() -> None:
        while True:
            channel.tell("alive")
            await asyncio.sleep(every_s)

    return beat


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
