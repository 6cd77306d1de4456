"""What there is to see in a connected system before it is configured: relations, columns, anchor candidates.

Plain facts for `init` and `discover` to print. Nothing here knows SQLAlchemy, SCIM paths, or a terminal.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from connector_host.connectors.contract import AttributeType


@dataclass(frozen=True, slots=True)
class Relation:
    """A table, a view or a query that could hold the users."""

    name: str
    schema: str | None
    """None where it is the login's own default."""
    kind: Literal["table", "view", "query"]


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """What the database says of one column, and what we make of it."""

    name: str
    declared: str
    """The type as the database spells it."""
    type: AttributeType | None
    """The attribute type; None where the column is left out."""
    left_out: str = ""
    """Why the column cannot be an attribute; empty where it can."""
    nullable: bool = True
    default: str | None = None
    """The default as the database spells it; None where there is none."""
    generated: bool = False
    """Computed by the database on each write; never exported."""
    identity: bool = False
    """Numbered by the database on insertion."""
    filled: bool = False
    """A trigger may fill it before a new row is kept."""
    always: bool = False
    """The database refuses a value of ours on insertion (identity ALWAYS, computed)."""
    length: int | None = None
    """Characters of text."""
    precision: int | None = None
    """Digits of a number, or digits after the second of a time."""
    scale: int | None = None
    """Digits after the point."""
    allowed: tuple[str, ...] = ()
    """The only values that it takes, from an enum or a check constraint."""
    unique: bool = False
    """Unique by itself, enforced by the database for every row."""
    primary_key: bool = False
    """The whole primary key, or a part of it."""
    collation: str | None = None
    nondeterministic: bool = False
    """Its collation takes texts of different bytes for equal, so that PostgreSQL refuses to look for a part of one."""
    comment: str = ""
    values: str = ""
    """What its values are to a directory, in words."""
    known_by: str = ""
    """How the type is known, where the catalogue does not say it of a table's own column."""

    @property
    def spelled(self) -> str:
        """Return the type with its length or digits, where the database keeps them apart from its name."""
        if "(" in self.declared:
            return self.declared
        if self.length is not None:
            return f"{self.declared}({self.length})"
        return self.declared if self.scale is None else f"{self.declared}({self.precision},{self.scale})"

    @property
    def required(self) -> bool:
        """Return whether an insertion fails without a value."""
        return not (self.nullable or self.default is not None or self.generated or self.identity or self.filled)


@dataclass(frozen=True, slots=True)
class ColumnSample:
    """What some rows say of one column; counts and shapes, never a value of somebody's."""

    rows: int
    filled: int
    distinct: int
    """How many different values there are among those that are filled."""
    looks: str = ""
    """What all of them look like, such as e-mail addresses."""


TRUTHS = (("Y", "N"), ("T", "F"), ("J", "N"), ("1", "0"), ("YES", "NO"), ("TRUE", "FALSE"), ("ON", "OFF"))
"""Words for true and false. They are nobody's own, so they may be said."""


def truth_in(words: Collection[str]) -> tuple[str, str] | None:
    """Return the word for true and the one for false, as they are spelled, where there are these two and no other."""
    capitals = {word.upper(): word for word in words}
    pair = next((pair for pair in TRUTHS if set(pair) == capitals.keys()), None)
    return None if pair is None or len(set(words)) != len(pair) else (capitals[pair[0]], capitals[pair[1]])


@dataclass(frozen=True, slots=True)
class AnchorCandidate:
    """A column that could be the anchor, the best first."""

    column: str
    enforced: bool
    """Whether the database itself keeps it unique and not null (DESIGN §2.1)."""
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TableSurvey:
    """Everything that a person wants to know about one table before choosing it."""

    relation: Relation
    columns: tuple[ColumnFacts, ...]
    anchors: tuple[AnchorCandidate, ...]
    """Ranked; those that the database enforces come first."""
    samples: Mapping[str, ColumnSample] = field(default_factory=dict)
    """By column, where the rows could be read."""
    refusal: str = ""
    """Why no column is an anchor as it stands (the only key is composite, there is none); empty where one is."""

    @property
    def left_out(self) -> tuple[ColumnFacts, ...]:
        """Return the columns that cannot be attributes; each names its reason."""
        return tuple(column for column in self.columns if column.left_out)
