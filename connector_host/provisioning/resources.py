"""SCIM resources as plain JSON objects: where a path leads, what stands there, and how to put something there.

Only what a client needs: attribute paths with one level of sub-attributes and one `eq` filter (RFC 7644 §3.5.2).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from connector_host.errors import ConfigurationError

CORE_USER: Final = "urn:ietf:params:scim:schemas:core:2.0:User"

Resource: TypeAlias = dict[str, Any]
"""A SCIM resource as JSON has it: a door, so its values are anything."""

_PATH = re.compile(
    r"(?:(?P<schema>urn:[A-Za-z0-9][A-Za-z0-9:._-]*):)?(?P<attribute>[A-Za-z$][\w$-]*)"
    r"(?:\[(?P<key>[A-Za-z][\w-]*) eq (?P<value>\"(?:[^\"\\]|\\.)*\"|true|false)\])?(?:\.(?P<sub>[A-Za-z$][\w$-]*))?"
)


@dataclass(frozen=True, slots=True)
class ResourcePath:
    """A path into a resource, as an administrator writes it."""

    text: str
    schema: str | None
    """The URN of an extension; None is the core schema."""
    attribute: str
    element: tuple[str, str | bool] | None = None
    """Which element of a multi-valued attribute: sub-attribute and value."""
    sub: str | None = None


def parse_path(text: str) -> ResourcePath:
    """Return the path; raises ConfigurationError where it is none that can be written to."""
    match = _PATH.fullmatch(text.strip())
    if match is None:
        raise ConfigurationError(
            f'{text!r} is no SCIM path: write name.givenName, emails[type eq "work"].value, urn:…:User:NAME.'
        )
    element = None
    if match["key"]:
        value = match["value"]
        element = match["key"], value == "true" if value in ("true", "false") else re.sub(r"\\(.)", r"\1", value[1:-1])
        if not match["sub"]:
            raise ConfigurationError(f"{text!r} names an element but not which part of it: add .value or the like.")
    schema = match["schema"]
    own = None if schema is None or schema.lower() == CORE_USER.lower() else schema
    return ResourcePath(text.strip(), own, match["attribute"], element, match["sub"])


def value_at(resource: Mapping[str, Any], path: ResourcePath) -> Any:  # noqa: ANN401 - JSON
    """Return what stands at the path, None where nothing does; names are found without regard to case."""
    holder = _get(resource, path.schema) if path.schema else resource
    value = _get(holder, path.attribute)
    if path.element is not None:
        value = next((item for item in value if _is(item, path.element)), None) if isinstance(value, list) else None
    return _get(value, path.sub) if path.sub else value


def put(resource: Resource, path: ResourcePath, value: Any) -> None:  # noqa: ANN401 - JSON
    """Put a value at the path of a resource that is being made."""
    holder = resource.setdefault(path.schema, {}) if path.schema else resource
    if path.element is not None:
        key, wanted = path.element
        items = holder.setdefault(path.attribute, [])
        item = next((item for item in items if _is(item, path.element)), None)
        if item is None:
            items.append(item := {key: wanted})
        holder, name = item, path.sub or ""
    elif path.sub:
        holder, name = holder.setdefault(path.attribute, {}), path.sub
    else:
        name = path.attribute
    holder[name] = value


def flattened(document: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every attribute of a JSON object by its path; lists stay lists, and typed elements get paths, too."""
    for name, value in document.items():
        at = f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from flattened(value, f"{at}:" if name.startswith("urn:") else f"{at}.")
            continue
        yield at, value
        if isinstance(value, list):
            for item in value:
                if isinstance(item, Mapping) and isinstance(kind := item.get("type"), str):
                    yield from ((f'{at}[type eq "{kind}"].{sub}', part) for sub, part in item.items() if sub != "type")


def _get(holder: Any, name: str) -> Any:  # noqa: ANN401 - JSON
    if not isinstance(holder, Mapping):
        return None
    if name in holder:
        return holder[name]
    return next((value for key, value in holder.items() if key.lower() == name.lower()), None)


def _is(item: Any, element: tuple[str, str | bool]) -> bool:  # noqa: ANN401 - JSON
    found = _get(item, element[0])
    if isinstance(found, str) and isinstance(element[1], str):
        return found.lower() == element[1].lower()
    return bool(found == element[1])
