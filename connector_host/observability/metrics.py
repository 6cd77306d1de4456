"""What the host measures about itself, as Prometheus reads it; no label ever holds a value of a user.

Knows no connector and no endpoint: they say what happened, and this counts it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from connector_host import __version__, clock
from connector_host.observability.loads import Loads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from prometheus_client.core import Metric

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""From an idle SQLite to the time limit of a request."""


_Key = TypeVar("_Key")
_Child = TypeVar("_Child")


class _Kept(dict[_Key, _Child]):
    """The figures of each set of labels, found without the library's lock and its making of text."""

    def __init__(self, find: Callable[[_Key], _Child]) -> None:
        super().__init__()
        self._find = find

    def __missing__(self, key: _Key) -> _Child:
        child = self[key] = self._find(key)
        return child


class Sample(msgspec.Struct, frozen=True, array_like=True):
    """One figure, as one process tells it to another."""

    name: str
    labels: dict[str, str]
    value: float
    at_s: float = 0.0
    """When it was found out, by the machine's monotonic clock, where that matters."""


class Family(msgspec.Struct, frozen=True, array_like=True):
    """Figures of one name."""

    name: str
    text: str
    kind: str
    samples: list[Sample]


class Metrics:
    """Everything that is measured in one process; each has a registry of its own, so that tests do not meet."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        self.loads: Final = Loads()
        """How busy connectors are."""
        registry.register(self.loads)
        Gauge("connector_host_info", "The version that runs.", ["version"], registry=registry).labels(__version__).set(
            1
        )
        self._requests = Histogram(
            "connector_host_request_seconds", "Requests, by how they were answered.",
            ["connector", "method", "status"], buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self._requests_in_hand = 0
        Gauge(
            "connector_host_requests_in_hand", "Requests that are being answered now.", registry=registry
        ).set_function(lambda: self._requests_in_hand)
        self._operations = Histogram(
            "connector_host_operation_seconds", "What connectors were asked for, and what came of it.",
            ["connector", "operation", "outcome"], buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self._exports_in_hand = Gauge(
            "connector_host_exports_in_hand",
            "Exports that wait for their commit now.",
            ["connector"],
            registry=registry,
        )
        self._errors = Counter(
            "connector_host_errors_total",
            "Failures of connectors, by class.",
            ["connector", "error"],
            registry=registry,
        )
        self._denied = Counter(
            "connector_host_denied_total", "Requests without a valid token.", ["reason"], registry=registry
        )
        self._certificate_days = Gauge(
            "connector_host_certificate_days_left", "Whole days until the certificate ends.", registry=registry
        )
        self._connector_up = Gauge(
            "connector_host_connector_up", "1 where the last operation reached the database.", ["connector"],
            registry=registry,
        )  # fmt: skip
        self._request_kinds: _Kept[tuple[str, str, int], Histogram] = _Kept(
            lambda kind: self._requests.labels(kind[0], kind[1], str(kind[2]))
        )
        self._operation_kinds: _Kept[tuple[str, str, str], Histogram] = _Kept(
            lambda kind: self._operations.labels(*kind)
        )
        self._exports_begun: _Kept[str, Gauge] = _Kept(self._exports_in_hand.labels)
        self._connectors_up: _Kept[str, Gauge] = _Kept(self._connector_up.labels)
        self._seen_s: dict[str, float] = {}
        self._is_up: dict[str, bool] = {}
        self._expected: dict[str, frozenset[str]] = {}
        for reason in _DENIED.values():
            self._denied.labels(reason)

    def expect(self, connector: str, errors: Iterable[str]) -> None:
        """Begin at 0 with each class of failure: of a counter that is born at 1, Prometheus sees no increase."""
        self._expected[connector] = frozenset(errors)
        for error in (*self._expected[connector], UNFORESEEN):
            self._errors.labels(connector, error)

    def request_begins(self) -> None:
        """Count a request that is being answered."""
        self._requests_in_hand += 1

    def request_ends(self, connector: str, method: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        self._requests_in_hand -= 1
        self._request_kinds[connector, method, status].observe(seconds)
        if status in _DENIED:
            self._denied.labels(_DENIED[status]).inc()

    def operation_begins(self, connector: str, operation: str) -> None:
        """Count an operation that a connector has begun."""
        if operation in EXPORTS:
            self._exports_begun[connector].inc()

    def operation_ends(self, connector: str, operation: str, outcome: str, seconds: float) -> None:
        """Count an operation that ended; `outcome` is `ok`, or the name of the connector's error."""
        self._operation_kinds[connector, operation, outcome].observe(seconds)
        if operation in EXPORTS:
            self._exports_begun[connector].dec()
        if outcome != OK:
            known = outcome in self._expected.get(connector, ())
            self._errors.labels(connector, outcome if known else UNFORESEEN).inc()
        self._say_up(connector, is_up=outcome not in _DOWN)

    def connector_is_down(self, connector: str) -> None:
        """Say that a connector does not reach its database, or cannot be served at all."""
        self._say_up(connector, is_up=False)

    def _say_up(self, connector: str, *, is_up: bool) -> None:
        if self._is_up.get(connector) is not is_up:  # what stays as it is costs the next request nothing
            self._is_up[connector] = is_up
            self._connectors_up[connector].set(is_up)
        self._seen_s[connector] = clock.monotonic_s()

    def forget_connector(self, connector: str) -> None:
        """Say no more about a connector that is configured no longer, so that no alarm stays on for it."""
        self._is_up.pop(connector, None)
        if self._connectors_up.pop(connector, None) is not None:
            self._connector_up.remove(connector)

    def watch_certificate(self, days_left: Callable[[], int | None]) -> None:
        """Ask for the days left whenever somebody reads the metrics."""
        self._certificate_days.set_function(lambda: float("nan") if (days := days_left()) is None else float(days))

    def watch_audit(self, is_broken: Callable[[], bool]) -> None:
        """Ask whether the audit trail can be written whenever somebody reads the metrics."""
        gauge = Gauge(
            "connector_host_audit_up", "1 where the last audit record could be written; else exports are refused.",
            registry=self._registry,
        )  # fmt: skip
        gauge.set_function(lambda: float(not is_broken()))

    def watch_tokens(self, readable: Callable[[], Mapping[str, bool]]) -> None:
        """Ask which connectors can read their tokens whenever somebody reads the metrics."""
        self._registry.register(_Tokens(readable))

    def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self._registry)

    def families(self) -> list[Family]:
        """Return everything for a process that joins it with what others measured."""
        return _families(self._registry, self._seen_s)


