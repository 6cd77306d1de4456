"""From object type, mapping and policies to the tree of attribute flows; whatever cannot work is said here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from connector_host.connectors.contract import Attribute, AttributeType, Mutability, ObjectType
from connector_host.errors import ConfigurationError
from connector_host.scim import mappings, vocabulary
from connector_host.scim.flows import Complex, Flows, Multi, Node, Policies, Row, SchemaFlow, Single, Slot
from connector_host.scim.states import make_state

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connector_host.scim.mappings import Place
    from connector_host.scim.states import State
    from connector_host.settings import DisableFlow


def compile_flows(object_type: ObjectType, mapping: Mapping[str, str], policies: Policies | None = None) -> Flows:
    """Compile the mapping (column name to SCIM path) and the policies for this object type.

    Raises ConfigurationError that names the column, the path and the mend where a path cannot exist, where two columns
    share one, or where a deprovisioning flow cannot work with its column.
    """
    policies = policies or Policies()
    placed, hidden = _placed(object_type, mapping, policies)
    _demand_distinct(placed)
    disabled = _disabled(object_type, policies.disable)
    deleted = _deleted(object_type, policies)
    make = _SlotMaker(object_type.anchor, disabled, policies)
    schemas = _schemas(placed, make)
    if policies.disable.action == "delete":
        schemas = _with_existence(schemas)
    return Flows(
        object_type=object_type,
        schemas=schemas,
        anchor=object_type.by_name[object_type.anchor],
        deleted=deleted,
        policies=policies,
        hidden=tuple(hidden),
        missing=_missing(object_type, mapping, policies),
    )


def _placed(
    object_type: ObjectType, mapping: Mapping[str, str], policies: Policies
) -> tuple[list[tuple[Attribute, Place]], list[str]]:
    """Return each attribute with its place, and the columns that have none."""
    given = {name.lower(): path for name, path in mapping.items()}
    if policies.disable.column is not None:
        given = _with_active(given, policies.disable.column)
    marker = "" if policies.delete.column is None else policies.delete.column.lower()
    placed: list[tuple[Attribute, Place]] = []
    hidden: list[str] = []
    for attribute in object_type.attributes:
        lowered = attribute.name.lower()
        path = mapping.get(attribute.name, given.get(lowered))
        if path is not None:
            placed.append((attribute, mappings.place(attribute.name, path)))
        elif lowered != marker and (default := mappings.default_place(attribute.name)) is not None:
            placed.append((attribute, default))
        else:
            hidden.append(attribute.name)
    return placed, hidden


def _with_active(given: Mapping[str, str], column: str) -> dict[str, str]:
    """Return the mapping with the disable flow's column as `active`."""
    already = given.get(column.lower(), "active")
    if already.lower().rpartition(":")[2] != "active":
        raise ConfigurationError(f"disable: column {column} is mapped to {already}: leave it out of attributes.")
    return {**given, column.lower(): "active"}


def _disabled(object_type: ObjectType, flow: DisableFlow) -> State | None:
    if flow.column is None:
        return None
    return make_state(_column(object_type, "disable", flow.column), "disable", on=flow.inactive, off=flow.active)


def _deleted(object_type: ObjectType, policies: Policies) -> State | None:
    flow = policies.delete
    if flow.column is None:
        return None
    state = make_state(_column(object_type, "delete", flow.column), "delete", on=flow.deleted, off=flow.present)
    disabled = _disabled(object_type, policies.disable)
    if flow.hidden and disabled is not None and (disabled.attribute, disabled.on) == (state.attribute, state.on):
        raise ConfigurationError(
            f"delete: column {flow.column} is set to the value that disabling sets, so disabled users would be hidden: "
            "use another value or column, or write hidden = false."
        )
    return state


def _column(object_type: ObjectType, key: str, name: str) -> Attribute:
    """Return the column that a flow sets; raise ConfigurationError where there is none that can be set."""
    found = next((one for one in object_type.attributes if one.name.lower() == name.lower()), None)
    if found is None:
        raise ConfigurationError(f"{key}: there is no column {name} among the columns that are exposed.")
    if found.mutability is not Mutability.READ_WRITE or found.name == object_type.anchor:
        raise ConfigurationError(f"{key}: column {name} cannot be set: it is the anchor, or computed by the database.")
    return found


