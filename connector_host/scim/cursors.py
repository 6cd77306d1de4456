"""Cursors (RFC 9865): opaque to clients, kept by nobody, and good for the query that they came from only.

A cursor is the anchor of the last entry of a page, so that the next page starts behind it however many entries come or
go in between. So it goes with the order by anchor alone; a number of entries would lose some when others go.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from hashlib import blake2b

import msgspec

from connector_host.scim.errors import ScimError


class Position(msgspec.Struct, frozen=True, array_like=True):
    """Where a page starts."""

    query: bytes
    """A digest of the query that it belongs to."""
    after: str | None


@dataclass(frozen=True, slots=True)
class Subject:
    """What a cursor belongs to: one filter in one order."""

    filter_text: str
    sort_by: str
    descending: bool

    @property
    def digest(self) -> bytes:
        """Return a short digest of it."""
        text = msgspec.json.encode([self.filter_text, self.sort_by.lower(), self.descending])
        return blake2b(text, digest_size=9).digest()


def write_cursor(subject: Subject, *, after: str | None) -> str:
    """Return the cursor of a page that starts behind this anchor, or at the start."""
    packed = msgspec.msgpack.encode(Position(subject.digest, after))
    return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


def read_cursor(subject: Subject, cursor: str) -> Position:
    """Return where the page starts; an empty cursor is the start. Raises ScimError invalidCursor."""
    if not cursor:
        return Position(subject.digest, None)
    try:
        packed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        position = msgspec.msgpack.decode(packed, type=Position)
    except (ValueError, binascii.Error, msgspec.MsgspecError) as failure:
        raise ScimError(
            400, "The cursor is not one of this service; start again with an empty one.", "invalidCursor"
        ) from failure
    if position.query != subject.digest:
        raise ScimError(
            400, "The cursor belongs to another filter or order; start again with an empty one.", "invalidCursor"
        )
    return position
