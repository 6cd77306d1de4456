"""A path or a key of a request, resolved to what it means in the tree of attribute flows.

text ──schema URN, longest known first──▶ rest ──scim2-models' grammar──▶ syntax tree ──here──▶ Target

Any path may be asked for; what is not in the tree is `Ignored`, and says so if its class is refused (DESIGN §2.2).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeAlias

from scim2_models import Path, SCIMException
from scim2_models.path import AttrPath, CompareOperator, Comparison, FilterNode, Present, ValuePath

from connector_host.scim import entra, vocabulary
from connector_host.scim.errors import invalid_path, invalid_syntax
from connector_host.scim.flows import Complex, Multi, Row, SchemaFlow, Single, Slot
from connector_host.scim.mappings import split_urn
from connector_host.scim.vocabulary import refused_kind, refused_within

if TYPE_CHECKING:
    from collections.abc import Iterable

    from connector_host.connectors.contract import RefusalKind
    from connector_host.scim.flows import Flows

_PATH_CHARS: Final = 512
"""The longest path, and the longest key of a document: the grammar takes some microseconds for each character."""
_PLAIN: Final = re.compile(r"([A-Za-z$][A-Za-z0-9_$-]*)(?:\.([A-Za-z$][A-Za-z0-9_$-]*))?")
"""An attribute and its sub-attribute, which need no grammar."""
_KNOWN_URNS: Final = tuple(urn.lower() for urn in (vocabulary.CORE, vocabulary.ENTERPRISE, vocabulary.ECMA))


@dataclass(frozen=True, slots=True)
class Ignored:
    """An attribute without a column; with the class of refused export that it belongs to, if any."""

    attribute: str
    refused: RefusalKind | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """The resource's own id."""


@dataclass(frozen=True, slots=True)
class Whole:
    """All attributes of one schema."""

    schema: SchemaFlow


@dataclass(frozen=True, slots=True)
class Selected:
    """Some values of a multi-valued attribute, or one sub-attribute of them."""

    node: Multi
    rows: tuple[Row, ...]
    """The rows that the filter may select: by its type where it compares nothing else, otherwise every row."""
    sub: str
    """The sub-attribute in lower case; empty for the value as a whole."""
    val_filter: FilterNode | None
    """What is left to be compared with the values themselves; None where the rows are selected already."""

    def among(self, row: Row) -> Iterable[Slot]:
        """Return the slots of a row that this target means."""
        if not self.sub:
            return row.subs.values()
        return (row.subs[self.sub],) if self.sub in row.subs else ()


Target: TypeAlias = Slot | Single | Complex | Multi | Selected | Whole | Identity | Ignored


def resolve_path(flows: Flows, text: str) -> Target:
    """Resolve the path of a PATCH operation or of a query; raise ScimError invalidPath where it cannot be read."""
    if len(text) > _PATH_CHARS:
        raise invalid_path(f"The path is longer than {_PATH_CHARS} characters.")
    try:
        return _resolve(flows, text)
    except SCIMException as failure:
        raise invalid_path(f"The path cannot be read: {failure.detail}.") from failure


def resolve_key(flows: Flows, key: str) -> Target:
    """Resolve a key of a document; a key that is no path at all is an attribute that nobody knows.

    Raises ScimError invalidSyntax for a key that is too long.
    """
    demand_short(key)
    if (node := flows.core.nodes.get(key.lower())) is not None:
        return node
    try:
        return _resolve(flows, key)
    except SCIMException:
        return Ignored(key, refused_within(key))


def demand_short(key: str) -> None:
    """Raise ScimError invalidSyntax for a key that is too long to be the name of anything."""
    if len(key) > _PATH_CHARS:
        raise invalid_syntax(f"The name of an attribute is longer than {_PATH_CHARS} characters.")


def resolve_in(schema: SchemaFlow, key: str) -> Target:
    """Resolve a key of the object that holds a schema's attributes; raises ScimError as `resolve_key` does."""
    demand_short(key)
    if (node := schema.nodes.get(key.lower())) is not None:
        return node
    try:
        return _attribute(schema, schema.urn, key)
    except SCIMException:
        return Ignored(f"{schema.urn}:{key}", refused_within(key))


