"""W3C Trace Context: one trace for a request through every hop, and a span of its own for each of them.

    traceparent: 00-TRACE_ID-SPAN_ID-FLAGS        https://www.w3.org/TR/trace-context/ §3.2

Whoever receives a request goes on with its trace, or begins one; nothing here collects or sends spans anywhere.
A client's own `X-Request-Id` goes on beside it, where each hop agrees that it is one.
"""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

HEADER: Final = "traceparent"
STATE_HEADER: Final = "tracestate"
"""What vendors add; it goes on as it is where its trace does, and is dropped where that could not be read (§3.3.1)."""
REQUEST_ID: Final = "X-Request-Id"

_NOT_SAMPLED: Final = "00"
_SAMPLED: Final = 0x01
_FLAGS: Final = 0x03
"""Sampled, and an id that is random; other bits go on as zero (§3.2.2.5), of later versions all but the first."""


_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")


def request_id(given: str | None) -> str:
    """Return the client's id of a request where it may name one, on every hop and in every log, else a new one."""
    return given if given is not None and _REQUEST_ID.fullmatch(given) else drawn(32)


class Trace(msgspec.Struct, frozen=True, gc=False):
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
        return Trace(self.id, drawn(16), self.flags)


def begin() -> Trace:
    """Return the first hop of a new trace."""
    both = drawn(48)
    return Trace(both[:32], both[32:], begun_here=True)


def go_on(given: Sequence[str]) -> Trace:
    """Return our own hop of the trace that the one `traceparent` names; of none, or several, the first of a new one."""
    found = _PARENT.fullmatch(given[0].strip(" \t")) if len(given) == 1 else None
    if found is None or (found["version"] == "00" and found["more"]):
        return begin()
    known = _FLAGS if found["version"] == "00" else _SAMPLED
    return Trace(found["trace"], drawn(16), f"{int(found['flags'], 16) & known:02x}")


_PARENT: Final = re.compile(
    r"(?!ff)(?P<version>[0-9a-f]{2})-(?P<trace>(?!0{32})[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-(?P<flags>[0-9a-f]{2})"
    r"(?P<more>-.{0,400})?"
)
"""§3.2.2 and §4.3: of a later version the known beginning is read; all-zero ids and version ff are none."""


def drawn(digits: int) -> str:
    """Return so many hex digits by chance: no secret, and to ask the system for them would cost each request a wait."""
    return "%0*x" % (digits, random.getrandbits(4 * digits))  # noqa: UP031 - in a third of the time of an f-string
