"""The anchor (DESIGN §2.1): which columns could be it, and the proof on the rows where nothing enforces it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from connector_host.connectors.sql.columns import Family
from connector_host.connectors.survey import AnchorCandidate
from connector_host.errors import ConfigurationError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from connector_host.connectors.sql.discovery import Column, TableFacts
    from connector_host.connectors.sql.shapes import Shape

NOT_ANCHORS = (Family.BOOLEAN, Family.SINGLE, Family.DOUBLE, Family.DATE, Family.TIME)
"""Families whose values cannot tell users apart, or do not compare exactly."""

TELLING_NAMES = ("id", "guid", "uuid", "login", "user", "employee", "account", "upn", "key", "number")
"""Parts of names that identifiers tend to have."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What the rows say of an anchor that nothing enforces."""

    nulls: int
    """Rows without an anchor."""
    duplicates: int
    """Rows too many: those whose anchor another row has, too."""

    @property
    def holds(self) -> bool:
        """Return whether the anchor is unique and not null in every row that there is now."""
        return not self.nulls and not self.duplicates


def prove(connection: Connection, shape: Shape) -> Proof:
    """Count what contradicts the anchor; the whole table is read once."""
    column = shape.anchor.sql
    total, present, distinct = connection.execute(
        sa.select(sa.func.count(), sa.func.count(column), sa.func.count(column.distinct())).select_from(shape.source)
    ).one()
    return Proof(nulls=int(total) - int(present), duplicates=int(present) - int(distinct))


def demand_transactions(facts: TableFacts) -> None:
    """Raise ConfigurationError where an export that fails half-way could not be undone."""
    if facts.cannot_undo:
        raise ConfigurationError(
            f"table: {facts.relation.name} is kept by the storage engine {facts.cannot_undo}, which knows no "
            "transactions: what fails half-way would stay. "
            f"Convert it: ALTER TABLE {facts.relation.name} ENGINE=InnoDB."
        )


def contradiction(shape: Shape, proof: Proof) -> str:
    """Say in words what contradicts the anchor; no value is repeated."""
    parts = []
    if proof.nulls:
        parts.append(f"{proof.nulls} rows have none")
    if proof.duplicates:
        parts.append(f"{proof.duplicates} rows repeat the anchor of another row")
    return (
        f"{shape.object_type.anchor} is not unique and not null in the rows that there are: {' and '.join(parts)}. "
        "Mend the rows, or choose another column."
    )


def rank(facts: TableFacts) -> tuple[AnchorCandidate, ...]:
    """Return the columns that could be the anchor, the best first; enforced ones before all others."""
    scored = [
        (_score(column), candidate)
        for column in facts.columns
        if not column.facts.left_out
        and column.kind.family not in NOT_ANCHORS
        and not column.facts.generated
        and (candidate := _candidate(column, facts)) is not None
    ]
    return tuple(candidate for _, candidate in sorted(scored, key=lambda pair: -pair[0]))


def _candidate(column: Column, facts: TableFacts) -> AnchorCandidate | None:
    """Return a column as a candidate; None where nothing speaks for it."""
    own = column.facts
    reasons: list[str] = []
    if own.unique:
        reasons.append("is the primary key" if own.primary_key else "has a unique key of its own")
    elif own.primary_key:
        others = next(key.columns for key in facts.keys if key.primary)
        reasons.append(f"is part of the primary key ({', '.join(others)}), but is not unique by itself")
    if own.nullable and own.unique:
        reasons.append("may be null: declare it NOT NULL")
    if own.identity or (own.default is not None and own.unique):
        reasons.append("is made by the database on creation")
    if not own.unique and _tells(own.name):
        reasons.append("has the name of an identifier, but the database does not keep it unique")
    if not reasons:
        return None
    return AnchorCandidate(own.name, enforced=own.unique and not own.nullable, reasons=tuple(reasons))


def _score(column: Column) -> int:
    own = column.facts
    enforced = own.unique and not own.nullable
    return 100 * enforced + 50 * own.unique + 20 * own.primary_key + 10 * (not own.nullable) + 5 * _tells(own.name)


def _tells(name: str) -> bool:
    return any(part in name.lower() for part in TELLING_NAMES)
