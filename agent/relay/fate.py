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
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from agent import events, logs
from agent.errors import AgentError, LinkLost, ProtocolViolation, StreamCancelled, StreamFailed
from agent.link.frames import HEAD_BYTES
from agent.link.headers import is_block
from agent.link.messages import Failure, Reason, RequestHead, ResponseHead
from agent.link.packing import decode, encode
from agent.relay import answers

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.link.streams import Stream
    from agent.relay.answers import Problem
    from agent.relay.matching import Agents, Route

SAFE_METHODS: Final = frozenset({"GET", "HEAD"})

_AGAIN_S: Final = 0.5
"""Between the first two rounds through all agents, where each of them failed at once; then twice as long each time."""

_LONGEST_S: Final = 2.0
"""Between two rounds at the most; whatever changes, an agent tells at once, and a round begins then."""

_FIELDS_BYTES: Final = 1_024
"""More than the other fields of a head take."""

_STATUS: Final = range(200, 600)

_FINAL: Final = frozenset({Reason.NOT_ALLOWED, Reason.MALFORMED})
"""What another agent would say, too."""

_OF_LINK: Final = frozenset({Reason.LINK_LOST, Reason.OTHER_HOST})
"""What the same agent may not say over another of its links, or of the host that it has found in the meantime."""


def is_safe(method: str, target: str) -> bool:
    """Return whether a request changes nothing: GET, HEAD, and a search by POST (RFC 7644 §3.4.3)."""
    return method in SAFE_METHODS or (method == "POST" and target.partition("?")[0].endswith("/.search"))


class TooLate(AgentError):
    """No answer came before the deadline."""


class _Limit:
    """Until when the head of an answer is waited for."""

    __slots__ = ("_stream",)

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def expire(self) -> None:
        """Let whoever waits hear that it is too late."""
        self._stream.break_off(TooLate())


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
    wait_s: float
    """How long it may wait for an agent, or for a host that restarts."""


@dataclass(frozen=True, slots=True)
class _Mishap:
    """One attempt that failed."""

    sent: bool
    problem: Problem
    final: bool = False
    """Whether no agent is asked again."""
    lasting: bool = False
    """Whether this agent would say the same again."""
    of_agent: bool = False
    """Whether this agent would say the same over its other links just now."""


async def carry(agents: Agents, asked: Asked) -> Carried | Problem:
    """Return the answer of the tenant's host, or what to tell the client instead; the deadline is in the head."""
    if len(asked.head.target) + len(asked.head.headers) > HEAD_BYTES - _FIELDS_BYTES:
        # A longer one would break the link, and with it everybody else's requests.
        return answers.HEAD_TOO_LARGE
    loop = asyncio.get_running_loop()
    deadline = loop.time() + asked.head.deadline_ms / 1000
    patience = min(loop.time() + asked.wait_s, deadline)
    tried: set[Route] = set()
    # A client that sends a write again counts on the key of the first one, and only one record knows that.
    write = b"" if asked.safe else asked.head.headers
    record = agents.unknown.record_of(asked.tenant, write) if write else None
    problem: Problem | None = None
    elsewhere, repeated, hopeless = record is not None, False, False
    said: set[tuple[str, str]] = set()
    pause_s = _AGAIN_S
    while True:
        link = agents.pick(asked.tenant, tried, record=record, write=write)
        if link is None:
            left_s = patience - loop.time()
            if left_s <= 0 or hopeless or agents.leaving:
                return problem or _nobody(agents, asked.tenant, elsewhere=elsewhere)
            await agents.news(asked.tenant, min(left_s, pause_s))
            pause_s = min(2 * pause_s, _LONGEST_S)
            tried.clear()
            continue
        # What the agent is held to, and not what it says once the attempt has failed: the host may be another one then.
        shown = "" if asked.safe else record or link.health.record
        outcome = await _attempt(link, asked, deadline, shown, agents)
        if isinstance(outcome, Carried):
            return outcome
        hopeless = outcome.lasting and (hopeless or not tried)
        tried.add(link)
        if outcome.of_agent:
            # And a token that is tried once more may lock it out.
            tried.update(agents.of_agent(asked.tenant, link.peer.who))
        if outcome.sent or record is None:
            # Once a write was sent, a later attempt that did nothing does not make its outcome any better known.
            problem = outcome.problem
        if outcome.sent and not asked.safe:
            # Never a write twice: only a host that finds the key in the same record is asked again.
            record = shown
            agents.unknown.note(asked.tenant, asked.head.headers, record)
        again = not (outcome.final or asked.body.consumed) and (
            not outcome.sent or _may_repeat(asked, record, repeated=repeated)
        )
        _tell(asked, link.peer.name, outcome, said, again=again)
        if not again:
            return problem or _nobody(agents, asked.tenant, elsewhere=elsewhere)
        repeated = repeated or outcome.sent
        agents.repeats[asked.tenant] += 1


