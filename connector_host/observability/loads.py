"""How busy connectors are at this moment, as Prometheus reads it: queues, connections, errors of databases.

Asked for when somebody reads the metrics, so it costs nothing in between. During an exchange of a connector the old
and the new one count together; what an old one counted is kept, so that a counter never falls.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from prometheus_client.core import Metric


@dataclass(frozen=True, slots=True)
class Load:
    """One connector at one moment."""

    waiting: Mapping[str, int]
    """Reads and exports that wait for a connection."""
    connections: Mapping[str, int]
    """Open connections, by what they are for."""
    connections_max: Mapping[str, int]
    """How many there may be."""
    errors: Mapping[str, int]
    """What the database refused or failed at since the start, by class."""


class Loads(Collector):
    """Every connector that is open, by name."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: list[tuple[str, Callable[[], Load]]] = []
        self._past_errors: Counter[tuple[str, str]] = Counter()

    def watch(self, name: str, load: Callable[[], Load]) -> None:
        """Count a connector that was opened."""
        with self._lock:
            self._open.append((name, load))

    def forget(self, name: str, load: Callable[[], Load]) -> None:
        """Count one that is closed no more, save for its errors; one that is not counted is passed over."""
        with self._lock:
            if (name, load) in self._open:
                self._open.remove((name, load))
                self._past_errors.update(_labelled(name, load().errors))

    def collect(self) -> Iterator[Metric]:
        """Return the figures of this moment."""
        with self._lock:
            loads, errors = [(name, load()) for name, load in self._open], Counter(self._past_errors)
        waiting, connections, most = Counter[tuple[str, str]](), Counter[tuple[str, str]](), Counter[tuple[str, str]]()
        for name, load in loads:
            waiting.update(_labelled(name, load.waiting))
            connections.update(_labelled(name, load.connections))
            most.update(_labelled(name, load.connections_max))
            errors.update(_labelled(name, load.errors))
        yield _gauge("queue_depth", "Operations that wait for a connection.", "operation", waiting)
        yield _gauge("database_connections", "Open connections to the database.", "purpose", connections)
        yield _gauge("database_connections_max", "Connections that there may be at the most.", "purpose", most)
        failed = CounterMetricFamily(
            "connector_host_database_errors", "What databases refused or failed at, by class.", labels=_labels("class")
        )
        for labels, value in errors.items():
            failed.add_metric(labels, value)
        yield failed


def _labels(second: str) -> tuple[str, str]:
    return ("connector", second)


def _labelled(name: str, figures: Mapping[str, int]) -> dict[tuple[str, str], int]:
    return {(name, what): figure for what, figure in figures.items()}


def _gauge(name: str, text: str, second: str, figures: Mapping[tuple[str, str], int]) -> Metric:
    gauge = GaugeMetricFamily(f"connector_host_{name}", text, labels=_labels(second))
    for labels, value in figures.items():
        gauge.add_metric(labels, value)
    return gauge
