"""What every room of the agent may raise on purpose.

AgentError                the root
├── ConfigurationError    what an administrator wrote cannot be used as it stands
│   └── Unavailable       what it names is not to be had now, and may be later
├── ProtocolViolation     the other end of a link sent what the protocol does not allow
├── LinkLost              the link ended while something was still on it
├── StreamCancelled       the other end no longer wants this stream
└── StreamFailed          the other end could not do what the stream asked for, and says why
"""

from __future__ import annotations

import os


class AgentError(Exception):
    """The root of the errors that this package raises on purpose."""


class ConfigurationError(AgentError):
    """What an administrator wrote cannot be used as it stands; the text names the file, the key and the mend."""


class Unavailable(ConfigurationError):
    """What it names is not to be had now, and may be later: an address that another program has, a database."""


class ProtocolViolation(AgentError):
    """The other end of a link sent what the protocol does not allow; the link is closed."""


class LinkLost(AgentError):
    """The link ended while something was still on it."""

    def __init__(self, reason: str, *, unsent: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.unsent = unsent
        """Whether the request of the stream that hears of it never left this end."""


class StreamCancelled(AgentError):
    """The other end no longer wants this stream: its own caller hung up, or ran out of time."""


class StreamFailed(AgentError):
    """The other end could not do what the stream asked for; `payload` says why, packed."""

    def __init__(self, payload: bytes) -> None:
        super().__init__("the other end could not do what this stream asked for")
        self.payload = payload


def system_words(fault: OSError) -> str:
    """Return what the system says; asyncio puts words of its own in front of it, or those of several attempts."""
    return os.strerror(fault.errno) if fault.errno and fault.errno > 0 else fault.strerror or str(fault)
