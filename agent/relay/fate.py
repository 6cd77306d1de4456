"""What becomes of one request: which agent is asked, whether another one is, and what the client hears in the end.

    not sent              another agent at once, until none is left: 503 or 502, nothing was done
    sent, safe            once more elsewhere, then the failure as it is
    sent, a write         again only to a host that finds its idempotency key in the same record of outcomes, and so
                          carries it out once; else never: 504, the outcome is unknown (DESIGN §2.5)

Where no agent can take it at once, a request waits a little: agents, links and hosts restart in seconds. It does not
where each of them says that only an administrator can mend what is wrong.

Knows nothing of HTTP servers and sockets.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from agent import events, logs
from agent.errors import AgentError, LinkLost, ProtocolViolation, StreamCancelled, StreamFailed
from agent.link.frames import HEAD_BYTES
from agent.link.headers import is_block, said
from agent.link.messages import Failure, Reason, RequestHead, ResponseHead
from agent.link.packing import decode, encode
from agent.relay import answers

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from agent.link.streams import Stream
    from agent.relay.answers import Problem
    from agent.relay.matching import Agents, Route
    from connector_host.traces import Trace

SAFE_METHODS: Final = frozenset({"GET", "HEAD"})

_AGAIN_S: Final = 0.5
"""Between the first two rounds through all agents, where each of them failed at once; then twice as long each time."""

_LONGEST_S: Final = 2.0
"""Between two rounds at the most; whatever changes, an agent tells at once, and a round begins then."""

_HEAD_BYTES: Final = HEAD_BYTES - 1_024
"""The longest target and headers: the other fields of a head take less than what is left. A longer one would break the
link, and with it everybody else's requests."""

_STATUS: Final = range(200, 600)

_RECORD_HEADER: Final = "Idempotency-Record"
"""In a refusal: the host asked its record of outcomes first, so that it holds for the same write sent before, too."""

_FINAL: Final = frozenset({Reason.NOT_ALLOWED, Reason.MALFORMED})
"""What another agent would say, too."""

_IN_DOUBT: Final = frozenset({500, 502, 504})
"""Statuses of answers that leave open what became of a write, be they the relay's own or the host's."""

_AT_THE_DOOR: Final = frozenset({401, 403, 404, 408, 429, 503})
"""Statuses with which a host, or what leads to it, may turn a write away before its record of outcomes was asked."""

_OF_LINK: Final = frozenset({Reason.LINK_LOST, Reason.OTHER_HOST})
"""What the same agent may not say over another of its links, or of the host that it has found in the meantime."""


def is_safe(method: str, target: str) -> bool:
    """Return whether a request changes nothing: GET, HEAD, and a search by POST (RFC 7644 §3.4.3)."""
    return method in SAFE_METHODS or (method == "POST" and target.partition("?")[0].endswith("/.search"))


def is_in_doubt(status: int, *, safe: bool) -> bool:
    """Return whether such an answer leaves open what became of a request."""
    return status in _IN_DOUBT and not safe


class TooLate(AgentError):
    """No answer came before the deadline."""


class Body(Protocol):
    """The body of a request: what is at hand can be sent again, what is still to come only once."""

    first: bytes
    """The beginning, kept."""
    complete: bool
    """Whether the beginning is all."""
    consumed: bool
    """Whether something beyond the beginning was handed out, so that the body cannot be sent again."""

    async def more(self) -> bytes:
        """Return the next stretch after the beginning, empty at the end."""


class Carried(msgspec.Struct, frozen=True, eq=False):
    """An answer that has begun; its body is still to be read from the stream."""

    head: ResponseHead
    stream: Stream
    link: Route
    lost: Callable[[], None]
    """Called where the answer did not come through whole."""

    def close(self) -> None:
        """Give up what was not read."""
        if not self.stream.has_ended:
            self.lost()
        self.link.forget(self.stream)


