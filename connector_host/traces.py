"""W3C Trace Context: one trace for a request through every hop, and a span of its own for each of them.

    traceparent: 00-TRACE_ID-SPAN_ID-FLAGS        https://www.w3.org/TR/trace-context/ §3.2

Whoever receives a request goes on with its trace, or begins one; nothing here collects or sends spans anywhere.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Final

HEADER: Final = "traceparent"
STATE_HEADER: Final = "tracestate"
"""What vendors add; it goes on as it is where its trace does, and is dropped where that could not be read (§3.3.1)."""

_NOT_SAMPLED: Final = "00"


@dataclass(frozen=True, slots=True)
class Trace:
    """One hop of a trace."""

    id: str
    """Of the whole trace: 32 hex digits."""
    span: str
    """Of this hop: 16 hex digits."""
    flags: str = _NOT_SAMPLED
    """As the first hop decided; none of ours ever samples."""
    begun_here: bool = False
    """Whether nobody before us named a trace."""

    @property
    def header(self) -> str:
        """Return it as a `traceparent` for the next hop."""
        return f"00-{self.id}-{self.span}-{self.flags}"

    def next_span(self) -> Trace:
        """Return another hop, or another request, of the same trace."""
        return Trace(self.id, os.urandom(8).hex(), self.flags)


def begin() -> Trace:
    """Return the first hop of a new trace."""
    return Trace(os.urandom(16).hex(), os.urandom(8).hex(), begun_here=True)


def go_on(given: str | None) -> Trace:
    """Return our own hop of the trace that a `traceparent` names, or the first one of a new trace."""
    found = None if given is None else _PARENT.fullmatch(given.strip(" \t"))
    if found is None or (found["version"] == "00" and found["more"]):
        return begin()
    return Trace(found["trace"], os.urandom(8).hex(), found["flags"] if found["version"] == "00" else _NOT_SAMPLED)


_PARENT: Final = re.compile(
    r"(?!ff)(?P<version>[0-9a-f]{2})-(?P<trace>(?!0{32})[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-(?P<flags>[0-9a-f]{2})"
    r"(?P<more>-.{0,400})?"
)
"""§3.2.2 and §4.3: of a later version the known beginning is read; all-zero ids and version ff are none."""
