"""What PostgreSQL's own driver, psycopg, needs before it reads all that a database holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from psycopg.abc import Buffer
    from psycopg.adapt import Loader

UTF_8: Final[Mapping[str, str]] = {"client_encoding": "utf8"}
"""For every connection: else the database's own counts, which may lack letters that psycopg then fails at, or be none
at all (SQL_ASCII)."""

MOMENTS: Final = ("date", "time", "timetz", "timestamp", "timestamptz")


class Spelled(str):
    """A moment that Python has none of (infinity, 24:00, a year before 1 or after 9999), as the database writes it."""

    __slots__ = ()


def spell_moments(connection: Any) -> None:  # noqa: ANN401 - the driver's door
    """Have psycopg read as Spelled what its own loaders fail at; what they can read they do, in any DateStyle."""
    from psycopg.pq import Format  # noqa: PLC0415 - only where this driver is installed

    for name in MOMENTS:
        oid = connection.adapters.types[name].oid
        connection.adapters.register_loader(oid, _or_spelled(connection.adapters.get_loader(oid, Format.TEXT)))


def _or_spelled(known: type[Loader]) -> type[Loader]:
    from psycopg import DataError  # noqa: PLC0415 - only where this driver is installed
    from psycopg.adapt import Loader  # noqa: PLC0415

    class OrSpelled(Loader):
        """Asks the other one rather than to extend it: of a class above one in C nothing is called."""

        def __init__(self, oid: int, context: Any = None) -> None:  # noqa: ANN401 - psycopg's protocol
            super().__init__(oid, context)
            self._load = known(oid, context).load

        def load(self, data: Buffer) -> Any:  # noqa: ANN401 - psycopg's protocol
            try:
                return self._load(data)
            except DataError:
                return Spelled(bytes(data).decode())

    return OrSpelled