class Asked(msgspec.Struct, frozen=True, eq=False):
    """One request of a client, as it is carried."""

    tenant: str
    head: RequestHead
    safe: bool
    """Whether it changes nothing."""
    body: Body
    record: str | None
    """Where the client sends a write again whose outcome is unknown, the only record of outcomes that knows of it."""
    patience_s: float
    """Until when, by the loop's clock, it may wait for an agent, or for a host that restarts."""
    deadline_s: float
    """Until when its answer is to begin."""
    trace: Trace


@dataclass(frozen=True, slots=True)
class Mishap:
    """One attempt that failed."""

    sent: bool
    problem: Problem
    final: bool = False
    """Whether no agent is asked again."""
    lasting: bool = False
    """Whether this agent would say the same again."""
    of_agent: bool = False
    """Whether this agent would say the same over its other links just now."""


def ask(agents: Agents, asked: Asked, record: str | None, tried: Collection[Route] = ()) -> Attempt | None:
    """Ask an agent that was not tried, of a host with this record where one is named; None where that cannot be now."""
    head = asked.head
    if _is_too_long(head):
        return None
    link = agents.pick(asked.tenant, tried, record=record, write=b"" if asked.safe else head.headers)
    if link is None:
        return None
    # What the agent is held to, and not what it says once the attempt has failed: the host may be another one then.
    held_to = "" if asked.safe else record or link.health.record
    left_ms = int((asked.deadline_s - asyncio.get_running_loop().time()) * 1000)
    if held_to or left_ms != head.deadline_ms:
        head = msgspec.structs.replace(head, deadline_ms=max(1, left_ms), record=held_to)
    body, first = asked.body, asked.body.first
    # What is not sent with the head goes as fast as the link takes it.
    is_sent = body.complete and link.takes(len(first))
    over = is_sent or (body.complete and not first)
    stream = link.open(encode(head), first if is_sent else b"", end=over)
    attempt = Attempt(link, stream, held_to, is_sent, asked, agents)
    agents.deadlines.put(attempt, asked.deadline_s)
    return attempt


def _is_too_long(head: RequestHead) -> bool:
    return len(head.target) + len(head.headers) > _HEAD_BYTES


