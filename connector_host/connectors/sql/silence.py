"""Servers that take what is sent and never answer, as where a disk hangs: psycopg by itself would wait for ever.

The server's own time limit comes first; this is for one that cannot keep it any more. Other drivers have an option.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from connector_host import clock

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg
    from psycopg.abc import PQGen

Result = TypeVar("Result")


def bounded_connect(answer_s: float) -> Callable[..., psycopg.Connection[Any]]:
    """Return what connects with psycopg, and gives up a connection on which no answer came for so many seconds."""
    import psycopg  # noqa: PLC0415 - only where this driver is installed

    class Bounded(psycopg.Connection[Any]):
        """A connection whose every wait ends."""

        def wait(self, gen: PQGen[Result], interval: float = 0.1, timeout: float | None = answer_s) -> Result:
            began_s = clock.monotonic_s()
            try:
                return super().wait(gen, interval, timeout)
            except psycopg.OperationalError:
                if timeout is not None and clock.monotonic_s() - began_s >= timeout:
                    self.pgconn.finish()  # so that everybody takes it for lost: what it says next answers nobody
                raise

    return Bounded.connect
