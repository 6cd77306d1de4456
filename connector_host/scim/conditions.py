"""Conditions put together with what is always or never so left out, so that the database sees the shortest form."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connector_host.connectors.contract import EVERYTHING, NOTHING, AllOf, AnyOf, Condition, Not

if TYPE_CHECKING:
    from collections.abc import Iterable


def all_of(conditions: Iterable[Condition]) -> Condition:
    """Return the conjunction."""
    kept: list[Condition] = []
    for condition in conditions:
        if condition == NOTHING:
            return NOTHING
        if isinstance(condition, AllOf):
            kept.extend(inner for inner in condition.conditions if inner not in kept)
        elif condition not in kept:
            kept.append(condition)
    return kept[0] if len(kept) == 1 else AllOf(tuple(kept))


def any_of(conditions: Iterable[Condition]) -> Condition:
    """Return the disjunction."""
    kept: list[Condition] = []
    for condition in conditions:
        if condition == EVERYTHING:
            return EVERYTHING
        if isinstance(condition, AnyOf):
            kept.extend(inner for inner in condition.conditions if inner not in kept)
        elif condition not in kept:
            kept.append(condition)
    return kept[0] if len(kept) == 1 else AnyOf(tuple(kept))


def negation(condition: Condition) -> Condition:
    """Return the opposite."""
    if condition == EVERYTHING:
        return NOTHING
    if condition == NOTHING:
        return EVERYTHING
    return condition.condition if isinstance(condition, Not) else Not(condition)
