"""How a running program is, in a small file that `status` reads: no port, no password, the same on every system."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from agent import events, logs
from agent.errors import ConfigurationError
from agent.logs import printable
from connector_host.clock import now

if TYPE_CHECKING:
    from collections.abc import Callable

EVERY_S: Final = 2.0
STALE_S: Final = 10.0
"""A file that is older, or from a time to come because the clock was set back, was left by a program that does not run
any more, or hangs."""
SOON_DAYS: Final = 60
"""An end that is nearer than that is told."""


class LinkStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One link, seen from either end."""

    peer: str
    """The agent's name at the relay, the relay's URL at the agent."""
    tenant: str
    id: str = ""
    version: str = ""
    since_s: int
    """When it came about, in seconds since 1970."""
    round_trip_ms: float | None
    in_flight: int
    host_reachable: bool
    detail: str = ""
    compressed: bool = False
    """Whether the agent compresses answers on it now; known at the agent."""


class NodeStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Another node of a relay, as this one sees it."""

    name: str
    id: str
    version: str
    url: str
    round_trip_ms: float | None
    """None while it cannot be asked."""
    links: list[LinkStatus]
    """The links that it holds, as it told them."""


class RelayStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How a relay is."""

    at_s: int
    """When this was written, in seconds since 1970."""
    version: str
    url: str
    certificate_days: int
    authority_days: int | None = None
    """Until the authority for agents ends, and every agent's certificate with it."""
    links: list[LinkStatus]
    under_way: dict[str, int]
    """Requests under way, by tenant."""
    untouched: dict[str, int] = {}
    """Connections in passthrough, by tenant."""
    node: str = ""
    """What this node is called."""
    nodes: list[NodeStatus] = []
    """The other nodes that are up."""
    nats: str | None = None
    """Why the other nodes cannot be reached, empty where they can; None where this node stands alone."""
    troubles: list[str] = []
    """What does not work now, whatever goes on without it: the store, a new certificate."""
    last_error: str = ""
    """Which request failed last, or which agent was refused, and why; empty where none was."""


class AgentStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How an agent is."""

    at_s: int
    """When this was written, in seconds since 1970."""
    version: str
    agent: str
    tenant: str
    host: str
    host_reachable: bool
    host_detail: str
    certificate_days: int | None
    """Until the agent's own certificate ends; None for an agent with a token, -1 where there is none of use."""
    links: list[LinkStatus]
    in_flight: int
    last_error: str
    """What went wrong last, empty where nothing did."""


Status = TypeVar("Status", RelayStatus, AgentStatus)


async def keep(file: Path, status: Callable[[], RelayStatus | AgentStatus]) -> None:
    """Write the status there every so often, for ever; why it cannot be written is logged, and nothing to stop for."""
    told = ""
    while True:
        reason = write(file, status())
        if reason not in {"", told}:
            logs.event(events.STATUS_FAILED, level=logging.WARNING, file=str(file), reason=reason)
        told = reason
        await asyncio.sleep(EVERY_S)


def write(file: Path, status: RelayStatus | AgentStatus) -> str:
    """Put the status there in one step; returns why that failed, empty where it did not."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
        try:
            with os.fdopen(handle, "wb") as draft:
                draft.write(_encoded(status))
            Path(name).replace(file)
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as failure:
        return failure.strerror or str(failure)
    return ""


def _encoded(status: RelayStatus | AgentStatus) -> bytes:
    """Return the status as JSON; of a path whose name is no UTF-8, say, with `?` for what cannot be written."""
    try:
        return msgspec.json.encode(status)
    except UnicodeEncodeError:
        return json.dumps(msgspec.to_builtins(status), ensure_ascii=False).encode(errors="replace")


def read(file: Path, kind: type[Status], now_s: float) -> Status | None:
    """Return what the running program wrote last; None where none runs.

    Raises ConfigurationError where the file is there and cannot be read.
    """
    try:
        status = msgspec.json.decode(file.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as failure:
        raise ConfigurationError(f"{file}: cannot be read ({failure}).") from failure
    return status if abs(now_s - status.at_s) <= STALE_S else None


def dated(text: str) -> str:
    """Return an error with the moment before it, as `last_error` tells it."""
    return f"{now():%Y-%m-%d %H:%M:%S} {text}"


def words(status: RelayStatus | AgentStatus, now_s: float) -> str:
    """Return the status for a person."""
    # An agent has one host for all of its links, and says how that is once.
    lame = isinstance(status, RelayStatus)
    links = [_line(link, now_s, lame=lame) for link in status.links] or ["  There is no link between agent and relay."]
    if isinstance(status, RelayStatus):
        head = [f"Relay {status.version} at {status.url}, certificate {_life(status.certificate_days)}."]
        if status.authority_days is not None and status.authority_days <= SOON_DAYS:
            head.append(f"Authority for agents {_life(status.authority_days)}: replace it, see docs/relay.md.")
        head += [f"Trouble: {trouble}" for trouble in status.troubles]
        tail = [f"Tenant {name}: {count} under way." for name, count in status.under_way.items() if count]
        tail += [f"Tenant {name}: {count} connections in passthrough." for name, count in status.untouched.items()]
        tail += _other_nodes(status, now_s)
    else:
        days = status.certificate_days
        shown = "shows a token" if days is None else f"certificate {_life(days)}"
        if days is not None and days < 0:
            shown += ", or cannot be read"
        reached = "reachable" if status.host_reachable else f"not reachable: {status.host_detail}"
        head = [
            f"Agent {status.agent} {status.version} of tenant {status.tenant}, {shown}.",
            f"Connector host {status.host}: {reached}.",
        ]
        tail = []
    tail += [f"Last error: {status.last_error}"] if status.last_error else []
    return "\n".join(printable(line) for line in (*head, *links, *tail))


def _life(days: int) -> str:
    if days < 0:
        return "has expired"
    return f"good for {days} days" if days else "good for less than a day"


def _other_nodes(status: RelayStatus, now_s: float) -> list[str]:
    if status.nats is None:
        return []
    if status.nats:
        return [f"Other nodes cannot be asked, NATS is not there: {status.nats}"]
    lines = [f"This is node {status.node}; {len(status.nodes)} others are up."]
    for node in status.nodes:
        lines.append(f"Node {node.name} {node.version} at {node.url}, round trip {_trip(node.round_trip_ms)}.")
        lines += [_line(link, now_s, lame=True) for link in node.links]
    return lines


def _trip(trip_ms: float | None) -> str:
    return "-" if trip_ms is None else f"{trip_ms:.1f} ms"


def _line(link: LinkStatus, now_s: float, *, lame: bool) -> str:
    trouble = f", host not reachable: {link.detail}" if lame and not link.host_reachable else ""
    age = int(now_s - link.since_s)
    trip = _trip(link.round_trip_ms)
    how = ", compressed" if link.compressed else ""
    peer = f"{link.peer} {link.version}".rstrip()
    return f"  {link.tenant}  {peer}  up {age} s, round trip {trip}{how}, {link.in_flight} in flight{trouble}"
