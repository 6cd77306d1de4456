"""Imports: full, delta by snapshot, delta by watermark; from an importer's stream to delivered changes.

    full        every object, as an addition; nothing is remembered but the run itself
    snapshot    what differs from the digests of the last run; sees deletions, on any database
    watermark   what has a later time, number or row version than the last run saw; cannot see deletions
    changes     what a change log of the database names since the last run; sees deletions

The order that makes a run count exactly once: deliver the file, then commit the state. Cut off in between, the next
run finds the same changes again and replaces the file that nobody was told of.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Literal, TypeAlias

from connector_host.connectors.contract import EVERYTHING, Value, to_text
from connector_host.errors import ConfigurationError, HostError
from connector_host.runs import watermarks
from connector_host.runs.changes import GONE, Change, Format, Output, digesting, output
from connector_host.runs.outputs import delivered
from connector_host.runs.state import Counts, ImportState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from connector_host.connectors.contract import Importer, Row

Profile: TypeAlias = Literal["full", "snapshot", "watermark", "changes"]

DELETE_SHARE_MAX = 0.2
"""How much of what was known may be gone before a snapshot refuses to call it deleted."""
DELETES_ALWAYS = 10
"""So few may always be gone: a fifth of a handful is one person."""


class TooManyDeletions(HostError):
    """More objects are gone than a run may delete without being told; nothing was delivered."""


@dataclass(frozen=True, slots=True)
class Request:
    """What one run is asked to do."""

    profile: Profile = "full"
    output: Path | None = None
    """None is standard output."""
    form: Format = "ndjson"
    watermark: str | None = None
    """The attribute that grows with each change, or the column of row versions; for the watermark profile."""
    overlap: float | None = None
    """Seconds, or numbers where the attribute counts; None leaves it to the watermark or the log."""
    accept_deletions: bool = False
    """Deliver deletions however many they are."""


def run(
    importer: Importer, state: ImportState, request: Request, progress: Callable[[Counts], None] = lambda _: None
) -> Counts:
    """Carry out one run and return what it met; raises what the importer raises, or TooManyDeletions.

    Raises ConfigurationError where the profile has no use for something that the request gives.

    Whatever is raised, nothing was delivered to a file, and the next run starts from where this one did.
    """
    _demand_sense(request)
    attributes = [attribute.name for attribute in importer.object_type.attributes]
    form = output(request.form, attributes)
    mark = None
    counts = Counts()
    number = state.begin(request.profile)
    try:
        if request.profile == "watermark":
            mark = watermarks.of(importer, state, request.watermark or "", request.overlap)
        with delivered(request.output) as stream:
            stream.write(form.head)
            place = attributes.index(importer.object_type.anchor)
            delivery = _Delivery(stream, form, place, digesting(attributes), counts, progress)
            if request.profile == "full":
                _full(importer, delivery)
            elif request.profile == "changes":
                _changes(importer, state, delivery, number, request)
            else:
                _delta(importer, state, delivery, number, mark)
            if request.profile == "snapshot":
                _deletions(importer, state, delivery, number, accepted=request.accept_deletions)
    except BaseException as failure:
        state.fail(number, counts, str(failure) if isinstance(failure, HostError) else type(failure).__name__)
        raise
    if mark is not None:
        mark.move(state)
    state.succeed(number, counts)
    return counts


def _demand_sense(request: Request) -> None:
    """Refuse what the profile would pass over: whoever gave it believes that it does something."""
    given = {
        "watermark": request.watermark is not None,
        "overlap": request.overlap is not None,
        "accept-deletions": request.accept_deletions,
    }
    for name, profiles in _USED_BY.items():
        if given[name] and request.profile not in profiles:
            mend = f"leave --{name} out, or choose --profile {' or '.join(profiles)}"
            raise ConfigurationError(f"{name}: an import by the profile {request.profile} has no use for it: {mend}.")
    if request.overlap is not None and not (math.isfinite(request.overlap) and request.overlap >= 0):
        raise ConfigurationError("overlap: it reaches back, so it is 0 or more, such as 300.")


_USED_BY: Mapping[str, tuple[Profile, ...]] = {
    "watermark": ("watermark",),
    "overlap": ("watermark", "changes"),
    "accept-deletions": ("snapshot", "changes"),
}


@dataclass(slots=True)
class _Delivery:
    """The stream, and what has gone into it."""

    stream: IO[bytes]
    form: Output
    anchor: int
    """The place of the anchor in a row."""
    digestible: Callable[[Row], bytes]
    counts: Counts
    progress: Callable[[Counts], None]

    def write(self, changes: list[Change]) -> None:
        self.stream.write(self.form.encode(changes))
        self.progress(self.counts)


def _full(importer: Importer, delivery: _Delivery) -> None:
    place, record = delivery.anchor, delivery.form.record
    for rows in importer.batches(EVERYTHING):
        delivery.counts.read += len(rows)
        delivery.counts.adds += len(rows)
        delivery.write([Change("add", _text(row[place]), record(*row)) for row in rows])


# ── delta ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _delta(
    importer: Importer, state: ImportState, delivery: _Delivery, number: int, mark: watermarks.Mark | None
) -> None:
    """Deliver the rows whose digest is new; a watermark only spares reading those that cannot be."""
    batches = importer.batches(EVERYTHING) if mark is None else mark.batches(importer)
    for rows in batches:
        delivery.write(_different(state, delivery, number, {_text(row[delivery.anchor]): row for row in rows}))


def _different(state: ImportState, delivery: _Delivery, number: int, rows: Mapping[str, Row]) -> list[Change]:
    """Remember rows as they are, and return those that were not so before."""
    counts, digestible = delivery.counts, delivery.digestible
    digests = {anchor: state.digest(digestible(row)) for anchor, row in rows.items()}
    known = state.known(list(digests))
    changes: list[Change] = []
    for anchor, row in rows.items():
        before = known.get(anchor)
        if before == digests[anchor]:
            continue
        counts.adds += before is None
        counts.modifies += before is not None
        changes.append(Change("add" if before is None else "modify", anchor, delivery.form.record(*row)))
    state.keep(number, digests.items())
    counts.read += len(rows)
    return changes


def _changes(importer: Importer, state: ImportState, delivery: _Delivery, number: int, request: Request) -> None:
    """Deliver what the connected system's own log names since the last run.

    The first run reads everything, and so does one whose mark the log does not reach back to any more: what was
    delivered already is known by its digest.
    """
    log = importer.change_log()
    kept = state.mark(log.name)
    end = log.end(kept)
    if kept is None or not log.reaches(kept):
        _delta(importer, state, delivery, number, None)
        _deletions(importer, state, delivery, number, accepted=request.accept_deletions)
    else:
        gone: dict[str, None] = {}
        for anchors in log.anchors(kept, request.overlap):
            rows = importer.entries(anchors)
            gone |= dict.fromkeys(state.known([anchor for anchor in anchors if anchor not in rows]))
            delivery.write(_different(state, delivery, number, rows))
        _refuse_too_many(len(gone), state.count(), accepted=request.accept_deletions)
        delivery.counts.deletes = len(gone)
        delivery.write([Change("delete", anchor, GONE) for anchor in gone])
        state.forget(list(gone))
    state.move_mark(log.name, end)


def _text(anchor: Value | None) -> str:
    """Return an anchor's text; one that nothing enforces may be null, which is no text."""
    if type(anchor) is str:  # by far the most, and this runs for every row
        return anchor
    return "" if anchor is None else to_text(anchor)


def _deletions(importer: Importer, state: ImportState, delivery: _Delivery, number: int, *, accepted: bool) -> None:
    """Deliver as gone whom the run did not meet, and finds no more when it looks for them once again.

    Not every database reads as of one moment: a row whose key in an index changes meanwhile may be passed over.
    """
    _refuse_too_many(state.count_unseen(number), state.count(), accepted=accepted)
    last: str | None = None
    while anchors := state.unseen(number, after=last):
        last = anchors[-1]
        found = importer.entries(anchors)
        delivery.write(_different(state, delivery, number, found))
        gone = [anchor for anchor in anchors if anchor not in found]
        delivery.counts.deletes += len(gone)
        delivery.write([Change("delete", anchor, GONE) for anchor in gone])
    state.forget_unseen(number)


def _refuse_too_many(gone: int, all_known: int, *, accepted: bool) -> None:
    if gone > max(DELETES_ALWAYS, DELETE_SHARE_MAX * all_known) and not accepted:
        raise TooManyDeletions(
            f"{gone} of {all_known} users are gone since the last run. Nothing was delivered: look whether the table "
            "is whole, then run again with --accept-deletions."
        )
