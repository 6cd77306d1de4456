"""Entries as SCIM resources, straight to bytes: a table of places is prepared once, and no model is ever built.

The version is a weak entity tag over the content, so it changes exactly when what a client reads changes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import msgspec

from connector_host.scim import vocabulary
from connector_host.scim.coercion import to_wire
from connector_host.scim.flows import Complex, Multi, Single

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from connector_host.connectors.contract import Entry, Value, Values
    from connector_host.scim.flows import Flows, SchemaFlow, Slot
    from connector_host.scim.projection import Projection

_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")
_ADDRESS: Final = re.compile(r"[A-Za-z0-9._~@-]++")


class Rendered(msgspec.Struct, frozen=True, gc=False):
    """One resource as it goes out."""

    body: bytes
    version: str
    """The entity tag, `W/"…"`."""
    location: str
    anchor: str


@dataclass(frozen=True)
class Renderer:
    """Renders entries of one object type; make one for each `Flows` and keep it."""

    flows: Flows
    strong: bool = False
    """Whether versions are strong entity tags."""
    version_column: str | None = None
    """The column that the version is taken from; None takes the content."""

    def render(self, entry: Entry, users_url: str, projection: Projection | None = None) -> Rendered:
        """Render one entry; `users_url` is the public URL of `/Users`, without a slash at the end."""
        content = self.content(entry)
        encoded = _ENCODER.encode(content)
        version = self._tag(entry, encoded)
        location = self.location(entry.anchor, users_url)
        meta = {"resourceType": "User", "location": location, "version": version}
        if projection is not None:
            body = _ENCODER.encode(projection.apply({**content, "meta": meta}))
        else:
            body = encoded[:-1] + b',"meta":' + _ENCODER.encode(meta) + b"}"
        return Rendered(body, version, location, entry.anchor)

    def location(self, anchor: str, users_url: str) -> str:
        """Return the public URL of a user."""
        if anchor.isascii() and anchor.isalnum():
            return f"{users_url}/{anchor}"
        # Most others are the address of a mailbox, and `quote` takes longer than all else that is done for a user.
        is_address = _ADDRESS.fullmatch(anchor) is not None
        return f"{users_url}/{anchor.replace('@', '%40') if is_address else quote(anchor, safe='')}"

    def version(self, entry: Entry) -> str:
        """Return the entity tag of an entry; the version is that of the whole, whatever a client asks to see."""
        return self._tag(entry, _ENCODER.encode(self.content(entry)))

    def _tag(self, entry: Entry, encoded: bytes) -> str:
        if self.version_column is not None:
            encoded = _ENCODER.encode([entry.anchor, entry.values.get(self.version_column)])
        return f'{"" if self.strong else "W/"}"{blake2b(encoded, digest_size=12).hexdigest()}"'

    def content(self, entry: Entry) -> dict[str, object]:
        """Return the resource without its `meta`; nulls are absent (RFC 7643 §2.5)."""
        schemas = [vocabulary.CORE]
        resource: dict[str, object] = {"schemas": schemas, "id": entry.anchor}
        _fill(resource, self._core, entry.values)
        for urn, part in self._extensions:
            extension: dict[str, object] = {}
            _fill(extension, part, entry.values)
            if extension:
                schemas.append(urn)
                resource[urn] = extension
        return resource

    @cached_property
    def _core(self) -> _Part:
        return _part(self.flows.core)

    @cached_property
    def _extensions(self) -> tuple[tuple[str, _Part], ...]:
        _, *extensions = self.flows.schemas.values()
        return tuple((schema.urn, _part(schema)) for schema in extensions)


def render_list(resources: Iterable[Rendered], *, total: int, start_index: int = 0, next_cursor: str = "") -> bytes:
    """Return a ListResponse (RFC 7644 §3.4.2, RFC 9865 §2) from resources that are bytes already.

    `start_index` zero is none, as with cursors; an empty `next_cursor` says that this page is the last.
    """
    bodies = [resource.body for resource in resources]
    head: dict[str, object] = {"schemas": [vocabulary.LIST_RESPONSE], "totalResults": total}
    if start_index:
        head["startIndex"] = start_index
    if next_cursor:
        head["nextCursor"] = next_cursor
    head["itemsPerPage"] = len(bodies)
    return _ENCODER.encode(head)[:-1] + b',"Resources":[' + b",".join(bodies) + b"]}"


def encode(document: Mapping[str, object]) -> bytes:
    """Return any other document as JSON."""
    return _ENCODER.encode(document)


# ── the prepared table ────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Part:
    """Where the values of one schema go: key and column name, and the slot where the value needs a conversion."""

    singles: tuple[_Leaf, ...]
    complexes: tuple[tuple[str, tuple[_Leaf, ...]], ...]
    multis: tuple[tuple[str, tuple[tuple[Mapping[str, str | bool], tuple[_Leaf, ...]], ...]], ...]


@dataclass(frozen=True, slots=True)
class _Leaf:
    key: str
    column: str
    converted: Slot | None


def _leaf(key: str, slot: Slot) -> _Leaf:
    as_it_is = slot.wire is slot.attribute.type and slot.state is None and not slot.is_existence
    return _Leaf(key, slot.attribute.name, None if as_it_is else slot)


def _leaves(subs: Mapping[str, Slot]) -> tuple[_Leaf, ...]:
    return tuple(_leaf(slot.name, slot) for slot in subs.values())


def _part(schema: SchemaFlow) -> _Part:
    nodes = schema.nodes.values()
    return _Part(
        tuple(_leaf(node.name, node.slot) for node in nodes if isinstance(node, Single)),
        tuple((node.name, _leaves(node.subs)) for node in nodes if isinstance(node, Complex)),
        tuple(
            (node.name, tuple((row.marks, _leaves(row.subs)) for row in node.rows))
            for node in nodes
            if isinstance(node, Multi)
        ),
    )


def _fill(into: dict[str, object], part: _Part, values: Values) -> None:
    _fill_leaves(into, part.singles, values)
    for name, leaves in part.complexes:
        inner: dict[str, object] = {}
        _fill_leaves(inner, leaves, values)
        if inner:
            into[name] = inner
    for name, rows in part.multis:
        elements = []
        for marks, leaves in rows:
            element: dict[str, object] = {}
            _fill_leaves(element, leaves, values)
            if element:
                elements.append({**marks, **element})
        if elements:
            into[name] = elements


def _fill_leaves(into: dict[str, object], leaves: tuple[_Leaf, ...], values: Mapping[str, Value | None]) -> None:
    for leaf in leaves:
        value = values.get(leaf.column)
        if leaf.converted is not None:
            value = to_wire(leaf.converted, value)
        if value is not None:
            into[leaf.key] = value
