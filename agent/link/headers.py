"""Header blocks as bytes: `Name: value` lines, each ended by CR LF, that are written once and passed through.

Knows which headers belong to one hop only, and therefore never travel over a link.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

HOP_BY_HOP: Final = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""RFC 9110 §7.6.1, and the old ones of RFC 2616 §13.5.1."""

FRAMING: Final = frozenset({b"content-length", b"expect", b"host"})
"""Each hop says these for itself."""


def _any_of(names: Iterable[bytes]) -> bytes:
    """Return a pattern for these names in either case, which leaves off at the first letter of any other."""
    rests: dict[bytes, list[bytes]] = {}
    for name in sorted(names):
        rests.setdefault(name[:1], []).append(re.escape(name[1:]))
    return b"|".join(b"[%b%b](?i:%b)" % (one, one.upper(), b"|".join(rest)) for one, rest in rests.items())


_BLOCK: Final = re.compile(
    rb"(?:(?!(?:" + _any_of(HOP_BY_HOP | FRAMING) + rb"):)[!#$%&'*+.^_`|~0-9A-Za-z-]++: "
    rb"[\x01-\x09\x0b\x0c\x0e-\xff]*+\r\n)*+"
)
"""Lines whose names are none of those. Nothing is tried twice (`++`): each request passes here at both ends. What a
value may be, all but CR, LF and NUL, is said by ranges: of what it may not be, each letter is compared with each."""

_SHOWN: Final = re.compile(rb"[\x21-\x7e]{1,128}")


def to_block(pairs: Iterable[tuple[bytes, bytes]], without: Container[bytes] = ()) -> bytes:
    """Return the headers as a block: those of one hop are left out, and those whose lower-case name is in `without`."""
    lines = [
        b"%b: %b\r\n" % (name, value)
        for name, value in pairs
        if (lowered := name.lower()) not in _NEVER and lowered not in without
    ]
    return b"".join(lines)


_NEVER: Final = HOP_BY_HOP | FRAMING


def named_by_connection(pairs: Iterable[tuple[bytes, bytes]]) -> frozenset[bytes]:
    """Return the headers that a Connection header declares to be for this hop only (RFC 9110 §7.6.1)."""
    return frozenset(
        option.strip().lower() for name, value in pairs if name.lower() == b"connection" for option in value.split(b",")
    )


def is_block(block: bytes) -> bool:
    """Return whether these bytes are a header block, without any header that would change how a message is framed."""
    return _BLOCK.fullmatch(block) is not None


def to_pairs(block: bytes) -> list[tuple[str, str]]:
    """Return the headers of a block one by one, as text."""
    lines = block.decode("utf-8", "surrogateescape").split("\r\n")[:-1]
    return [(name, value) for name, _, value in (line.partition(": ") for line in lines)]


def said(block: bytes, name: str) -> str | None:
    """Return what one header of a block says, None where it is not there once, or is too long to be logged."""
    # Found by hand: a pattern that ignores case is tried at each byte, which takes five times as long.
    lowered, line = b"\r\n" + block.lower(), f"\r\n{name}: ".lower().encode()
    if lowered.count(line) != 1:
        return None
    begin = lowered.index(line) + len(line) - len(b"\r\n")
    value = block[begin : block.find(b"\r\n", begin)]
    return value.decode() if _SHOWN.fullmatch(value) else None
