"""Codecs of UUIDs: kept as the database's own type, or in sixteen bytes of some order."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Literal, TypeAlias

from connector_host.connectors.contract import AttributeType
from connector_host.connectors.sql.columns import Codec, Unfit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Order: TypeAlias = Literal["standard", "guid", "swapped"]

BYTES = 16


def of_text() -> Codec:
    """Return the codec of a column of the database's own type.

    Always bound as text: MariaDB's ODBC driver swaps the bytes of uuid.UUID (sql-connectors.md §3.3.5).
    """
    return Codec(AttributeType.STRING, _canonical, _canonical, _canonical)


def of_bytes(order: Order) -> Codec:
    """Return the codec of a binary column."""
    into, out_of = ORDERS[order]

    def encode(value: object) -> bytes:
        return into(_read(value).bytes)

    def decode(raw: object) -> str:
        if not isinstance(raw, bytes | bytearray | memoryview) or len(raw) != BYTES:
            raise Unfit("holds something else than the 16 bytes of a UUID")
        return str(uuid.UUID(bytes=out_of(bytes(raw))))

    return Codec(AttributeType.STRING, encode, decode, _canonical)


def _read(value: object) -> uuid.UUID:
    try:
        return value if isinstance(value, uuid.UUID) else uuid.UUID(str(value))
    except ValueError:
        raise Unfit("takes a UUID") from None


def _canonical(value: object) -> str:
    return str(_read(value))


def _as_it_is(kept: bytes) -> bytes:
    return kept


def _guid(kept: bytes) -> bytes:
    """Return the first three fields with their bytes from behind, as Guid.ToByteArray has them; and back."""
    return kept[3::-1] + kept[5:3:-1] + kept[7:5:-1] + kept[8:]


def _time_first(kept: bytes) -> bytes:
    """Return the third field, then the second, then the first, so that new rows are at the end of an index."""
    return kept[6:8] + kept[4:6] + kept[0:4] + kept[8:]


def _time_last(kept: bytes) -> bytes:
    return kept[4:8] + kept[2:4] + kept[0:2] + kept[8:]


ORDERS: Mapping[Order, tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]] = {
    "standard": (_as_it_is, _as_it_is),
    "guid": (_guid, _guid),
    "swapped": (_time_first, _time_last),
}
"""How the bytes of a UUID are kept, and how they are read back."""
