"""A connector whose operations are counted and timed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from connector_host import clock
from connector_host.connectors.contract import Add, Loaded, Modify
from connector_host.connectors.errors import ConnectorError
from connector_host.errors import ConfigurationError, HostError
from connector_host.observability.metrics import OK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connector_host.connectors.contract import (
        Connector,
        Entry,
        Export,
        Exported,
        ObjectType,
        Page,
        Query,
        Rehearsal,
    )
    from connector_host.errors import Finding
    from connector_host.observability.metrics import Metrics


def _kinds(root: type[ConnectorError]) -> Iterator[type[ConnectorError]]:
    for kind in root.__subclasses__():
        yield kind
        yield from _kinds(kind)


_EXPECTED: Final = (
    *sorted(kind.__name__ for kind in _kinds(ConnectorError) if kind.__module__ == ConnectorError.__module__),
    *(ConfigurationError.__name__, "CancelledError"),
)
"""How an operation can fail, as far as it can be known beforehand."""


class Measured:
    """Passes everything on, and tells the metrics what was asked, how long it took, and what came of it."""

    def __init__(self, connector: Connector, metrics: Metrics) -> None:
        self._connector, self._metrics = connector, metrics
        metrics.expect(connector.name, _EXPECTED)
        self._load = connector.load if isinstance(connector, Loaded) else None
        if self._load is not None:
            metrics.loads.watch(connector.name, self._load)

    @property
    def name(self) -> str:
        """The name in the configuration and in the URL."""
        return self._connector.name

    async def describe(self) -> ObjectType:
        """Return the object type; not measured, since it comes from memory, save that it could not be found out."""
        try:
            return await self._connector.describe()
        except HostError:
            self._metrics.connector_is_down(self.name)
            raise

    async def read(self, anchor: str) -> Entry | None:
        """Return one entry."""
        with self._measuring("read"):
            return await self._connector.read(anchor)

    async def search(self, query: Query) -> Page:
        """Return a stretch of entries."""
        with self._measuring("search"):
            return await self._connector.search(query)

    async def export(self, export: Export) -> Exported:
        """Carry out one export."""
        with self._measuring(operation_of(export)):
            return await self._connector.export(export)

    async def rehearse(self, export: Export) -> Rehearsal:
        """Try one export and undo it."""
        with self._measuring("rehearse"):
            return await self._connector.rehearse(export)

    async def check(self) -> list[Finding]:
        """Look at everything that an administrator can get wrong."""
        return await self._connector.check()

    async def close(self) -> None:
        """Let go of the connected system."""
        await self._connector.close()
        if self._load is not None:
            self._metrics.loads.forget(self.name, self._load)

    def _measuring(self, operation: str) -> _Measuring:
        return _Measuring(self._metrics, self.name, operation)


class _Measuring:
    """One operation, as long as the block lasts."""

    __slots__ = ("_began_s", "_connector", "_metrics", "_operation")

    def __init__(self, metrics: Metrics, connector: str, operation: str) -> None:
        self._metrics, self._connector, self._operation = metrics, connector, operation

    def __enter__(self) -> None:
        self._began_s = clock.monotonic_s()
        self._metrics.operation_begins(self._connector, self._operation)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        outcome = OK if kind is None else kind.__name__
        self._metrics.operation_ends(self._connector, self._operation, outcome, clock.monotonic_s() - self._began_s)


def operation_of(export: Export) -> str:
    """Return what an export is called in metrics and in the audit trail."""
    match export:
        case Add():
            return "add"
        case Modify():
            return "modify"
        case _:
            return "delete"
