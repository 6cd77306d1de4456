"""An HTTP request that came whole, head and body at once, read out of its bytes: for host and relay.

What aiohttp makes for each request, a message, a stream, a task, is more work than most answers take. So those that
are plain beyond doubt are read here, exactly as aiohttp would read them; whatever else there is, right or wrong, is
aiohttp's to judge.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Plain(NamedTuple):
    """One request, to its end."""

    method: str
    target: str
    """Path and query as the client sent them."""
    pairs: list[tuple[bytes, bytes]]
    """Its headers."""
    said: dict[bytes, bytes]
    """The same by their names in lower case, none of which is there twice."""
    body: bytes


def read_plain(data: bytes, header_bytes: int) -> Plain | None:
    """Return the request that these bytes are, no more and no less; None where they are none, or none that is plain."""
    found = _PLAIN.match(data)
    if found is None or found.end() > header_bytes:
        return None
    method, target, lines = found.groups()
    pairs: list[tuple[bytes, bytes]] = _LINE.findall(lines)
    said = {name.lower(): value for name, value in pairs}
    body = data[found.end() :]
    # One that is there twice is aiohttp's to judge, and so is all that changes how a message is framed.
    if len(said) != len(pairs) or len(pairs) > _LINES or b"host" not in said or not _is_framed(said, len(body)):
        return None
    return Plain(method.decode("ascii"), target.decode("ascii"), pairs, said, body)


_PLAIN: Final = re.compile(
    rb"(GET|POST|PUT|PATCH|DELETE) (/[!-\"$-~]*+) HTTP/1\.1\r\n"
    rb"((?:[!#$%&'*+.^_`|~0-9A-Za-z-]++: (?:(?![ \t])[\t -~\x80-\xff]*+(?<![ \t]))?\r\n)++)\r\n"
)
"""A request line as RFC 9112 §3 wants it, and header lines with one blank after the colon and none at the end."""

_LINE: Final = re.compile(rb"([^:]++): ([^\r]*+)\r\n")
_LINES: Final = 128
"""As many as aiohttp takes."""

_UNPLAIN: Final = frozenset(
    {
        *(b"expect", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection"),
        *(b"te", b"trailer", b"transfer-encoding", b"upgrade"),
    }
)
"""Headers that are about one hop only (RFC 9110 §7.6.1), but for `Connection`, and what is to be answered at once."""


def _is_framed(said: Mapping[bytes, bytes], body_bytes: int) -> bool:
    """Return whether a message with these headers has just this body, and the connection goes on after it."""
    return (
        said.get(b"content-length", b"0") == b"%d" % body_bytes
        and said.get(b"connection", _STAYS).lower() == _STAYS
        and _UNPLAIN.isdisjoint(said)
    )


_STAYS: Final = b"keep-alive"


def text_of(value: bytes) -> str:
    """Return the value of a header as text, as aiohttp decodes it."""
    return value.decode("utf-8", "surrogateescape")
