"""What one cycle did, as counts, and for a dry run what it would do and why."""

from __future__ import annotations

import json
import zlib
from collections import Counter
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from connector_host.provisioning.state.records import Action, Modified

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


class Kind(StrEnum):
    """What a cycle looks at."""

    INITIAL = "initial"
    """Every user, each compared with the target."""
    FULL = "full"
    """Every user, those compared that have changed since they were last flowed."""
    INCREMENTAL = "incremental"
    """What the source says has changed since the mark."""


class Ending(StrEnum):
    """How a cycle ended."""

    FINISHED = "finished"
    STOPPED = "stopped"
    """By an administrator or a signal; the next one goes on where it was."""
    UNAVAILABLE = "unavailable"
    """The target or the source was down; the next one goes on where it was."""
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True)
class Planned:
    """One change that a dry run found."""

    source_key: str
    target_id: str | None
    action: Action
    reason: str
    modified: tuple[Modified, ...] = ()


BLOCK: Final = 500
"""Changes that are pressed together."""


class Plan:
    """The changes that a dry run found, in their order: there may be one for every user of a large source."""

    def __init__(self) -> None:
        self._pressed: list[bytes] = []
        self._latest: list[Planned] = []
        self.view: Callable[[Planned], Planned] = lambda one: one
        """How a change is to be told, once it is known what becomes of all."""
        self._dropped: Callable[[Planned], bool] = lambda _one: False
        self._dropped_count = 0

    def append(self, one: Planned) -> None:
        """Add a change."""
        self._latest.append(one)
        if len(self._latest) == BLOCK:
            text = json.dumps([asdict(one) for one in self._latest], ensure_ascii=False, default=str)
            self._pressed.append(zlib.compress(text.encode("utf-8", "replace"), 1))
            self._latest.clear()

    def __len__(self) -> int:
        """Return how many changes there are."""
        return BLOCK * len(self._pressed) + len(self._latest) - self._dropped_count

    def __iter__(self) -> Iterator[Planned]:
        """Yield the changes."""
        return (self.view(one) for one in self._all() if not self._dropped(one))

    def drop(self, dropped: Callable[[Planned], bool]) -> None:
        """Leave out what turned out not to come."""
        self._dropped, self._dropped_count = dropped, sum(map(dropped, self._all()))

    def _all(self) -> Iterator[Planned]:
        for block in self._pressed:
            yield from map(_planned, json.loads(zlib.decompress(block)))
        yield from self._latest


def _planned(document: Mapping[str, Any]) -> Planned:
    modified = tuple(Modified(**one) for one in document["modified"])
    return Planned(**{**document, "action": Action(document["action"]), "modified": modified})


@dataclass(slots=True)
class Report:
    """One cycle, counted while it runs."""

    job: str
    cycle: int
    kind: Kind
    dry: bool = False
    counts: Counter[str] = field(default_factory=Counter)
    planned: Plan = field(default_factory=Plan)
    ending: Ending = Ending.FINISHED
    detail: str = ""
    held_back: str = ""
    """Why the disables and deletes that a dry run found would be staged; empty where they would not."""
    seconds: float = 0.0

    @property
    def failures(self) -> int:
        """Return how many users failed."""
        return self.counts["failed"]

    def document(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "job": self.job,
            "cycle": self.cycle,
            "kind": self.kind.value,
            "dry_run": self.dry,
            "ending": self.ending.value,
            "detail": self.detail,
            "seconds": round(self.seconds, 3),
            "counts": dict(sorted(self.counts.items())),
            **({"held_back": self.held_back, "changes": [asdict(one) for one in self.planned]} if self.dry else {}),
        }
