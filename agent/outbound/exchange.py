"""One request from the link to the connector host, and its answer back, as they stream.

Most requests come whole, find a connection at hand, and are answered whole: those need no task, and what comes calls
back. All that is out of this order is done by a task.

Every way in which this can fail ends as a Failure that says whether the host may have seen the request: what becomes
of the request then is the relay's to decide.
"""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import msgspec

from agent import events, logs
from agent.errors import AgentError, ProtocolViolation
from agent.link.frames import HEAD_BYTES
from agent.link.headers import is_block, said
from agent.link.messages import Failure, Health, Reason, RequestHead
from agent.link.packing import decode, encode
from agent.outbound.allowed import refusal
from agent.outbound.connection import BROKEN, HOSTS, how_it_broke, in_place
from agent.outbound.host import HostCertificateRefused, HostUnreachable
from agent.outbound.requests import chunk, longer, to_bytes
from agent.outbound.untouched import carry_untouched
from agent.status import dated
from agent.workers import failing
from connector_host import traces

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from aiohttp.streams import StreamReader

    from agent.link.streams import Stream
    from agent.outbound.answers import Answer
    from agent.outbound.connection import Connection
    from agent.outbound.forwarding import Forwarder
    from agent.outbound.host import Host
    from connector_host.deadlines import Deadline

DEADLINE_LIMIT_MS: Final = 600_000
"""No answer is waited for longer, whatever the relay says."""

STRETCH_S: Final = DEADLINE_LIMIT_MS / 1000
"""How long one stretch of an answer may take from the host to the relay, which has a closer limit of its own; a whole
answer takes as long as it takes."""

_UNASKED: Final = (
    "it adds the host's token (host_token_file), but the relay does not say that it asked this client for one, so that "
    "anybody would come in: set client_token_hashes for this tenant in relay.toml, at each node, bring a relay up to "
    "date that is older than this agent, or take host_token_file out of agent.toml"
)
_NO_PASSTHROUGH: Final = "it carries no connections in passthrough: set passthrough = true in its agent.toml"
_TURNED_AWAY: Final = "does not accept the token in host_token_file of agent.toml: put a valid one there"
_WITHOUT: Final = (
    "wants a token, and the relay kept the client's for itself (client_token_hashes): set host_token_file in agent.toml"
)


_LOOKED_AT: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.PRECONDITION_FAILED})
"""Answers that may be meant for the agent, and not for the client."""


