"""What the relay itself answers where a request does not reach the connector host: SCIM errors in plain words.

Each says which hop failed and what an administrator can do about it (RFC 7644 §3.12 for the shape).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from agent.link.messages import Failure, Reason
from connector_host.framing import Excess, HeaderTooLong, HeadTooLarge, TargetTooLong, TooManyHeaders

if TYPE_CHECKING:
    from collections.abc import Iterable

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
SCIM_JSON: Final = "application/scim+json"
SERVER: Final = "provisioning-relay"
"""What the relay says it is: its library would name itself and its version."""
_SCHEMA: Final = "urn:ietf:params:scim:api:messages:2.0:Error"


@dataclass(frozen=True, slots=True)
class Problem:
    """An error answer."""

    status: int
    detail: str
    retry: bool = False
    """Whether nothing was done and the same request may be sent again: answered with Retry-After."""
    close: bool = False
    """Whether the client's connection ends with this answer, because the rest of its request is not read."""

    after_s: int = 0
    """With `retry`, the seconds until it is worth trying; 0 leaves that to the relay's settings."""
    allow: str = ""
    """The methods that there are, for a 405."""

    def body(self, identity: str = "") -> bytes:
        """Return the SCIM error; `status` is a string there.

        The detail names the request, as the host's do: directories show their administrators that, and no header.
        """
        detail = f"{self.detail} (request {identity})" if identity else self.detail
        document = {"schemas": [_SCHEMA], "status": str(self.status), "detail": detail}
        return json.dumps(document, ensure_ascii=False).encode()


NO_SUCH_PATH: Final = Problem(
    404, "There is nothing here: SCIM clients use https://RELAY/t/TENANT/ecma2host_NAME/scim."
)
NO_SUCH_TENANT: Final = Problem(404, "The relay knows no such tenant: check the part of the URL after /t/.")
NO_TOKEN: Final = Problem(401, "The bearer token is missing or not valid for this tenant at the relay.")
BODY_TOO_SLOW: Final = Problem(408, "The request body did not come in time.", close=True)
NO_HTTP: Final = Problem(400, "The request cannot be read as HTTP (RFC 9112).", close=True)
TARGET_WITH_FRAGMENT: Final = Problem(
    400, "The request's target has a #, which no target may have (RFC 9112 §3.2): write %23.", close=True
)
OTHER_VERSION: Final = Problem(505, "The relay speaks HTTP/1.1.", close=True)
OTHER_CODING: Final = Problem(501, "A body may be chunked, and in no other Transfer-Encoding.", close=True)
OTHER_SCHEME: Final = Problem(421, "The request's target is a URL of another scheme than https.", close=True)
NO_CHUNK: Final = Problem(400, "The request body is not chunked as its headers say (RFC 9112 §7.1).", close=True)
UNFORESEEN: Final = Problem(500, "The relay failed on this request; its log says more.", close=True)
HEAD_TOO_LARGE: Final = Problem(431, "The request's headers are more than the relay carries: 60 KB all in all.")
NO_SUCH_METHOD: Final = Problem(405, "SCIM has no such method.", allow=", ".join(sorted(METHODS)))
BAD_HOST: Final = Problem(
    400, "The request has no usable Host header, or, where its target is a whole URL, no usable host there.", close=True
)

LEAVING: Final = Problem(
    503, "This relay is about to stop, and takes no more requests. Nothing was done: ask again in a moment.", retry=True
)


def excess(kind: type[Excess], limit: int) -> Problem:
    """Return the answer to a request of which something is longer than it may be (RFC 9110 §15.5.15, RFC 6585 §5)."""
    status, what = _EXCESSES[kind]
    return Problem(status, what.format(limit), close=True)


_EXCESSES: Final[dict[type[Excess], tuple[int, str]]] = {
    TargetTooLong: (414, "The request line is longer than the relay's {} bytes: send a long filter to /.search."),
    HeaderTooLong: (431, "A header is longer than the relay's {} bytes."),
    HeadTooLarge: (HEAD_TOO_LARGE.status, HEAD_TOO_LARGE.detail),
    TooManyHeaders: (431, "The request has more than the {} headers that the relay takes."),
}


def other_authority(names: Iterable[str]) -> Problem:
    """Return the answer to a Host header, or a URL as target, that is not the relay's (RFC 9110 §15.5.20)."""
    detail = (
        "The Host header, or the URL that is the request's target, names another service: "
        f"this relay answers to {', '.join(names)}; relay.public adds names."
    )
    return Problem(421, detail, close=True)


def too_many_bodies(limit: int) -> Problem:
    """Return the answer where too many bodies are awaited; the limit is that of the address, or of all."""
    return Problem(
        429, f"The relay already waits for {limit} request bodies that have not come.", retry=True, close=True
    )


