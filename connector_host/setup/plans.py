"""What was decided about a new connector, and what to propose for it from the survey of a table."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from connector_host.connectors.contract import AttributeType
from connector_host.connectors.survey import AnchorCandidate
from connector_host.errors import ConfigurationError
from connector_host.scim.suggestions import LIKELY, Suggestion, suggest
from connector_host.setup.truths import seen, truths_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from connector_host.connectors.survey import TableSurvey
    from connector_host.setup.directories import Preset
    from connector_host.setup.truths import Truth


@dataclass(frozen=True, slots=True)
class HostPlan:
    """What `[host]` will say."""

    name: str
    listen: str
    port: int
    certificate: Path
    key: Path
    issue_into: Path | None = None
    """The folder that both are issued into, where they are not there yet."""


@dataclass(frozen=True, slots=True)
class ConnectorPlan:
    """What `[connectors.NAME]` will say."""

    name: str
    database: str
    """The URL without its password."""
    table: str
    schema: str | None
    anchor: str
    attributes: Mapping[str, str]
    reasons: Mapping[str, str]
    """Column to the reason why it is mapped as it is; a comment in the file."""
    token_hash_file: Path
    password_sealed_file: Path | None = None
    accept_unenforced_anchor: bool = False
    columns: tuple[str, ...] | None = None
    preset: Preset = "strict"
    preset_reason: str = ""
    flows: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    """What `disable` and `delete` do, where it is not the default."""
    exports: Mapping[str, str] = field(default_factory=dict)
    """The statement that creates, changes or deletes, where it is not the generated one."""
    notes: tuple[str, ...] = ()
    """What was not taken over from another product; comments in the file."""
    truths: Mapping[str, Truth] = field(default_factory=dict)
    """Column to the words that stand for true and false in it."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Column to the reason why it is not served; a comment in the file."""


def suggest_for(survey: TableSurvey, anchor: str) -> tuple[Suggestion, ...]:
    """Return what each column of the table probably is; a number or key that is only the anchor is nothing else."""
    truths = truths_of(survey)
    kinds = [(one.name, AttributeType.BOOLEAN if one.name in truths else one.type) for one in survey.columns]
    suggestions = suggest(kinds)
    taken = {found.path for found in suggestions}
    return tuple(
        Suggestion(found.column, "", 0.0, "is the anchor: the SCIM id")
        if found.column == anchor and not found.path
        else _by_words(found, truths.get(found.column)) or _by_values(found, survey, taken)
        for found in suggestions
    )


def _by_words(found: Suggestion, truth: Truth | None) -> Suggestion | None:
    """Return a suggestion with the setting that makes its words true and false, where those are certain."""
    if truth is None or not found.expose:
        return None
    return replace(found, reason=f"{found.reason}; true or false by {truth.said(found.column)}, since {truth.reason}")


def _by_values(found: Suggestion, survey: TableSurvey, taken: set[str]) -> Suggestion:
    """Return a suggestion with what the values say where the name says nothing; each path is suggested once."""
    sample = survey.samples.get(found.column)
    if sample is None or not sample.looks or found.path or not found.expose:
        return found
    path = PATHS_OF_LOOKS.get(sample.looks)
    if path is not None and path not in taken:
        taken.add(path)
        return Suggestion(found.column, path, BY_VALUES, f"its values look like {sample.looks}")
    if (truth := seen(survey, found.column)) is not None:
        return replace(found, reason=f"{found.reason}; to make it true or false: {truth.said(found.column)}")
    return found


PATHS_OF_LOOKS = {
    "e-mail addresses": 'emails[type eq "work"].value',
    "telephone numbers": 'phoneNumbers[type eq "work"].value',
}
BY_VALUES = 0.7


def best_anchor(survey: TableSurvey) -> AnchorCandidate | None:
    """Return the first anchor that the database enforces, or the first at all, or None where no column can be one."""
    return next((found for found in survey.anchors if found.enforced), next(iter(survey.anchors), None))


def choose_anchor(survey: TableSurvey, anchor: str, *, accept_unenforced: bool) -> AnchorCandidate:
    """Return the candidate of this name; raise ConfigurationError, which names others, where it cannot be one."""
    names = ", ".join(candidate.column for candidate in survey.anchors) or "none"
    column = next((column for column in survey.columns if column.name == anchor), None)
    if column is None:
        raise ConfigurationError(f"{survey.relation.name} has no column {anchor}. Columns that can be it: {names}.")
    if column.left_out:
        raise ConfigurationError(f"{anchor} cannot be the anchor: {column.left_out}. Columns that can be it: {names}.")
    unlikely = AnchorCandidate(anchor, enforced=False, reasons=("nothing in the table says that it is unique",))
    candidate = next((found for found in survey.anchors if found.column == anchor), unlikely)
    if not candidate.enforced and not accept_unenforced:
        raise ConfigurationError(
            f"The database does not enforce that {anchor} is unique and not null ({'; '.join(candidate.reasons)}). "
            "Add a unique key and NOT NULL, or accept the risk by name with --accept-unenforced-anchor."
        )
    return candidate


def proposed_attributes(suggestions: Sequence[Suggestion]) -> dict[str, str]:
    """Return column to path for every suggestion that is likely enough to be proposed."""
    return {found.column: found.path for found in suggestions if found.path and found.confidence >= LIKELY}


def exposed_columns(survey: TableSurvey, suggestions: Sequence[Suggestion]) -> tuple[str, ...] | None:
    """Return the columns to name in the file, or None for all: they are named only where a secret must stay hidden."""
    hidden = {found.column for found in suggestions if not found.expose}
    if not hidden & {column.name for column in survey.columns if not column.left_out}:
        return None
    return tuple(column.name for column in survey.columns if not column.left_out and column.name not in hidden)


def left_out(survey: TableSurvey, suggestions: Sequence[Suggestion]) -> dict[str, str]:
    """Return every column that will not be served, with the reason."""
    reasons = {column.name: column.left_out for column in survey.columns if column.left_out}
    return reasons | {found.column: found.reason for found in suggestions if not found.expose}
