"""The way to the one connector host: pooled TLS connections, each looked at before a request may take it.

So a host that cannot be reached, is another one than before, or turns the agent away, is known before anything was
sent. Knows nothing of links.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from agent.errors import AgentError, system_words
from agent.link.tls import doubt
from agent.outbound.connection import BROKEN, Connection, Protocol, StoodIn, how_it_broke
from connector_host.reading import Reading

if TYPE_CHECKING:
    from yarl import URL

    from agent.outbound.host_tls import HostTls

IDLE_S: Final = 15.0
"""Seconds that an unused connection is kept: less than any host's own patience, so that it is rarely the host that
ends one just as a request goes out on it."""

LOOK_S: Final = 5.0
"""Seconds that the host may take to say how it is."""

DIALS: Final = 4
"""Connections that are made at once, or a quarter of those that are wished for where that is more: under a burst the
few that exist come back sooner than the handshakes of one for each request are done."""

_HINT: Final = "; one that demands client certificates does so where host_client_certificate shows none that it knows"


class HostUnreachable(AgentError):
    """No connection to the host came about; nothing was sent."""


class HostCertificateRefused(AgentError):
    """The host showed a certificate that is not believed; nothing was sent."""


@dataclass(frozen=True)
class Host:
    """Where the connector host is, and how to speak to it."""

    url: URL
    tls: HostTls
    connect_s: float

    @cached_property
    def authority(self) -> str:
        """Return `name:port`, as in the Host header."""
        return f"[{self.name}]:{self.port}" if ":" in self.name else f"{self.name}:{self.port}"

    @cached_property
    def described(self) -> str:
        """Return what an error calls it."""
        return f"the connector host at {self.url.origin()}"

    @property
    def name(self) -> str:
        """Return the host's name or address."""
        return self.url.raw_host or ""

    @property
    def port(self) -> int:
        """Return the host's port."""
        return self.url.port or 443


@dataclass(slots=True, eq=False)
class _Wish:
    """A request that waits for a connection."""

    record: str
    number: int
    since_s: float
    got: asyncio.Future[Connection]
    dialled: bool = False
    """Whether a connection is being made for it."""
    doubted: int | None = None
    """The last of the dials that may still show that the host takes connections, once one has failed."""
    hope: bool = False
    """Whether the host took a connection since it began to wait, which is good for one more dial."""


def _served(wish: _Wish) -> bool:
    return wish.got.done() and not wish.got.cancelled() and wish.got.exception() is None


