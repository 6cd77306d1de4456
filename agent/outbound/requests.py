"""A request as the host gets it: its head, and how its body is framed, whatever the relay said of that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agent.outbound.answers import RECORD_HEADER

if TYPE_CHECKING:
    from agent.link.messages import RequestHead
    from agent.outbound.host import Host
    from agent.outbound.tokens import HostToken

_OFTEN_BODILESS: Final = frozenset({"GET", "HEAD", "DELETE"})


def to_bytes(head: RequestHead, host: Host, token: HostToken, length: int | None, body: bytes) -> bytes:
    """Return the head, and what is at hand of a body of this length; one whose `length` is None goes in chunks."""
    if length is None:
        framing = b"Transfer-Encoding: chunked\r\n"
    elif length or head.method not in _OFTEN_BODILESS:
        framing = b"Content-Length: %d\r\n" % length
    else:
        framing = b""
    line = f"{head.method} {head.target} HTTP/1.1\r\nHost: {host.authority}\r\n".encode("ascii")
    # Whoever takes it: what leads to the host may spread the requests of this connection over several.
    meant = b"%b: %b\r\n" % (RECORD_HEADER, head.record.encode("ascii")) if head.record else b""
    rest = chunk(body) if length is None else body
    return b"%b%b%b%b\r\n%b" % (line, token.put_into(head.headers), meant, framing, rest)


def chunk(data: bytes) -> bytes:
    """Frame a stretch of a body whose length nobody said (RFC 9112 §7.1); nothing for nothing, which would end it."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def longer(size_bytes: int, announced_bytes: int) -> str:
    """Return what is wrong with a body of another length than it was announced with."""
    return f"a body of {size_bytes} bytes or more that was announced as {announced_bytes}"
