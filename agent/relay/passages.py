"""One request on its way to its tenant's host and back, which has one of its tenant's places until it is over.

Most requests come whole, find an agent at once, and are answered whole: those need no task, and what comes calls back.
All that is out of this order is done, or gone on with, by a task.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import msgspec

from agent import events, logs
from agent.errors import AgentError
from agent.link.messages import RequestHead
from agent.relay import answers
from agent.relay.delivery import Stalled, at_hand, deliver, whole
from agent.relay.fate import Asked, Carried, Fate, ask, is_in_doubt, is_safe
from agent.relay.forwarded import onward
from agent.status import dated
from agent.workers import failing
from connector_host import traces
from connector_host.networks import is_among

if TYPE_CHECKING:
    from agent.relay.answers import Problem
    from agent.relay.delivery import Client, PassedOn, Response, WholeClient
    from agent.relay.fate import Attempt, Body
    from agent.relay.gateway import Gateway
    from agent.relay.requests import ClientRequest


def embark(  # noqa: PLR0913 - all that a request onward is made of
    gateway: Gateway, client: Client, request: ClientRequest, identity: str, body: Body, *, deadline_s: float
) -> Passage:
    """Return a request that has taken its place; its answer is to begin by the deadline, by the loop's clock."""
    trace, known = traces.go_on(request.headers.traceparents), gateway.tenants.demands_token(request.tenant)
    safe, now_s = is_safe(request.method, request.target), asyncio.get_running_loop().time()
    # A proxy asks for many: the host shall not take them for one client.
    remote = None if gateway.proxies and is_among(request.remote, gateway.proxies) else request.remote
    kind = known, trace.begun_here, request.tenant, remote
    headers = onward(request.headers, kind, identity, trace, keyed=not safe)
    left_ms, length = int((deadline_s - now_s) * 1000), len(body.first) if body.complete else request.length
    head = RequestHead(request.method, request.target, headers, identity, max(1, left_ms), length, "", known)
    record = None if safe else gateway.agents.unknown.record_of(request.tenant, headers)
    patience_s = min(now_s + gateway.limits.wait_s, deadline_s)
    asked = Asked(request.tenant, head, safe, body, record, patience_s, deadline_s, trace)
    passage = Passage(gateway, client, request, asked)
    gateway.in_flight[request.tenant] += 1
    return passage


class Passage(msgspec.Struct, eq=False):
    """One such request."""

    _gateway: Gateway
    _client: Client
    _request: ClientRequest
    _onward: Asked
    """The same, as it is carried."""
    _attempt: Attempt | None = None
    """What is under way without a task."""
    _taker: WholeClient | None = None
    """Whoever is called back."""
    _is_over: bool = False

    def over(self) -> None:
        """Give the place back, and whatever else is held."""
        if self._is_over:
            return
        self._is_over = True
        if self._attempt is not None:
            self._attempt.abandon()
            self._attempt = None
        self._gateway.in_flight[self._request.tenant] -= 1
        if self._taker is not None:
            self._gateway.leave()

    # ── without a task ────────────────────────────────────────────────────────────────────────────────────────────

    def begin(self, taker: WholeClient) -> Passage | None:
        """Ask an agent, and call the client back with the answer; return None where a task goes on at once."""
        self._taker = taker
        self._gateway.enter()
        onward = self._onward
        attempt = self._attempt = ask(self._gateway.agents, onward, onward.record)
        if attempt is None or not attempt.is_sent:
            taker.go_on(self.settle(), self.over)
            return None
        attempt.stream.listener = self._hear
        return self

    def _hear(self) -> None:
        """Pass the answer on; all but one that is here to its end, and may go on as it is, is left to a task."""
        attempt, taker = self._attempt, self._taker
        if attempt is None or taker is None:
            return
        try:
            answer = self._answer(attempt)
        except Exception as failure:  # noqa: BLE001 - whatever it was, the client hears of it
            attempt.stream.listener = None
            taker.go_on(failing(failure), self.over)
            return
        if answer is None:
            attempt.stream.listener = None
            taker.go_on(self.settle(), self.over)
        else:
            self.over()
            taker.take(answer)

    def _answer(self, attempt: Attempt) -> PassedOn | None:
        found = attempt.answer()
        if found is None:
            return None
        self._attempt = None
        answer = whole(*found, self._onward.head.request_id, keep_alive=not self._is_last)
        self._tell(answer.status, attempt.link.peer.name)
        return answer

    def cancel(self) -> None:
        """Give it up: the client hung up, or the time to stop is over."""
        if self._taker is not None and not self._is_over:
            self._gateway.tell_abandoned(self._request, self._onward.head.request_id)
            self.over()
            self._taker.give_up()

    # ── in a task ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def settle(self) -> Response:
        """Return the answer, once it is delivered, or as good as that; the passage is over then."""
        attempt, self._attempt = self._attempt, None
        try:
            outcome = await Fate(self._gateway.agents, self._onward).settle(attempt)
            response = await self._delivered(outcome)
        except (asyncio.CancelledError, ConnectionError):
            if self._taker is not None:
                self._gateway.tell_abandoned(self._request, self._onward.head.request_id)
            raise
        finally:
            self.over()
        if is_in_doubt(response.status, safe=self._onward.safe):
            await self._made_known(outcome)
        self._tell(response.status, outcome.link.peer.name if isinstance(outcome, Carried) else None)
        return response

    async def _made_known(self, outcome: Carried | Problem) -> None:
        """Wait until other nodes know that this write's outcome is unknown: its client may come back at one of them."""
        if isinstance(outcome, Carried):
            # The host itself says so: it began the write, and only it knows that.
            outcome.lost()
        await self._gateway.agents.unknown.settled(self._onward.tenant, self._onward.head.headers)

    async def _delivered(self, outcome: Carried | Problem) -> Response:
        gateway, client, identity = self._gateway, self._client, self._onward.head.request_id
        if not isinstance(outcome, Carried):
            return self._failed(outcome)
        last = self._is_last
        try:
            if (answer := at_hand(client, outcome, identity, last=last)) is not None:
                return answer
            return await deliver(client, outcome, identity, gateway.limits.request_s, last=last)
        except AgentError as failure:
            words = str(failure) if isinstance(failure, Stalled) else answers.broken(outcome.link.node)
            problem = answers.answer_lost(outcome.link.peer.name, outcome.head.status, words)
            whose = {"tenant": self._request.tenant, "request_id": identity, "traceparent": self._onward.trace.header}
            logs.event(events.REQUEST_FAILED, level=logging.WARNING, detail=problem.detail, **whose)
            return self._failed(problem)
        finally:
            outcome.close()

    def _failed(self, problem: Problem) -> Response:
        """Answer in place of the host, where administrators see it."""
        self._gateway.admission.last_error = dated(f"tenant {self._request.tenant}: {problem.detail}")
        return self._gateway.problem(problem, self._onward.head.request_id)

    @property
    def _is_last(self) -> bool:
        """Whether the connection ends with the answer.

        A client that is told in time asks the next node, in place of a connection that is about to be closed.
        """
        return self._gateway.admission.draining or not self._client.stays

    def _tell(self, status: int, agent: str | None) -> None:
        asked = self._request
        self._gateway.answered[asked.tenant, status] += 1
        if logs.are_wanted():
            logs.event(
                events.REQUEST_ANSWERED,
                tenant=asked.tenant,
                request_id=self._onward.head.request_id,
                traceparent=self._onward.trace.header,
                method=asked.method,
                status=status,
                agent=agent,
            )
