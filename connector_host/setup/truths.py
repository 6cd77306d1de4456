"""Columns that keep true and false as two words or numbers: which those are, where the table or its rows prove it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from connector_host.connectors.contract import AttributeType
from connector_host.connectors.survey import truth_in
from connector_host.scim.mappings import place
from connector_host.scim.suggestions import suggest
from connector_host.setup.toml import bare

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connector_host.connectors.survey import ColumnFacts, TableSurvey

FILLED_MIN = 3
"""Fewer values of the two words say too little."""
NUMBERS = ("1", "0")
"""A number or a letter of these two may be anything, if its column's name does not say otherwise."""


@dataclass(frozen=True, slots=True)
class Truth:
    """What stands for true and for false in a column."""

    true: str
    false: str
    reason: str
    """How that is known: one sentence without a full stop at its end."""

    def said(self, column: str) -> str:
        """Return the setting that says it, in one line of TOML."""
        return f'column.{bare(column)} = {{ true = "{self.true}", false = "{self.false}" }}'


def truths_of(survey: TableSurvey) -> dict[str, Truth]:
    """Return what stands for true and false in each column of which that is certain enough to be written down."""
    declared = {column.name: truth for column in survey.columns if (truth := _declared(column)) is not None}
    sampled = {name: truth for name in survey.samples if (truth := seen(survey, name)) is not None}
    found = sampled | declared
    kinds = [(one.name, AttributeType.BOOLEAN if one.name in found else one.type) for one in survey.columns]
    named = {one.column for one in suggest(kinds) if one.path}
    return {
        column.name: found[column.name]
        for column in survey.columns
        if column.name in found and (column.name in declared or _is_certain(survey, column, named, found[column.name]))
    }


def seen(survey: TableSurvey, column: str) -> Truth | None:
    """Return what the first rows show of a column, however few they are."""
    sample = survey.samples.get(column)
    if sample is None or not sample.looks.endswith(" only"):
        return None
    true, _, false = sample.looks.removesuffix(" only").split(" ")
    return Truth(true, false, "its rows hold nothing else")


def to_write(survey: TableSurvey, attributes: Mapping[str, str], *, mapped_only: bool) -> dict[str, Truth]:
    """Return what a configuration says of columns that are mapped to a boolean, and of those that decide themselves."""
    wires = {column: place(column, path).wire for column, path in attributes.items()}
    fitting = (AttributeType.BOOLEAN,) if mapped_only else (AttributeType.BOOLEAN, None)
    return {name: truth for name, truth in truths_of(survey).items() if wires.get(name) in fitting}


def _declared(column: ColumnFacts) -> Truth | None:
    """Return the only two words that a column takes."""
    words = truth_in(column.allowed) if column.type is AttributeType.STRING else None
    return None if words is None else Truth(*words, "the table allows nothing else there")


def _is_certain(survey: TableSurvey, column: ColumnFacts, named: set[str], truth: Truth) -> bool:
    """Return whether words in the rows are the only ones to come: the name says so, or no other would fit."""
    if survey.samples[column.name].filled < FILLED_MIN:
        return False
    if column.name in named:
        return True
    words = (truth.true, truth.false)
    return words != NUMBERS and column.length == max(map(len, words))