def _nobody(agents: Agents, tenant: str, *, elsewhere: bool) -> Problem:
    """Return what to say where nobody can take the request; `elsewhere` where one record alone may get it."""
    if elsewhere:
        return answers.elsewhere(tenant)
    return answers.LEAVING if agents.leaving else answers.no_agent(tenant, apart=agents.apart)


def _tell(asked: Asked, agent: str, outcome: _Mishap, said: set[tuple[str, str]], *, again: bool) -> None:
    """Log what went wrong, once for each agent, however often it is asked again until the request's time is over."""
    detail, request_id = outcome.problem.detail, asked.head.request_id
    if (agent, detail) in said:
        return
    said.add((agent, detail))
    logs.event(
        events.REQUEST_FAILED,
        level=logging.WARNING,
        request_id=request_id,
        agent=agent,
        sent=outcome.sent,
        detail=detail,
    )
    if again:
        logs.event(events.REQUEST_REPEATED, tenant=asked.tenant, request_id=request_id, agent=agent, sent=outcome.sent)


def _may_repeat(asked: Asked, record: str | None, *, repeated: bool) -> bool:
    """Return whether a request that was sent may be sent again."""
    return not repeated if asked.safe else bool(record)


async def _attempt(link: Route, asked: Asked, deadline: float, record: str, agents: Agents) -> Carried | _Mishap:
    """Ask one agent, of a host with this record of outcomes only; say of what goes wrong whether the host may know."""
    agent, safe, body = link.peer.name, asked.safe, asked.body
    left_s = deadline - asyncio.get_running_loop().time()
    head = msgspec.structs.replace(asked.head, deadline_ms=max(1, int(left_s * 1000)), record=record)
    # What is not sent with the head goes as fast as the link takes it.
    begun = body.first if body.complete and link.takes(len(body.first)) else b""
    stream = link.open(encode(head), begun, end=body.complete and len(begun) == len(body.first))
    # A client that gets no answer, or half of one, may come back with the same write.
    keep_in_mind = partial(agents.unknown.note, asked.tenant, asked.head.headers, record)
    limit = _Limit(stream)
    agents.deadlines.put(limit, deadline)
    try:
        return Carried(await _ask(stream, body, begun=bool(begun)), stream, link, keep_in_mind)
    except StreamFailed as failed:
        outcome = _reported(agent, failed.payload, safe=safe)
    except LinkLost as lost:
        sent = not link.is_unsent(stream)
        unknown = sent and not safe
        outcome = _Mishap(
            sent,
            answers.outcome_unknown(agent, f"the link broke ({lost.reason})") if unknown else answers.link_lost(agent),
        )
    except (StreamCancelled, ProtocolViolation):
        problem = answers.link_lost(agent) if safe else answers.outcome_unknown(agent, "the agent gave it up")
        outcome = _Mishap(sent=True, problem=problem)
    except TooLate:
        limit_s = asked.head.deadline_ms / 1000
        late = (
            answers.too_slow(agent, limit_s)
            if safe
            else answers.outcome_unknown(agent, f"no answer came in {limit_s:g} s")
        )
        outcome = _Mishap(sent=True, problem=late, final=True)
    except BaseException:
        if not link.is_unsent(stream):
            keep_in_mind()
        link.forget(stream)
        raise
    finally:
        agents.deadlines.drop(limit)
    link.forget(stream)
    return outcome


def _reported(agent: str, payload: bytes, *, safe: bool) -> _Mishap:
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
    return _Mishap(failure.sent, problem, final=final, lasting=failure.lasting, of_agent=of_agent)


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
