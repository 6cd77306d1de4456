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


class Lines(NamedTuple):
    """The header lines of a request, and their bytes around what Content-Length says."""

    pairs: list[tuple[bytes, bytes]]
    said: dict[bytes, bytes]
    before: bytes
    """All up to the length; to the end of the head where there is none."""
    after: bytes
    """What follows the length, to the end of the head; empty where there is none."""


class Plain(NamedTuple):
    """One request, to its end."""

    method: str
    target: str
    """Path and query as the client sent them; the same object while the client asks for the same."""
    pairs: list[tuple[bytes, bytes]]
    """Its headers."""
    said: dict[bytes, bytes]
    """The same by their names in lower case, none of which is there twice."""
    body: bytes
    lines: Lines
    """The same object with each request of a connection whose headers are those of the last one, but for the length."""


class PlainReader:
    """Reads the requests of one connection.

    The header lines of a client that goes on asking are mostly those of its last request, byte for byte, but for the
    length of the body. What was read out of them then is not read again.
    """

    __slots__ = ("_header_bytes", "_last", "_line", "_method", "_target")

    def __init__(self, header_bytes: int) -> None:
        self._header_bytes = header_bytes
        self._last: Lines | None = None
        self._line = b""
        """The last request line, and what it says: those who create many ask for the same again and again."""
        self._method = self._target = ""

    def read(self, data: bytes) -> Plain | None:
        """Return the request that these bytes are, no more and no less; None where they are none that is plain."""
        if not self._line or not data.startswith(self._line):
            found_line = _REQUEST_LINE.match(data)
            if found_line is None:
                return None
            self._line, method, target = found_line.group(0, 1, 2)
            self._method, self._target = method.decode("ascii"), target.decode("ascii")
        begin, last = len(self._line), self._last
        found = None if last is None else _repeated(last, data, begin)
        if found is None:
            found = _read(data, begin)
        if found is None or found[2] > self._header_bytes:
            return None
        self._last, length, end = found
        lines, body = self._last, data[end:]
        if length != (b"%d" % len(body) if body or length is not None else None):
            return None
        pairs, said = lines.pairs, lines.said
        if length is not None and said[_LENGTH] != length:
            pairs = [(name, length if name.lower() == _LENGTH else value) for name, value in pairs]
            said = {**said, _LENGTH: length}
        return Plain(self._method, self._target, pairs, said, body, lines)


def _repeated(last: Lines, data: bytes, begin: int) -> tuple[Lines, bytes | None, int] | None:
    """Return these lines, the length and where the head ends, where they stand here again; None where others do."""
    if not data.startswith(last.before, begin):
        return None
    here = begin + len(last.before)
    if not last.after:
        return last, None, here
    end = data.find(b"\r", here)
    if not data.startswith(last.after, end):
        return None
    return last, data[here:end], end + len(last.after)


def _read(data: bytes, begin: int) -> tuple[Lines, bytes | None, int] | None:
    """Return the lines that begin here, the length and where the head ends; None where they are not plain."""
    found = _HEADERS.match(data, begin)
    if found is None:
        return None
    pairs: list[tuple[bytes, bytes]] = _LINE.findall(found[1])
    said = {name.lower(): value for name, value in pairs}
    # One that is there twice is aiohttp's to judge, and so is all that changes how a message is framed.
    if len(said) != len(pairs) or len(pairs) > _LINES or b"host" not in said or not _goes_on(said):
        return None
    length, here = said.get(_LENGTH), begin
    if length is not None:
        for name, value in pairs:
            here += len(name) + len(b": ")
            if name.lower() == _LENGTH:
                break
            here += len(value) + len(b"\r\n")
        lines = Lines(pairs, said, data[begin:here], data[here + len(length) : found.end()])
    else:
        lines = Lines(pairs, said, data[begin : found.end()], b"")
    return lines, length, found.end()


_REQUEST_LINE: Final = re.compile(rb"(GET|POST|PUT|PATCH|DELETE) (/[!-\"$-~]*+) HTTP/1\.1\r\n")
"""As RFC 9112 §3 wants it."""

_HEADERS: Final = re.compile(
    rb"((?:[!#$%&'*+.^_`|~0-9A-Za-z-]++: (?:(?![ \t])[\t -~\x80-\xff]*+(?<![ \t]))?\r\n)++)\r\n"
)
"""Lines with one blank after the colon and none at the end."""

_LINE: Final = re.compile(rb"([^:]++): ([^\r]*+)\r\n")
_LINES: Final = 128
"""As many as aiohttp takes."""

_UNPLAIN: Final = frozenset(
    {
        *(b"expect", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection"),
        *(b"te", b"trailer", b"transfer-encoding", b"upgrade", b"sec-websocket-key1"),
    }
)
"""Headers that are about one hop only (RFC 9110 §7.6.1), but for `Connection`, what is to be answered at once, and what
aiohttp refuses."""


def _goes_on(said: Mapping[bytes, bytes]) -> bool:
    """Return whether nothing but a length is said of how the message is framed, and the connection goes on after it."""
    return said.get(b"connection", _STAYS).lower() == _STAYS and _UNPLAIN.isdisjoint(said)


_STAYS: Final = b"keep-alive"
_LENGTH: Final = b"content-length"


def text_of(value: bytes) -> str:
    """Return the value of a header as text, as aiohttp decodes it."""
    return value.decode("utf-8", "surrogateescape")
