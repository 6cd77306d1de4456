"""Relay nodes in one process, joined by a real NATS server."""

from __future__ import annotations

import shutil
import socket
from contextlib import AsyncExitStack

import pytest

from agent import events
from agent.settings import NatsSettings
from tests.agent.chain import chain_of


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Cluster:
    """Starts nodes of one relay: each a chain of its own, with the authority of the first."""

    def __init__(self, folder, papers, log, nats, stack):
        self.folder, self.papers, self.log, self.nats = folder, papers, log, nats
        self.nodes = {}
        self._stack = stack
        (folder / "nats-password").write_text(nats.password + "\n")

    def settings(self, **keys):
        given = {"urls": (self.nats.url,), "trust": self.nats.authority, "user": self.nats.user}
        given |= {"password_file": self.folder / "nats-password", "beat_s": 0.2, "dead_s": 2.0}
        return NatsSettings(**(given | keys))

    async def start(self, name, *, shared_authority=True, nats=None, called="", **keys):
        """Start a node, and return it once it sees all others; it may be called otherwise than here."""
        node = self.nodes.get(name)
        if node is None:
            node = await self._stack.enter_async_context(chain_of(self.folder / name, self.papers, self.log))
            node.folder.mkdir()
        first = next(iter(self.nodes.values()), None)
        state = node.folder / "relay-state"
        if first not in {None, node} and shared_authority:
            state.mkdir(mode=0o700, exist_ok=True)
            for file in ("agent-authority.pem", "agent-authority-key.pem"):
                shutil.copy(first.folder / "relay-state" / file, state / file)
        known = len(self.joined())
        others = len(self.nodes) - (name in self.nodes)
        self.nodes[name] = node
        port = node.port or free_port()
        keys = {"limits": {"wait_s": 3.0}} | keys
        await node.start_relay(node=called or name, nats=nats or self.settings(), port=port, **keys)
        await self.log.wait_for(events.RELAY_READY, port=port)
        node.port = port
        if shared_authority:
            await self.sees(known + 2 * others)
        return node

    def joined(self):
        return [seen for event, seen in self.log.seen if event == events.NODE_JOINED]

    async def sees(self, count):
        """Return once nodes have found each other so many times."""
        await self.log.wait_for(events.NODE_JOINED, count=max(count, 1)) if count else None


@pytest.fixture
async def cluster(tmp_path, papers, log, own_nats):
    async with AsyncExitStack() as stack:
        yield Cluster(tmp_path, papers, log, own_nats, stack)


@pytest.fixture
def shared(cluster, postgresql_server):
    """The settings of a store that all nodes share."""
    server = postgresql_server
    secret = cluster.folder / "store-password"
    secret.write_text(server.password)
    url = f"postgresql://{server.user}@{server.host}:{server.port}/{server.database()}"
    return {"store": url, "store_password_file": secret}
