"""Which SCIM attribute a column probably is, from its name and type, each with a reason that a person can judge.

Pure: names and types in, suggestions out. Knows no database and decides nothing; `init` proposes, a person disposes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from connector_host.connectors.contract import AttributeType, RefusalKind
from connector_host.scim.names import ATTRIBUTE_NAME, holds_secret, words
from connector_host.scim.synonyms import LEADING_WORDS, OPPOSITES, REFUSED, SYNONYMS, Synonym
from connector_host.scim.vocabulary import REASONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

EXACT: Final = 0.95
STRIPPED: Final = 0.85
ENDING: Final = 0.65

UNNAMEABLE: Final = "SCIM cannot spell its name; map it to an attribute"

LIKELY: Final = 0.6
"""From here on `init` proposes a suggestion; below, it only mentions it."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What one column probably is."""

    column: str
    path: str
    """The SCIM path; empty where there is none to suggest, and the column keeps its own name."""
    confidence: float
    """From 0 to 1; 0 where there is no path."""
    reason: str
    """One sentence without a full stop at its end."""
    shown: bool = True
    """False where SCIM cannot spell the column's own name, so that it is no attribute without a mapping."""
    expose: bool = True
    """False where the column should not be shown to a directory at all: it holds a secret."""


def suggest(columns: Sequence[tuple[str, AttributeType | None]]) -> tuple[Suggestion, ...]:
    """Return one suggestion for each column, in the same order; no path is suggested twice.

    Where two columns claim one path, the better match has it, then the one that comes first.
    """
    shared = _shared_word([name for name, _ in columns])
    claims = {name: list(_claims(name, kind, shared)) for name, kind in columns}
    taken: dict[str, str] = {}
    ranked = sorted(
        ((claim.confidence, -position, claim) for position, (name, _) in enumerate(columns) for claim in claims[name]),
        key=lambda entry: entry[:2],
        reverse=True,
    )
    chosen: dict[str, Suggestion] = {}
    for _, _, claim in ranked:
        if claim.column not in chosen and claim.path not in taken:
            chosen[claim.column] = claim
            taken[claim.path] = claim.column
    return tuple(chosen.get(name) or _without_path(name, kind, shared, claims[name], taken) for name, kind in columns)


def _shared_word(names: Sequence[str]) -> str:
    """Return the first word that most columns begin with (`EMP_FNAME`, `EMP_LNAME`), or nothing."""
    first = Counter(split[0] for name in names if len(split := words(name)) > 1)
    word, count = next(iter(first.most_common(1)), ("", 0))
    return word if count > max(2, len(names) // 2) else ""


def _claims(name: str, kind: AttributeType | None, shared: str) -> Iterator[Suggestion]:
    """Yield what the column could be, the best first."""
    split = words(name)
    if kind is None or not split or _warning(split, shared):
        return
    seen: set[str] = set()
    for phrase, confidence, how in _phrases(split, shared):
        for synonym in SYNONYMS.get(phrase, ()):
            if kind in synonym.types and synonym.path not in seen:
                seen.add(synonym.path)
                certainty = round(confidence * synonym.weight, 2)
                yield Suggestion(name, synonym.path, certainty, f"{how} “{synonym.phrase}”{_of(kind, synonym)}")


def _phrases(split: tuple[str, ...], shared: str) -> Iterator[tuple[str, float, str]]:
    """Yield the spellings to look up, joined without spaces so that `e_mail` and `EMail` are one."""
    yield "".join(split), EXACT, "reads as"
    bare = _bare(split, shared)
    if bare != split:
        yield "".join(bare), STRIPPED, f"without “{split[0]}” reads as"
    for start in range(1, len(split)):
        yield "".join(split[start:]), ENDING, "ends in"


def _bare(split: tuple[str, ...], shared: str) -> tuple[str, ...]:
    return split[1:] if len(split) > 1 and split[0] in LEADING_WORDS | {shared} else split


def _of(kind: AttributeType, synonym: Synonym) -> str:
    return f" and is {kind.value}" if synonym.types == frozenset({AttributeType.BOOLEAN}) else ""


def _without_path(
    name: str, kind: AttributeType | None, shared: str, claims: Sequence[Suggestion], taken: dict[str, str]
) -> Suggestion:
    split = words(name)
    if warning := _warning(split, shared):
        return warning(name)
    if kind is None:
        return Suggestion(name, "", 0.0, "SCIM cannot carry its type")
    if claims:
        first = claims[0]
        return Suggestion(name, "", 0.0, f"{first.reason}, but {first.path} is taken by {taken[first.path]}")
    if unfit := next((s for phrase, _, _ in _phrases(split, shared) for s in SYNONYMS.get(phrase, ())), None):
        return Suggestion(name, "", 0.0, f"reads as “{unfit.phrase}”, but {kind.value} does not fit {unfit.path}")
    if not ATTRIBUTE_NAME.fullmatch(name):
        return Suggestion(name, "", 0.0, UNNAMEABLE, shown=False)
    return Suggestion(name, "", 0.0, "no usual name")


def _warning(split: tuple[str, ...], shared: str) -> _Warning | None:
    """Return why a column must not be mapped whatever its type, if so."""
    spellings = {"".join(split), "".join(_bare(split, shared))}
    if holds_secret(split) or holds_secret(_bare(split, shared)):
        return _Warning("holds a secret; passwords are never provisioned", expose=False)
    if found := next((kind for spelling in spellings if (kind := REFUSED.get(spelling))), None):
        return _Warning(REASONS[found].partition(";")[0], expose=found is not RefusalKind.PASSWORD)
    if spellings & OPPOSITES:
        return _Warning("says the opposite of active; map a column that is true for people who may work", expose=True)
    return None


@dataclass(frozen=True, slots=True)
class _Warning:
    reason: str
    expose: bool

    def __call__(self, column: str) -> Suggestion:
        return Suggestion(column, "", 0.0, self.reason, expose=self.expose)
