"""Reading the audit trail: whether every record is there and as it was written, and which ones somebody asks for."""

from __future__ import annotations

import heapq
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from connector_host.errors import Finding, Level
from connector_host.observability.audit import BY_HAND, LOCK, START, Link, files_of, seal_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path


def verify_all(folder: Path, seals: Collection[str] = ()) -> dict[str, list[Finding]]:
    """Return what is so about the host's chain and about that of exports by hand; each seal must be in one of them."""
    by_hand = folder / BY_HAND
    theirs: set[str] = set()
    if seals:
        theirs = {content["hash"] for _, content in read(by_hand) if content and content["hash"] in seals}
    sections = {"audit": verify(folder, set(seals) - theirs)}
    if files_of(by_hand):
        sections["audit by hand"] = verify(by_hand, theirs)
        if not seals and not files_of(folder) and not (folder / LOCK).exists():
            sections["audit"] = [Finding(Level.OK, "audit", "The host has not served with this trail yet.")]
    return sections


def exports(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the record of each export, by requests and by hand, in the order of time; raises OSError as `read` does."""
    chains = [
        (content for _, content in read(one) if content is not None and content.get("event") == "export")
        for one in (folder, folder / BY_HAND)
    ]
    return heapq.merge(*chains, key=lambda content: str(content.get("time", "")))


def verify(folder: Path, seals: Collection[str] = ()) -> list[Finding]:
    """Return what is so about the chain: an altered, missing, added or moved record is a FAILURE with its place.

    That the oldest were rotated away stands in the trail itself; where the end was cut away at a start is a WARNING,
    since nobody can tell a crash's half of a record from somebody's cut. Seals that were kept elsewhere prove that none
    is missing at the end, and that the chain was not written anew. Raises OSError where the folder cannot be read.
    """
    link: Link | None = None
    first = count = let_go = 0
    unfinished, unseen = "", set(seals)
    recovered: list[Finding] = []
    for place, content in read(folder):
        if unfinished:
            return [_broken(unfinished, "breaks off")]
        if content is None:
            return [_broken(place, "is no record")]
        if not content:
            unfinished = place
            continue
        problem = _problem(content, link)
        if problem:
            return [_broken(place, problem)]
        first = first or int(content["seq"])
        if content.get("event") == "rotated":
            let_go = int(content["before"])
        if content.get("event") == "recovered":
            recovered.append(_recovered(content))
        unseen.discard(content["hash"])
        link = Link(int(content["seq"]), str(content["hash"]))
        count += 1
    if cut_off := _cut_off(first, let_go, sealed=not unseen):
        return [cut_off]
    if link is None:
        mend = "That is so before the first export. After it, this is the wrong folder, or the trail was removed."
        return [Finding(Level.WARNING, "audit", f"There is no record in {folder}.", mend)]
    rotated = "" if first == 1 else f" Records before number {first} were rotated away."
    fact = f"{count} records are there as they were written, up to number {link.sequence}, sealed {link.seal}.{rotated}"
    return [Finding(Level.OK, "audit", fact), *recovered, *(_unfinished(unfinished) if unfinished else ())]


def _cut_off(first: int, let_go: int, *, sealed: bool) -> Finding | None:
    """Return what is missing at the beginning or at the end, where something is."""
    if first > max(let_go, 1):
        mend = "Files were removed that the host had not let go. Compare with a backup."
        return Finding(Level.FAILURE, "audit", f"Records before number {first} are missing.", mend)
    if not sealed:
        mend = "Records were cut off at the end, or the whole trail was written anew. Compare with a backup."
        return Finding(Level.FAILURE, "audit", "No record has the seal that was given.", mend)
    return None


def read(folder: Path) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """Yield each record with its place, in the order of writing; None for a line that is no record.

    A line without an end is empty: it is being written at this moment, or a crash cut it off. Raises OSError where the
    folder cannot be read; one that is not there holds nothing.
    """
    with suppress(FileNotFoundError):
        next(folder.iterdir(), None)  # raises where glob would find nothing without a word
    for path in files_of(folder):
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                yield f"{path.name}, line {number}", _record(line)


def _record(line: bytes) -> dict[str, Any] | None:
    if not line.endswith(b"\n"):
        return {}
    try:
        content = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return None
    is_record = isinstance(content, dict) and {"seq", "prev", "hash"} <= content.keys()
    return content if is_record else None


def _problem(content: dict[str, Any], link: Link | None) -> str:
    """Return what is wrong with a record that should follow the link, or nothing."""
    if seal_of(content) != content["hash"]:
        return "was altered: its seal does not fit what it says"
    if link is None:
        return "" if content["seq"] != 1 or content["prev"] == START else "is number 1, but does not begin the chain"
    if content["seq"] != link.sequence + 1:
        return f"is number {content['seq']} where {link.sequence + 1} should be: records are missing or were moved"
    return "" if content["prev"] == link.seal else "does not follow the one before it: a record was exchanged"


def _recovered(content: dict[str, Any]) -> Finding:
    fact = (
        f"Record {content['seq']} says that {content.get('dropped_bytes')} bytes of an unfinished record were cut away "
        f"before it, at a start on {content.get('time')}."
    )
    mend = (
        "A crash leaves that, and so does somebody who cuts the end off. Verify with a seal from before (--seal), or "
        "compare the last exports before it with the database."
    )
    return Finding(Level.WARNING, "audit", fact, mend)


def _unfinished(place: str) -> tuple[Finding]:
    mend = "Ask again in a moment; the host cuts it off at its next start, and says so in the trail."
    return (Finding(Level.WARNING, "audit", f"The record in {place} is not finished.", mend),)


def _broken(place: str, problem: str) -> Finding:
    mend = "Compare with a backup; from here on the trail proves nothing."
    return Finding(Level.FAILURE, "audit", f"The record in {place} {problem}.", mend)
