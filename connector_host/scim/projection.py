"""Which attributes of a resource a client wants to see: `attributes` and `excludedAttributes` (RFC 7644 §3.9).

`id` and `schemas` are always returned. Names that nobody knows choose nothing, and harm nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from connector_host.scim import vocabulary
from connector_host.scim.errors import ScimError
from connector_host.scim.mappings import split_urn

if TYPE_CHECKING:
    from collections.abc import Mapping

_CHARS_MAX: Final = 32_768
_ALWAYS: Final = frozenset({"id", "schemas"})
_CORE: Final = vocabulary.CORE.lower()


@dataclass(frozen=True, slots=True)
class Chosen:
    """Some attributes of one schema, in lower case; a name without sub-attributes means all of it."""

    everything: bool
    names: Mapping[str, frozenset[str]]

    def holds(self, name: str) -> bool:
        """Return whether the attribute is chosen as a whole."""
        return self.everything or self.names.get(name.lower()) == frozenset()

    def subs(self, name: str) -> frozenset[str]:
        """Return the sub-attributes that are chosen of an attribute."""
        return self.names.get(name.lower(), frozenset())


_NOTHING: Final = Chosen(everything=False, names={})


@dataclass(frozen=True, slots=True)
class Projection:
    """What to keep, or what to leave out; by schema URN in lower case."""

    chosen: Mapping[str, Chosen]
    excludes: bool

    def apply(self, resource: Mapping[str, object]) -> dict[str, object]:
        """Return the resource with what is wanted."""
        core = self.chosen.get(_CORE, _NOTHING)
        kept: dict[str, object] = {}
        for key, value in resource.items():
            if key in _ALWAYS:
                kept[key] = value
            elif isinstance(value, dict) and key.lower().startswith("urn:"):
                if part := self._of_object(self.chosen.get(key.lower(), _NOTHING), value):
                    kept[key] = part
            else:
                self._keep(kept, core, key, value)
        if isinstance(kept.get("schemas"), list):
            kept["schemas"] = [urn for urn in resource["schemas"] if urn == vocabulary.CORE or urn in kept]  # type: ignore[attr-defined] # a list of our own
        return kept

    def _of_object(self, chosen: Chosen, value: Mapping[str, object]) -> dict[str, object]:
        part: dict[str, object] = {}
        for key, inner in value.items():
            self._keep(part, chosen, key, inner)
        return part

    def _keep(self, into: dict[str, object], chosen: Chosen, key: str, value: object) -> None:
        if chosen.holds(key):
            if not self.excludes:
                into[key] = value
            return
        subs = chosen.subs(key)
        if not subs:
            if self.excludes:
                into[key] = value
            return
        if narrowed := self._narrowed(subs, value):
            into[key] = narrowed

    def _narrowed(self, subs: frozenset[str], value: object) -> object:
        if isinstance(value, list):
            return [part for part in (self._narrowed(subs, element) for element in value) if part]
        if isinstance(value, dict):
            return {key: part for key, part in value.items() if (key.lower() in subs) is not self.excludes}
        return None


def read_projection(attributes: str, excluded: str) -> Projection | None:
    """Return what the two parameters ask for, or None for everything; `attributes` goes before the other.

    Raises ScimError invalidValue where they are longer than anybody's list of attributes.
    """
    if max(len(attributes), len(excluded)) > _CHARS_MAX:
        raise ScimError(400, f"attributes and excludedAttributes may be {_CHARS_MAX} characters long.", "invalidValue")
    if attributes.strip():
        return Projection(_chosen(attributes), excludes=False)
    return Projection(_chosen(excluded), excludes=True) if excluded.strip() else None


def _chosen(text: str) -> Mapping[str, Chosen]:
    everything: set[str] = set()
    names: dict[str, dict[str, set[str]]] = {}
    for path in (part.strip() for part in text.split(",")):
        urn, name, sub = _parts(path)
        if not name:
            everything.add(urn)
        elif sub:
            names.setdefault(urn, {}).setdefault(name, set()).add(sub)
        else:
            names.setdefault(urn, {})[name] = set()
    return {
        urn: Chosen(urn in everything, {name: frozenset(subs) for name, subs in names.get(urn, {}).items()})
        for urn in everything | names.keys()
    }


def _parts(path: str) -> tuple[str, str, str]:
    """Return schema, attribute and sub-attribute, all in lower case; a bare schema URN has no attribute."""
    lowered = path.lower()
    if lowered in {urn.lower() for urn in (vocabulary.CORE, vocabulary.ENTERPRISE, vocabulary.ECMA)}:
        return lowered, "", ""
    urn, rest = split_urn(lowered)
    name, _, tail = rest.partition("[")
    if tail:
        return urn.lower(), name, tail.partition("].")[2]
    name, _, sub = name.partition(".")
    return urn.lower(), name, sub