@lru_cache(maxsize=1_024)
def _resolve(flows: Flows, text: str) -> Target:
    lowered = entra.mended_urn(text).lower()
    if not lowered.startswith("urn:"):
        beside = entra.schema_at_top_level(flows, text)
        return _attribute(beside or flows.core, vocabulary.CORE if beside is None else beside.urn, text)
    mended = entra.mended_urn(text)
    for urn in sorted({*flows.schemas, *_KNOWN_URNS}, key=len, reverse=True):
        if lowered == urn:
            return Whole(flows.schemas[urn]) if urn in flows.schemas else Ignored(text)
        if lowered.startswith(f"{urn}:"):
            return _attribute(flows.schemas.get(urn), mended[: len(urn)], mended[len(urn) + 1 :])
    urn, name = split_urn(text)
    return _attribute(None, urn, name)


def _attribute(schema: SchemaFlow | None, urn: str, text: str) -> Target:
    """Resolve what follows the URN; a SCIMException tells that it is no path."""
    prefix = "" if urn == vocabulary.CORE else f"{urn}:"
    if plain := _PLAIN.fullmatch(text):
        return _plain(schema, prefix, plain[1], plain[2] or "")
    match Path(text).ast:
        case AttrPath(attr=name, sub_attr=sub):
            return _plain(schema, prefix, name, sub or "")
        case ValuePath(attr_path=AttrPath(attr=name), val_filter=val_filter, sub_attr=sub):
            return _selected(schema, prefix, name, val_filter, (sub or "").lower())
        case Comparison(attr_path=AttrPath(attr=name, sub_attr=sub), op=op, value=value):
            # Errata 7122: `emails.type eq "work"` selects as `emails[type eq "work"]` does.
            comparison = Comparison(AttrPath(sub or "value"), op, value)
            return _selected(schema, prefix, name, comparison, "")
        case Present(attr_path=AttrPath(attr=name, sub_attr=sub)):
            return _selected(schema, prefix, name, Present(AttrPath(sub or "value")), "")
        case _:
            return Ignored(f"{prefix}{text}", refused_within(text))


def _plain(schema: SchemaFlow | None, prefix: str, name: str, sub: str) -> Target:
    spelled = f"{prefix}{name}{'.' if sub else ''}{sub}"
    if not prefix and name.lower() == "id" and not sub:
        return Identity()
    node = schema.nodes.get(name.lower()) if schema is not None else None
    match node:
        case None:
            return Ignored(spelled, refused_kind(name) or refused_kind(sub))
        case Complex(subs=subs) if sub:
            return subs.get(sub.lower()) or Ignored(spelled, refused_kind(sub))
        case Multi(rows=rows) if sub:
            # `emails.value` is that of every value there is; where there is one row only, it may be created.
            return Selected(node, rows, sub.lower(), Present(AttrPath(sub)) if len(rows) > 1 else None)
        case Single() if sub:
            return Ignored(spelled, refused_kind(sub))
        case _:
            return node


def _selected(schema: SchemaFlow | None, prefix: str, name: str, val_filter: FilterNode, sub: str) -> Target:
    node = schema.nodes.get(name.lower()) if schema is not None else None
    if not isinstance(node, Multi):
        if node is not None and refused_kind(name) is None:
            raise invalid_path(f"{prefix}{name} has one value only: write it without brackets.")
        return Ignored(f"{prefix}{name}", refused_kind(name) or refused_kind(sub))
    if (marked := _marked(node, val_filter)) is not None:
        return Selected(node, marked, sub, None)
    return Selected(node, node.rows, sub, val_filter)


def _marked(node: Multi, val_filter: FilterNode) -> tuple[Row, ...] | None:
    """Return the rows that a filter on nothing but their mark selects, or None where values must be compared."""
    match val_filter:
        case Comparison(attr_path=AttrPath(attr=key), op=CompareOperator.eq, value=value) if key.lower() == "type":
            return tuple(row for row in node.rows if row.selector == "type" and row.label.lower() == str(value).lower())
        case Comparison(attr_path=AttrPath(attr=key), op=CompareOperator.eq, value=value) if key.lower() == "primary":
            return entra.primary_rows(node) if str(value).lower() == "true" else None
        case _:
            return None
