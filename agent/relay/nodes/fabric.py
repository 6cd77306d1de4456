"""The connection to NATS: made, watched, and made again; carries packets to one node or to all, and knows not what.

A connection that broke is never continued: what was on it is lost, and whoever used it hears that at once. So nothing
that was given up can leave later.
"""

from __future__ import annotations

import asyncio
import logging
import random
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from agent import events, logs
from agent.errors import ConfigurationError
from agent.link.followed import FollowedContext
from agent.link.tls import trusting
from agent.relay.nodes.logins import arguments, demand_encryption, read_login
from agent.relay.nodes.reasons import is_missing_right, reason_of
from connector_host.small_files import demand_small

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from types import ModuleType

    from nats.aio.client import Client
    from nats.aio.msg import Msg

    from agent.settings import NatsSettings

MESSAGE_BYTES: Final = 262_144
"""What NATS must let through at once: the largest batch of a link, and its seal. NATS' own default is 1 MB."""

CONNECT_S: Final = 5.0
CLOSE_S: Final = 0.5
PAUSE_S: Final = 5.0
"""The longest pause before NATS is dialled again; each is drawn at random, from nothing up to a bound that doubles."""

_FIRST_PAUSE_S: Final = 0.2
_INBOX: Final = "provisioning-relay.node."
_ALL: Final = "provisioning-relay.all"


class NotThere(OSError):
    """NATS cannot be reached just now."""


class Fabric:
    """Keeps one connection to NATS."""

    def __init__(self, settings: NatsSettings, node: str) -> None:
        """Prepare; raises ConfigurationError where the settings cannot be used."""
        self.take: Callable[[bytes], None] = _ignore
        """Gets each packet."""
        self.trouble = "the connection has not come about yet"
        """Why there is no connection; empty where there is one."""
        self.on_change: Callable[[], None] = _nothing
        """Called when the connection has come about or was lost."""
        self._library = _library()
        logging.getLogger("asyncio").addFilter(_is_worth_a_line)
        self._settings = settings
        self._node = node
        self._tls = FollowedContext(lambda: _context(settings), settings.trust, settings.certificate, settings.key)
        self._client: Client | None = None
        self._lost = asyncio.Event()
        self._said = ""
        """What went wrong last on this connection, or on the way to it, and did not end it: a right is missing, say."""
        self._failures: dict[str, str] = {}
        """Why there was no connection to each URL when it was last tried, and the log says so."""
        read_login(settings)

    @property
    def missing_right(self) -> str:
        """Return what NATS said that this node may not do, while there is a connection; empty where it said nothing."""
        return self._said if not self.trouble and is_missing_right(self._said) else ""

    async def keep(self) -> None:
        """Connect, and connect again, until cancelled."""
        bound_s = _FIRST_PAUSE_S
        try:
            while True:
                for url in random.sample(self._settings.urls, len(self._settings.urls)):
                    if await self._hold(url):
                        bound_s = _FIRST_PAUSE_S
                await asyncio.sleep(random.uniform(0.0, bound_s))  # noqa: S311 - spreads load, guards nothing
                bound_s = min(2 * bound_s, PAUSE_S)
        finally:
            await self._end()

    async def send(self, node: str, packet: bytes) -> None:
        """Send a packet to one node; raises NotThere."""
        await self._publish(_INBOX + node, packet)

    async def shout(self, packet: bytes) -> None:
        """Send a packet to all nodes, this one too; raises NotThere."""
        await self._publish(_ALL, packet)

    def give_up(self, reason: str) -> None:
        """End this connection and make another."""
        if not self.trouble:
            self.trouble = f"{reason}, and it said: {self._said}" if self._said else reason
        self._lost.set()

    async def _publish(self, subject: str, packet: bytes) -> None:
        client = self._client
        if client is None or self._lost.is_set():
            raise NotThere(f"NATS: {self.trouble}")
        try:
            await client.publish(subject, packet)
        except self._library.errors.Error as failure:
            self.give_up(reason_of(failure, CONNECT_S))
            raise NotThere(f"NATS: {reason_of(failure, CONNECT_S)}") from failure

    async def _hold(self, url: str) -> bool:
        """Hold one connection until it is lost; returns whether it ever came about."""
        self._lost.clear()
        self._said = ""
        try:
            async with asyncio.timeout(CONNECT_S):
                self._client = await self._connect(url)
            _heed_cancellation()
        except (OSError, TimeoutError, ConfigurationError, self._library.errors.Error) as failure:
            _heed_cancellation()
            # The library tries a name or a port that leads nowhere until the time is over, and says why beside that.
            reason = (isinstance(failure, TimeoutError) and self._said) or reason_of(failure, CONNECT_S)
            self.trouble = f"{url}: {reason}"
            if self._failures.get(url) != reason:
                self._failures[url] = reason
                logs.event(events.NATS_FAILED, level=logging.WARNING, url=url, reason=reason)
            return False
        self.trouble = ""
        self._failures.clear()
        logs.event(events.NATS_CONNECTED, url=url)
        if self.missing_right:
            logs.event(events.NATS_TROUBLE, level=logging.WARNING, reason=self.missing_right)
        self.on_change()
        await self._lost.wait()
        self.trouble = self.trouble or "the connection was lost"
        logs.event(events.NATS_LOST, level=logging.WARNING, url=url, reason=self.trouble)
        await self._end()
        return True

    async def _end(self) -> None:
        client, self._client = self._client, None
        if client is None:
            return
        self.trouble = self.trouble or "this node is about to stop"
        self.on_change()
        await _close(client)

    async def _connect(self, url: str) -> Client:
        """Return a connection that listens; raises OSError, TimeoutError or NATS' errors."""
        client = self._library.NATS()
        given = arguments(read_login(self._settings), client)
        try:
            await client.connect(
                servers=[url],
                name=f"provisioning relay {self._node}",
                tls=self._tls.context(),
                allow_reconnect=False,
                error_cb=self._on_error,
                closed_cb=self._on_closed,
                connect_timeout=CONNECT_S,
                **given,
            )
            _demand(client)
            for subject in (_INBOX + self._node, _ALL):
                await client.subscribe(subject, cb=self._on_message)
            await client.flush()
        except BaseException:
            await _close(client)
            raise
        return client  # type: ignore[no-any-return] # the library is imported where it is needed

    async def _on_message(self, message: Msg) -> None:
        self.take(message.data)

    async def _on_error(self, failure: Exception) -> None:
        reason = reason_of(failure, CONNECT_S)
        if reason != self._said:
            self._said = reason
            if self.trouble:
                return  # whoever makes the connection, or has lost it, logs this
            logs.event(events.NATS_TROUBLE, level=logging.WARNING, reason=reason)

    async def _on_closed(self) -> None:
        self._lost.set()