@dataclass(frozen=True, slots=True)
class _Tokens(Collector):
    """Which connectors can read their tokens."""

    readable: Callable[[], Mapping[str, bool]]

    def collect(self) -> Iterator[Metric]:
        """Return how it is at this moment."""
        gauge = GaugeMetricFamily(
            "connector_host_tokens_up",
            "1 where the file of tokens can be read; else requests are answered by 503.",
            labels=("connector",),
        )
        for name, is_readable in self.readable().items():
            gauge.add_metric((name,), float(is_readable))
        yield gauge


def families_of_process() -> list[Family]:
    """Return what is measured of a process that answers no requests itself."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    return _families(registry, {})


def _families(registry: CollectorRegistry, seen_s: Mapping[str, float]) -> list[Family]:
    return [
        Family(
            family.name,
            family.documentation,
            family.type,
            [
                Sample(one.name, one.labels, one.value, seen_s.get(one.labels.get("connector", ""), 0.0))
                for one in family.samples
            ],
        )
        for family in registry.collect()
    ]


OK: Final = "ok"
UNFORESEEN: Final = "Unforeseen"
"""The class of a failure that nobody expected: a fault of ours, whose own name is the outcome of its operation."""
EXPORTS: Final = frozenset({"add", "modify", "delete"})
_DENIED: Final = {401: "token", 403: "address", 429: "locked out"}
_DOWN: Final = frozenset({"Unavailable", "InDoubt"})