class Fate:
    """What has become of one request that was not answered at once."""

    __slots__ = ("_agents", "_asked", "_hopeless", "_problem", "_record", "_repeated", "_said", "_tried")

    def __init__(self, agents: Agents, asked: Asked) -> None:
        self._agents = agents
        self._asked = asked
        self._record = asked.record
        self._tried: set[Route] = set()
        self._problem: Problem | None = None
        self._repeated = self._hopeless = False
        self._said: set[tuple[object, ...]] = set()

    async def settle(self, attempt: Attempt | None = None) -> Carried | Problem:
        """Return the answer, or what to tell the client; an attempt that is under way is gone on with."""
        loop, asked, agents = asyncio.get_running_loop(), self._asked, self._agents
        if _is_too_long(asked.head):
            return answers.HEAD_TOO_LARGE
        pause_s = _AGAIN_S
        while True:
            attempt = attempt or self._next()
            if attempt is None:
                left_s = asked.patience_s - loop.time()
                if left_s <= 0 or self._hopeless or agents.leaving:
                    return self._failed()
                await agents.news(asked.tenant, min(left_s, pause_s))
                pause_s = min(2 * pause_s, _LONGEST_S)
                self._tried.clear()
                continue
            outcome = await attempt.outcome()
            if isinstance(outcome, Carried):
                if not self._says_nothing(outcome):
                    return outcome
                outcome = _turned_away(outcome)
            if not self._may_go_on(attempt, outcome):
                return self._failed()
            self._repeated = self._repeated or outcome.sent
            attempt = None

    def _next(self) -> Attempt | None:
        """Ask an agent; where one was asked before, that is told."""
        attempt = ask(self._agents, self._asked, self._record, self._tried)
        if attempt is not None and self._said:
            self._agents.repeats[self._asked.tenant] += 1
            self._tell(events.REQUEST_REPEATED, logging.INFO, agent=attempt.link.peer.name, sent=self._repeated)
        return attempt

    def _failed(self) -> Problem:
        if self._problem is not None:
            return self._problem
        problem = _nobody(self._agents, self._asked.tenant, elsewhere=self._asked.record is not None)
        self._tell(events.REQUEST_FAILED, logging.WARNING, detail=problem.detail, sent=False)
        return problem

    def _says_nothing(self, outcome: Carried) -> bool:
        """Return whether the host turned a repeated write away without a word of what became of the first one."""
        at_door = outcome.head.status in _AT_THE_DOOR and not said(outcome.head.headers, _RECORD_HEADER)
        return at_door and self._repeated and not self._asked.safe

    def _may_go_on(self, attempt: Attempt, outcome: Mishap) -> bool:
        """Take in how an attempt failed; return whether there may be another."""
        asked, link, tried = self._asked, attempt.link, self._tried
        self._hopeless = outcome.lasting and (self._hopeless or not tried)
        tried.add(link)
        if outcome.of_agent:
            # And a token that is tried once more may lock it out.
            tried.update(self._agents.of_agent(asked.tenant, link.peer.who))
        if outcome.sent or self._record is None:
            # Once a write was sent, a later attempt that did nothing does not make its outcome any better known.
            self._problem = outcome.problem
        if outcome.sent and not asked.safe:
            # Never a write twice: only a host that finds the key in the same record is asked again.
            self._record = attempt.record
            attempt.keep_in_mind()
        detail, agent = outcome.problem.detail, link.peer.name
        self._tell(events.REQUEST_FAILED, logging.WARNING, detail=detail, agent=agent, sent=outcome.sent)
        return not (outcome.final or asked.body.consumed) and (not outcome.sent or self._may_repeat())

    def _may_repeat(self) -> bool:
        """Return whether a request that was sent may be sent again."""
        return not self._repeated if self._asked.safe else bool(self._record)

    def _tell(self, event: str, level: int, **fields: object) -> None:
        """Log what becomes of the request, once, however often an agent is asked again until the time is over."""
        told = event, *fields.values()
        if told in self._said:
            return
        self._said.add(told)
        asked = self._asked
        whose = {"tenant": asked.tenant, "request_id": asked.head.request_id, "traceparent": asked.trace.header}
        logs.event(event, level=level, **whose, **fields)


def _turned_away(outcome: Carried) -> Mishap:
    """Return what such an answer is: nothing was done this time, and before it, who knows."""
    outcome.close()
    status = outcome.head.status
    problem = answers.outcome_unknown(outcome.link.peer.name, f"the connector host answered {status} when asked again")
    return Mishap(sent=False, problem=problem, final=status != HTTPStatus.SERVICE_UNAVAILABLE)


def _nobody(agents: Agents, tenant: str, *, elsewhere: bool) -> Problem:
    """Return what to say where nobody can take the request; `elsewhere` where one record alone may get it."""
    if elsewhere:
        return answers.elsewhere(tenant)
    return answers.LEAVING if agents.leaving else answers.no_agent(tenant, apart=agents.apart)


