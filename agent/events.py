"""The names of all log events of agent and relay: constants with fields, never sentences with values in them."""

from __future__ import annotations

from typing import Final

AGENT_HEALTH: Final = "agent.health"
AGENT_STARTED: Final = "agent.started"
AGENT_STOPPED: Final = "agent.stopped"
AGENT_STOPPING: Final = "agent.stopping"
CERTIFICATE_WARNING: Final = "certificate.warning"
HOST_PROBED: Final = "host.probed"
LINK_CONNECTED: Final = "link.connected"
LINK_FAILED: Final = "link.failed"
LINK_ENDED: Final = "link.ended"
LINK_REFUSED: Final = "link.refused"
RELAY_READY: Final = "relay.ready"
RELAY_STOPPED: Final = "relay.stopped"
RELAY_STOPPING: Final = "relay.stopping"
REQUEST_ANSWERED: Final = "request.answered"
REQUEST_FAILED: Final = "request.failed"
REQUEST_REPEATED: Final = "request.repeated"
REQUEST_TRUNCATED: Final = "request.truncated"
STREAM_CRASHED: Final = "stream.crashed"
