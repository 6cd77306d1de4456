"""What the host asks of every connector: one object type, its attributes, reads, and exports.

    object type ── attributes ── values          what there is
    Condition, Query ──▶ Page of entries         reading
    Add | Modify | Delete ──▶ Exported           writing

What each request makes is a struct, which costs a tenth of a frozen dataclass.

Nothing here knows SCIM's wire format, and nothing here knows SQL.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

import msgspec

if TYPE_CHECKING:
    from connector_host.errors import Finding, HostError
    from connector_host.observability.loads import Load

Value: TypeAlias = str | bool | int | Decimal | datetime
"""A value of one attribute; a datetime is always aware."""

Values: TypeAlias = Mapping[str, Value | None]
"""Attribute name to value; None is an explicit null, an absent name is no statement at all."""

Row: TypeAlias = Sequence[Value | None]
"""The values of one object, in the order of the object type's attributes."""


def to_text(value: Value) -> str:
    """Return the canonical text of a value: what an anchor looks like as SCIM `id`."""
    match value:
        case bool():
            return "true" if value else "false"
        case Decimal():
            return format(value, "f")
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case _:
            return str(value)


class AttributeType(StrEnum):
    """The types that an attribute may have: the simple ones of RFC 7643 §2.3."""

    STRING = "string"
    BOOLEAN = "boolean"
    INTEGER = "integer"
    DECIMAL = "decimal"
    DATE_TIME = "dateTime"


class Mutability(StrEnum):
    """When an attribute may be written (RFC 7643 §7)."""

    READ_WRITE = "readWrite"
    READ_ONLY = "readOnly"
    """Computed by the connected system; never exported."""
    IMMUTABLE = "immutable"
    """Given on creation, never changed afterwards: the anchor."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute of the object type, as it was discovered."""

    name: str
    type: AttributeType
    required: bool = False
    """Whether a creation fails without it: it takes no null and has no default."""
    nullable: bool = True
    mutability: Mutability = Mutability.READ_WRITE
    case_exact: bool = False
    """Whether values that differ only in case are different values (RFC 7643 §2.2)."""
    unique: bool = False
    max_length: int | None = None
    """Characters of a string; None is no limit that is known."""
    canonical_values: tuple[str, ...] = ()
    """The only values that the connected system takes, from an enum or a check constraint; empty is any."""
    description: str = ""


@dataclass(frozen=True)
class ObjectType:
    """What the connected system holds: here always users, with exactly one anchor attribute (DESIGN §2.1)."""

    name: str
    anchor: str
    attributes: tuple[Attribute, ...]

    @cached_property
    def by_name(self) -> Mapping[str, Attribute]:
        """Return the attributes by their exact name."""
        return {attribute.name: attribute for attribute in self.attributes}


class Entry(msgspec.Struct, frozen=True):
    """One object as the connected system holds it now."""

    anchor: str
    """The anchor's text: the SCIM `id`."""
    values: Values
    """Every attribute of the object type is present."""


# ── conditions ────────────────────────────────────────────────────────────────────────────────────────────────────


class Comparator(StrEnum):
    """How an attribute is compared with a value (RFC 7644 §3.4.2.2)."""

    EQ = "eq"
    NE = "ne"
    CO = "co"
    SW = "sw"
    EW = "ew"
    GT = "gt"
    GE = "ge"
    LT = "lt"
    LE = "le"


class Compare(msgspec.Struct, frozen=True):
    """`attribute comparator value`; the value already has the attribute's type.

    Text is compared without regard to case unless the attribute is `case_exact`. A null matches `ne` only.
    """

    attribute: str
    comparator: Comparator
    value: Value


@dataclass(frozen=True, slots=True)
class Present:
    """The attribute has a value: not null, and not the empty string (RFC 7644 §3.4.2.2 `pr`)."""

    attribute: str


