"""One line of the mapping, column to SCIM path, read and checked before anything is served by it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from scim2_models import Path, SCIMException
from scim2_models.path import AttrPath, CompareOperator, Comparison, ValuePath

from connector_host.connectors.contract import AttributeType, RefusalKind
from connector_host.errors import ConfigurationError
from connector_host.scim import vocabulary
from connector_host.scim.names import ATTRIBUTE_NAME
from connector_host.scim.vocabulary import Defined, refused_kind

if TYPE_CHECKING:
    from scim2_models.path import FilterNode

NEVER_MAPPED: Final = {
    "id": "the id is always the anchor; leave this line out",
    "meta": "meta is written by the host; leave this line out",
    "schemas": "schemas is written by the host; leave this line out",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a resource a column stands; empty strings stand for parts that the path does not have."""

    urn: str
    name: str
    sub: str = ""
    selector: Literal["", "type", "primary"] = ""
    label: str = ""
    wire: AttributeType | None = None
    """The type that the RFC gives it; None where the column decides."""

    @property
    def path(self) -> str:
        """Return the path in full, as clients write it."""
        prefix = "" if self.urn == vocabulary.CORE else f"{self.urn}:"
        match self.selector:
            case "type":
                selection = f'[type eq "{self.label}"]'
            case "primary":
                selection = "[primary eq true]"
            case _:
                selection = ""
        return f"{prefix}{self.name}{selection}{'.' if self.sub else ''}{self.sub}"


def default_place(column: str) -> Place | None:
    """Return where a column appears that is not mapped, or None where SCIM cannot show it under its own name."""
    if not ATTRIBUTE_NAME.fullmatch(column) or refused_kind(column) is not None:
        return None
    return Place(vocabulary.ECMA, column)


def place(column: str, path: str) -> Place:
    """Return the place that a mapping names; raise ConfigurationError naming column, path and mend."""
    if refused_kind(column) is RefusalKind.PASSWORD:
        raise _wrong(column, path, "a password column cannot be provisioned; leave this line out")
    urn, rest = split_urn(path)
    try:
        node = Path(rest).ast
    except SCIMException as failure:
        raise _wrong(column, path, f"is no SCIM path ({failure.detail})") from failure
    match node:
        case AttrPath(attr=name, sub_attr=sub):
            found = Place(urn, name, sub or "")
        case ValuePath(attr_path=AttrPath(attr=name), val_filter=val_filter, sub_attr=sub):
            found = _row(column, path, Place(urn, name, sub or "value"), val_filter)
        case _:
            raise _wrong(column, path, 'is no path to one value; write for example emails[type eq "work"].value')
    _demand_allowed(column, path, found)
    return _spelled(column, path, found)


def split_urn(path: str) -> tuple[str, str]:
    """Return the schema URN and what follows it: the longest known URN first, else up to the last colon.

    A URN holds `2.0`, so nothing may be split at dots before this (RFC 7644 §3.10).
    """
    lowered = path.lower()
    if not lowered.startswith("urn:"):
        return vocabulary.CORE, path
    for urn in (vocabulary.CORE, vocabulary.ENTERPRISE, vocabulary.ECMA):
        if lowered.startswith(f"{urn.lower()}:"):
            return urn, path[len(urn) + 1 :]
    head, bracket, tail = path.partition("[")
    urn, _, name = head.rpartition(":")
    return urn, name + bracket + tail


def _row(column: str, path: str, found: Place, val_filter: FilterNode) -> Place:
    match val_filter:
        case Comparison(attr_path=AttrPath(attr=key, sub_attr=None), op=CompareOperator.eq, value=value):
            if key.lower() == "type" and isinstance(value, str) and value:
                return Place(found.urn, found.name, found.sub, "type", value)
            if key.lower() == "primary" and value is True:
                return Place(found.urn, found.name, found.sub, "primary")
        case _:
            pass
    raise _wrong(column, path, 'can only select by [type eq "…"] or [primary eq true]')


def _demand_allowed(column: str, path: str, found: Place) -> None:
    if found.urn.count(":") < 2:  # noqa: PLR2004 - urn:NAMESPACE:NAME has two (RFC 8141)
        raise _wrong(column, path, "does not start with a schema URN; write urn:NAMESPACE:NAME:ATTRIBUTE")
    if (reason := NEVER_MAPPED.get(found.name.lower())) is not None and found.urn == vocabulary.CORE:
        raise _wrong(column, path, reason)
    for name in (found.name, found.sub):
        if (kind := refused_kind(name)) is not None:
            raise _wrong(column, path, f"cannot be mapped: {vocabulary.REASONS[kind].rstrip('.')}")
    if found.selector and found.sub.lower() in {"type", "primary"}:
        raise _wrong(column, path, "is given by the selection itself; map the value instead")


def _spelled(column: str, path: str, found: Place) -> Place:
    """Return the place as the RFC spells it and types it; attributes of other schemas stay as they are."""
    defined = vocabulary.DEFINED.get(found.urn.lower())
    if defined is None:
        return found
    attribute = defined.get(found.name.lower())
    if attribute is None:
        raise _wrong(column, path, f"is not in {found.urn}; map the column to {vocabulary.ECMA}:{column}")
    sub = _spelled_sub(column, path, found, attribute)
    wire = sub.type if sub is not None else attribute.type
    return Place(
        found.urn, attribute.name, sub.name if sub is not None else "", found.selector, found.label, _simple(wire)
    )


def _spelled_sub(column: str, path: str, found: Place, attribute: Defined) -> Defined | None:
    if attribute.multi_valued and not found.selector:
        raise _wrong(column, path, f'has many values; write {attribute.name}[type eq "work"].value')
    if found.selector and not attribute.multi_valued:
        raise _wrong(column, path, f"has one value only; write {attribute.name} without brackets")
    if attribute.subs and not found.sub:
        raise _wrong(column, path, f"has parts; write one of {', '.join(_full(attribute))}")
    if not found.sub:
        return None
    if (sub := attribute.subs.get(found.sub.lower())) is None:
        raise _wrong(column, path, f"does not exist; write one of {', '.join(_full(attribute)) or attribute.name}")
    return sub


def _full(attribute: Defined) -> list[str]:
    return [f"{attribute.name}.{sub.name}" for sub in attribute.subs.values()]


def _simple(wire: AttributeType) -> AttributeType:
    return wire if wire is AttributeType.BOOLEAN else AttributeType.STRING


def _wrong(column: str, path: str, reason: str) -> ConfigurationError:
    return ConfigurationError(f"attributes: column {column} is mapped to {path!r}, which {reason}.")
