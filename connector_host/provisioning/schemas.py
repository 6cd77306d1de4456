"""What the target says of its users' attributes: the schemas behind `/Schemas`, by path (RFC 7643 §7, RFC 7644 §4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from connector_host.provisioning.resources import CORE_USER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from connector_host.provisioning.resources import ResourcePath

_OTHERS: Final = "urn:ietf:params:scim:schemas:core:2.0:"
"""The RFC's own schemas; of these only User describes users."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute, or one part of a complex one."""

    path: str
    """As a mapping names it: `userName`, `name.givenName`, `emails.value`, `urn:…:User:department`."""
    type: str = "string"
    many: bool = False
    required: bool = False
    mutability: str = "readWrite"
    parts: tuple[str, ...] = ()
    """The names of the parts of a complex attribute."""
    kinds: tuple[str, ...] = ()
    """The values that the part `type` may have, as far as they are named."""


@dataclass(frozen=True, slots=True)
class UserSchema:
    """Every attribute of a user, by its path in lower case; parts stand beside their attribute."""

    attributes: Mapping[str, Attribute]

    def at(self, path: ResourcePath) -> tuple[Attribute | None, Attribute | None]:
        """Return the attribute that a path leads to, and the part of it where it names one; None is not there."""
        name = f"{path.schema}:{path.attribute}" if path.schema else path.attribute
        whole = self.attributes.get(name.lower())
        return whole, self.attributes.get(f"{name}.{path.sub}".lower()) if path.sub else None

    def required(self) -> Iterator[Attribute]:
        """Yield what each user must have: attributes, or rather their parts where these are named as required."""
        for attribute in self.attributes.values():
            if attribute.required and self.attributes.get(attribute.path.rpartition(".")[0].lower()) is None:
                parts = [self.attributes[f"{attribute.path}.{name}".lower()] for name in attribute.parts]
                needed = [part for part in parts if part.required and not attribute.many]
                yield from needed or [attribute]


def user_schema(documents: Iterable[Any]) -> UserSchema:
    """Return what the documents of `/Schemas` say of users; what cannot be read in them is passed over."""
    found: dict[str, Attribute] = {}
    for document in documents:
        urn = str(document.get("id") or "") if isinstance(document, Mapping) else ""
        if not urn or (urn.lower().startswith(_OTHERS.lower()) and urn.lower() != CORE_USER.lower()):
            continue
        prefix = "" if urn.lower() == CORE_USER.lower() else f"{urn}:"
        for one in _objects(document.get("attributes")):
            for attribute in _read(one, prefix):
                found[attribute.path.lower()] = attribute
    return UserSchema(found)


def _read(document: Mapping[str, Any], prefix: str) -> Iterator[Attribute]:
    parts = list(_objects(document.get("subAttributes")))
    kinds = next((part.get("canonicalValues") for part in parts if str(part.get("name")).lower() == "type"), None)
    name = f"{prefix}{document.get('name')}"
    yield Attribute(
        name,
        str(document.get("type") or "string"),
        document.get("multiValued") is True,
        document.get("required") is True,
        str(document.get("mutability") or "readWrite"),
        tuple(str(part.get("name")) for part in parts),
        tuple(map(str, kinds)) if isinstance(kinds, list) else (),
    )
    for part in parts:
        yield from _read(part, f"{name}.")


def _objects(value: Any) -> Iterator[Mapping[str, Any]]:  # noqa: ANN401 - JSON
    return (one for one in (value if isinstance(value, list) else []) if isinstance(one, Mapping))
