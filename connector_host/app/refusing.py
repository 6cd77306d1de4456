"""A start that is refused: the error, and the one line on standard error that a person reads."""

from __future__ import annotations

import sys

from connector_host import journald
from connector_host.errors import HostError


class CannotStart(HostError):
    """Something is not as the configuration says it should be; the text is the one line that a person reads."""


class CannotStartYet(HostError):
    """The same, of what may be over when it is tried again."""


def say(text: str) -> None:
    """Say one line on standard error to the person who started this."""
    sys.stderr.write(journald.spoken(sys.stderr, f"connector-host: {text}") + "\n")
