"""A configuration that cannot be read, in words: the key, what is wrong with it, and what may stand there.

Never the value itself: a secret may stand in the wrong place.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from msgspec import inspect

from agent.errors import ConfigurationError
from connector_host.networks import is_network

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import msgspec

WANTED: Final = "wanted"
"""In the `extra` of a type's Meta: what a person is to write, where a pattern says it to machines."""

_MISSING: Final = re.compile(r"Object missing required field `(?P<key>\w+)`")
_UNKNOWN: Final = re.compile(r"Object contains unknown field `(?P<key>[^`]+)`")
_PLACE: Final = re.compile(r" - at `(?:key in )?\$\.?(?P<place>[^`]*)`$")


_KIND: Final = re.compile(r"Expected `(?P<kinds>[a-z |]+)`, got `\w+`")
_KINDS: Final = {
    "int": "a whole number, without quotes",
    "float": "a number, without quotes",
    "bool": "true or false, without quotes",
    "str": "a text, in quotes",
    "array": 'a list, ["…", "…"]',
}


def words(message: str, model: type[msgspec.Struct], tenant: str) -> str:
    """Say msgspec's message about this configuration as `key: what is wrong`, of this tenant where it is one's."""
    return _words(message, model).replace("tenants[...]", f"tenants.{tenant}", 1)


def _words(message: str, model: type[msgspec.Struct]) -> str:
    place = match["place"] if (match := _PLACE.search(message)) else ""
    fact = _PLACE.sub("", message)
    if match := _MISSING.fullmatch(fact):
        return f"{_key(place, match['key'])}: is missing."
    if match := _UNKNOWN.fullmatch(fact):
        from connector_host.spellings import advice  # noqa: PLC0415 - an agent that runs needs none of it

        meant = advice(match["key"], _keys_of(inspect.type_info(model), place))
        return f"{_key(place, match['key'])}: there is no such key. {meant}".rstrip()
    if wanted := _wanted(inspect.type_info(model), place):
        return f"{place}: write {wanted}."
    if match := _KIND.fullmatch(fact):
        kinds = match["kinds"].split(" | ")
        if "object" in kinds:
            return f"{place}: is a table: write [{place}]."
        return f"{place}: write {' or '.join(_KINDS[kind] for kind in kinds if kind in _KINDS)}."
    return f"{place}: {fact[:1].lower()}{fact[1:]}."


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Put the file's name before what is wrong with it."""
    try:
        yield
    except ConfigurationError as failure:
        raise ConfigurationError(f"{path}: {failure}") from failure


def outlasts(dead_s: float, every_s: float, dead: str, every: str) -> None:
    """Refuse a silence that ends a line before a sign of life can come."""
    if dead_s <= every_s:
        raise ConfigurationError(f"{dead}: must be more than {every}, {every_s:g}: write two or three times that.")


def networks(texts: Iterable[str], key: str) -> None:
    """Refuse what is neither an address nor a network."""
    for number, text in enumerate(texts):
        if not is_network(text):
            wanted = 'write addresses or networks, as in ["10.0.0.0/8", "192.0.2.7"]'
            raise ConfigurationError(f"{key}[{number}]: {wanted}.")


def _key(place: str, key: str) -> str:
    return f"{place}.{key}" if place else key


def _keys_of(kind: inspect.Type, place: str) -> list[str]:
    """Return the keys that a table may have."""
    _, kind = _at(kind, place)
    return [field.encode_name for field in kind.fields] if isinstance(kind, inspect.StructType) else []


def _wanted(kind: inspect.Type, place: str) -> str:
    """Return what may stand in this place; empty where msgspec's own words say it."""
    wanted, kind = _at(kind, place)
    return ", ".join(map(str, kind.values)) if isinstance(kind, inspect.LiteralType) else wanted


def _at(kind: inspect.Type, place: str) -> tuple[str, inspect.Type]:
    """Return the type of what stands in this place, `relay.nats.urls[0]`, and what its annotations say is wanted."""
    wanted = ""
    for part in re.findall(r"[A-Za-z_]\w*|\[", place):
        wanted, kind = _plain(_inside(kind, part))
    return wanted, kind


def _inside(kind: inspect.Type, part: str) -> inspect.Type:
    match kind:
        case inspect.StructType(fields=fields):
            return next((field.type for field in fields if field.encode_name == part), inspect.AnyType())
        case inspect.DictType(value_type=inner) | inspect.VarTupleType(item_type=inner):
            return inner
        case _:
            return inspect.AnyType()


def _plain(kind: inspect.Type) -> tuple[str, inspect.Type]:
    """Return the type without its None and its annotations, and what these say is wanted."""
    wanted = ""
    while isinstance(kind, inspect.Metadata | inspect.UnionType):
        if isinstance(kind, inspect.UnionType):
            kind = next(one for one in kind.types if not isinstance(one, inspect.NoneType))
        else:
            wanted, kind = (kind.extra or {}).get(WANTED, wanted), kind.type
    return wanted, kind