def _missing(object_type: ObjectType, mapping: Mapping[str, str], policies: Policies) -> tuple[str, ...]:
    present = {attribute.name.lower() for attribute in object_type.attributes} | {"*"}
    named = [*mapping, *(() if isinstance(policies.on_null, str) else policies.on_null)]
    return tuple(dict.fromkeys(name for name in named if name.lower() not in present))


def _with_existence(schemas: Mapping[str, SchemaFlow]) -> Mapping[str, SchemaFlow]:
    """Return the schemas with an `active` that has no column: disabling deletes."""
    core = schemas[vocabulary.CORE.lower()]
    if "active" in core.nodes:
        raise ConfigurationError("disable: action delete needs no column: leave active out of attributes.")
    active = Slot(Attribute("", AttributeType.BOOLEAN), "active", "active", AttributeType.BOOLEAN, is_existence=True)
    nodes = MappingProxyType({**core.nodes, "active": Single("active", active)})
    return MappingProxyType({**schemas, vocabulary.CORE.lower(): SchemaFlow(core.urn, nodes)})


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


@dataclass(frozen=True, slots=True)
class _SlotMaker:
    """Makes slots that know the anchor and the policies."""

    anchor: str
    disabled: State | None
    policies: Policies

    def __call__(self, attribute: Attribute, place: Place) -> Slot:
        if attribute.name == self.policies.version_column and not attribute.required:
            attribute = replace(attribute, mutability=Mutability.READ_ONLY)
        state = self.disabled if self.disabled is not None and self.disabled.attribute == attribute else None
        return Slot(
            attribute,
            place.path,
            place.sub or place.name,
            place.wire or attribute.type,
            is_anchor=attribute.name == self.anchor,
            state=state,
            on_null=self.policies.on_null_of(attribute.name),
        )


def _schemas(placed: list[tuple[Attribute, Place]], make: _SlotMaker) -> Mapping[str, SchemaFlow]:
    urns: dict[str, str] = {vocabulary.CORE.lower(): vocabulary.CORE}
    for _, place in placed:
        urns.setdefault(place.urn.lower(), place.urn)
    return MappingProxyType(
        {
            lowered: SchemaFlow(urn, _nodes([pair for pair in placed if pair[1].urn.lower() == lowered], make))
            for lowered, urn in urns.items()
        }
    )


def _nodes(placed: list[tuple[Attribute, Place]], make: _SlotMaker) -> Mapping[str, Node]:
    grouped: dict[str, list[tuple[Attribute, Place]]] = {}
    for pair in placed:
        grouped.setdefault(pair[1].name.lower(), []).append(pair)
    return MappingProxyType({lowered: _node(pairs, make) for lowered, pairs in grouped.items()})


def _node(pairs: list[tuple[Attribute, Place]], make: _SlotMaker) -> Node:
    attribute, first = pairs[0]
    if first.selector:
        return Multi(first.name, _rows(pairs, make))
    if first.sub:
        return Complex(first.name, _subs(pairs, make))
    return Single(first.name, make(attribute, first))


def _rows(pairs: list[tuple[Attribute, Place]], make: _SlotMaker) -> tuple[Row, ...]:
    grouped: dict[tuple[str, str], list[tuple[Attribute, Place]]] = {}
    for pair in pairs:
        grouped.setdefault((pair[1].selector, pair[1].label.lower()), []).append(pair)
    return tuple(
        Row("primary" if selector == "primary" else "type", members[0][1].label, _subs(members, make))
        for (selector, _), members in grouped.items()
    )


def _subs(pairs: list[tuple[Attribute, Place]], make: _SlotMaker) -> Mapping[str, Slot]:
    return MappingProxyType({place.sub.lower(): make(attribute, place) for attribute, place in pairs})