def too_large(limit_bytes: int) -> Problem:
    """Return the answer to a body over the limit."""
    return Problem(413, f"The request body is larger than the relay's {limit_bytes} bytes.", close=True)


def too_many(limit: int) -> Problem:
    """Return the answer to one request too many."""
    return Problem(429, f"The tenant already has {limit} requests under way at the relay.", retry=True)


def too_fast(whose: str, per_s: float, after_s: int) -> Problem:
    """Return the answer where requests come faster than they may."""
    return Problem(429, f"{whose} sends more than {per_s:g} requests a second.", retry=True, after_s=after_s)


NATS_AWAY: Final = "NATS, which leads to the other nodes, cannot be reached: the relay's log says why"


def silent(nodes: Iterable[str]) -> str:
    """Return what is wrong where other nodes have fallen silent."""
    names = ", ".join(sorted(nodes))
    return f"nothing is heard of {names}, which may hold agents: see that they run, and that NATS leads there"


def no_agent(tenant: str, *, apart: str) -> Problem:
    """Return the answer where no agent is connected; `apart` says why those of other nodes may be out of reach."""
    if apart:
        detail = f"No agent of tenant {tenant} is connected to this node of the relay, and {apart}. Nothing was done."
        return Problem(503, detail, retry=True)
    detail = (
        f"No agent of tenant {tenant} is connected to the relay. Nothing was done. "
        "Check on premises that the provisioning agent runs and that it reaches the relay."
    )
    return Problem(503, detail, retry=True)


def broken(node: str) -> str:
    """Return which way broke: the agent's link, or that to another node which holds it."""
    return f"the way to node {node} of the relay, which leads there, broke" if node else "the link broke"


def link_lost(agent: str, node: str) -> Problem:
    """Return the answer where the way broke before the request left, or the request is safe to repeat."""
    detail = f"Agent {agent} was asked, and {broken(node)}; no other agent could be asked. Nothing was done."
    return Problem(503, detail, retry=True)


def outcome_unknown(agent: str, what: str) -> Problem:
    """Return the answer to a write that was sent and not answered (DESIGN §2.5)."""
    detail = (
        f"The outcome of this request is unknown: it was sent to agent {agent}, and then {what}. "
        "It may or may not have been carried out. Read the resource before you send it again."
    )
    return Problem(504, detail)


def elsewhere(tenant: str) -> Problem:
    """Return the answer to a write that is sent again, where no host is there that knows of the first one."""
    detail = (
        f"This request's Idempotency-Key was sent before, with an unknown outcome, to a host of tenant {tenant} that "
        "no connected agent reaches now; at another one it would be carried out twice. Nothing was done this time. "
        "Bring that host back, or read the resource and use another key."
    )
    return Problem(503, detail, retry=True)


def answer_lost(agent: str, status: int, what: str) -> Problem:
    """Return the answer where the host's own was seen to begin, and its body never came."""
    detail = f"The connector host answered {status} through agent {agent}, and then {what}: the body is lost."
    return Problem(502, detail)


def too_slow(agent: str, limit_s: float) -> Problem:
    """Return the answer to a read that took too long."""
    return Problem(504, f"No answer came through agent {agent} within {limit_s:g} s. Nothing was changed.")


def never_left(agent: str, limit_s: float) -> Problem:
    """Return the answer to a request that waited for its turn on a link until its time was up."""
    detail = f"The link to agent {agent} took nothing more for {limit_s:g} s. Nothing was done."
    return Problem(503, detail, retry=True)


_STATUS: Final = {
    Reason.NOT_ALLOWED: 404,
    Reason.MALFORMED: 502,
    Reason.BUSY: 503,
    Reason.DRAINING: 503,
    Reason.LINK_LOST: 503,
    Reason.HOST_UNREACHABLE: 502,
    Reason.HOST_CERTIFICATE: 502,
    Reason.OTHER_HOST: 503,
    Reason.HOST_SLOW: 504,
    Reason.HOST_DROPPED: 502,
}


def from_failure(agent: str, failure: Failure, *, safe: bool) -> Problem:
    """Return the answer for what an agent reports; a write that the host may have seen has an unknown outcome."""
    if failure.sent and not safe:
        return outcome_unknown(agent, f"{_lower(failure.detail)}")
    status = _STATUS[failure.reason]
    done = "" if failure.sent else " Nothing was done."
    detail = f"Agent {agent} reports: {failure.detail.rstrip('.')}.{done}"
    return Problem(status, detail, retry=status == HTTPStatus.SERVICE_UNAVAILABLE)


def _lower(sentence: str) -> str:
    return (sentence[:1].lower() + sentence[1:]).rstrip(".")