class Exchange(msgspec.Struct, eq=False):
    """One request in hand."""

    stream: Stream
    forwarder: Forwarder
    sent: bool = False
    answered: bool = False
    request_id: str = ""
    headers: bytes = b""
    violation: str | None = None
    limit: Deadline | None = None
    """Ends the exchange where the answer does not begin by the deadline, or does not go on."""
    _until_s: float = 0.0
    """Until when, by the loop's clock, the answer is to begin."""
    _head: RequestHead | None = None
    _connection: Connection | None = None
    """What the request was sent on, while no task cares for it."""
    _asked: bytes = b""
    """The request as it was sent there."""

    @property
    def host(self) -> Host:
        """Return the host that it is for."""
        return self.forwarder.pool.host

    def begin(self, packed: bytes, unfit: tuple[Reason, str] | None) -> Coroutine[object, object, None] | None:
        """Take up the request whose packed head this is; return what is left for a task to do.

        It is refused by its name where nothing is carried just now, for the reason given.
        """
        try:
            head = decode(RequestHead, packed)
        except ProtocolViolation as violation:
            self.refuse(Reason.MALFORMED, f"The relay sent {violation}.")
            return None
        self.request_id, self.headers = head.request_id, head.headers
        if unfit is not None:
            self.refuse(*unfit)
            return None
        if head.method == "CONNECT" and self.forwarder.passthrough:
            return carry_untouched(self)
        if (doubt := self._doubt(head)) is not None:
            self.refuse(*doubt)
            return None
        self._until_s = asyncio.get_running_loop().time() + min(head.deadline_ms, DEADLINE_LIMIT_MS) / 1000
        if head.method != "HEAD" and self.stream.is_whole:
            connection = self.forwarder.pool.reuse(head.record)
            if connection is not None:
                self._ask_at_once(head, connection)
                return None
        return self._carry(head)

    def _doubt(self, head: RequestHead) -> tuple[Reason, str] | None:
        """Return why such a request goes no further, or None where it may."""
        if head.method == "CONNECT":
            return Reason.NOT_ALLOWED, _NO_PASSTHROUGH
        if reason := refusal(head.method, head.target):
            return Reason.NOT_ALLOWED, reason
        if not is_block(head.headers):
            return Reason.MALFORMED, "The relay sent headers that may not be passed on."
        if (head.length or 0) > self.forwarder.body_bytes:
            return Reason.MALFORMED, f"The relay sent {self._too_large}."
        if self.forwarder.token.is_own and not head.known:
            # Whoever finds the relay would come in: nobody has asked this client for a token.
            return Reason.HOST_UNREACHABLE, _UNASKED
        return None

    def refuse(self, reason: Reason, detail: str) -> None:
        """Tell the relay why this is not carried, and have nothing more to do with it."""
        self.give_up(reason, detail, lasting=reason is Reason.HOST_UNREACHABLE)
        self.stream.release()

    def over(self) -> None:
        """Let go of what was held, however it ended."""
        self.forwarder.carried -= 1
        self.forwarder.deadlines.drop(self)
        if self._connection is not None:
            # An answer that may still come must never meet the next request.
            self._connection.give_up()
            self._connection = None

    # ── without a task ────────────────────────────────────────────────────────────────────────────────────────────

    def _ask_at_once(self, head: RequestHead, connection: Connection) -> None:
        body = self.stream.whole() or b""
        self._head, self._connection = head, connection
        self._asked = self._request(head, len(body), body)
        self.forwarder.deadlines.put(self, self._until_s)
        self.stream.listener = self._on_stream
        self.sent = True
        connection.ask(self._asked, self._on_answer)

    def expire(self) -> None:
        """Hear that no answer has begun by the deadline."""
        if self._head is not None:
            self.refuse(Reason.HOST_SLOW, f"{self.host.described} {self._lateness(self._head)}")

    def _on_stream(self) -> None:
        """Hear that nobody wants the answer any more."""
        if self.stream.fault is not None:
            self.stream.release()

    def _on_answer(self) -> None:
        """Pass on what the host answered; all but an ordinary answer that is here to its end is left to a task."""
        head, connection = self._head, self._connection
        if head is None or connection is None:
            return
        try:
            answer = connection.begun()
            if answer is None or not self._pass_on(head, answer):
                self._leave_to(self._carry(head, answer))
        except Exception as failure:  # noqa: BLE001 - the link logs it, and goes on for the others
            self._leave_to(failing(failure))

    def _leave_to(self, task: Coroutine[object, object, None]) -> None:
        """Have a task go on, for which its own time limit counts, and this one no more, even before it begins."""
        self.forwarder.deadlines.drop(self)
        self.stream.work(task)

    def _pass_on(self, head: RequestHead, answer: Answer) -> bool:
        status, body, stream = answer.head.status, answer.body, self.stream
        packed = encode(answer.head)
        if status in _LOOKED_AT or answer.is_in_place or len(packed) > HEAD_BYTES:
            return False
        if not isinstance(body, bytes) or not stream.takes(len(body)):
            return False
        self.answered = True
        stream.respond(packed, body, end=True, encoded=answer.encoded)
        self._tell_answered(head, status)
        connection, self._connection = self._connection, None
        if connection is not None:
            self.forwarder.pool.keep(connection)
        stream.release()
        return True

    # ── in a task ─────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def _too_large(self) -> str:
        return f"a body over the {self.forwarder.body_bytes} bytes of `body_bytes` in agent.toml"

    async def _carry(self, head: RequestHead, answer: Answer | None = None) -> None:
        """Carry a request, or go on with one that was sent, and of which this answer came, if any."""
        pool, deadlines = self.forwarder.pool, self.forwarder.deadlines
        connection, self._connection = self._connection, None
        try:
            with deadlines.within(self._until_s - asyncio.get_running_loop().time()) as self.limit:
                connection = connection or await pool.borrow(head.record)
                try:
                    if self.sent:
                        await self._ask(head, connection, self._asked, answer)
                    else:
                        await self._exchange(head, connection)
                except BaseException:
                    connection.close()
                    raise
                pool.give_back(connection)
        except HostCertificateRefused as failure:
            self.give_up(Reason.HOST_CERTIFICATE, str(failure), lasting=True)
        except HostUnreachable as failure:
            self.give_up(Reason.HOST_UNREACHABLE, str(failure))
        except TimeoutError:
            self.give_up(Reason.HOST_SLOW, f"{self.host.described} {self._lateness(head)}")
        except BROKEN as failure:
            if self.violation is None:
                where = self.host.described
                detail = f"{where} ended the connection before its answer was complete ({how_it_broke(failure)})"
                self.give_up(Reason.HOST_DROPPED, detail)
            else:
                self.give_up(Reason.MALFORMED, f"The relay sent {self.violation}.")

    def _allow_stretch(self) -> None:
        if self.limit is not None:
            self.limit.move(STRETCH_S)

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
        if not connection.reusable:
            raise HostUnreachable(f"{self.host.described} ended the connection before the request was sent")
        if not complete and head.length is not None and len(first) > head.length:
            # The rest would pass for the next request on this connection, which nobody has looked at.
            self.give_up(Reason.MALFORMED, f"The relay sent {longer(len(first), head.length)}.")
            return
        if complete:
            await self._ask(head, connection, self._request(head, len(first), first))
            return
        connection.expect_answer(bodiless=head.method == "HEAD")
        length = head.length
        self.sent = True
        await connection.send(self._request(head, length, first))
        # The host may answer before it has read all: both directions run at once, and the answer ends the exchange.
        upload = asyncio.create_task(self._upload(connection, length, len(first)))
        try:
            if (other := await self._answer(head, connection)) is not None:
                self._is_another(connection, other)
        finally:
            if not upload.done():
                upload.cancel()
                connection.close()

    async def _ask(
        self, head: RequestHead, connection: Connection, request: bytes, answer: Answer | None = None
    ) -> None:
        """Send a whole request, if it was not; again where another host than the one looked at took it, undone."""
        for turn in range(1, HOSTS + 1):
            if not self.sent:
                connection.expect_answer(bodiless=head.method == "HEAD")
                self.sent = True
                await connection.send(request)
            other = await self._answer(head, connection, answer)
            answer = None
            if other is None:
                return
            if turn == HOSTS or not connection.reusable:
                self._is_another(connection, other)
                return
            logs.event(events.REQUEST_REPEATED, request_id=self.request_id, sent=False, detail=self._spread)

    @property
    def _spread(self) -> str:
        return (
            f"what leads to {self.host.described} spreads the requests of one connection over several hosts "
            "with records of their own: let it lead each connection to one host"
        )

    def _is_another(self, connection: Connection, record: str) -> None:
        """Tell that the host at the other end is not the one that the write is for, and which it is."""
        connection.record = record
        self.forwarder.heard(Health(reachable=True, record=record))
        detail = f"{self.host.described} keeps another record of outcomes than the one that the write is for"
        self.give_up(Reason.OTHER_HOST, detail)

    def _request(self, head: RequestHead, length: int | None, body: bytes) -> bytes:
        return to_bytes(head, self.forwarder.pool.host, self.forwarder.token, length, body)

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
                await connection.send(data if length is not None else chunk(data))
            if length is None:
                await connection.send(b"0\r\n\r\n")
            elif done != length:
                self.violation = longer(done, length)
                connection.close()
        except AgentError:
            connection.close()
        except BROKEN:
            # The host stopped reading: what it answers, if anything, decides.
            return

    async def _answer(self, head: RequestHead, connection: Connection, answer: Answer | None = None) -> str | None:
        """Pass the answer on; where another host than the write is for refused it, return that one's record instead."""
        answer = answer or await connection.answer(bodiless=head.method == "HEAD")
        if head.record and (other := await connection.refused_by(answer, head.record)) is not None:
            # It did nothing. That nobody else did before it, unseen, holds for what leads there, too: a proxy repeats
            # nothing but what has the same effect twice (RFC 9110 §9.2.2).
            self.sent = False
            return other
        status, body = answer.head.status, answer.body
        if head.known and status == HTTPStatus.UNAUTHORIZED:
            self._turned_away(connection)
            return None
        if answer.is_in_place:
            # What the host did before it went away, the proxy does not know; and its connections lead nowhere for now.
            connection.close()
            self.forwarder.pool.start_anew()
            self.give_up(Reason.HOST_DROPPED, f"{self.host.described} gave no answer: {in_place(status)}")
            return None
        packed = encode(answer.head)
        if len(packed) > HEAD_BYTES:
            connection.close()
            self.give_up(Reason.HOST_DROPPED, "the connector host's answer has more headers than a link carries")
            return None
        self.answered = True
        if isinstance(body, bytes) and (not body or self.stream.takes(len(body))):
            self.stream.respond(packed, body, end=True, encoded=answer.encoded)
        else:
            self.stream.respond(packed, end=False, encoded=answer.encoded)
            await self._download(body)
        self._tell_answered(head, status)
        return None

    def _tell_answered(self, head: RequestHead, status: int) -> None:
        self.forwarder.answered[status] += 1
        if logs.are_wanted():
            logs.event(
                events.REQUEST_ANSWERED,
                request_id=self.request_id,
                traceparent=said(self.headers, traces.HEADER),
                method=head.method,
                status=status,
            )

    def _turned_away(self, connection: Connection) -> None:
        """Tell that the host wants another token: the client's was right, and cannot mend the agent's.

        Turned away at the door, nothing was done.
        """
        connection.close()
        self.sent = False
        token = self.forwarder.token
        detail = f"{self.host.described} {_TURNED_AWAY if token.is_own else _WITHOUT}"
        # Where the token was just exchanged, the same request is worth another attempt; else each one brings the
        # client nearer to the host's lock-out.
        self.give_up(Reason.HOST_UNREACHABLE, detail, lasting=not token.read_again())

    async def _download(self, body: StreamReader | bytes) -> None:
        if isinstance(body, bytes):
            self._allow_stretch()
            await self.stream.write(body, end=True)
            return
        over = False
        while not over:
            self._allow_stretch()
            data = await body.readany()
            over = body.at_eof()
            await self.stream.write(data, end=over)

    def give_up(self, reason: Reason, detail: str, *, lasting: bool = False) -> None:
        """Tell the relay why there is no answer, or no more of it; `lasting` where only an administrator mends that."""
        logs.event(
            events.REQUEST_FAILED,
            level=logging.WARNING,
            request_id=self.request_id,
            traceparent=said(self.headers, traces.HEADER),
            reason=reason,
            sent=self.sent,
            answered=self.answered,
            detail=detail,
        )
        self.forwarder.failed[reason] += 1
        self.forwarder.last_error = dated(detail)
        self.stream.fail(encode(Failure(reason, self.sent, detail, lasting)))