@dataclass(frozen=True, slots=True)
class Not:
    """The condition does not hold."""

    condition: Condition


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every one of the conditions holds; of none, always."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """One of the conditions holds; of none, never."""

    conditions: tuple[Condition, ...]


Condition: TypeAlias = Compare | Present | Not | AllOf | AnyOf

EVERYTHING = AllOf(())
NOTHING = AnyOf(())


class Query(msgspec.Struct, frozen=True):
    """Which entries to read, in which order, and which stretch of them."""

    condition: Condition = EVERYTHING
    sort_by: str | None = None
    """An attribute name; text is sorted as it is compared. None sorts by the anchor as it is spelled. Ties are always
    broken by the anchor, so that pages are stable."""
    descending: bool = False
    offset: int = 0
    """Entries to pass over (SCIM's startIndex minus one)."""
    after: str | None = None
    """Only entries whose anchor comes after this one, for paging by keyset; goes with the order by anchor alone, and
    does not change the total."""
    limit: int = 100
    """Entries to return at the most; zero asks for the total only."""


class Page(msgspec.Struct, frozen=True):
    """A stretch of the entries that a query matches."""

    entries: tuple[Entry, ...]
    total: int
    """How many entries match in all."""


# ── exports ───────────────────────────────────────────────────────────────────────────────────────────────────────


class RefusalKind(StrEnum):
    """The four classes of export that are refused (DESIGN §2.2)."""

    MULTI_VALUED = "multi_valued"
    REFERENCE = "reference"
    GROUP = "group"
    PASSWORD = "password"  # noqa: S105 - a class of attributes, not a secret


@dataclass(frozen=True, slots=True)
class Refusal:
    """A value in an export that belongs to a refused class, by name; the value itself is not kept."""

    kind: RefusalKind
    attribute: str
    """As the client spelled it."""
    reason: str

    @property
    def sentence(self) -> str:
        """Return what an administrator reads."""
        return f"{self.attribute}: {self.reason}"


Revision: TypeAlias = Callable[[Entry], Values]
"""From the entry as it is now to the attributes to write; names that are absent stay as they are.

Runs inside the export's transaction, with the row locked, so it must be quick and pure. Whatever it raises
ends the export with nothing written, and reaches the caller unchanged.
"""


class Add(msgspec.Struct, frozen=True):
    """Create an object from these values."""

    values: Values
    refusals: tuple[Refusal, ...] = ()


class Modify(msgspec.Struct, frozen=True):
    """Change the object with this anchor."""

    anchor: str
    revise: Revision
    refusals: tuple[Refusal, ...] = ()


class Delete(msgspec.Struct, frozen=True):
    """Delete the object with this anchor."""

    anchor: str
    guard: Callable[[Entry], None] | None = None
    """Sees the locked entry first; whatever it raises ends the export with nothing written."""


Export: TypeAlias = Add | Modify | Delete


class Exported(msgspec.Struct, frozen=True):
    """What became of an export that was committed."""

    entry: Entry
    """The object as it was read back in the same transaction; for a Delete, as it was before."""
    written: bool
    """False where the object already was as asked, and nothing was written."""
    dropped: tuple[Refusal, ...] = ()
    """Values of refused classes that the policy leaves out instead of refusing the export."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """One statement as it was sent; its parameters hold what the caller gave."""

    text: str
    parameters: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What an export would do: it was carried out and undone."""

    statements: tuple[Spoken, ...]
    outcome: Exported | None
    """What would have become of it; None where it would fail."""
    error: HostError | None
    """What the caller would be told where it would fail."""
    executed: bool
    """False where the connected system cannot undo a change, so that the statements are only shown."""
    remark: str = ""
    """What a reader should know; empty where there is nothing."""


class ChangeLog(Protocol):
    """What a connected system itself writes down of its objects' changes. A mark in it is a text that only it reads."""

    @property
    def name(self) -> str:
        """What its marks are kept under; a log of another kind has another name."""

    def end(self, kept: str | None) -> str:
        """Return the mark of its end, or the kept one where nothing was written since."""

    def reaches(self, mark: str) -> bool:
        """Return whether everything behind the mark is still there; where not, only the objects themselves tell."""

    def anchors(self, mark: str, overlap: float | None) -> Iterator[list[str]]:
        """Yield the anchors that were changed or deleted behind the mark; an anchor may come again.

        `overlap` is how many seconds before the mark to begin; None leaves it to the log.
        Raises ConfigurationError where the log needs none.
        """


class Importer(Protocol):
    """Every object of a connected system as it is at one moment, in a stream. Blocks; for one thread and one run."""

    @property
    def object_type(self) -> ObjectType:
        """The object type, as it was discovered when the importer was opened."""

    def batches(self, condition: Condition, *, sort_by: str | None = None) -> Iterator[Sequence[Row]]:
        """Yield the objects that match, a thousand or so at a time, each with every attribute.

        Memory is bounded whatever the number of objects. Sorted by the attribute and then by the anchor where one is
        given, in no order otherwise. Raises a ConnectorError, also on the way.
        """

    def earliest(self, attribute: str, moment: datetime) -> datetime:
        """Return the earliest moment that any from `moment` on may read as.

        That is an earlier one where the attribute is kept as clocks on the wall show it, and these are put back then.
        """

    def horizon(self, column: str) -> int | None:
        """Return the row version below which every change is committed, and seen by whatever is read afterwards.

        None where the column, which need not be an attribute, holds no row versions: numbers that the connected system
        itself stamps each change with.
        """

    def stamped_since(self, column: str, version: int) -> Iterator[Sequence[Row]]:
        """Yield the objects with this row version or a later one, or with none at all; as batches does."""

    def entries(self, anchors: Sequence[str]) -> dict[str, Row]:
        """Return the objects with these anchors, as they are; one that is not there is left out."""

    def change_log(self) -> ChangeLog:
        """Return the connected system's own log of changes; raises ConfigurationError where there is none.

        To be asked before anything is read: what the importer reads afterwards is no older than the end of the log.
        """


class Connector(Protocol):
    """One connected system. Every method may raise a ConnectorError, and no other error on purpose."""

    @property
    def name(self) -> str:
        """The name in the configuration and in the URL."""

    async def describe(self) -> ObjectType:
        """Return the object type, discovering it first where that has not happened yet.

        Cheap once discovered. Raises Unavailable while the connected system is down, and
        ConfigurationError where it cannot be served as configured (no usable anchor, no such table).
        """

    async def read(self, anchor: str) -> Entry | None:
        """Return the object with this anchor, or None; an anchor that cannot exist is None, too."""

    async def search(self, query: Query) -> Page:
        """Return the stretch of entries that the query asks for, straight from the connected system."""

    async def export(self, export: Export) -> Exported:
        """Carry out one export and return after it was committed.

        Raises RefusedExport before anything is sent, NotFound, Conflict, InvalidValue or Immutable with nothing
        written, Unavailable with nothing written, and InDoubt where nobody can know.
        """

    async def rehearse(self, export: Export) -> Rehearsal:
        """Carry out one export and undo it; what it would come to, a failure too, is part of what is returned.

        Raises Unavailable or ConfigurationError where there is nothing to rehearse on.
        """

    async def check(self) -> list[Finding]:
        """Look at everything that an administrator can get wrong, and say what to do about each."""

    async def close(self) -> None:
        """Finish the exports in hand, then let go of every connection."""


@runtime_checkable
class Loaded(Protocol):
    """A connector that can say how busy it is."""

    def load(self) -> Load:
        """Return the figures of this moment; called from any thread, so quick and without a lock that work holds."""
