"""Where a new configuration listens, judged before anything is written."""

from __future__ import annotations

import socket

from connector_host.errors import ConfigurationError


def refuse_unknown_address(listen: str) -> None:
    """Raise ConfigurationError where this machine makes no address out of the text."""
    try:
        if listen:
            socket.getaddrinfo(listen, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
            return
    except (OSError, UnicodeError):  # UnicodeError: a part between full stops is empty or too long
        pass
    raise ConfigurationError(
        f"--listen: {listen!r} is no address. Give one of this machine, 0.0.0.0 for all of them, or 127.0.0.1 where "
        "the agent runs here, too."
    )
