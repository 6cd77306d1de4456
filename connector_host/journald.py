"""Telling systemd's journal how serious a line is, so that `journalctl --priority err` shows errors (sd-daemon(3)).

A line that begins with <3> is an error to the journal, which takes the mark away (SyslogLevelPrefix=yes, the default).
"""

from __future__ import annotations

import os
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TextIO

if TYPE_CHECKING:
    from collections.abc import Mapping

PRIORITIES: Final[Mapping[str, int]] = MappingProxyType(
    {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
)
"""syslog(3)."""


def reads(stream: TextIO, environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether what is written there goes straight to the journal, by $JOURNAL_STREAM (systemd.exec(5))."""
    named = environment.get("JOURNAL_STREAM")
    if not named:
        return False
    try:
        facts = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return named == f"{facts.st_dev}:{facts.st_ino}"


def marked(level: str, text: str) -> str:
    """Return the text with its priority before each line."""
    mark = f"<{PRIORITIES.get(level, PRIORITIES['error'])}>"
    return "\n".join(mark + line for line in text.split("\n"))


def spoken(stream: TextIO, text: str) -> str:
    """Return somebody's last words as the stream's reader takes them: to the journal they are an error."""
    return marked("error", text) if reads(stream) else text
