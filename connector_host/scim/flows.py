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
from connector_host.errors import ConfigurationError
from connector_host.scim import mappings, vocabulary

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from connector_host.scim.mappings import Place


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


@dataclass(frozen=True, eq=False)
class Flows:
    """All attribute flows of one object type; one is as good as another only if it is the same, so it may be a key."""

    object_type: ObjectType
    schemas: Mapping[str, SchemaFlow]
    """By URN in lower case; the core schema is first, extensions without a column are absent."""
    anchor: Attribute
    hidden: tuple[str, ...] = ()
    """Columns without a mapping that SCIM cannot name, or whose name belongs to a refused class."""
    missing: tuple[str, ...] = field(default=())
    """Columns that are mapped but not in the object type (any more)."""

    @property
    def core(self) -> SchemaFlow:
        """Return the core User schema."""
        return self.schemas[vocabulary.CORE.lower()]

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """Return every slot of the tree."""
        return tuple(slot for schema in self.schemas.values() for node in schema.nodes.values() for slot in slots(node))


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


def compile_flows(object_type: ObjectType, mapping: Mapping[str, str]) -> Flows:
    """Compile the mapping (column name to SCIM path) for this object type.

    Raises ConfigurationError that names the column, the path and the mend where a path cannot exist, or where two
    columns share one.
    """
    spelled = {name.lower(): name for name in mapping}
    placed: list[tuple[Attribute, Place]] = []
    hidden: list[str] = []
    for attribute in object_type.attributes:
        given = mapping.get(attribute.name, mapping.get(spelled.get(attribute.name.lower(), "")))
        place = mappings.place(attribute.name, given) if given is not None else mappings.default_place(attribute.name)
        if place is None:
            hidden.append(attribute.name)
        else:
            placed.append((attribute, place))
    _demand_distinct(placed)
    present = {attribute.name.lower() for attribute in object_type.attributes}
    return Flows(
        object_type=object_type,
        schemas=_schemas(placed, object_type.anchor),
        anchor=object_type.by_name[object_type.anchor],
        hidden=tuple(hidden),
        missing=tuple(name for name in mapping if name.lower() not in present),
    )


def _demand_distinct(placed: list[tuple[Attribute, Place]]) -> None:
    """Raise ConfigurationError where two columns claim one path, or one attribute is both simple and complex."""
    seen: dict[str, str] = {}
    for attribute, place in placed:
        other = seen.setdefault(place.path.lower(), attribute.name)
        if other != attribute.name:
            raise ConfigurationError(
                f"attributes: columns {other} and {attribute.name} are both mapped to {place.path}: "
                "give each column a path of its own."
            )
    shapes: dict[tuple[str, str], tuple[str, str]] = {}
    for attribute, place in placed:
        shape = "multi" if place.selector else "complex" if place.sub else "simple"
        first, claimant = shapes.setdefault((place.urn.lower(), place.name.lower()), (shape, attribute.name))
        if first != shape:
            raise ConfigurationError(
                f"attributes: {place.path}, mapped to column {attribute.name}, has another shape than the mapping of "
                f"column {claimant}: give both a sub-attribute, or neither."
            )


def _schemas(placed: list[tuple[Attribute, Place]], anchor: str) -> Mapping[str, SchemaFlow]:
    urns: dict[str, str] = {vocabulary.CORE.lower(): vocabulary.CORE}
    for _, place in placed:
        urns.setdefault(place.urn.lower(), place.urn)
    return MappingProxyType(
        {
            lowered: SchemaFlow(urn, _nodes([pair for pair in placed if pair[1].urn.lower() == lowered], anchor))
            for lowered, urn in urns.items()
        }
    )


def _nodes(placed: list[tuple[Attribute, Place]], anchor: str) -> Mapping[str, Node]:
    grouped: dict[str, list[tuple[Attribute, Place]]] = {}
    for pair in placed:
        grouped.setdefault(pair[1].name.lower(), []).append(pair)
    return MappingProxyType({lowered: _node(pairs, anchor) for lowered, pairs in grouped.items()})


def _node(pairs: list[tuple[Attribute, Place]], anchor: str) -> Node:
    attribute, first = pairs[0]
    if first.selector:
        return Multi(first.name, _rows(pairs, anchor))
    if first.sub:
        return Complex(first.name, _subs(pairs, anchor))
    return Single(first.name, _slot(attribute, first, anchor))


def _rows(pairs: list[tuple[Attribute, Place]], anchor: str) -> tuple[Row, ...]:
    grouped: dict[tuple[str, str], list[tuple[Attribute, Place]]] = {}
    for pair in pairs:
        grouped.setdefault((pair[1].selector, pair[1].label.lower()), []).append(pair)
    return tuple(
        Row("primary" if selector == "primary" else "type", members[0][1].label, _subs(members, anchor))
        for (selector, _), members in grouped.items()
    )


def _subs(pairs: list[tuple[Attribute, Place]], anchor: str) -> Mapping[str, Slot]:
    return MappingProxyType({place.sub.lower(): _slot(attribute, place, anchor) for attribute, place in pairs})


def _slot(attribute: Attribute, place: Place, anchor: str) -> Slot:
    is_anchor = attribute.name == anchor
    return Slot(attribute, place.path, place.sub or place.name, place.wire or attribute.type, is_anchor)


def is_writable(slot: Slot) -> bool:
    """Return whether an export may name this slot at all; the anchor may be named on creation."""
    return slot.attribute.mutability is not Mutability.READ_ONLY
