"""A relay of several nodes as real processes: clients arrive at the first one, agents are linked to the others."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import signal
import subprocess
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from chain import CONNECTOR, PROGRAMS, TENANT, Chain, _port

from agent.relay.authority import CERTIFICATE_FILE, KEY_FILE, open_authority

if TYPE_CHECKING:
    from tests.servers import NATS

AGENT_TOKEN = "the agent's token"


@dataclass
class Nodes:
    """Relay nodes and agents beside the host of a chain."""

    chain: Chain
    nats: NATS
    count: int
    ports: list[int] = field(default_factory=list)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def prepare(self) -> None:
        """Write everybody's settings; all nodes get the same authority."""
        self.ports = [_port(0) for _ in range(self.count)]
        shared = self.chain.folder / "authority"
        open_authority(shared, datetime.now(UTC))
        for number in range(self.count):
            folder = self.chain.folder / f"node-{number}"
            (folder / "state").mkdir(parents=True, mode=0o700)
            for file in (CERTIFICATE_FILE, KEY_FILE):
                shutil.copy(shared / file, folder / "state" / file)
            (folder / "nats-password").write_text(self.nats.password)
            (folder / "relay.toml").write_text(self._relay(number))

    def agent(self, name: str, nodes: list[int]) -> None:
        """Write the settings of an agent that is linked to these nodes, and start it."""
        folder = self.chain.folder / name
        folder.mkdir(exist_ok=True)
        (folder / "token").write_text(AGENT_TOKEN)
        relays = ", ".join(f'"https://localhost:{self.ports[number]}"' for number in nodes)
        (folder / "agent.toml").write_text(
            f'[agent]\nname = "{name}"\ntenant = "{TENANT}"\ntoken_file = "token"\nrelay = [{relays}]\n'
            f'relay_trust = "{self.chain.relay_trust}"\nhost = "https://localhost:{self.chain.host_port}"\n'
            f'host_trust = "{self.chain.host_trust}"\nreconnect_s = 1.0\n'
        )
        self.spawn(name)

    def url(self, number: int) -> str:
        """Return the address of the SCIM service at one node."""
        return f"https://localhost:{self.ports[number]}/t/{TENANT}/ecma2host_{CONNECTOR}/scim"

    def spawn(self, name: str) -> None:
        """Start a node, `node-N`, or an agent."""
        folder = self.chain.folder / name
        command = ["relay", "--config", folder / "relay.toml"]
        if not name.startswith("node-"):
            command = ["run", "--config", folder / "agent.toml"]
        with (folder / "log").open("ab") as log:
            self.processes[name] = subprocess.Popen([PROGRAMS / "provisioning-agent", *command], stdout=log, stderr=log)

    def kill(self, name: str) -> None:
        """End one without a warning."""
        self.stop(name, signal.SIGKILL)

    def stop(self, name: str, number: signal.Signals = signal.SIGTERM) -> None:
        process = self.processes.pop(name)
        process.send_signal(number)
        process.wait(timeout=30)

    def end(self) -> None:
        """Stop everything."""
        for name in list(self.processes):
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.stop(name)

    def command(self, number: int, *arguments: object) -> str:
        """Run a command of the administrator at one node, and return what it printed."""
        settings = self.chain.folder / f"node-{number}" / "relay.toml"
        return self.chain.command("provisioning-agent", "relay", "--config", settings, *arguments)

    def _relay(self, number: int) -> str:
        papers = Path(self.chain.certificates) / "relay"
        digest = hashlib.sha256(AGENT_TOKEN.encode()).hexdigest()
        return (
            f'[relay]\nnode = "node-{number}"\nport = {self.ports[number]}\n'
            f'certificate = "{papers / "certificate.pem"}"\nkey = "{papers / "key.pem"}"\n\n'
            f'[relay.nats]\nurls = ["{self.nats.url}"]\ntrust = "{self.nats.authority}"\n'
            f'user = "{self.nats.user}"\npassword_file = "nats-password"\nbeat_s = 0.5\ndead_s = 2.0\n\n'
            f'[tenants.{TENANT}]\nagent_token_hashes = ["sha256:{digest}"]\n'
        )
