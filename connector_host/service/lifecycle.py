"""One life of the host: bind, say that it is ready, serve until told to stop, then stop in order.

stop signal ──▶ no new connections ──▶ requests in hand end (bounded) ──▶ whoever built it closes it ──▶ exit 0
"""

from __future__ import annotations

import asyncio
import errno
import signal
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog
from aiohttp import web

from connector_host.endpoint.protocol import Runner
from connector_host.errors import HostError
from connector_host.observability import events
from connector_host.units import notifying
from connector_host.units.stopping import REQUESTS

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence

EXIT_CONFIGURATION: Final = 78
"""EX_CONFIG of sysexits.h: starting again does not help, so the unit file tells systemd not to."""
EXIT_TEMPORARY: Final = 75
"""EX_TEMPFAIL: starting again later may help, once the port is free."""


class CannotListen(HostError):
    """The address cannot be listened on; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Listener:
    """A web application and where it is served."""

    application: web.Application
    address: str
    port: int
    tls: ssl.SSLContext
    stop_s: float
    """Seconds that requests in hand are given to end."""
    header_bytes: int = 32_768
    """The longest request line and the longest header."""
    companions: tuple[Callable[[], Awaitable[None]], ...] = ()
    """What runs beside it for as long as it serves: each goes on until it is cancelled."""


async def serve(listener: Listener, *, ready: Callable[[int], None]) -> None:
    """Serve until SIGTERM or SIGINT, and return when the requests in hand have ended.

    `ready` is called with the port, once connections are taken. Raises CannotListen where the address is taken or
    not ours.
    """
    stop = asyncio.Event()
    async with AsyncExitStack() as stack:
        stack.enter_context(stopping_signals(stop))
        runner = Runner(listener.application, header_bytes=listener.header_bytes, stop_s=listener.stop_s)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        port = await _bind(runner, listener)
        await stack.enter_async_context(notifying.watched())
        await stack.enter_async_context(running(listener.companions))
        await asyncio.sleep(0)  # so that companions listen to signals before anybody hears that the host is ready
        ready(port)
        notifying.notify(notifying.READY)
        await stop.wait()
        notifying.notify(notifying.STOPPING)
        structlog.get_logger().info(events.HOST_STOPPING, stop_s=listener.stop_s)


@asynccontextmanager
async def running(companions: Sequence[Callable[[], Awaitable[None]]]) -> AsyncIterator[None]:
    """Run every companion while the block lasts; one that fails is logged, and does not stop the service."""

    async def run(companion: Callable[[], Awaitable[None]]) -> None:
        try:
            await companion()
        except Exception:  # noqa: BLE001 - serving goes on, whatever fails beside it
            structlog.get_logger().exception(events.COMPANION_FAILED)

    tasks = [asyncio.create_task(run(companion)) for companion in companions]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _bind(runner: web.AppRunner, listener: Listener) -> int:
    """Listen, and return the port, which the system chose where 0 was asked for."""
    site = web.TCPSite(runner, listener.address, listener.port, ssl_context=listener.tls)
    try:
        await site.start()
    except OSError as failure:
        raise CannotListen(explain_bind(failure, listener.address, listener.port)) from failure
    return int(runner.addresses[0][1])


def explain_bind(failure: OSError, address: str, port: int) -> str:
    """Return the cause and the mend, in one line, for an address that cannot be listened on."""
    match failure.errno:
        case errno.EADDRINUSE:
            return (
                f"Port {port} on {address} is in use: is the host running already? "
                "Stop the other program, or set another `port` in [host]."
            )
        case errno.EACCES:
            return (
                f"This account may not listen on port {port}. "
                "Set a `port` of 1024 or more in [host], or have `service install` give the service this right."
            )
        case errno.EADDRNOTAVAIL:
            return (
                f"{address} is no address of this machine. Set `listen` in [host] to one that it has, or to 127.0.0.1."
            )
        case _:
            return (
                f"{address} port {port} cannot be listened on ({failure.strerror}). Set `listen` and `port` in [host]."
            )


@contextmanager
def stopping_signals(stop: asyncio.Event) -> Iterator[None]:
    """Set the event on SIGTERM and SIGINT, or when the service manager asks, for as long as the block lasts."""
    loop = asyncio.get_running_loop()

    def ask() -> None:
        loop.call_soon_threadsafe(stop.set)

    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            loop.add_signal_handler(number, stop.set)
        except (NotImplementedError, RuntimeError, ValueError):  # Windows; or not the main thread: a Windows service
            with suppress(ValueError):
                signal.signal(number, lambda *_: ask())
    try:
        with REQUESTS.heard_by(ask):
            yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            with suppress(NotImplementedError, RuntimeError, ValueError):
                loop.remove_signal_handler(number)