def _is_worth_a_line(record: logging.LogRecord) -> bool:
    """Return False for what asyncio says of each TLS connection of NATS' library that ends.

    The library makes its protocol by hand, which then does not know that it is over TLS. Nothing follows from that.
    """
    return not str(record.msg).startswith("returning true from eof_received()")


def _library() -> ModuleType:
    try:
        import nats  # noqa: PLC0415 - an extra, which a single node does without
        import nats.errors  # noqa: PLC0415
    except ImportError:
        raise ConfigurationError(f"relay.nats: needs nats-py: {sys.executable} -m pip install nats-py") from None
    return nats


def _context(settings: NatsSettings) -> ssl.SSLContext:
    """Return what is spoken to NATS: its certificate is always verified."""
    context = trusting(settings.trust, "relay.nats.trust")
    if (settings.certificate is None) != (settings.key is None):
        raise ConfigurationError("relay.nats.certificate and relay.nats.key: give both, or neither.")
    if settings.certificate is not None:
        try:
            for file in filter(None, (settings.certificate, settings.key)):
                demand_small(file)
            context.load_cert_chain(settings.certificate, settings.key)
        except OSError as failure:  # ssl.SSLError, too
            raise ConfigurationError(f"relay.nats.certificate: cannot be used ({failure}).") from failure
    return context


async def _close(client: Client) -> None:
    """Close, whatever the library makes of it; a connection into a void, or without TLS, never says good-bye."""
    with suppress(Exception):
        async with asyncio.timeout(CLOSE_S):
            await client.close()


def _demand(client: Client) -> None:
    """Raise ConfigurationError where this server cannot be used."""
    demand_encryption(client)
    if client.max_payload < MESSAGE_BYTES:
        wanted = f"max_payload must be {MESSAGE_BYTES} bytes at least"
        raise ConfigurationError(f"the server takes {client.max_payload} bytes at once; its {wanted}")


def _heed_cancellation() -> None:
    """End here if told to: waiting by `wait_for`, as NATS does, may swallow that before Python 3.12 (gh-86296)."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _nothing() -> None:
    """Change nothing."""


def _ignore(_: bytes) -> None:
    """Change nothing."""
