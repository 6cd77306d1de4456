"""The other nodes of this relay: found by their beats, asked over one session each, and missed when they fall silent.

Between two nodes there are two sessions, each a link as with an agent: the end that opened it asks, the other one
serves and says which agents it holds. What breaks there has the same fate as what breaks on an agent's link.
"""

from __future__ import annotations

import asyncio
import logging
import random
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from agent import __version__, events, logs
from agent.errors import ProtocolViolation
from agent.link.links import Heartbeat, Link, listened
from agent.link.messages import VERSIONS, Hello
from agent.link.packing import decode
from agent.link.session import WINDOW_BYTES, Session
from agent.relay import answers
from agent.relay.nodes.messages import Beat, Roster
from agent.relay.nodes.routes import FarLink
from agent.relay.nodes.serving import Serving
from agent.relay.nodes.sessions import Ears, Sessions
from agent.relay.nodes.whispers import Whispers

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from agent.relay.admission import Admission
    from agent.relay.matching import Agents
    from agent.relay.nodes.fabric import Fabric
    from agent.relay.nodes.seals import Seals
    from agent.relay.nodes.sockets import NodeSocket

_AGAIN_S: Final = 1.0
_MISSED_S: Final = 900.0
"""For so long a node that fell silent is missed; whoever ran it may have ended it for good."""