class Attempt(msgspec.Struct, eq=False):
    """One agent that was asked."""

    link: Route
    stream: Stream
    record: str
    """Of outcomes, which the host is to keep; empty where that does not matter."""
    is_sent: bool
    """Whether all of the request is on its way, and nothing is left to do but to wait."""
    _asked: Asked
    _agents: Agents

    def expire(self) -> None:
        """Let whoever waits hear that it is too late."""
        self.stream.break_off(TooLate())

    def keep_in_mind(self) -> None:
        """Remember it: a client that gets no answer, or half of one, may come back with the same write."""
        self._agents.unknown.note(self._asked.tenant, self._asked.head.headers, self.record)

    def answer(self) -> tuple[ResponseHead, bytes] | None:
        """Return the answer where it is here to its end, and may go to a client at once; the attempt is over then."""
        stream = self.stream
        if stream.fault is not None or stream.head is None or not stream.is_whole:
            return None
        try:
            head = _sound(stream.head)
        except ProtocolViolation:
            return None
        if is_in_doubt(head.status, safe=self._asked.safe):
            return None
        body = stream.whole() or b""
        self._agents.deadlines.drop(self)
        self.link.forget(stream)
        return head, body

    def abandon(self) -> None:
        """Give it up: nobody waits for its answer any more."""
        self._agents.deadlines.drop(self)
        if not self.link.is_unsent(self.stream):
            self.keep_in_mind()
        self.link.forget(self.stream)

    async def outcome(self) -> Carried | Mishap:
        """Return the answer once it has begun, or what went wrong, and whether the host may know of the request."""
        link, stream, agent, safe = self.link, self.stream, self.link.peer.name, self._asked.safe
        stream.listener = None
        try:
            return Carried(await _ask(stream, self._asked.body, begun=self.is_sent), stream, link, self.keep_in_mind)
        except StreamFailed as failed:
            outcome = _reported(agent, failed.payload, safe=safe)
        except LinkLost as lost:
            unknown = not (lost.unsent or safe)
            lost_on = answers.outcome_unknown(agent, f"{answers.broken(link.node)} ({lost.reason})")
            outcome = Mishap(not lost.unsent, lost_on if unknown else answers.link_lost(agent, link.node))
        except (StreamCancelled, ProtocolViolation):
            gave_up = answers.outcome_unknown(agent, "the agent gave it up")
            outcome = Mishap(sent=True, problem=answers.link_lost(agent, link.node) if safe else gave_up)
        except TooLate:
            unsent = link.is_unsent(stream)
            outcome = Mishap(not unsent, self._too_late(agent, unsent=unsent), final=True)
        except BaseException:
            self.abandon()
            raise
        finally:
            self._agents.deadlines.drop(self)
        link.forget(stream)
        return outcome

    def _too_late(self, agent: str, *, unsent: bool) -> Problem:
        limit_s = self._asked.head.deadline_ms / 1000
        if unsent:
            return answers.never_left(agent, limit_s)
        if self._asked.safe:
            return answers.too_slow(agent, limit_s)
        return answers.outcome_unknown(agent, f"no answer came in {limit_s:g} s")


def _reported(agent: str, payload: bytes, *, safe: bool) -> Mishap:
    """Return what the agent itself says; one that cannot be read is believed to have sent the request."""
    try:
        failure = decode(Failure, payload)
    except ProtocolViolation:
        failure = Failure(
            Reason.HOST_DROPPED, sent=True, detail="the agent reports a failure that the relay cannot read"
        )
    problem = answers.from_failure(agent, failure, safe=safe)
    of_agent = failure.lasting or (not failure.sent and failure.reason not in _OF_LINK)
    final = failure.reason in _FINAL
    return Mishap(failure.sent, problem, final=final, lasting=failure.lasting, of_agent=of_agent)


async def _ask(stream: Stream, body: Body, *, begun: bool) -> ResponseHead:
    """Send the body, if it was not; return the head of the answer, which may come before all of the body was sent."""
    if body.complete:
        if body.first and not begun:
            await stream.write(body.first, end=True)
        return _sound(await stream.answer())
    upload = asyncio.create_task(_upload(stream, body))
    answer = asyncio.create_task(stream.answer())
    try:
        await asyncio.wait({upload, answer}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            upload.result()
        return _sound(await answer)
    finally:
        upload.cancel()
        answer.cancel()
        await asyncio.gather(upload, answer, return_exceptions=True)


def _sound(packed: bytes) -> ResponseHead:
    """Return the head of an answer that may go to a client; raises ProtocolViolation where it may not."""
    head = decode(ResponseHead, packed)
    if head.status not in _STATUS or not is_block(head.headers):
        raise ProtocolViolation(f"an answer with status {head.status} or headers that may not be passed on")
    return head


async def _upload(stream: Stream, body: Body) -> None:
    await stream.write(body.first)
    while data := await body.more():
        await stream.write(data)
    await stream.write(b"", end=True)
