"""One request from the link to the connector host, and its answer back, as they stream.

Every way in which this can fail ends as a Failure that says whether the host may have seen the request: what becomes
of the request then is the relay's to decide.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from agent import events, logs
from agent.errors import AgentError, ProtocolViolation
from agent.link.frames import HEAD_BYTES
from agent.link.headers import is_block, named_by_connection, said, to_block
from agent.link.messages import Failure, Health, Reason, RequestHead, ResponseHead
from agent.link.packing import decode, encode
from agent.link.piping import pipe
from agent.outbound.allowed import refusal
from agent.outbound.connection import BROKEN, HOSTS, RECORD_HEADER, how_it_broke
from agent.outbound.host import HostCertificateRefused, HostUnreachable
from agent.status import dated
from connector_host import traces

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp.http_parser import RawResponseMessage
    from aiohttp.streams import StreamReader

    from agent.link.streams import Stream
    from agent.outbound.connection import Connection
    from agent.outbound.host import HostPool
    from agent.outbound.tokens import HostToken
    from agent.rates import Rates

DEADLINE_LIMIT_MS: Final = 600_000
"""No answer is waited for longer, whatever the relay says."""

STRETCH_S: Final = DEADLINE_LIMIT_MS / 1000
"""How long one stretch of an answer may take from the host to the relay, which has a closer limit of its own; a whole
answer takes as long as it takes."""

_SAID_BY_THE_RELAY: Final = frozenset({b"x-request-id"})
_CODING: Final = b"content-encoding"
_BODILESS: Final = frozenset({204, 304})
_UNASKED: Final = (
    "it adds the host's token (host_token_file), but the relay does not say that it asked this client for one, so that "
    "anybody would come in: set client_token_hashes for this tenant in relay.toml, at each node, bring a relay up to "
    "date that is older than this agent, or take host_token_file out of agent.toml"
)
_TURNED_AWAY: Final = "does not accept the token in host_token_file of agent.toml: put a valid one there"
_WITHOUT: Final = (
    "wants a token, and the relay kept the client's for itself (client_token_hashes): set host_token_file in agent.toml"
)


@dataclass(slots=True)
class Forwarder:
    """Answers the streams that the relay opens."""

    pool: HostPool
    token: HostToken
    passthrough: bool
    """Whether connections are carried untouched, too."""
    in_flight: int
    """Requests that are carried at once; more are refused, so that another agent may take them."""
    rates: Rates
    """How many in a second."""
    body_bytes: int
    """The largest body, whatever the relay let through."""
    heard: Callable[[Health], None]
    """Called where a request finds the host to be another one than the probe last saw."""
    draining: bool = False
    carried: int = 0
    answered: Counter[int] = field(default_factory=Counter)
    """Requests that the host answered, by status."""
    failed: Counter[str] = field(default_factory=Counter)
    """Requests without an answer, by reason."""
    last_error: str = ""
    """When and why the last of them failed."""

    async def serve(self, stream: Stream, packed: bytes) -> None:
        """Carry the request of this stream; returns when the stream is over, however it ended."""
        exchange = _Exchange(stream, self)
        if self.draining:
            exchange.give_up(Reason.DRAINING, "The agent is about to stop.")
            return
        if self.carried >= self.in_flight:
            exchange.give_up(Reason.BUSY, f"The agent already carries {self.in_flight} requests.")
            return
        if self.rates.take("", asyncio.get_running_loop().time()):
            exchange.give_up(Reason.BUSY, f"The agent carries no more than {self.rates.per_s:g} requests a second.")
            return
        self.carried += 1
        try:
            await exchange.run(packed)
        finally:
            self.carried -= 1


@dataclass(slots=True)
class _Exchange:
    stream: Stream
    forwarder: Forwarder
    sent: bool = False
    answered: bool = False
    request_id: str = ""
    traceparent: str | None = None
    violation: str | None = None
    limit: asyncio.Timeout | None = None
    """Ends the exchange where the answer does not begin by the deadline, or does not go on."""

    @property
    def pool(self) -> HostPool:
        """Return the connections to the host."""
        return self.forwarder.pool

    async def run(self, packed: bytes) -> None:
        try:
            head = decode(RequestHead, packed)
        except ProtocolViolation as violation:
            self.give_up(Reason.MALFORMED, f"The relay sent {violation}.")
            return
        self.request_id, self.traceparent = head.request_id, said(head.headers, traces.HEADER)
        if head.method == "CONNECT" and self.forwarder.passthrough:
            await self._carry_untouched()
        elif reason := refusal(head.method, head.target):
            self.give_up(Reason.NOT_ALLOWED, reason)
        elif not is_block(head.headers):
            self.give_up(Reason.MALFORMED, "The relay sent headers that may not be passed on.")
        elif (head.length or 0) > self.forwarder.body_bytes:
            self.give_up(Reason.MALFORMED, f"The relay sent {self._too_large}.")
        elif self.forwarder.token.is_own and not head.known:
            # Whoever finds the relay would come in: nobody has asked this client for a token.
            self.give_up(Reason.HOST_UNREACHABLE, _UNASKED, lasting=True)
        else:
            await self._carry(head)

    @property
    def _too_large(self) -> str:
        return f"a body over the {self.forwarder.body_bytes} bytes of `body_bytes` in agent.toml"

    async def _carry_untouched(self) -> None:
        """Carry a TLS connection between a client and the host, whoever they are to each other."""
        host = self.pool.host
        try:
            async with asyncio.timeout(host.connect_s):
                reader, writer = await asyncio.open_connection(host.name, host.port)
        except (OSError, TimeoutError) as failure:
            reason = getattr(failure, "strerror", None) or f"no answer within {host.connect_s:g} s"
            detail = f"{host.described} cannot be reached: {reason}"
            self.give_up(Reason.HOST_UNREACHABLE, detail)
            return
        self.sent = self.answered = True
        self.stream.respond(encode(ResponseHead(200, b"")), end=False)
        try:
            await pipe(self.stream, reader, writer)
        except OSError as failure:
            self.give_up(Reason.HOST_DROPPED, f"the connection to the connector host broke ({failure})")
        finally:
            writer.close()

    async def _carry(self, head: RequestHead) -> None:
        try:
            async with asyncio.timeout(min(head.deadline_ms, DEADLINE_LIMIT_MS) / 1000) as self.limit:
                connection = await self.pool.borrow(head.record)
                try:
                    await self._exchange(head, connection)
                except BaseException:
                    connection.close()
                    raise
                self.pool.give_back(connection)
        except HostCertificateRefused as failure:
            self.give_up(Reason.HOST_CERTIFICATE, str(failure), lasting=True)
        except HostUnreachable as failure:
            self.give_up(Reason.HOST_UNREACHABLE, str(failure))
        except TimeoutError:
            self.give_up(Reason.HOST_SLOW, f"{self.pool.host.described} {self._lateness(head)}")
        except BROKEN as failure:
            if self.violation is None:
                where = self.pool.host.described
                detail = f"{where} ended the connection before its answer was complete ({how_it_broke(failure)})"
                self.give_up(Reason.HOST_DROPPED, detail)
            else:
                self.give_up(Reason.MALFORMED, f"The relay sent {self.violation}.")

    def _allow_stretch(self) -> None:
        if self.limit is not None:
            self.limit.reschedule(asyncio.get_running_loop().time() + STRETCH_S)

    def _lateness(self, head: RequestHead) -> str:
        if self.answered:
            return f"began an answer that did not go on for {STRETCH_S:g} s"
        return f"did not answer within {head.deadline_ms / 1000:g} s"

    async def _exchange(self, head: RequestHead, connection: Connection) -> None:
        if head.record and connection.record != head.record:
            # The relay counts on this record, should it have to send the write again, or does so already.
            self._is_another(connection, connection.record)
            return
        first = b"" if self.stream.has_ended else await self.stream.read()
        complete = self.stream.has_ended
        if not complete and head.length is not None and len(first) > head.length:
            # The rest would pass for the next request on this connection, which nobody has looked at.
            self.give_up(Reason.MALFORMED, f"The relay sent {_longer(len(first), head.length)}.")
            return
        if complete:
            await self._ask(head, connection, first)
            return
        connection.expect_answer(bodiless=head.method == "HEAD")
        length = head.length
        self.sent = True
        await connection.send(self._request(head, length) + (first if length is not None else _chunk(first)))
        # The host may answer before it has read all: both directions run at once, and the answer ends the exchange.
        upload = asyncio.create_task(self._upload(connection, length, len(first)))
        try:
            if (other := await self._answer(head, connection)) is not None:
                self._is_another(connection, other)
        finally:
            if not upload.done():
                upload.cancel()
                connection.close()

    async def _ask(self, head: RequestHead, connection: Connection, body: bytes) -> None:
        """Send a request whose body is at hand; again where another host than the one looked at took it, undone."""
        request = self._request(head, len(body)) + body
        for turn in range(1, HOSTS + 1):
            connection.expect_answer(bodiless=head.method == "HEAD")
            self.sent = True
            await connection.send(request)
            other = await self._answer(head, connection)
            if other is None:
                return
            if turn == HOSTS or not connection.reusable:
                self._is_another(connection, other)
                return
            logs.event(events.REQUEST_REPEATED, request_id=self.request_id, sent=False, detail=self._spread)

    @property
    def _spread(self) -> str:
        return (
            f"what leads to {self.pool.host.described} spreads the requests of one connection over several hosts "
            "with records of their own: let it lead each connection to one host"
        )

    def _is_another(self, connection: Connection, record: str) -> None:
        """Tell that the host at the other end is not the one that the write is for, and which it is."""
        connection.record = record
        self.forwarder.heard(Health(reachable=True, record=record))
        detail = f"{self.pool.host.described} keeps another record of outcomes than the one that the write is for"
        self.give_up(Reason.OTHER_HOST, detail)

    def _request(self, head: RequestHead, length: int | None) -> bytes:
        """Return the request's head; its body is framed by us, whatever the relay said."""
        framing = b""
        if length is None:
            framing = b"Transfer-Encoding: chunked\r\n"
        elif length or head.method not in {"GET", "HEAD", "DELETE"}:
            framing = b"Content-Length: %d\r\n" % length
        line = f"{head.method} {head.target} HTTP/1.1\r\nHost: {self.pool.host.authority}\r\n"
        headers = self.forwarder.token.put_into(head.headers)
        # Whoever takes it: what leads to the host may spread the requests of this connection over several.
        meant = b"%b: %b\r\n" % (RECORD_HEADER, head.record.encode("ascii")) if head.record else b""
        return b"%b%b%b%b\r\n" % (line.encode("ascii"), headers, meant, framing)

    async def _upload(self, connection: Connection, length: int | None, done: int) -> None:
        """Send the rest of the body; a relay that goes astray ends the connection, and with it the wait."""
        try:
            while data := await self.stream.read():
                done += len(data)
                # More or less than was announced would let a body pass for the next request on this connection.
                if length is not None and done > length:
                    break
                if done > self.forwarder.body_bytes:
                    self.violation = self._too_large
                    connection.close()
                    return
                await connection.send(data if length is not None else _chunk(data))
            if length is None:
                await connection.send(b"0\r\n\r\n")
            elif done != length:
                self.violation = _longer(done, length)
                connection.close()
        except AgentError:
            connection.close()
        except BROKEN:
            # The host stopped reading: what it answers, if anything, decides.
            return

    async def _answer(self, head: RequestHead, connection: Connection) -> str | None:
        """Pass the answer on; where another host than the write is for refused it, return that one's record instead."""
        message, body = await connection.answer(bodiless=head.method == "HEAD")
        if (other := await connection.refused_by(message, body, head.record)) is not None:
            # It did nothing. That nobody else did before it, unseen, holds for what leads there, too: a proxy repeats
            # nothing but what has the same effect twice (RFC 9110 §9.2.2).
            self.sent = False
            return other
        if head.known and message.code == HTTPStatus.UNAUTHORIZED:
            self._turned_away(connection)
            return None
        bodiless = head.method == "HEAD" or message.code in _BODILESS
        over = bodiless or body.at_eof()
        response, encoded = _response(message)
        packed = encode(response)
        if len(packed) > HEAD_BYTES:
            connection.close()
            self.give_up(Reason.HOST_DROPPED, "the connector host's answer has more headers than a link carries")
            return None
        self.answered = True
        self.stream.respond(packed, end=over, encoded=encoded)
        if not over:
            await self._download(body)
        self.forwarder.answered[message.code] += 1
        logs.event(
            events.REQUEST_ANSWERED,
            request_id=self.request_id,
            traceparent=self.traceparent,
            method=head.method,
            status=message.code,
        )
        return None

    def _turned_away(self, connection: Connection) -> None:
        """Tell that the host wants another token: the client's was right, and cannot mend the agent's.

        Turned away at the door, nothing was done.
        """
        connection.close()
        self.sent = False
        token = self.forwarder.token
        detail = f"{self.pool.host.described} {_TURNED_AWAY if token.is_own else _WITHOUT}"
        # Where the token was just exchanged, the same request is worth another attempt; else each one brings the
        # client nearer to the host's lock-out.
        self.give_up(Reason.HOST_UNREACHABLE, detail, lasting=not token.read_again())

    async def _download(self, body: StreamReader) -> None:
        while True:
            # A timer costs as much as all the rest of this, and a short answer is here whole and leaves at once.
            is_here = body.is_eof()
            if not is_here:
                self._allow_stretch()
            data = await body.readany()
            over = body.at_eof()
            if is_here and not self.stream.takes(len(data)):
                self._allow_stretch()
            await self.stream.write(data, end=over)
            if over:
                return

    def give_up(self, reason: Reason, detail: str, *, lasting: bool = False) -> None:
        """Tell the relay why there is no answer, or no more of it; `lasting` where only an administrator mends that."""
        logs.event(
            events.REQUEST_FAILED,
            level=logging.WARNING,
            request_id=self.request_id,
            traceparent=self.traceparent,
            reason=reason,
            sent=self.sent,
            answered=self.answered,
            detail=detail,
        )
        self.forwarder.failed[reason] += 1
        self.forwarder.last_error = dated(detail)
        self.stream.fail(encode(Failure(reason, self.sent, detail, lasting)))


def _longer(size_bytes: int, announced_bytes: int) -> str:
    return f"a body of {size_bytes} bytes or more that was announced as {announced_bytes}"


def _chunk(data: bytes) -> bytes:
    """Frame a stretch of a body whose length nobody said (RFC 9112 §7.1); nothing for nothing, which would end it."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def _response(message: RawResponseMessage) -> tuple[ResponseHead, bool]:
    """Return the head of the answer, and whether the host compressed the body or did anything else to it.

    RFC 9110 §8.4 has the latter.
    """
    pairs = message.raw_headers
    lowered = [name.lower() for name, _ in pairs]
    without: frozenset[bytes] = _SAID_BY_THE_RELAY
    if b"connection" in lowered:
        without |= named_by_connection(pairs)
    length = int(pairs[lowered.index(b"content-length")][1]) if b"content-length" in lowered else None
    codings = [value.strip().lower() for name, (_, value) in zip(lowered, pairs, strict=True) if name == _CODING]
    return ResponseHead(message.code, to_block(pairs, without), length), any(one != b"identity" for one in codings)
