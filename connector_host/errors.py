"""What every room may raise or return when something is not as it should be.

HostError                  the root: nothing of ours raises anything else on purpose
└── ConfigurationError     what an administrator wrote cannot be used as it stands

A check never answers a bare False: it returns findings that a person can act on.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class HostError(Exception):
    """The root of the errors that this package raises on purpose."""


class ConfigurationError(HostError):
    """What an administrator wrote cannot be used as it stands; the text names the key and the mend."""


class Level(StrEnum):
    """How much a finding matters."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a check found: what was looked at, what is so, and what to do about it."""

    level: Level
    subject: str
    """What was looked at, as an administrator calls it: `anchor`, `certificate`, `port`."""
    fact: str
    """What is so, in one sentence."""
    mend: str = ""
    """What to do about it; empty where nothing is to be done."""


def failures(findings: list[Finding]) -> list[Finding]:
    """Return the findings that stop the work."""
    return [finding for finding in findings if finding.level is Level.FAILURE]
