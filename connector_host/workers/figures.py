"""Metrics of several processes as those of one host: summed, save where a sum would say nothing.

prometheus_client's own way for several processes keeps files that all write to, and knows neither the figures of the
process nor those that are found out on demand; here each worker is asked when somebody reads. What one that is gone had
counted stays in the sums, so that a counter never falls.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from connector_host.observability.metrics import Family, Sample

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_Key: TypeAlias = tuple[str, tuple[tuple[str, str], ...]]

LEAST: Final = frozenset(
    {
        *("connector_host_audit_up", "connector_host_tokens_up"),
        *("connector_host_certificate_days_left", "connector_host_info"),
        *("process_start_time_seconds", "process_max_fds", "python_info"),
    }
)
"""What is not summed: the least of all processes counts."""
LATEST: Final = frozenset({"connector_host_connector_up"})
"""What is not summed: whoever looked last knows best."""
_STAYS: Final = frozenset({"counter", "histogram"})
"""Kinds that must never fall."""


@dataclass(slots=True)
class Figures:
    """The figures of every process, as they were told last."""

    restarts: int = 0
    _told: dict[int, list[Family]] = field(default_factory=dict, init=False)
    _past: dict[str, Family] = field(default_factory=dict, init=False)

    def take(self, process: int, families: list[Family]) -> None:
        """Take what one process tells now."""
        self._told[process] = families

    def forget(self, process: int) -> None:
        """Keep of a process that is gone only what it had counted."""
        gone = [family for family in self._told.pop(process, []) if family.kind in _STAYS]
        self._past = {family.name: family for family in _merged([*self._past.values(), *gone])}

    def text(self, workers: int) -> bytes:
        """Return everything in Prometheus' text format."""
        own = [
            Family(
                "connector_host_workers",
                "Worker processes that serve.",
                "gauge",
                [Sample("connector_host_workers", {}, float(workers))],
            ),
            Family(
                "connector_host_worker_restarts",
                "Worker processes that ended unforeseen and were replaced.",
                "counter",
                [Sample("connector_host_worker_restarts_total", {}, float(self.restarts))],
            ),
        ]
        told = [family for families in self._told.values() for family in families]
        registry = CollectorRegistry()
        registry.register(_Families([*_merged([*self._past.values(), *told]), *own]))
        return generate_latest(registry)


class _Families(Collector):
    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        """Return them as the library has them."""
        for family in self._families:
            metric = Metric(family.name, family.text, family.kind)
            for sample in family.samples:
                metric.add_sample(sample.name, sample.labels, sample.value)
            yield metric


def _merged(families: Iterable[Family]) -> list[Family]:
    """Return each family once."""
    by_name: dict[str, list[Family]] = {}
    for family in families:
        by_name.setdefault(family.name, []).append(family)
    return [
        Family(name, alike[0].text, alike[0].kind, _joined(name, [one for family in alike for one in family.samples]))
        for name, alike in by_name.items()
    ]


def _joined(name: str, samples: Iterable[Sample]) -> list[Sample]:
    groups: dict[_Key, list[Sample]] = {}
    for sample in samples:
        groups.setdefault((sample.name, tuple(sorted(sample.labels.items()))), []).append(sample)
    return [_one(name, group) for group in groups.values()]


def _one(name: str, group: list[Sample]) -> Sample:
    first, values = group[0], [sample.value for sample in group]
    if name in LATEST:
        return max(group, key=lambda sample: sample.at_s)
    if name in LEAST or first.name.endswith("_created"):
        known = [value for value in values if not math.isnan(value)]
        return Sample(first.name, first.labels, min(known, default=math.nan))
    return Sample(first.name, first.labels, sum(values))
