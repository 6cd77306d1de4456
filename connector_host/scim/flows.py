"""Attribute flows: which column stands for which SCIM attribute, compiled once per object type.

column ──▶ Slot: one place for one value in the tree
schema ──▶ Single | Complex | Multi (one row for each canonical type) ──▶ slots

Everything else of this room walks this tree. Names are compared without regard to case (RFC 7643 §2.1).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, TypeAlias

from connector_host.connectors.contract import Attribute, AttributeType, Mutability, ObjectType
from connector_host.scim import vocabulary
from connector_host.settings import DeleteFlow, DisableFlow

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from connector_host.scim.states import State
    from connector_host.settings import OnNull, SqlSettings


@dataclass(frozen=True, slots=True)
class Slot:
    """The one place in the tree that a column fills."""

    attribute: Attribute
    path: str
    """The full SCIM path, as an administrator reads it in errors."""
    name: str
    """The last name of the path: the key in its JSON object."""
    wire: AttributeType
    """The type on the wire: the RFC's where the RFC defines the attribute, else the column's."""
    is_anchor: bool = False
    state: State | None = None
    """For `active`, how the column tells that a user is disabled; None where the value is what it is."""
    is_existence: bool = False
    """Whether there is no column, and a user is `active` for as long as it exists: disabling deletes it."""
    on_null: OnNull = "clear"
    """What an explicit null or empty value does."""


@dataclass(frozen=True, slots=True)
class Single:
    """A simple attribute."""

    name: str
    slot: Slot


@dataclass(frozen=True, slots=True)
class Complex:
    """A complex attribute with a single value; sub-attributes by their name in lower case."""

    name: str
    subs: Mapping[str, Slot]


@dataclass(frozen=True, slots=True)
class Row:
    """One value of a multi-valued attribute: the one with this canonical type, or the primary one."""

    selector: Literal["type", "primary"]
    label: str
    """The canonical type; empty for the primary value."""
    subs: Mapping[str, Slot]

    @property
    def marks(self) -> Mapping[str, str | bool]:
        """Return what tells this value from the others."""
        return {"type": self.label} if self.selector == "type" else {"primary": True}


@dataclass(frozen=True, slots=True)
class Multi:
    """A multi-valued complex attribute: as many values as there are rows, and no more."""

    name: str
    rows: tuple[Row, ...]


Node: TypeAlias = Single | Complex | Multi


@dataclass(frozen=True, slots=True)
class SchemaFlow:
    """The attributes of one schema, by their name in lower case."""

    urn: str
    nodes: Mapping[str, Node]


@dataclass(frozen=True, slots=True)
class Policies:
    """What an administrator decides about deprovisioning and nulls."""

    disable: DisableFlow = field(default_factory=DisableFlow)
    delete: DeleteFlow = field(default_factory=DeleteFlow)
    on_null: OnNull | Mapping[str, OnNull] = "clear"
    version_column: str | None = None
    """The column that the database counts changes in; clients only read it."""

    @classmethod
    def of(cls, settings: SqlSettings) -> Policies:
        """Return the policies of a connector's settings."""
        return cls(settings.disable, settings.delete, settings.on_null, settings.version_column)

    def on_null_of(self, column: str) -> OnNull:
        """Return what a null does to this column; names are compared without regard to case."""
        if isinstance(self.on_null, str):
            return self.on_null
        named = {name.lower(): word for name, word in self.on_null.items()}
        return named.get(column.lower(), named.get("*", "clear"))


@dataclass(frozen=True, eq=False)
class Flows:
    """All attribute flows of one object type; one is as good as another only if it is the same, so it may be a key."""

    object_type: ObjectType
    schemas: Mapping[str, SchemaFlow]
    """By URN in lower case; the core schema is first, extensions without a column are absent."""
    anchor: Attribute
    deleted: State | None = None
    """How a column tells that a user was deleted; None where DELETE does not leave the row."""
    policies: Policies = field(default_factory=Policies)
    hidden: tuple[str, ...] = ()
    """Columns without a mapping that SCIM cannot name, or whose name belongs to a refused class."""
    missing: tuple[str, ...] = field(default=())
    """Columns that are mapped but not in the object type (any more)."""

    @cached_property
    def core(self) -> SchemaFlow:
        """Return the core User schema."""
        return self.schemas[vocabulary.CORE.lower()]

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """Return every slot of the tree that has a column."""
        found = (slot for schema in self.schemas.values() for node in schema.nodes.values() for slot in slots(node))
        return tuple(slot for slot in found if not slot.is_existence)

    @cached_property
    def paths(self) -> Mapping[str, str]:
        """Return the SCIM path of each column, for errors that clients read."""
        return MappingProxyType({slot.attribute.name: slot.path for slot in self.slots})


def slots(node: Node) -> Iterator[Slot]:
    """Yield every slot below a node."""
    match node:
        case Single(slot=slot):
            yield slot
        case Complex(subs=subs):
            yield from subs.values()
        case Multi(rows=rows):
            for row in rows:
                yield from row.subs.values()


def is_writable(slot: Slot) -> bool:
    """Return whether an export may name this slot at all; the anchor may be named on creation."""
    return slot.attribute.mutability is not Mutability.READ_ONLY
