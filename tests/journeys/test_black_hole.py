"""A route that swallows everything, between agent and relay in network namespaces of their own: nobody is told a lie.

host, agent ── 10.199.1.0/30 ── a router, whose route becomes a black hole ── 10.199.2.0/30 ── relay, directory
"""

from __future__ import annotations

import ctypes
import os
import shutil
import sqlite3
import subprocess
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from types import MappingProxyType

import pytest
from chain import PARTS, PROGRAMS, Chain
from directory import Directory

AGENT, RELAY = "10.199.1.1", "10.199.2.2"
ROUTER = {"agent": "10.199.1.2", "relay": "10.199.2.1"}
NEW_NETWORK = 0x40000000


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True)


class Network:
    """Three namespaces in a row; the machine's own is left alone."""

    def __init__(self, stack):
        mark = uuid.uuid4().hex[:6]
        self.agent, self.router, self.relay = (f"scim-{part}-{mark}" for part in ("agent", "router", "relay"))
        for name in (self.agent, self.router, self.relay):
            run("ip", "netns", "add", name)
            stack.callback(run, "ip", "netns", "del", name)
            self.within(name, "ip", "link", "set", "lo", "up")
        for part, name, address in (("agent", self.agent, AGENT), ("relay", self.relay, RELAY)):
            far = f"to-{part}"
            run("ip", "-n", name, "link", "add", "up0", "type", "veth", "peer", "name", far)
            run("ip", "-n", name, "link", "set", far, "netns", self.router)
            for where, device, number in ((name, "up0", address), (self.router, far, ROUTER[part])):
                run("ip", "-n", where, "address", "add", f"{number}/30", "dev", device)
                run("ip", "-n", where, "link", "set", device, "up")
            run("ip", "-n", name, "route", "add", "default", "via", ROUTER[part])
        self.within(self.router, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")

    def within(self, name, *command):
        return run("ip", "netns", "exec", name, *command)

    def swallow(self):
        for address in (AGENT, RELAY):
            run("ip", "-n", self.router, "route", "add", "blackhole", f"{address}/32")

    def clear_up(self):
        for address in (AGENT, RELAY):
            run("ip", "-n", self.router, "route", "del", "blackhole", f"{address}/32")


class Apart(Chain):
    """The chain, with each part in its namespace."""

    network: Network

    @property
    def url(self):
        return super().url.replace("localhost", RELAY)

    def prepare(self):
        super().prepare()
        shutil.rmtree(self.certificates / "relay")
        self.command("connector-host", "cert", "issue", "--host", RELAY, "--out", self.certificates / "relay")

    patience = MappingProxyType({"RELAY__RELAY__LIMITS__WAIT_S": "40", "RELAY__RELAY__LIMITS__REQUEST_S": "50"})
    """A link that is dead is found after four seconds and dialled anew within three, on a quiet machine."""

    def spawn(self, part):
        program, *arguments = PARTS[part]
        place = self.network.relay if part == "relay" else self.network.agent
        command = [PROGRAMS / program, *(argument.format(folder=self.folder) for argument in arguments)]
        with self.log(part).open("ab") as log:
            self.processes[part] = subprocess.Popen(
                ["ip", "netns", "exec", place, *command], stdout=log, stderr=log, env={**os.environ, **self.patience}
            )

    def _relay_settings(self, agent_token):
        more = f'name = "{RELAY}"\nlisten = "{RELAY}"\nheartbeat_s = 0.5\ndead_s = 4.0\n'
        return super()._relay_settings(agent_token).replace("[relay]\n", "[relay]\n" + more)

    def _agent_settings(self):
        more = "heartbeat_s = 0.5\ndead_s = 4.0\nreconnect_s = 0.5\nrelay_connect_s = 2.0\n"
        return super()._agent_settings().replace("https://localhost", f"https://{RELAY}", 1) + more


def enter(name):
    """Move this thread, and no other, into a namespace."""
    with Path(f"/run/netns/{name}").open() as place:
        if ctypes.CDLL(None, use_errno=True).setns(place.fileno(), NEW_NETWORK):
            raise OSError(ctypes.get_errno(), "setns")


@pytest.fixture(scope="module")
def apart(tmp_path_factory):
    if os.name == "nt" or os.geteuid() or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and iproute2")
    folder = tmp_path_factory.mktemp("apart")
    with ExitStack() as stack:
        try:
            network = Network(stack)
        except subprocess.CalledProcessError as failure:
            pytest.skip(f"network namespaces are not permitted here: {failure.stderr.strip()}")
        chain = stack.enter_context(Apart(folder / "run", folder / "certs"))
        chain.network = network
        chain.prepare()
        chain.describe_table()
        chain.outside = stack.enter_context(ThreadPoolExecutor(1, initializer=enter, initargs=(network.relay,)))
        chain.outside.submit(chain.start).result()
        wait_for(chain, "agent", '"event":"host.probed","reachable":true', 0)
        # What the agent has just told on both of its links reaches the relay before the answers to these: that its host
        # keeps outcomes, without which no write is sent twice.
        for _ in range(4):
            chain.outside.submit(chain.connect).result()
        yield chain


def create(chain, login):
    """Ask for a user from the relay's side of the network, and return the answer to come."""
    directory = Directory(chain.url, chain.token_file.read_text().strip(), chain.relay_trust)
    user = {"userName": login, "name": {"givenName": "B", "familyName": "H"}, "displayName": login}
    return chain.outside.submit(directory.call, "POST", "Users", user)


def count(chain, login):
    with closing(sqlite3.connect(chain.database)) as connection:
        query = "SELECT count(*) FROM Employees WHERE ContosoLogin = ?"
        return connection.execute(query, (login,)).fetchone()[0]


def wait_for(chain, part, event, seen):
    limit_s = time.monotonic() + 30
    while chain.log(part).read_text().count(event) <= seen:
        assert time.monotonic() < limit_s, f"{part} never said {event}"
        time.sleep(0.05)


def test_a_write_into_a_black_hole_is_carried_out_once_when_the_route_comes_back(apart):
    apart.outside.submit(apart.connect).result()
    seen = apart.log("relay").read_text().count("link.ended")
    apart.network.swallow()
    try:
        asked = create(apart, "hole1")
        wait_for(apart, "relay", "link.ended", seen)
        assert not asked.done(), asked.result()
    finally:
        apart.network.clear_up()
    assert asked.result(timeout=60).status == 201
    assert count(apart, "hole1") == 1


def test_a_write_into_a_black_hole_that_stays_is_answered_as_unknown_and_the_link_comes_back(apart):
    apart.stop("relay")
    apart.patience = {**apart.patience, "RELAY__RELAY__LIMITS__WAIT_S": "5"}
    apart.spawn("relay")
    apart.outside.submit(apart.connect).result()
    apart.network.swallow()
    try:
        answer = create(apart, "hole2").result(timeout=60)
    finally:
        apart.network.clear_up()
    assert answer.status == 504
    assert "outcome of this request is unknown" in answer.document["detail"]
    assert count(apart, "hole2") == 0
    apart.outside.submit(apart.connect).result()
    assert create(apart, "hole3").result(timeout=30).status == 201