class HostPool:
    """The connections to the host: reused while they are good, and never more alive than requests in hand."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self._reading = Reading()
        self._idle: deque[Connection] = deque()
        self._wishes: deque[_Wish] = deque()
        self._wished = 0
        self._dials: dict[int, asyncio.Task[None]] = {}
        self._dialled = 0
        self._closed = False
        self._keeps = True
        """Whether the host was last seen to keep a connection once it has answered."""

    async def borrow(self, record: str = "") -> Connection:
        """Lend a connection; raises HostUnreachable or HostCertificateRefused with nothing sent.

        Where a `record` is named, one to a host that keeps this record of outcomes, or else a new one, which may lead
        to any host: the caller looks.
        """
        return self.reuse(record) or await self._wait(record)

    async def look(self, record: str) -> str:
        """Return which record of outcomes the host keeps now, this one while it is found; raises as `borrow`."""
        connection = self.reuse("")
        if connection is None:
            connection = await self._connect(record)
        else:
            await self._look(connection, record)
        self.give_back(connection)
        return connection.record

    def give_back(self, connection: Connection) -> None:
        """Keep the connection for the next exchange where this one ended cleanly, else end it."""
        if not connection.reusable:
            connection.close()
        elif not self._wishes or not self._hand_on(connection):
            self._rest(connection)

    def keep(self, connection: Connection) -> None:
        """Keep the connection for the next exchange where this one is known to have ended cleanly."""
        if self._wishes:
            self.give_back(connection)
        else:
            # Whether the host still holds it is looked at when it is lent again.
            self._rest(connection)

    def _rest(self, connection: Connection) -> None:
        connection.rest()
        connection.idle_since_s = asyncio.get_running_loop().time()
        self._idle.append(connection)

    def close(self) -> None:
        """End all idle connections, and make no more."""
        self._closed = True
        for dial in self._dials.values():
            dial.cancel()
        self.start_anew()

    def start_anew(self) -> None:
        """End all idle connections: the host is to be looked at before another request is sent."""
        while self._idle:
            self._idle.pop().close()

    async def _wait(self, record: str) -> Connection:
        """Return the fitting connection that comes first: one that is given back, or a new one."""
        self._wished += 1
        loop = asyncio.get_running_loop()
        wish = _Wish(record, self._wished, loop.time(), loop.create_future())
        self._wishes.append(wish)
        self._dial_for_some()
        try:
            return await wish.got
        except asyncio.CancelledError:
            if _served(wish):
                self.give_back(wish.got.result())
            raise
        finally:
            if wish in self._wishes:
                self._wishes.remove(wish)

    def _hand_on(self, connection: Connection) -> bool:
        """Give the connection to whom it fits and who waits longest; returns whether there is anybody."""
        for wish in self._wishes:
            if wish.record in {"", connection.record} and not wish.got.done():
                wish.got.set_result(connection)
                self._wishes.remove(wish)
                return True
        return False

    def _dial_for_some(self) -> None:
        """Make connections for those who wait longest, as many as may be made at once."""
        # Where none comes back there is nothing to wait for.
        most = max(DIALS, len(self._wishes) // 4) if self._keeps else len(self._wishes)
        while not self._closed and len(self._dials) < most:
            wish = next((wish for wish in self._wishes if not wish.dialled and wish.doubted is None), None)
            if wish is None:
                return
            wish.dialled = True
            self._dialled += 1
            self._dials[self._dialled] = asyncio.create_task(self._dial_for(wish, self._dialled))

    async def _dial_for(self, wish: _Wish, dial: int) -> None:
        last = self._wished
        try:
            connection = await self._connect(wish.record)
        except Exception as failure:  # noqa: BLE001 - whoever waits for the connection hears of it
            del self._dials[dial]
            wish.dialled = False
            if _served(wish):
                self._take_heart()
            else:
                self._doubt(failure, last)
        else:
            del self._dials[dial]
            if wish.got.done():
                self.give_back(connection)
            else:
                wish.got.set_result(connection)
                self._wishes.remove(wish)
            self._take_heart()
        self._dial_for_some()

    def _take_heart(self) -> None:
        """Have those whose dials failed dialled for again: the host takes connections, or one of its hosts does."""
        for wish in self._wishes:
            wish.doubted, wish.hope = None, True

    def _doubt(self, failure: Exception, last: int) -> None:
        """Let those who waited when this dial began wait for the others in flight; without any, they fail as it did."""
        late_s = asyncio.get_running_loop().time() - self.host.connect_s
        # Whoever began to wait later may meet another host.
        for wish in [one for one in self._wishes if one.number <= last and not one.got.done()]:
            if wish.doubted is None:
                wish.doubted = max(self._dials, default=0)
            if any(dial <= wish.doubted for dial in self._dials):
                continue
            if wish.hope and wish.since_s > late_s:
                wish.doubted, wish.hope = None, False
            else:
                wish.got.set_exception(failure)
                self._wishes.remove(wish)

    def reuse(self, record: str) -> Connection | None:
        """Lend the fitting connection that was used last and is still good, where there is one."""
        oldest_s = asyncio.get_running_loop().time() - IDLE_S
        while self._idle and self._idle[0].idle_since_s < oldest_s:
            self._idle.popleft().close()
        others: list[Connection] = []
        found = None
        while self._idle and found is None:
            connection = self._idle.pop()
            if not (connection.reusable and connection.is_quiet):
                connection.close()
            elif not record or record == connection.record:
                found = connection
            else:
                others.append(connection)
        if others:
            self._idle.extend(reversed(others))
        return found

    async def _connect(self, record: str) -> Connection:
        """Return a new connection to a host that was looked at over it."""
        connection = await self._dial()
        await self._look(connection, record)
        self._keeps = connection.reusable
        if self._keeps:
            return connection
        # Some hosts, and what stands in front of them, end a connection after each answer.
        connection.close()
        return await self._dial()

    async def _look(self, connection: Connection, record: str) -> None:
        """Look at the host over this connection, which is ended where that fails; raises HostUnreachable."""
        try:
            async with asyncio.timeout(LOOK_S):
                await connection.look(self.host.authority, record)
        except TimeoutError as failure:
            connection.close()
            raise HostUnreachable(f"{self.host.described} is silent for {LOOK_S:g} s") from failure
        except StoodIn as failure:
            connection.close()
            raise HostUnreachable(f"{self.host.described} cannot be looked at: {failure}") from failure
        except BROKEN as failure:
            connection.close()
            detail = f"{self.host.described} cannot be looked at: {how_it_broke(failure)}{_HINT}"
            raise HostUnreachable(detail) from failure
        except BaseException:
            # An answer that may still come must never meet the next request.
            connection.close()
            raise

    async def _dial(self) -> Connection:
        loop, host = asyncio.get_running_loop(), self.host
        where = host.described
        try:
            async with asyncio.timeout(host.connect_s):
                _, protocol = await loop.create_connection(
                    lambda: self._reading.into(lambda: Protocol(loop)),
                    host.name,
                    host.port,
                    ssl=host.tls.context(),
                )
        except ssl.SSLCertVerificationError as failure:
            raise HostCertificateRefused(
                f"the certificate of {where} is not accepted: {doubt(failure, 'agent.host_trust')}"
            ) from failure
        except ssl.SSLError as failure:
            raise HostUnreachable(f"{where} does not speak TLS: {failure.reason or failure}") from failure
        except TimeoutError as failure:
            raise HostUnreachable(f"{where} does not answer within {host.connect_s:g} s") from failure
        except OSError as failure:
            raise HostUnreachable(f"{where} cannot be reached: {system_words(failure)}") from failure
        return Connection(protocol.inner, loop)