@dataclass(slots=True)
class Neighbour:
    """Another node."""

    beat: Beat
    """The last one."""
    seen_s: float
    """When that came, by the loop's clock."""
    holding: asyncio.Task[None] | None = None
    link: Link | None = None
    """The one by which this node asks; None while there is none."""
    routes: dict[int, FarLink] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this node is."""

    name: str
    url: str
    id: str = field(default_factory=lambda: uuid.uuid4().hex)


@dataclass(frozen=True, slots=True)
class Wire:
    """How nodes reach each other."""

    fabric: Fabric
    seals: Seals
    heartbeat: Heartbeat


class Neighbours:
    """Finds the other nodes, and joins their agents to this node's."""

    def __init__(self, identity: Identity, wire: Wire, agents: Agents, admission: Admission) -> None:
        self.identity = identity
        self.known: dict[str, Neighbour] = {}
        self.leaving = False
        self._agents = agents
        self._heartbeat = wire.heartbeat
        self._fabric = wire.fabric
        self._sessions = Sessions(identity.id, wire.seals, wire.fabric, Ears(self._on_beat, self._on_session))
        self._serving = Serving(agents, admission)
        self._whispers = Whispers(agents.unknown, self._asked)
        self._heard_self_s = 0.0
        self._missing: dict[str, float] = {}
        """Nodes that fell silent without a word, and when, by the loop's clock."""
        self._tasks: set[asyncio.Task[None]] = set()

    async def keep(self) -> None:
        """Live among the other nodes until cancelled."""
        self._look_round()
        self._fabric.on_change = self._on_fabric
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._fabric.keep())
                tasks.create_task(self._beat())
                tasks.create_task(self._serving.tell())
                tasks.create_task(self._whispers.replica.run())
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def under_way(self) -> int:
        """Return how many requests of other nodes are carried."""
        return self._serving.under_way

    @property
    def trouble(self) -> str:
        """Return why the other nodes cannot be reached; empty where they can."""
        return self._fabric.trouble

    @property
    def troubles(self) -> list[str]:
        """Return what is wrong between the nodes while NATS is there."""
        found = [f"NATS: {right}"] if (right := self._fabric.missing_right) else []
        return [*found, *filter(None, (self.silence,))]

    @property
    def silence(self) -> str:
        """Return which nodes fell silent; empty where none did."""
        return answers.silent(self._missing) if self._missing else ""

    async def leave(self) -> None:
        """Take no more requests of other nodes, and tell them."""
        self.leaving = True
        self._serving.leave()
        with suppress(OSError):
            await self._shout()

    async def idle(self, limit_s: float) -> None:
        """Return once no request of another node is carried, and none is asked, or when the time is up."""
        for neighbour in self.known.values():
            if neighbour.link is not None:
                neighbour.link.drain("the node is about to stop")
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=limit_s)

    # ── beats ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _beat(self) -> None:
        """Beat, and miss those who do not, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            if not self._fabric.trouble:
                with suppress(OSError):
                    await self._shout()
                if loop.time() - self._heard_self_s >= self._heartbeat.dead_s:
                    self._fabric.give_up(f"nothing came back for {self._heartbeat.dead_s:g} s")
            due_s = loop.time() + self._heartbeat.every_s
            await asyncio.sleep(self._heartbeat.every_s)
            self._heard_self_s = listened(self._heard_self_s, due_s)
            for node, neighbour in list(self.known.items()):
                neighbour.seen_s = listened(neighbour.seen_s, due_s)
                if loop.time() - neighbour.seen_s >= self._heartbeat.dead_s:
                    self._lose(node, f"no sign of life for {self._heartbeat.dead_s:g} s")
            self._look_round()

    def _look_round(self) -> None:
        """Note why agents of other nodes may be there that cannot be asked."""
        oldest_s = asyncio.get_running_loop().time() - _MISSED_S
        self._missing = {name: since_s for name, since_s in self._missing.items() if since_s > oldest_s}
        self._agents.apart = answers.NATS_AWAY if self._fabric.trouble else self.silence

    async def _shout(self) -> None:
        mine = self.identity
        await self._sessions.shout(Beat(mine.id, mine.name, __version__, mine.url, self.leaving))

    def _on_beat(self, beat: Beat) -> None:
        time_s = asyncio.get_running_loop().time()
        if beat.node == self.identity.id:
            self._heard_self_s = time_s
            return
        neighbour = self.known.get(beat.node)
        if neighbour is not None:
            neighbour.beat, neighbour.seen_s = beat, time_s
            return
        if beat.leaving:
            return
        neighbour = self.known[beat.node] = Neighbour(beat, time_s)
        self._missing.pop(beat.name, None)
        self._look_round()
        logs.event(events.NODE_JOINED, node=beat.name, id=beat.node, version=beat.software)
        neighbour.holding = self._begin(self._hold(neighbour))

    def _lose(self, node: str, reason: str) -> None:
        neighbour = self.known.pop(node)
        expected = self.leaving or neighbour.beat.leaving
        # A node that was killed and is back under its name is not missed.
        if not expected and neighbour.beat.name not in {other.beat.name for other in self.known.values()}:
            self._missing[neighbour.beat.name] = asyncio.get_running_loop().time()
        level = logging.INFO if expected else logging.WARNING
        logs.event(events.NODE_LOST, level=level, node=neighbour.beat.name, id=node, reason=reason)
        if neighbour.link is not None:
            neighbour.link.cut(reason)
        elif neighbour.holding is not None:
            neighbour.holding.cancel()

    def _on_fabric(self) -> None:
        """Note that NATS came or went; with it all sessions go."""
        self._look_round()
        self._heard_self_s = asyncio.get_running_loop().time()
        if self._fabric.trouble:
            self._sessions.break_all(f"NATS was lost: {self._fabric.trouble}")
            for node in list(self.known):
                self._lose(node, "NATS was lost")
        else:
            self._begin(self._greet())

    async def _greet(self) -> None:
        with suppress(OSError):
            await self._shout()

    # ── asking ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _hold(self, neighbour: Neighbour) -> None:
        """Hold one session after another with a node, as long as it beats."""
        node = neighbour.beat.node
        while self.known.get(node) is neighbour and not self.leaving:
            if not neighbour.beat.leaving:
                with suppress(OSError, TimeoutError):
                    await self._ask(neighbour, await self._sessions.open(node))
            if not self.leaving:
                await asyncio.sleep(random.uniform(0.0, _AGAIN_S))  # noqa: S311 - spreads load, guards nothing

    async def _ask(self, neighbour: Neighbour, socket: NodeSocket) -> None:
        """Hold one session until it ends."""
        link = Link(socket, Session(self._hello(), opens=True), self._heartbeat)
        link.on_note = lambda payload: self._on_roster(neighbour, link, payload)
        neighbour.link = link
        telling = self._begin(self._whispers.begin(link))
        try:
            reason = await link.run()
            logs.event(events.LINK_ENDED, node=neighbour.beat.name, reason=reason)
        finally:
            telling.cancel()
            neighbour.link = None
            self._sessions.forget(socket)
            for route in neighbour.routes.values():
                self._agents.remove_far(route.held.tenant, route)
            neighbour.routes.clear()

    def _asked(self) -> list[Link]:
        return [neighbour.link for neighbour in self.known.values() if neighbour.link is not None]

    def _on_roster(self, neighbour: Neighbour, link: Link, payload: bytes) -> None:
        """Take in which agents another node holds."""
        try:
            roster = decode(Roster, payload)
        except ProtocolViolation as violation:
            link.cut(f"the other node broke the protocol: {violation}")
            return
        routes = neighbour.routes
        for held in roster.held:
            if held.number not in routes:
                route = routes[held.number] = FarLink(link, held)
                self._agents.add_far(held.tenant, route)
            else:
                routes[held.number].held = held
                self._agents.far_changed(held.tenant)
        for number in roster.gone:
            if (gone := routes.pop(number, None)) is not None:
                self._agents.remove_far(gone.held.tenant, gone)

    # ── serving ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _on_session(self, node: str, socket: NodeSocket) -> None:
        self._begin(self._serve(node, socket))

    async def _serve(self, node: str, socket: NodeSocket) -> None:
        """Serve the streams of another node until its session ends."""
        link = Link(socket, Session(self._hello(), opens=False), self._heartbeat, self._serving.answer)
        try:
            reason = await self._serving.hold(link)
            logs.event(events.LINK_ENDED, level=logging.DEBUG, node=node, reason=reason)
        finally:
            self._sessions.forget(socket)

    def _hello(self) -> Hello:
        return Hello(VERSIONS, WINDOW_BYTES, self.identity.name, __version__)

    def _begin(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
